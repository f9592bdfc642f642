"""The use of slots, as the scripts' areas tell it."""

from __future__ import annotations

from typing import Any

import pytest

from slotwise.meter import MARK_MS, Meter
from slotwise.store import Store
from tests.hand import submitted

NOW = 1_000 * MARK_MS


def kept(**fields: Any) -> Meter:
    rows = {"at": NOW, "running": 1, "cap": 4, "used": 100.0, "offered": 400.0, "saturated_since": "", **fields}
    meter = Meter.of({name.replace("_at_", ":").encode(): str(value).encode() for name, value in rows.items()})
    assert meter is not None
    return meter


def test_nothing_is_known_before_the_first_job() -> None:
    assert Meter.of({}) is None


def test_a_window_that_began_before_the_last_step() -> None:
    meter = kept(used=30_000, offered=40_000, mark_at_94="994 0 0")
    assert meter.utilisation(60, NOW) == pytest.approx(0.75)
    assert meter.utilisation(60, NOW + 9_999) == pytest.approx((30_000 + 9_999) / (40_000 + 4 * 9_999))


def test_a_window_in_which_nothing_changed() -> None:
    assert kept().utilisation(60, NOW + 10 * MARK_MS) == pytest.approx(0.25)


def test_a_window_of_which_nothing_is_kept() -> None:
    assert kept().utilisation(60, NOW) is None


def test_a_window_that_is_longer_than_what_is_kept() -> None:
    assert kept(used=1_000, offered=4_000, began=NOW - 1_000).utilisation(60, NOW) == pytest.approx(0.25)
    after_a_gap = kept(used=30_000, offered=40_000, began=1, mark_at_98="998 10000 20000")
    assert after_a_gap.utilisation(60, NOW) == pytest.approx(1.0)


def test_a_cap_of_zero_offers_nothing() -> None:
    assert kept(cap=0, running=0).utilisation(60, NOW + 10 * MARK_MS) is None


async def test_the_scripts_keep_the_areas_at_every_mark(store: Store, hand: Any) -> None:
    """The meter is wound back by 25 s while one of two slots is taken: the marks in between are made up for."""
    await store.configure(2, by="test")
    await submitted(store, 2)
    worker = hand()
    grant = await worker.claim_one()
    key = store.keys.meter
    at = float(await store.redis.hget(key, "at")) - 25_000
    await store.redis.hset(key, "at", at)
    await worker.finish(grant)
    meter = Meter.of(await store.redis.hgetall(key))
    assert meter is not None
    assert meter.used == pytest.approx(25_000, rel=0.2)
    assert meter.offered == pytest.approx(2 * meter.used, rel=0.01)  # it counts since the cap was told
    marks = sorted(meter.marks)
    assert len(marks) in (2, 3)
    assert [meter.marks[mark][0] for mark in marks] == pytest.approx(
        [mark * MARK_MS - at for mark in marks], abs=2
    )
    assert meter.saturated_since_ms is None
    (last,) = (await worker.claim(5)).grants
    await worker.finish(last)


async def test_saturation_is_told_from_the_step_that_filled_the_last_slot(store: Store, hand: Any) -> None:
    await store.configure(1, by="test")
    await submitted(store)
    worker = hand()
    grant = await worker.claim_one()
    meter = Meter.of(await store.redis.hgetall(store.keys.meter))
    assert meter is not None
    assert meter.saturated_since_ms == pytest.approx(meter.at_ms)
    await worker.finish(grant)
    assert (await store.redis.hget(store.keys.meter, "saturated_since")) == b""
