"""Resize and what it leaves behind; the snapshot; against a real server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis import Redis

from slotwise import algorithm, scripts
from slotwise.admissions import prove
from slotwise.errors import SlotwiseError
from slotwise.lease import LeaseStore
from slotwise.snapshot import Effect
from slotwise.steering import AuditEntry, Steering
from slotwise.store import Store
from tests.facts import wait_for
from tests.hand import KEEP_MS, Hand, submitted


@pytest.fixture
def steering(store: Store) -> Steering:
    return Steering(store.redis, store.keys)


@pytest.fixture
def sweeper(store: Store, redis_url: str) -> Any:
    client = Redis.from_url(redis_url)
    yield LeaseStore(client, store.keys)
    client.close()


async def known(store: Store, *names: str) -> None:
    await store.redis.hset(store.keys.catalogue, mapping=dict.fromkeys(names, "{}"))


async def finished(worker: Hand) -> None:
    for grant in list(worker.granted.values()):
        await worker.finish(grant)


def brief(entry: AuditEntry) -> tuple[Any, ...]:
    return entry.algorithm, entry.change, entry.from_cap, entry.to_cap, entry.by, entry.reason


async def logged(store: Store) -> list[tuple[int, int]]:
    """(running, cap) of the log's entries on the cap."""
    rows = [row for _, row in await store.redis.xrange(store.keys.log) if row[b"move"] == b"cap"]
    assert all(row[b"ids"] == b"[]" for row in rows)
    return [(int(row[b"running"]), int(row[b"cap"])) for row in rows]


async def test_an_override_is_in_force_until_it_is_cleared(store: Store, steering: Steering, hand: Any) -> None:
    await store.configure(3, by="start")
    await steering.resize(1, by="ann", reason="night")
    await submitted(store, 5)
    worker = hand()
    assert len((await worker.claim(9)).grants) == 1
    assert (await store.slots()).max_concurrent == 1
    await steering.resize(4, by="bob")
    assert len((await worker.claim(9)).grants) == 3
    await steering.resize(None, by="cat", reason="morning")
    assert (await store.slots()).max_concurrent == 3
    assert (await store.slots()).running == 4, "a smaller cap took a slot away"
    assert list(map(brief, await steering.audit())) == [
        (None, "cleared", 4, 3, "cat", "morning"),
        (None, "set", 1, 4, "bob", None),
        (None, "set", 3, 1, "ann", "night"),
        (None, "configured", None, 3, "start", "configured at start"),
    ]
    assert await logged(store) == [(0, 3), (0, 1), (1, 4), (4, 3)]
    await finished(worker)
    assert len((await worker.claim(9)).grants) == 1
    await finished(worker)


async def test_clearing_where_nothing_stands_is_no_change(store: Store, steering: Steering) -> None:
    await steering.resize(None, by="ann")
    assert await steering.audit() == []
    assert await store.redis.exists(store.keys.log) == 0


async def test_a_new_override_replaces_all_of_the_last(steering: Steering) -> None:
    await steering.resize(1, by="ann", reason="x", ttl_ms=60_000)
    await steering.resize(1, by="bob")
    standing = (await steering.snapshot()).override
    assert standing is not None
    assert (standing.value, standing.expires_ms, standing.reason, standing.by) == (1, None, None, "bob")


async def test_two_at_once_the_last_wins_and_both_are_in_the_audit(store: Store, steering: Steering) -> None:
    await asyncio.gather(*(steering.resize(cap, by=f"operator {cap}") for cap in range(20)))
    entries = await steering.audit()
    assert {entry.to_cap for entry in entries} == set(range(20))
    assert (await store.slots()).max_concurrent == entries[0].to_cap
    assert [entry.from_cap for entry in entries[:-1]] == [entry.to_cap for entry in entries[1:]]


async def test_an_override_that_is_over_is_cleared_with_an_entry_of_its_end(
    store: Store, steering: Steering, sweeper: LeaseStore
) -> None:
    await store.configure(7, by="start")
    await known(store, "A")
    await steering.resize(2, by="ann", reason="short", ttl_ms=30)
    await steering.resize(1, by="bob", algorithm="A", ttl_ms=1)

    async def reverted() -> bool:
        return (await store.slots()).max_concurrent == 7

    await wait_for(reverted, what="it is over, though nobody has cleared it")
    assert (await steering.snapshot()).override is None
    assert await store.redis.hexists(store.keys.cap, "override")
    assert sweeper.revert() == 2
    assert sweeper.revert() == 0
    ended, own, own_set, was_set = (await steering.audit())[:4]
    assert brief(ended) == (None, "expired", 2, 7, "ann", "short")
    assert brief(own) == ("A", "expired", 1, None, "bob", None)
    assert (own_set.algorithm, was_set.change) == ("A", "set")
    assert ended.at_ms == ended.expires_ms == was_set.expires_ms == was_set.at_ms + 30
    assert await logged(store) == [(0, 7), (0, 2), (0, 7)]
    assert await store.redis.hkeys(store.keys.cap) == [b"configured"]
    assert await store.redis.exists(store.keys.limits) == 0


@pytest.mark.parametrize("move", ["resize", "configure"])
async def test_a_change_after_an_end_says_what_was_in_force(store: Store, steering: Steering, move: str) -> None:
    await store.configure(7, by="start")
    await steering.resize(2, by="ann", ttl_ms=1)

    async def over() -> bool:
        return (await steering.snapshot()).override is None

    await wait_for(over, what="it is over")
    if move == "resize":
        await steering.resize(5, by="bob")
    else:
        await store.configure(5, by="bob")
    latest, ended = (await steering.audit())[:2]
    assert (latest.from_cap, latest.to_cap, latest.by) == (7, 5, "bob")
    assert (ended.change, ended.from_cap, ended.to_cap) == ("expired", 2, 7)
    assert (await store.slots()).max_concurrent == 5


async def test_the_configured_cap_changes_under_an_override(store: Store, steering: Steering) -> None:
    await steering.resize(2, by="ann")
    assert await store.configure(20, by="start") == 20
    assert (await store.slots()).max_concurrent == 2, "a start ended an override"
    await steering.resize(None, by="ann")
    assert (await store.slots()).max_concurrent == 20
    assert await logged(store) == [(0, 2), (0, 2), (0, 20)]


async def test_an_algorithms_own_cap(store: Store, steering: Steering, hand: Any) -> None:
    await known(store, "A")
    await submitted(store, 3, algorithm="A")
    await steering.resize(1, by="ann", algorithm="A")
    worker = hand(serves=["A"])
    assert len((await worker.claim(9)).grants) == 1
    await steering.resize(2, by="ann", algorithm="A")
    assert len((await worker.claim(9)).grants) == 1
    (own,) = (await steering.snapshot()).algorithms
    assert (own.name, own.running, own.max_concurrent, own.declared) == ("A", 2, 2, None)
    assert own.override is not None and own.override.by == "ann"
    await steering.resize(None, by="bob", algorithm="A")
    assert len((await worker.claim(9)).grants) == 1
    assert list(map(brief, await steering.audit())) == [
        ("A", "cleared", 2, None, "bob", None),
        ("A", "set", 1, 2, "ann", None),
        ("A", "set", None, 1, "ann", None),
    ]
    assert await logged(store) == [], "the fleet's cap did not change"
    assert await store.redis.exists(store.keys.limits) == 0
    await finished(worker)


def declared(name: str, **limits: Any) -> dict[str, Any]:
    return algorithm(name=name, **limits)(lambda: None).describe()


async def test_what_is_declared_is_in_force_until_it_is_no_more(
    store: Store, steering: Steering, hand: Any
) -> None:
    await store.publish([declared("A", max_concurrent=2, rate="9/day"), declared("B")], by="worker w")
    await submitted(store, 5, algorithm="A")
    worker = hand(serves=["A"])
    assert len((await worker.claim(9)).grants) == 2
    own = (await steering.snapshot()).algorithm("A")
    assert own is not None
    assert (own.max_concurrent, own.declared, own.rate) == (2, 2, "9 86400000")
    await steering.resize(1, by="ann", algorithm="A")
    await store.publish([declared("A", max_concurrent=4)], by="worker w")
    own = (await steering.snapshot()).algorithm("A")
    assert own is not None
    assert (own.max_concurrent, own.declared, own.rate) == (1, 4, None), "a start ended an override"
    await steering.resize(None, by="ann", algorithm="A")
    assert len((await worker.claim(9)).grants) == 2
    await store.publish([declared("A")], by="worker w")
    assert await store.redis.exists(store.keys.limits) == 0
    assert len((await worker.claim(9)).grants) == 1
    assert list(map(brief, await steering.audit())) == [
        ("A", "declared", 4, None, "worker w", "published by a worker"),
        ("A", "cleared", 1, 4, "ann", None),
        ("A", "declared", 2, 4, "worker w", "published by a worker"),
        ("A", "set", 2, 1, "ann", None),
    ]
    await finished(worker)


async def test_an_unknown_algorithm_has_no_cap(store: Store, steering: Steering, hand: Any) -> None:
    for cap in (1, None):
        with pytest.raises(SlotwiseError) as refused:
            await steering.resize(cap, by="ann", algorithm="A")
        assert refused.value.code == "algorithm-not-found"
    assert await store.redis.exists(store.keys.limits, store.keys.audit) == 0
    hand(serves=["A"])  # a stock project's function: served, though not in the catalogue
    await steering.resize(1, by="ann", algorithm="A")
    await steering.resize(None, by="ann", algorithm="A")


async def test_the_audit_is_bounded(store: Store, steering: Steering) -> None:
    await store.redis.rpush(store.keys.audit, *["{}"] * 1200)
    await steering.resize(1, by="ann")
    assert await store.redis.llen(store.keys.audit) == 1000
    assert [entry.by for entry in await steering.audit(1)] == ["ann"]


async def test_the_meter_counts_the_slots_of_the_cap_in_force(store: Store, steering: Steering, hand: Any) -> None:
    """An override of 1 s that is found over a second later offered its slots for that one second."""
    await store.configure(1, by="start")
    await submitted(store)
    worker = hand()
    await worker.claim(1)
    await steering.resize(5, by="ann", ttl_ms=1_000)
    meter = store.keys.meter
    at = float(await store.redis.hget(meter, "at"))
    await store.redis.hset(meter, mapping={"at": at - 2_000, "offered": 0})
    await store.redis.hincrby(store.keys.cap, "until", -2_000)
    await store.configure(2, by="start")
    offered = float(await store.redis.hget(meter, "offered"))
    assert 5 * 1_000 + 1 * 1_000 <= offered + 1 < 5 * 1_000 + 1 * 1_500
    await finished(worker)


async def test_the_snapshot_of_an_empty_server(steering: Steering) -> None:
    snapshot = await steering.snapshot()
    assert (snapshot.slots.max_concurrent, snapshot.slots.running, snapshot.configured) == (10, 0, 10)
    assert (snapshot.pending, snapshot.scheduled, snapshot.oldest_due_ms) == (0, 0, None)
    assert (snapshot.workers, snapshot.algorithms, snapshot.override, snapshot.meter) == ((), (), None, None)


async def test_who_waits_is_counted_wherever_it_stands(store: Store, steering: Steering, hand: Any) -> None:
    await known(store, "A")
    await steering.resize(1, by="ann", algorithm="A")
    waiting = await submitted(store, 3, algorithm="A")
    worker = hand(serves=["A", "Add"])
    await worker.claim(5)
    await steering.resize(1, by="ann")
    others = await submitted(store, 2)
    seconds, _ = await store.redis.time()
    later = await submitted(store, due_ms=(seconds + 3600) * 1000)
    snapshot = await steering.snapshot()
    assert (snapshot.slots.running, snapshot.pending, snapshot.scheduled) == (1, 4, 1)
    assert snapshot.within_reach == 2, "two are parked"
    assert snapshot.algorithm("A") is not None and snapshot.algorithm("A").parked == 2
    await finished(worker)
    for job_id in [*waiting, *others, *later]:
        await store.cancel(job_id, keep_ms=KEEP_MS)


async def test_the_oldest_is_found_behind_those_with_a_head_start(
    store: Store, steering: Steering, hand: Any
) -> None:
    (oldest,) = await submitted(store, algorithm="A")
    ahead = await submitted(store, 5, priority=9, head_start_ms=540_000)
    due = int(float(await store.redis.hget("slotwise:job:" + oldest, "due")))
    assert (await steering.snapshot()).oldest_due_ms == due
    await known(store, "A")
    await steering.resize(0, by="ann", algorithm="A")
    worker = hand(serves=["A", "Add"])
    assert len((await worker.claim(9)).grants) == 5, "now the oldest is parked"
    assert (await steering.snapshot()).oldest_due_ms == due
    await finished(worker)
    await store.cancel(oldest, keep_ms=KEEP_MS)
    assert (await steering.snapshot()).oldest_due_ms is None
    assert len(ahead) == 5


async def test_workers_are_shown_as_they_are(store: Store, steering: Steering, hand: Any) -> None:
    await submitted(store, 3)
    one, two = hand("one", serves=["Add", "B"]), hand("two", serves=["Add"])
    await one.claim(2)
    await two.claim(1)
    snapshot = await steering.snapshot()
    assert [(row.running, row.algorithms, row.draining) for row in snapshot.workers] == [
        (2, ("Add", "B"), False),
        (1, ("Add",), False),
    ]
    assert sum(row.running for row in snapshot.workers) == snapshot.slots.running == 3
    await finished(one)
    await finished(two)


async def test_a_worker_with_two_leases_is_one_row(store: Store, steering: Steering, hand: Any) -> None:
    await submitted(store, 2)
    before, after = hand("w"), hand("w")
    await before.claim(1)
    await after.claim(1)
    for worker in (before, after):
        await store.redis.hset(store.keys.worker(worker.incarnation), "name", "w")
    (row,) = (await steering.snapshot()).workers
    assert (row.name, row.running) == ("w", 2)
    await finished(before)
    await finished(after)


async def test_what_a_change_would_do(store: Store, steering: Steering, hand: Any) -> None:
    await steering.resize(2, by="ann")
    await submitted(store, 8)
    assert (await steering.snapshot()).effect(5).fills == 0, "there is no worker"
    worker = hand()
    await worker.claim(9)
    snapshot = await steering.snapshot()
    assert snapshot.effect(5) == Effect(before=2, after=5, fills=3, drains=0, drains_in_seconds=0)
    assert snapshot.effect(100).fills == 6, "no more than wait"
    assert snapshot.effect(0) == Effect(before=2, after=0, fills=0, drains=2, drains_in_seconds=None)
    assert snapshot.effect(None).after == 10
    assert snapshot.effect(2) == Effect(before=2, after=2, fills=0, drains=0, drains_in_seconds=0)
    await store.redis.hset(store.keys.worker(worker.incarnation), "slots", 4)
    assert (await steering.snapshot()).effect(100).fills == 2, "no more than the workers can bear"
    await steering.resize(100, by="ann")
    await worker.claim(9)
    await finished(worker)


async def test_what_a_change_of_an_algorithm_would_do(store: Store, steering: Steering, hand: Any) -> None:
    await known(store, "A")
    await steering.resize(1, by="ann", algorithm="A")
    await submitted(store, 4, algorithm="A")
    worker = hand(serves=["A"])
    await worker.claim(9)
    snapshot = await steering.snapshot()
    own = snapshot.algorithm("A")
    assert own is not None
    assert snapshot.effect_on(own, 3) == Effect(before=1, after=3, fills=2, drains=0, drains_in_seconds=0)
    assert snapshot.effect_on(own, None) == Effect(before=1, after=None, fills=3, drains=0, drains_in_seconds=0)
    assert snapshot.effect_on(own, 0) == Effect(before=1, after=0, fills=0, drains=1, drains_in_seconds=None)
    await steering.resize(None, by="ann", algorithm="A")
    await worker.claim(9)
    await finished(worker)


async def test_how_long_a_drain_takes_follows_from_how_long_jobs_run(
    store: Store, steering: Steering, hand: Any
) -> None:
    await submitted(store, 4, algorithm="A")
    worker = hand(serves=["A"])
    await worker.claim(4)
    await store.redis.hset(store.keys.pace, mapping={"n": 1, "mean": 6000, "mean:A": 3000})
    snapshot = await steering.snapshot()
    assert snapshot.effect(3).drains_in_seconds == pytest.approx(6 / 4)
    assert snapshot.effect(0).drains_in_seconds == pytest.approx(6 / 4 + 6 / 3 + 6 / 2 + 6)
    (own,) = snapshot.algorithms
    assert snapshot.effect_on(own, 2).drains_in_seconds == pytest.approx(3 / 4 + 3 / 3)
    await finished(worker)


async def test_a_drained_worker_takes_no_more_until_it_is_resumed(
    store: Store, steering: Steering, hand: Any
) -> None:
    await submitted(store, 3)
    one, two = hand("one"), hand("two")
    await one.claim(1)
    await steering.drain(one.incarnation)
    assert (await one.claim(5)).grants == ()
    assert len((await two.claim(1)).grants) == 1
    assert [row.draining for row in (await steering.snapshot()).workers] == [True, False]
    await finished(one)
    await steering.resume(one.incarnation)
    assert len((await one.claim(5)).grants) == 1
    await finished(one)
    await finished(two)


async def test_a_drain_is_of_the_process_whatever_becomes_of_its_lease(
    store: Store, steering: Steering, hand: Any
) -> None:
    await submitted(store)
    before = hand("w")
    before.enlist(name="w", process="p1")
    await steering.drain("w")
    before.leases.reap(before.incarnation, "0 10000")
    later, anew = hand("w"), hand("w")
    later.enlist(name="w", process="p1")
    assert (await later.claim(1)).grants == (), "it heard of no drain, and takes jobs"
    anew.enlist(name="w", process="p2")
    assert len((await anew.claim(1)).grants) == 1, "a worker that was started anew is drained"
    await finished(anew)
    await submitted(store)
    await steering.resume("w")
    assert await store.redis.exists(store.keys.drained) == 0
    assert len((await later.claim(1)).grants) == 1
    await finished(later)


async def test_who_is_gone_for_a_day_is_forgotten(store: Store, steering: Steering, hand: Any) -> None:
    worker = hand("w")
    worker.enlist(name="w", process="alive")
    await store.redis.zadd(store.keys.drained, {"gone": 1, "alive": 1, "young": 9e15})
    await steering.resume("w")
    assert await store.redis.zrange(store.keys.drained, 0, -1) == [b"young"]
    await store.redis.zadd(store.keys.drained, {"alive": 1})
    with pytest.raises(SlotwiseError):
        await steering.drain("another")
    assert await store.redis.zrange(store.keys.drained, 0, -1) == [b"alive", b"young"]


async def test_a_job_that_was_to_run_alone_on_it_runs_on_another(
    store: Store, steering: Steering, hand: Any
) -> None:
    (job_id,) = await submitted(store)
    for _ in range(2):
        dead = hand("dead")
        await dead.claim(1)
        dead.leases.reap(dead.incarnation, "0 10000")
    busy, idle = hand("busy"), hand("idle")
    await submitted(store)
    await busy.claim(5)
    await busy.claim(5)
    await store.redis.zadd(store.keys.suspects, {job_id: 1})  # it has waited for long
    await busy.claim(5)
    assert await store.redis.hget(store.keys.worker(busy.incarnation), "reserved") == job_id.encode()
    await steering.drain(busy.incarnation)
    assert [grant.id for grant in (await idle.claim(5)).grants] == [job_id]
    await finished(busy)
    await finished(idle)


@pytest.mark.parametrize("move", ["drain", "resume"])
async def test_an_unknown_worker_is_refused(steering: Steering, move: str) -> None:
    with pytest.raises(SlotwiseError) as refused:
        await getattr(steering, move)("nobody")
    assert refused.value.code == "worker-not-found"


@pytest.mark.parametrize("configured", [10, 3])
async def test_the_proof_knows_when_an_override_ends_and_what_that_brings_back(
    store: Store, steering: Steering, hand: Any, configured: int
) -> None:
    await store.configure(10, by="start")
    await submitted(store, 5)
    worker = hand()
    await steering.resize(1, by="ann", ttl_ms=60_000)
    await worker.claim(5)
    await steering.resize(1, by="ann", ttl_ms=50)
    await store.configure(configured, by="start")

    async def over() -> bool:
        return bool((await worker.claim(5)).grants)

    await wait_for(over, what="it is over")
    verdict = await prove(store, 3_600)
    assert verdict.violations.count == 0, verdict.violations.first
    assert len(worker.granted) == min(5, configured)
    await finished(worker)
    await worker.claim(5)
    await finished(worker)


async def test_reads_survive_a_script_flush(store: Store, steering: Steering) -> None:
    await store.redis.script_flush()
    assert (await store.slots()).running == 0
    assert scripts.SNAPSHOT in scripts.READS
    assert (await steering.snapshot()).slots.running == 0
