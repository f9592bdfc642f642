"""What the scripts keep of jobs' times, use and rates, and what is read from it."""

from __future__ import annotations

from typing import Any

import pytest

from slotwise.attempt import Account
from slotwise.pace import MEMORY_MS, AlgorithmPace, Flow, Pace
from slotwise.store import Store
from tests.hand import submitted


async def kept(store: Store, name: str = "Add") -> AlgorithmPace:
    return Pace.of(await store.redis.hgetall(store.keys.pace)).algorithms[name]


def test_a_rate_is_told_from_the_first_jobs_on() -> None:
    """Two a second: for 10 s, for an hour, and a while after the last."""
    for kept_ms in (10_000, 3_600_000):
        ages = range(0, kept_ms, 500)
        weight = sum(2.718281828 ** (-age / MEMORY_MS) for age in ages)
        flow = Flow(weight, at_ms=1e9, since_ms=1e9 - kept_ms, jobs=len(ages))
        assert flow.per_second(1e9) == pytest.approx(2, rel=0.01)
    assert flow.per_second(1e9 + MEMORY_MS) == pytest.approx(2 / 2.718, rel=0.01)
    assert flow.per_second(1e9 + 100 * MEMORY_MS) == pytest.approx(0, abs=1e-9)


def test_too_little_is_no_rate() -> None:
    assert Flow(4.0, 1e9, 1e9 - 60_000, jobs=4).per_second(1e9) is None
    assert Flow(50.0, 1e9, 1e9 - 100, jobs=50).per_second(1e9) is None


async def test_use_is_averaged_and_the_most_memory_is_remembered_for_a_while(store: Store, hand: Any) -> None:
    worker = hand(serves=["Add"])
    for cpu, peak in [(1.0, 10.0), (3.0, 200.0), (2.0, 100.0)]:
        await submitted(store)
        await worker.finish(await worker.claim_one(), own_end=True, account=Account(cpu, peak))
    of = await kept(store)
    assert of.cpu_ms == pytest.approx(2_000)
    assert of.peak_memory_mb == pytest.approx(198)
    assert of.jobs == 3


async def test_what_was_killed_or_not_measured_tells_nothing_of_the_next(store: Store, hand: Any) -> None:
    worker = hand(serves=["Add"])
    for fields in [
        {"account": Account(9.0, 9.0)},
        {"own_end": True},
        {"account": Account(None, 5.0), "own_end": True},
    ]:
        await submitted(store)
        await worker.finish(await worker.claim_one(), **fields)
    of = await kept(store)
    assert (of.cpu_ms, of.peak_memory_mb, of.jobs) == (None, None, 2)


async def test_cpu_time_is_averaged_without_memory_too(store: Store, hand: Any) -> None:
    """As of threads. What ends in one call is kept one after the other, and told apart by algorithm."""
    worker = hand(serves=["Add", "Mul"])
    await submitted(store, 2)
    await submitted(store, 1, algorithm="Mul")
    accounts = [Account(1.0), Account(3.0), Account(5.0, 50.0)]
    grants = (await worker.claim(3)).grants
    ends = [worker.finish_of(one, own_end=True, account=of) for one, of in zip(grants, accounts, strict=True)]
    await store.claims.finish(worker.incarnation, ends)
    of, other = await kept(store), await kept(store, "Mul")
    assert (of.cpu_ms, of.peak_memory_mb, of.jobs) == (pytest.approx(2_000), None, 2)
    assert (other.cpu_ms, other.peak_memory_mb, other.jobs) == (5_000, 50, 1)
    assert of.went is not None
    assert (of.went.jobs, int(await store.redis.hget(store.keys.pace, "n"))) == (2, 3)
    assert of.hold_ms is not None
    assert other.hold_ms is not None
    mean = float(await store.redis.hget(store.keys.pace, "mean"))
    assert mean == pytest.approx((2 * of.hold_ms + other.hold_ms) / 3)


async def test_jobs_are_counted_as_they_come_and_as_they_go(store: Store, hand: Any) -> None:
    """Ten in one call came a memory ago, by a clock that is wound back: they count for 1/e each."""
    worker = hand(serves=["Add"])
    await submitted(store, 10)
    key, field = store.keys.pace, "came:Add"
    weight, at, since, jobs = (await store.redis.hget(key, field)).split()
    assert (float(weight), int(jobs), at) == (10.0, 10, since)
    earlier = int(at) - MEMORY_MS
    await store.redis.hset(key, field, f"10 {earlier} {earlier} 10")
    await submitted(store, 10)
    of = await kept(store)
    assert of.came is not None
    assert (of.came.weight, of.came.jobs, of.went) == (pytest.approx(10 + 10 / 2.71828, rel=0.01), 20, None)
    for _ in range(2):  # the cap is 10
        for grant in (await worker.claim(10)).grants:
            await worker.finish(grant, own_end=True)
    went = (await kept(store)).went
    assert went is not None
    assert (went.jobs, went.weight) == (20, pytest.approx(20, rel=0.01))


async def test_a_clock_that_is_set_back_brings_no_old_jobs_back(store: Store, hand: Any) -> None:
    hand(serves=["Add"])
    await submitted(store, 5)
    key, field = store.keys.pace, "came:Add"
    later = int((await store.redis.hget(key, field)).split()[1]) + 3_600_000
    await store.redis.hset(key, field, f"5 {later} {later} 5")
    await submitted(store, 5)
    of = await kept(store)
    assert of.came is not None
    assert (of.came.weight, of.came.at_ms) == (10.0, later)
    assert of.came.per_second(later - 3_600_000) is None


async def test_names_that_nobody_serves_leave_nothing_behind(store: Store) -> None:
    await submitted(store, 3, algorithm="MadeUp")
    assert Pace.of(await store.redis.hgetall(store.keys.pace)).algorithms == {}
