"""Every way to change the cap is told in the log so that the proof knows the cap at every instant."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from slotwise.log import prove
from slotwise.steering import Steering
from slotwise.store import Store
from tests.hand import Hand, submitted

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


async def after_one_that_ended(_: Store, steering: Steering) -> None:
    await steering.resize(5, by="test", ttl_ms=1)
    await asyncio.sleep(0.01)
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
    await asyncio.sleep(0.1)  # past the end of an override
    await work()
    found = await prove(store, 60)
    assert (found.violations.first, found.notes.first) == ([], [])
