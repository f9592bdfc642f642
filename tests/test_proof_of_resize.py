"""Every way to change the cap is told in the log so that the proof knows the cap at every instant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from slotwise.admissions import prove
from slotwise.steering import Steering
from slotwise.store import Store
from tests.facts import wait_for
from tests.hand import Hand, now_ms, submitted

Change = Callable[[Store, Steering], Awaitable[Any]]


async def ends(_: Store, steering: Steering) -> None:
    await steering.resize(5, by="test", ttl_ms=50)


async def same_cap_with_another_end(_: Store, steering: Steering) -> None:
    await steering.resize(5, by="test", ttl_ms=50)
    await steering.resize(5, by="test", ttl_ms=60_000)


async def configured_under_an_override(store: Store, steering: Steering) -> None:
    await steering.resize(5, by="test", ttl_ms=50)
    await store.configure(2, by="test")


async def configured_under_an_override_of_the_same(store: Store, steering: Steering) -> None:
    await steering.resize(3, by="test", ttl_ms=50)
    await store.configure(2, by="test")


async def cleared(_: Store, steering: Steering) -> None:
    await steering.resize(5, by="test")
    await steering.resize(None, by="test")


async def over(store: Store) -> None:
    """Return when an override that stands for less than 60 ms has ended, by the server's clock."""
    began = await now_ms(store)

    async def passed() -> bool:
        return await now_ms(store) > began + 60

    await wait_for(passed, what="60 ms")


async def after_one_that_ended(store: Store, steering: Steering) -> None:
    await steering.resize(5, by="test", ttl_ms=1)
    await over(store)
    await steering.resize(7, by="test")


@pytest.mark.parametrize(
    "change",
    [
        ends,
        same_cap_with_another_end,
        configured_under_an_override,
        configured_under_an_override_of_the_same,
        cleared,
        after_one_that_ended,
    ],
)
async def test_the_proof_knows_the_cap(store: Store, hand: Any, change: Change) -> None:
    await store.configure(3, by="test")
    await submitted(store, 60)
    worker: Hand = hand()

    async def work() -> None:
        for _ in range(3):
            for grant in (await worker.claim(10)).grants:
                await worker.finish(grant)

    await work()
    await change(store, Steering(store.redis, store.keys))
    await work()
    await over(store)
    await work()
    found = await prove(store, 60)
    assert (found.violations.first, found.notes.first) == ([], [])
