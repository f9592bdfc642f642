"""Which jobs a claim starts: own caps and rates, parking, who serves what, shares, drained workers."""

from __future__ import annotations

import time
from typing import Any

import pytest
from redis.exceptions import ResponseError

from slotwise import wire
from slotwise.job import State
from slotwise.keys import ABORT, PAYLOAD, RECORD
from slotwise.lease import Watch, observe
from slotwise.store import Store
from tests.facts import wait_for
from tests.hand import KEEP_MS, Hand, submitted


async def limit(store: Store, **fields: str) -> None:
    """As `publish` and `resize` write them: declared_A="2" is the field declared:A."""
    rows = {name.replace("_", ":", 1): value for name, value in fields.items()}
    await store.redis.hset(store.keys.limits, mapping=rows)


async def ids(worker: Hand, asked: int) -> list[str]:
    return [grant.id for grant in (await worker.claim(asked)).grants]


async def done(worker: Hand, *job_ids: str) -> None:
    for job_id in job_ids:
        await worker.finish(worker.granted[job_id])


async def test_an_algorithms_own_cap_binds_beside_the_fleets(store: Store, hand: Any) -> None:
    await limit(store, declared_A="2")
    a = await submitted(store, 4, algorithm="A")
    b = await submitted(store, 2, algorithm="B")
    one, two = hand(), hand()
    assert await ids(one, 3) == [*a[:2], b[0]], "what stands behind a full algorithm starts"
    assert await ids(two, 3) == [b[1]], "the cap holds over all workers"
    await done(one, a[0])
    assert await ids(two, 3) == [a[2]], "in order"
    await done(one, a[1])
    await done(two, a[2])
    assert await ids(one, 9) == [a[3]]
    await done(one, a[3], b[0])
    await done(two, b[1])
    assert await store.redis.keys(store.keys.parked_of + "*") == []


async def test_the_best_of_the_queue_and_the_parked_starts_first(store: Store, hand: Any) -> None:
    await limit(store, declared_A="1")
    first, second = await submitted(store, 2, algorithm="A")
    (later,) = await submitted(store, 1, algorithm="B")
    worker = hand()
    assert await ids(worker, 1) == [first]
    assert await ids(worker, 1) == [later]
    await done(worker, first, later)
    (last,) = await submitted(store, 1, algorithm="B")
    assert await ids(worker, 2) == [second, last]
    await done(worker, second, last)


@pytest.mark.parametrize("blocked", [1000])
async def test_blocked_jobs_are_met_once(store: Store, hand: Any, blocked: int) -> None:
    await limit(store, declared_A="0")
    waiting = await submitted(store, blocked, algorithm="A")
    (free,) = await submitted(store, 1, algorithm="B")
    worker = hand()
    claims = 0
    while not (found := await ids(worker, 1)):
        claims += 1
        assert claims < 20
    assert found == [free]
    assert await store.redis.zcard(store.keys.parked_of + "A") == blocked
    assert await store.redis.zcount(store.keys.queue, "-inf", 1e15) == 0, "one is met again by the next claim"
    await done(worker, free)
    for job_id in waiting:
        await store.cancel(job_id, keep_ms=KEEP_MS)
    assert await store.redis.exists(store.keys.parked_of + "A") == 0


async def test_a_claim_that_only_parked_is_to_be_followed_at_once(store: Store, hand: Any) -> None:
    await submitted(store, 400, algorithm="A")
    await limit(store, declared_A="0")
    worker = hand()
    claimed = await worker.claim(1)
    assert (claimed.grants, claimed.next_due_ms) == ((), 0.0)
    await store.redis.hdel(store.keys.limits, "declared:A")
    await drained_of_jobs(store, worker)


async def test_a_crowd_of_a_limited_algorithm_stands_aside_from_the_start(store: Store, hand: Any) -> None:
    """However many were submitted before anybody could run them, the first claim passes none of them."""
    await limit(store, declared_A="2")
    crowd = await submitted(store, 500, algorithm="A")
    (other,) = await submitted(store, algorithm="B")
    assert await store.redis.zcount(store.keys.queue, "-inf", 1e15) == 3
    worker = hand()
    assert await ids(worker, 10) == [*crowd[:2], other]
    await done(worker, *crowd[:2], other)
    await limit(store, declared_A="100")
    assert await ids(worker, 10) == crowd[2:12], "in their order"
    await done(worker, *crowd[2:12])
    await drained_of_jobs(store, worker)


async def test_an_algorithms_waiting_jobs_are_counted(store: Store, hand: Any) -> None:
    jobs = await submitted(store, 3, algorithm="A")
    worker = hand()
    (grant,) = (await worker.claim(1)).grants
    assert await waiting_of(store, "A") == set(jobs[1:])
    await worker.finish(grant, "retry")
    assert await waiting_of(store, "A") == set(jobs)
    await store.cancel(jobs[1], keep_ms=KEEP_MS)
    assert await waiting_of(store, "A") == {jobs[0], jobs[2]}
    await store.cancel(jobs[0], keep_ms=KEEP_MS)
    (grant,) = (await worker.claim(1)).grants
    worker.leases.leave(worker.incarnation)
    assert await waiting_of(store, "A") == {jobs[2]}
    await store.cancel(jobs[2], keep_ms=KEEP_MS)


async def waiting_of(store: Store, algorithm: str) -> set[str]:
    return {member.decode() for member in await store.redis.zrange(store.keys.pending_of + algorithm, 0, -1)}


async def test_shares_of_an_algorithms_own_cap_are_fair(store: Store, hand: Any) -> None:
    """One worker holds all of the algorithm's slots; another, which its cap keeps out, gets its share."""
    await store.configure(100, by="test")
    await limit(store, declared_A="4")
    first, second = hand(serves=["A"]), hand(serves=["A"])
    await submitted(store, 40, algorithm="A")
    held = list((await first.claim(10)).grants)
    assert len(held) == 4
    assert (await second.claim(10)).grants == ()
    await first.finish(held.pop())
    await first.finish(held.pop())
    assert (await first.claim(10)).grants == (), "it has its share: 2 of 4"
    theirs = (await second.claim(10)).grants
    assert len(theirs) == 2
    await first.finish(held.pop())
    assert len((await first.claim(10)).grants) == 1, "nobody is hungry now"
    for worker in (first, second):
        worker.leases.leave(worker.incarnation)
    await drained_of_jobs(store, hand())


async def drained_of_jobs(store: Store, worker: Hand) -> None:
    while started := await ids(worker, 10):
        await done(worker, *started)
    assert await store.redis.zcard(store.keys.queue) == 0


async def test_a_rate_is_exact_over_any_window(store: Store, hand: Any) -> None:
    await limit(store, rate_A="2 300")
    jobs = await submitted(store, 5, algorithm="A")
    worker = hand()
    starts: list[float] = []

    async def one() -> bool:
        claimed = await worker.claim(1)
        for grant in claimed.grants:
            starts.append(float(await store.redis.hget(RECORD + grant.id, "started")))
            await worker.finish(grant)
        assert claimed.grants or claimed.next_due_ms is not None, "nobody would look again"
        return len(starts) == len(jobs)

    await wait_for(one, what="all have started")
    assert all(later - earlier >= 300 - 1 for earlier, later in zip(starts, starts[2:], strict=False))
    assert 0 < await store.redis.pttl(store.keys.starts_of + "A") <= 300


async def test_a_job_goes_to_a_worker_that_serves_it(store: Store, hand: Any) -> None:
    (job,) = await submitted(store, 1, algorithm="A")
    other, right = hand(serves=["B"]), hand(serves=["A", "B"])
    assert await ids(other, 5) == []
    assert await ids(right, 5) == [job]
    await done(right, job)


async def test_a_job_of_a_known_algorithm_waits_for_a_worker(store: Store, hand: Any) -> None:
    await store.redis.hset(store.keys.catalogue, "A", "{}")
    (job,) = await submitted(store, 1, algorithm="A")
    assert await ids(hand(serves=["B"]), 5) == []
    right = hand(serves=["A"])
    assert await ids(right, 5) == [job]
    await done(right, job)


async def test_a_job_that_nobody_knows_is_granted_to_be_failed(store: Store, hand: Any) -> None:
    (job,) = await submitted(store, 1, algorithm="A")
    worker = hand(serves=["B"])
    assert await ids(worker, 5) == [job]
    await done(worker, job)


async def test_a_worker_that_left_serves_no_more(store: Store, hand: Any) -> None:
    gone = hand(serves=["A"])
    gone.leases.leave(gone.incarnation)
    assert await store.redis.exists(store.keys.served, store.keys.serves(gone.incarnation)) == 0


async def test_enlisted_twice_is_served_once(store: Store, hand: Any) -> None:
    worker = hand(serves=["A"])
    worker.enlist()
    assert await store.redis.hget(store.keys.served, "A") == b"1"


async def test_a_hungry_worker_gets_its_share(store: Store, hand: Any) -> None:
    await store.configure(4, by="test")
    await submitted(store, 20)
    rich, poor = hand("rich"), hand("poor")
    mine = await ids(rich, 9)
    assert len(mine) == 4
    assert await ids(poor, 9) == []
    for job_id in mine[:2]:
        await done(rich, job_id)
        await rich.claim(1)
        assert len(await ids(poor, 9)) == 1, "the slot was kept where it was"
    assert [len(worker.granted) for worker in (rich, poor)] == [2, 2]
    await done(rich, *rich.granted)
    assert len(await ids(rich, 9)) == 2, "who has its share is not hungry"


async def test_one_slot_goes_round(store: Store, hand: Any) -> None:
    await store.configure(1, by="test")
    await submitted(store, 6)
    workers = [hand(name) for name in "abc"]
    (first,) = await ids(workers[0], 1)
    for worker in workers[1:]:
        assert await ids(worker, 1) == []
    await done(workers[0], first)
    assert await ids(workers[0], 1) == []
    started = [len(await ids(worker, 1)) for worker in workers[1:]]
    assert started == [1, 0]
    await done(workers[1], *workers[1].granted)
    assert [len(await ids(worker, 1)) for worker in (workers[1], workers[2])] == [0, 1], "the third gets its turn"


@pytest.mark.parametrize("cap", [1, 4])
async def test_a_slot_left_to_a_dead_worker_is_taken_after_all(store: Store, hand: Any, cap: int) -> None:
    await store.configure(cap, by="test")
    await submitted(store, 2 * cap)
    alive, dead = hand("alive"), hand("dead")
    first = (await ids(alive, cap))[0]
    assert await ids(dead, 1) == []
    await done(alive, first)
    claimed = await alive.claim(1)
    assert claimed.grants == ()
    assert claimed.next_due_ms is not None and claimed.next_due_ms <= 20

    async def taken() -> list[str]:
        return await ids(alive, 1)

    assert await wait_for(taken, within=3, what="hunger is forgotten")


async def test_a_drained_worker_takes_no_more(store: Store, hand: Any) -> None:
    await submitted(store, 2)
    worker, other = hand(), hand()
    assert len(await ids(worker, 1)) == 1
    await store.redis.hset(store.keys.worker(worker.incarnation), "drained", 1)
    claimed = await worker.claim(1)
    assert claimed.grants == ()
    assert claimed.next_due_ms is None, "it would ask again and again"
    assert len(await ids(other, 1)) == 1
    await store.redis.hdel(store.keys.worker(worker.incarnation), "drained")


async def test_an_override_counts_until_it_ends(store: Store, hand: Any) -> None:
    await store.configure(5, by="test")
    await submitted(store, 5)
    seconds, _ = await store.redis.time()
    until = seconds * 1000 + 1300
    await store.redis.hset(store.keys.cap, mapping={"override": 1, "until": until})
    worker = hand()
    claimed = await worker.claim(5)
    assert (len(claimed.grants), claimed.cap) == (1, 1)
    assert claimed.next_due_ms is not None and 0 < claimed.next_due_ms <= 1300, "nobody would look when it ends"

    async def reverted() -> int:
        return len(worker.granted) + 0 * len(await ids(worker, 5))

    await wait_for(lambda: _reaches(reverted, 5), what="the override has ended")


async def _reaches(count: Any, wanted: int) -> bool:
    return await count() >= wanted


async def test_a_slot_that_stood_empty_is_counted(store: Store, hand: Any) -> None:
    await store.configure(1, by="test")
    sent = await clock(store)
    await submitted(store, 2)
    came = await clock(store)
    worker = hand()
    await wait_for(lambda: _reaches(lambda: clock(store), came + 50), what="50 ms in which nobody claims")
    before = await clock(store)
    (first,) = await ids(worker, 5)
    waited = await idle(store)
    assert before - came <= waited <= await clock(store) - sent, "the first job's wait, the slot being free"
    await wait_for(lambda: _reaches(lambda: clock(store), before + 30), what="30 ms in which the slot is taken")
    freed = await clock(store)
    await done(worker, first)
    (second,) = await ids(worker, 5)
    assert await idle(store) - waited <= await clock(store) - freed + 1, "only since the slot was free"
    await done(worker, second)


async def idle(store: Store) -> float:
    return float(await store.redis.hget(store.keys.meter, "idle")) / 1000


async def clock(store: Store) -> float:
    seconds, micros = await store.redis.time()
    return float(seconds * 1000 + micros / 1000)


async def test_a_job_that_was_parked_leaves_no_slot_idle(store: Store, hand: Any) -> None:
    await limit(store, declared_A="1")
    first, second = await submitted(store, 2, algorithm="A")
    worker = hand()
    assert await ids(worker, 2) == [first]
    idle_before, now = await idle(store), await clock(store)
    await wait_for(lambda: _reaches(lambda: clock(store), now + 30), what="30 ms")
    await done(worker, first)
    assert await ids(worker, 2) == [second]
    assert await idle(store) == idle_before
    await done(worker, second)


async def test_a_suspect_empties_no_worker_that_cannot_run_it(store: Store, hand: Any) -> None:
    (suspect,) = await submitted(store, 1, algorithm="X")
    for _ in range(2):
        dying = hand(serves=["X"])
        assert await ids(dying, 1) == [suspect]
        dying.leases.reap(dying.incarnation, "0 10000")
    busy, other = hand(serves=["X"]), hand(serves=["Y"])
    (x,) = await submitted(store, 1, algorithm="X", priority=9, head_start_ms=10**6)
    assert await ids(busy, 1) == [x]
    assert await ids(busy, 1) == [], "it has somebody beside it"
    since = await store.redis.zscore(store.keys.suspects, suspect)
    y = await submitted(store, 2, algorithm="Y")
    assert await ids(other, 1) == y[:1], "an idle worker that does not serve it took it away"
    await store.redis.zadd(store.keys.suspects, {suspect: since - 60_000})
    assert await ids(other, 1) == y[1:], "a busy worker is emptied for what it cannot run"
    await done(busy, x)
    assert await ids(busy, 1) == [suspect]
    await done(busy, suspect)
    await done(other, *y)


async def test_jobs_that_ended_while_they_stood_aside_hold_up_nobody(store: Store, hand: Any) -> None:
    await limit(store, declared_A="1")
    first, *gone, last = await submitted(store, 52, algorithm="A")
    worker = hand(serves=["A"])
    assert await ids(worker, 5) == [first]
    await store.redis.zrem(store.keys.queue, *gone)  # as whoever knows nothing of parking ends them
    await store.redis.delete(*(kind + job_id for kind in (RECORD, PAYLOAD) for job_id in gone))
    await done(worker, first)
    assert await ids(worker, 5) == [last]
    await done(worker, last)
    assert await store.redis.exists(store.keys.parked_of + "A", store.keys.pending_of + "A") == 0


async def test_jobs_that_others_ended_count_as_waiting_no_more(store: Store, hand: Any) -> None:
    await store.publish([{"name": "A"}])
    strays = await submitted(store, 30, algorithm="A")
    await store.redis.zrem(store.keys.queue, *strays)  # as a stock worker that ran them does
    (waiting,) = await submitted(store, algorithm="A")
    leases = hand().leases

    async def forgotten() -> bool:
        leases.expire(KEEP_MS)
        return await waiting_of(store, "A") == {waiting}

    await wait_for(forgotten, what="the strays are forgotten")
    assert {await store.redis.ttl(RECORD + job_id) > 0 for job_id in strays} == {True}
    await store.redis.delete(*(PAYLOAD + job_id for job_id in strays))
    await store.cancel(waiting, keep_ms=KEEP_MS)


async def test_an_id_used_anew_does_not_start_at_the_place_of_its_former_job(store: Store, hand: Any) -> None:
    await limit(store, declared_A="1")
    first, second = await submitted(store, 2, algorithm="A")
    worker = hand(serves=["A"])
    assert await ids(worker, 5) == [first]
    later = await clock(store) + 3_600_000
    await store.redis.zadd(store.keys.queue, {second: later})
    await done(worker, first)
    assert await ids(worker, 5) == []
    await store.cancel(second, keep_ms=KEEP_MS)


@pytest.mark.parametrize("damage", ["gone", "no hash", "no numbers"])
async def test_a_damaged_record_holds_up_no_reap(store: Store, hand: Any, damage: str) -> None:
    damaged, whole = await submitted(store, 2)
    worker = hand()
    await worker.claim(2)
    if damage == "no numbers":
        await store.redis.hset(RECORD + damaged, mapping=dict.fromkeys(("score", "attempt", "deaths"), "x"))
    else:
        await store.redis.delete(RECORD + damaged)
        if damage == "no hash":
            await store.redis.set(RECORD + damaged, "x")
    assert worker.leases.reap(worker.incarnation, "0 10000") == 2
    assert (await store.slots()).running == 0
    other = hand()
    assert set(await ids(other, 2)) == {damaged, whole}
    await done(other, damaged, whole)


@pytest.mark.parametrize("field", ["memory_mb", "timeout", "max_attempts", "keep_result", "attempt", "expires"])
async def test_a_field_that_is_no_number_is_as_none(store: Store, hand: Any, field: str) -> None:
    (job_id,) = await submitted(store)
    await store.redis.hset(RECORD + job_id, mapping={field: "abc", "started": 1})
    worker = hand()
    assert await ids(worker, 1) == [job_id]
    await done(worker, job_id)


async def test_a_name_that_is_no_utf_8_is_told_all_the_same(store: Store, hand: Any) -> None:
    (job_id,) = await submitted(store)
    worker = hand()
    grant = await worker.claim_one()
    assert await worker.finish(grant, algorithm="\ud800") == "ok"
    job = await store.job(job_id)
    assert job is not None
    assert job.algorithm == "?"


async def test_a_cancelled_job_has_no_deadline_left(store: Store) -> None:
    (job_id,) = await submitted(store, start_within_ms=10**9)
    assert await store.redis.zcard(store.keys.unstarted) == 1
    await store.cancel(job_id, keep_ms=KEEP_MS)
    assert await store.redis.exists(store.keys.unstarted) == 0


async def test_what_holds_up_one_reap_holds_up_no_other(store: Store, hand: Any) -> None:
    stuck, dead = hand("a"), hand("b")
    one, two = await submitted(store, 2)
    await stuck.claim(1)
    await dead.claim(1)
    (late,) = await submitted(store, 1, start_within_ms=1)
    held = store.keys.held(stuck.incarnation)
    await store.redis.rename(held, "aside")
    await store.redis.set(held, "x")
    soon = await clock(store) + 2
    await wait_for(lambda: _reaches(lambda: clock(store), soon), what="its time is over")
    watch = Watch()
    now = time.monotonic()
    watch._since = {name: (lease, now - 60) for name, lease in stuck.leases.leases().items()}
    watch._last_look = now
    with pytest.raises(ResponseError):
        observe(stuck.leases, watch, keep_ms=KEEP_MS)
    assert (await store.slots()).running == 1, "the other's slot is still taken"
    job = await store.job(late)
    assert job is not None
    assert job.state is State.FAILED, "expired jobs wait on"
    await store.redis.rename("aside", held)
    stuck.leases.leave(stuck.incarnation)
    for job_id in (one, two):
        await store.cancel(job_id, keep_ms=KEEP_MS)


async def test_each_step_is_in_the_log(store: Store, hand: Any) -> None:
    a, b = await submitted(store, 2)
    worker = hand()
    await worker.claim(2)
    await done(worker, a)
    worker.leases.reap(worker.incarnation, "0 10000")
    rows = [
        (row[b"move"].decode(), row[b"ids"].decode(), int(row[b"running"]), int(row[b"cap"]))
        for _, row in await store.redis.xrange(store.keys.log)
    ]
    assert rows == [
        ("claim", f'["{a}","{b}"]', 2, 10),
        ("finish", f'["{a}"]', 1, 10),
        ("reap", f'["{b}"]', 0, 10),
    ]
    await store.cancel(b, keep_ms=KEEP_MS)


async def test_a_claim_that_uses_a_rate_up_says_when_it_opens(store: Store, hand: Any) -> None:
    await limit(store, rate_A="1 60000")
    first, second = await submitted(store, 2, algorithm="A")
    worker = hand()
    claimed = await worker.claim(2)
    assert [grant.id for grant in claimed.grants] == [first]
    assert claimed.next_due_ms is not None and 59_000 < claimed.next_due_ms <= 60_000, "nobody would look again"
    await done(worker, first)
    await store.cancel(second, keep_ms=KEEP_MS)


async def enqueued_by_a_stock_client(store: Store, job_id: str, function: str) -> None:
    payload = wire.serialize({"t": None, "f": function, "a": [], "k": {}, "et": 1_700_000_000_000})
    await store.redis.set(PAYLOAD + job_id, payload, px=60_000)
    await store.redis.zadd(store.keys.queue, {job_id: 1_700_000_000_000})


async def test_a_stock_clients_job_that_is_cancelled_is_parked_no_more(store: Store, hand: Any) -> None:
    await limit(store, declared_A="0")
    await enqueued_by_a_stock_client(store, "stock", "A")
    assert await ids(hand(), 1) == []
    assert await store.redis.zcard(store.keys.parked_of + "A") == 1
    await store.cancel("stock", keep_ms=KEEP_MS)
    assert await store.redis.exists(store.keys.parked_of + "A") == 0


async def test_a_parked_job_that_an_abort_brings_to_the_front_is_parked_no_more(store: Store, hand: Any) -> None:
    await limit(store, declared_A="0")
    (job_id,) = await submitted(store, 1, algorithm="A")
    worker = hand()
    assert await ids(worker, 1) == []
    await store.redis.zadd(store.keys.queue, {job_id: 1})  # as arq's Job.abort does
    seconds, _ = await store.redis.time()
    await store.redis.zadd(ABORT, {job_id: (seconds + 1) * 1000})
    assert (await worker.claim_one()).notice == "abort"
    assert await store.redis.exists(store.keys.parked_of + "A") == 0, "its retry would start before it is due"
    await done(worker, job_id)


async def test_no_worker_is_emptied_for_a_job_that_was_cancelled(store: Store, hand: Any) -> None:
    (killer,) = await submitted(store, 1)
    for _ in range(2):
        dead = hand()
        await dead.claim_one()
        dead.leases.reap(dead.incarnation, "0 10000")
    busy = hand()
    (first,) = await submitted(store, 1)
    assert (await busy.claim(ids=(first,))).grants[0].id == first
    await store.redis.zadd(store.keys.queue, {killer: 9e15})
    await store.redis.zadd(store.keys.suspects, {killer: 1})  # for longer than anybody's patience
    assert await ids(busy, 1) == [], "it is kept for the job that is to run alone"
    await store.cancel(killer, keep_ms=KEEP_MS)
    (second,) = await submitted(store, 1)
    assert await ids(busy, 1) == [second]
    await done(busy, first, second)


async def test_a_clock_that_was_set_back_hides_no_job_and_hurries_none(store: Store, hand: Any) -> None:
    """As if an earlier claim had seen a clock that was an hour ahead."""
    first, second = await submitted(store, 2)
    ahead = await clock(store) + 3_600_000
    (later,) = await submitted(store, 1, due_ms=int(ahead) + 60_000)
    await store.redis.zadd(store.keys.queue, {first: ahead - 20, second: ahead - 10})
    await store.redis.hset(store.keys.meter, "seen", ahead)
    worker = hand()
    assert await ids(worker, 5) == [first, second], "in their order, and at once"
    for job_id in (first, second):
        await store.redis.hset(RECORD + job_id, "score", ahead)
    worker.leases.reap(worker.incarnation, "0 10000")
    again = hand()
    assert set(await ids(again, 5)) == {first, second}, "one that was taken back waits for the clock"
    await done(again, first, second)
    assert await store.redis.zscore(store.keys.queue, later) == int(ahead) + 60_000
    await store.cancel(later, keep_ms=KEEP_MS)
