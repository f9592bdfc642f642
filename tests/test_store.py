"""Each move against a real server: what it does, and what it must not do when it comes late or twice."""

from __future__ import annotations

import asyncio
import pickle
from contextlib import nullcontext
from typing import Any

import pytest

from slotwise import scripts, wire
from slotwise.attempt import NO_ACCOUNT, Account, Claim, Finish, Grant, KillStep
from slotwise.errors import SlotwiseError
from slotwise.job import MOVES, TERMINAL, Job, Move, State, Submission
from slotwise.keys import ABORT, IN_PROGRESS, PAYLOAD, RECORD, RESULT
from slotwise.limits import Limits
from slotwise.store import Store
from tests.facts import wait_for
from tests.hand import KEEP_MS, Hand, a_job, now_ms, submitted
from tests.proxy import Proxy
from tests.servers import Server


async def started(store: Store, hand: Any) -> tuple[Hand, Grant]:
    """A job that a worker has just claimed."""
    await submitted(store)
    worker: Hand = hand()
    return worker, await worker.claim_one()


async def stock_enqueued(store: Store, job_id: str) -> None:
    """A job as a stock client of arq puts it there."""
    payload = wire.serialize({"t": None, "f": "Add", "a": [1], "k": {"b": 2}, "et": 1_700_000_000_000})
    await store.redis.set(PAYLOAD + job_id, payload, px=60_000)
    await store.redis.zadd(store.keys.queue, {job_id: 1_700_000_000_000})


async def seen(store: Store, job_id: str) -> Job:
    job = await store.job(job_id)
    assert job is not None
    return job


async def test_a_job_from_submit_to_result(store: Store, hand: Any) -> None:
    worker = hand()
    (job_id,) = await submitted(store, priority=2, labels={"team": "a"}, timeout=5.0, limits=Limits(64, 0.5))
    job = await seen(store, job_id)
    assert (job.state, job.algorithm, job.params, job.labels) == (
        State.PENDING,
        "Add",
        {"a": 1, "b": 2},
        {"team": "a"},
    )

    grant = await worker.claim_one()
    assert (grant.id, grant.attempt, grant.timeout, grant.limits) == (job_id, 1, 5.0, Limits(64, 0.5))
    assert (await store.slots()).running == 1
    assert (await seen(store, job_id)).state is State.RUNNING

    envelope = wire.serialize(
        {**wire.decode(grant.payload), "s": True, "r": 3, "st": 1, "ft": 2, "q": "q", "id": job_id}
    )
    assert await worker.finish(grant, envelope=envelope) == "ok"
    job = await seen(store, job_id)
    assert (job.state, job.result, job.params, job.attempt) == (State.COMPLETED, 3, {"a": 1, "b": 2}, 1)
    assert (await store.slots()).running == 0
    assert await store.redis.exists(PAYLOAD + job_id) == 0


async def test_never_more_than_the_cap_whoever_asks(store: Store, hand: Any) -> None:
    await store.configure(5, by="test")
    await submitted(store, 50)
    workers = [hand(str(i)) for i in range(4)]
    claims = await asyncio.gather(*(worker.claim(10) for worker in workers))
    granted = [(worker, grant) for worker, claim in zip(workers, claims, strict=True) for grant in claim.grants]
    assert len(granted) == 5
    assert (await store.slots()).available == 0
    for worker, grant in granted:
        await worker.finish(grant, "release")


async def test_the_oldest_first_and_priority_is_a_head_start(store: Store, hand: Any) -> None:
    first, second = await submitted(store), await submitted(store)
    ahead = await submitted(store, priority=1, head_start_ms=60_000)
    worker = hand()
    grants = (await worker.claim(3)).grants
    assert [grant.id for grant in grants] == [*ahead, *first, *second]
    for grant in grants:
        await worker.finish(grant)


async def test_a_scheduled_job_gets_its_head_start_only_when_it_is_due(store: Store, hand: Any) -> None:
    worker = hand()
    now = await now_ms(store)
    (later,) = await submitted(store, due_ms=now + 150, priority=9, head_start_ms=540_000)
    (plain,) = await submitted(store, due_ms=now + 150)
    assert (await seen(store, later)).reason == "scheduled"
    assert (await worker.claim(5)).grants == ()
    assert await store.redis.zscore(store.keys.queue, later) == now + 150
    while len(grants := (await worker.claim(5)).grants) < 2:
        assert not grants
    assert [grant.id for grant in grants] == [later, plain]
    for grant in grants:
        await worker.finish(grant)


async def test_next_due_is_told_to_the_millisecond(store: Store, hand: Any) -> None:
    worker = hand()
    await submitted(store, due_ms=await now_ms(store) + 5_000)
    due = (await worker.claim()).next_due_ms
    assert due is not None
    assert 4_000 < due <= 5_001


async def test_an_exchange_sent_again_grants_the_same(store: Store, hand: Any) -> None:
    ids = await submitted(store, 4)
    worker = hand()
    first = await worker.claim(2)
    again = await store.claims.claim(worker.last)
    assert again.grants == first.grants
    assert len(again.grants) == 2
    assert (await store.slots()).running == 2
    await worker.finish(first.grants[0])
    assert [grant.id for grant in (await store.claims.claim(worker.last)).grants] == [first.grants[1].id]
    await worker.finish(first.grants[1])
    assert set(ids) > {grant.id for grant in first.grants}


async def test_a_copy_of_an_exchange_that_arrives_after_a_later_one_grants_nothing(
    store: Store, hand: Any
) -> None:
    worker, grant = await started(store, hand)
    late = worker.last
    assert await worker.finish(grant) == "ok"
    await worker.claim()
    await submitted(store, 2)
    assert (await store.claims.claim(late)).grants == ()
    assert (await store.slots()).running == 0
    (granted,) = (await worker.claim()).grants
    unheard = worker.last
    assert (await store.claims.claim(late)).grants == ()
    assert (await store.claims.claim(unheard)).grants == (granted,), "the copy did not make it a new exchange"
    await worker.finish(granted)


async def test_what_an_attempt_used_and_how_it_was_ended(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    killed = Account(1.5, 20.25, (KillStep(7, "SIGTERM"), KillStep(9, "gone")))
    assert await worker.finish(grant, "retry", account=killed) == "ok"
    assert (await seen(store, grant.id)).account == NO_ACCOUNT
    assert await worker.finish(await worker.claim_one(), "failed", account=Account(0.25, 8.0)) == "ok"
    job = await seen(store, grant.id)
    assert (job.account, [attempt.account for attempt in job.history]) == (Account(0.25, 8.0), [killed])
    await store.redis.hset(RECORD + grant.id, "account", b'{"kill_steps": [7]}')
    assert (await seen(store, grant.id)).account == NO_ACCOUNT  # damaged


async def test_a_finish_sent_again_changes_nothing(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    assert await worker.finish(grant) == "ok"
    assert await worker.finish(grant, "failed") == "again"
    assert (await seen(store, grant.id)).state is State.COMPLETED


async def test_a_stale_finish_is_refused(store: Store, hand: Any) -> None:
    (job_id,) = await submitted(store)
    dead, alive = hand("dead"), hand("alive")
    old = await dead.claim_one()
    assert dead.leases.reap(dead.incarnation, "0 10000") == 1
    new = await alive.claim_one()
    assert (new.id, new.attempt) == (job_id, 1)  # a death burns no attempt
    assert await dead.finish(old, "failed") == "stale"
    assert (await seen(store, job_id)).state is State.RUNNING
    assert (await store.slots()).running == 1
    assert await alive.finish(new) == "ok"


async def test_a_lease_that_moved_is_not_reaped(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    worker.leases.renew(worker.incarnation, 1, [grant.token])
    assert worker.leases.reap(worker.incarnation, "0 10000") is None
    assert await worker.finish(grant) == "ok"


async def test_after_three_deaths_a_job_is_lost(store: Store, hand: Any) -> None:
    (job_id,) = await submitted(store)
    for _ in range(3):
        worker = hand()
        grant = await worker.claim_one()
        assert grant.notice == ""
        worker.leases.reap(worker.incarnation, "0 10000")
    last = hand()
    grant = await last.claim_one()
    assert (grant.id, grant.notice) == (job_id, "lost")
    await last.finish(grant, "failed")


async def twice_dead(store: Store, hand: Any) -> str:
    """A job under which two workers have died, and that waits to run alone."""
    (job_id,) = await submitted(store)
    for _ in range(2):
        worker = hand()
        assert [grant.id for grant in (await worker.claim()).grants] == [job_id]
        worker.leases.reap(worker.incarnation, "0 10000")
    return job_id


async def test_a_suspect_runs_alone_on_an_idle_worker(store: Store, hand: Any) -> None:
    suspect = await twice_dead(store, hand)
    others = await submitted(store, 3)
    busy, idle = hand("busy"), hand("idle")
    first = (await busy.claim(2)).grants
    assert {grant.id for grant in first} <= set(others)
    grant = await idle.claim_one(5)
    assert grant.id == suspect
    assert (await idle.claim(5)).grants == (), "a neighbour was put beside it"
    await idle.finish(grant)
    last = await idle.claim_one(5)
    for worker, one in [(busy, first[0]), (busy, first[1]), (idle, last)]:
        await worker.finish(one)


async def test_a_busy_worker_is_emptied_for_a_suspect_that_waits_too_long(store: Store, hand: Any) -> None:
    worker = hand("busy")
    (mine,) = await submitted(store)
    held = await worker.claim_one()
    suspect = await twice_dead(store, hand)
    await submitted(store)
    (second,) = (await worker.claim(5)).grants  # the suspect is put aside, and waits for somebody idle
    assert (held.id, second.id != suspect) == (mine, True)
    await store.redis.zadd(store.keys.suspects, {suspect: 1})  # it has waited for long
    (after,) = await submitted(store)
    assert (await worker.claim(5)).grants == ()
    await worker.finish(held)
    assert (await worker.claim(5)).grants == ()
    await worker.finish(second)
    alone = await worker.claim_one(5)
    assert alone.id == suspect
    await worker.finish(alone)
    last = await worker.claim_one(5)
    assert last.id == after
    await worker.finish(last)


async def test_a_suspect_is_not_lost_with_the_worker_that_was_emptied_for_it(store: Store, hand: Any) -> None:
    worker = hand("busy")
    await submitted(store)
    held = await worker.claim_one()
    suspect = await twice_dead(store, hand)
    await worker.claim(5)
    await store.redis.zadd(store.keys.suspects, {suspect: 1})
    await worker.claim(5)
    worker.leases.reap(worker.incarnation, "0 10000")
    other = hand()
    got = [grant for _ in range(3) for grant in (await other.claim(1)).grants]
    assert {grant.id for grant in got} == {held.id}
    await other.finish(got[0])
    alone = await other.claim_one(5)
    assert alone.id == suspect
    await other.finish(alone)


async def test_a_suspect_may_be_cancelled(store: Store, hand: Any) -> None:
    suspect = await twice_dead(store, hand)
    worker = hand()
    await worker.claim(0)
    assert await store.cancel(suspect, keep_ms=KEEP_MS) == "cancelled"
    assert (await worker.claim(5)).grants == ()


async def test_a_worker_without_a_lease_gets_nothing(store: Store, hand: Any) -> None:
    await submitted(store)
    worker = hand()
    worker.leases.leave(worker.incarnation)
    assert (await worker.claim()).gone
    assert worker.leases.renew(worker.incarnation, 0, []).gone
    worker.enlist()


async def test_a_grant_that_nobody_lists_twice_waits_again(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    for _ in range(3):  # its reply has not been dealt with yet: it may still be on its way
        worker.leases.renew(worker.incarnation, 0, [])
    assert (await store.slots()).running == 1
    worker.leases.renew(worker.incarnation, 1, [])
    assert (await store.slots()).running == 1
    worker.leases.renew(worker.incarnation, 1, [])
    assert (await store.slots()).running == 0
    assert worker.leases.renew(worker.incarnation, 1, [grant.token]).lost == (grant.token,)
    again = await worker.claim_one()
    assert again.attempt == 1
    await worker.finish(again)


async def test_retry_counts_and_release_does_not(store: Store, hand: Any) -> None:
    (job_id,) = await submitted(store)
    worker = hand()
    grant = await worker.claim_one()
    await worker.finish(grant, "release")
    grant = await worker.claim_one()
    assert grant.attempt == 1
    await worker.finish(grant, "retry", retry_in_ms=0)
    assert (await seen(store, job_id)).reason == "retrying"
    grant = await worker.claim_one()
    assert grant.attempt == 2
    await worker.finish(grant)


async def test_cancel_waiting_running_and_ended(store: Store, hand: Any) -> None:
    worker = hand()
    waiting, running = (await submitted(store))[0], (await submitted(store))[0]
    assert await store.cancel(waiting, keep_ms=KEEP_MS) == "cancelled"
    assert await store.cancel(waiting, keep_ms=KEEP_MS) == "already-cancelled"
    assert (await seen(store, waiting)).state is State.CANCELLED
    grant = await worker.claim_one()
    assert grant.id == running
    assert await store.cancel(running, keep_ms=KEEP_MS) == "requested"
    assert (await seen(store, running)).cancel_requested
    assert (await worker.claim(0)).cancels == (running,)
    await worker.finish(grant, "cancelled")
    assert await store.cancel(running, keep_ms=KEEP_MS) == "already-cancelled"
    assert await store.cancel("nobody", keep_ms=KEEP_MS) == "unknown"


async def test_erase_leaves_nothing_of_a_job_that_has_ended(store: Store, hand: Any) -> None:
    worker = hand()
    job_id, *_ = await submitted(store, fingerprint="f")
    await worker.finish(await worker.claim_one(), "completed", envelope=b'{"s":true,"r":1}', mark_ms=KEEP_MS)
    for name in (store.keys.promote, store.keys.unstarted, store.keys.suspects, ABORT):
        await store.redis.zadd(name, {job_id: 9e12, "other": 9e12})
    await store.redis.set("arq:retry:" + job_id, 1, ex=60)
    await store.erase(job_id)
    assert await store.job(job_id) is None
    assert [key async for key in store.redis.scan_iter(f"*{job_id}*")] == []
    for name in (store.keys.promote, store.keys.unstarted, store.keys.suspects, ABORT):
        assert await store.redis.zrange(name, 0, -1) == [b"other"]
        await store.redis.delete(name)
    with pytest.raises(SlotwiseError) as refused:
        await store.erase(job_id)
    assert refused.value.code == "job-not-found"
    [answer] = await store.submit([Submission(job_id, "Add", {}, fingerprint="another")], max_pending=10)
    assert not answer.replayed
    grant = await worker.claim_one()
    assert (grant.id, await worker.finish(grant)) == (job_id, "ok")


async def test_erase_leaves_a_job_that_waits_or_runs(store: Store, hand: Any) -> None:
    (job_id,) = await submitted(store)
    before = await store.redis.hgetall(RECORD + job_id)
    with pytest.raises(SlotwiseError) as refused:
        await store.erase(job_id)
    assert refused.value.code == "still-active"
    assert await store.redis.hgetall(RECORD + job_id) == before
    worker = hand()
    grant = await worker.claim_one()
    await store.redis.zrem(store.keys.queue, job_id)  # whatever somebody else does to the queue
    with pytest.raises(SlotwiseError) as refused:
        await store.erase(job_id)
    assert refused.value.code == "still-active"
    assert await worker.finish(grant) == "ok"


async def test_erase_of_leftovers_and_of_damaged_records(store: Store) -> None:
    await store.redis.set(PAYLOAD + "orphan", "{}", ex=60)
    await store.redis.set(RESULT + "stock", pickle.dumps({}), ex=60)
    await store.redis.set(RECORD + "odd", "no hash", ex=60)
    for job_id in ("orphan", "stock", "odd"):
        await store.erase(job_id)
        assert await store.job(job_id) is None


async def test_an_erase_whose_reply_is_lost_is_sent_again_and_no_404(
    store: Store, server: Server, hand: Any
) -> None:
    worker, grant = await started(store, hand)
    await worker.finish(grant)
    await scripts.ERASE.load(store.redis)
    proxy = Proxy(server.port)
    proxy.swallow = lambda request: scripts.ERASE.sha.encode() in request and proxy.cut == 0
    through = await Store.connect(f"redis://127.0.0.1:{proxy.port}")
    await through.erase(grant.id)
    assert proxy.cut == 1
    await through.close()
    proxy.close()


@pytest.mark.parametrize("enqueued_ms", [1_700_000_000_000, 4_000_000_000_000])  # the client's clock is ahead
@pytest.mark.parametrize(("outcome", "retry_in_ms"), [("release", 0), ("retry", 300_000)])
async def test_a_cancel_between_two_attempts_is_not_lost(
    store: Store, hand: Any, outcome: str, retry_in_ms: int, enqueued_ms: int
) -> None:
    (job_id,) = await submitted(store)
    payload = wire.serialize({"t": None, "f": "Add", "a": (), "k": {}, "et": enqueued_ms})
    await store.redis.set(PAYLOAD + job_id, payload)
    worker = hand()
    grant = await worker.claim_one()
    await store.cancel(job_id, keep_ms=KEEP_MS)
    await worker.finish(grant, outcome, retry_in_ms=retry_in_ms)
    grant = await worker.claim_one()
    assert grant.notice == "abort"
    await worker.finish(grant, "cancelled")


async def test_a_stock_abort_of_a_running_job_starts_no_second_body(store: Store, hand: Any) -> None:
    (job_id,) = await submitted(store)
    worker, other = hand(), hand()
    grant = await worker.claim_one()
    await store.redis.zadd(store.keys.queue, {job_id: 1})  # as arq's Job.abort() does
    assert (await other.claim(5)).grants == ()
    assert await store.redis.zscore(store.keys.queue, job_id) > 8e15
    await worker.finish(grant)


async def test_an_abort_older_than_the_job_was_meant_for_another(store: Store, hand: Any) -> None:
    (job_id,) = await submitted(store)
    await store.redis.zadd(ABORT, {job_id: 1_000})
    worker = hand()
    grant = await worker.claim_one()
    assert grant.notice == ""
    await worker.finish(grant)


async def test_a_job_of_a_stock_worker_is_left_to_it(store: Store, hand: Any) -> None:
    (job_id,) = await submitted(store)
    await store.redis.set(IN_PROGRESS + job_id, b"1", px=50_000)
    assert (await hand().claim()).grants == ()
    await store.redis.delete(IN_PROGRESS + job_id)


async def test_the_queue_is_bounded_and_a_batch_is_all_or_none(store: Store) -> None:
    await store.submit([a_job(), a_job()], max_pending=3)
    with pytest.raises(SlotwiseError) as refused:
        await store.submit([a_job(), a_job()], max_pending=3)
    assert refused.value.code == "queue-full"
    assert await store.redis.zcard(store.keys.queue) == 2
    await store.submit([a_job()], max_pending=3)


async def test_the_same_idempotency_key_makes_one_job(store: Store) -> None:
    job = a_job(fingerprint="f1")
    answers = await asyncio.gather(*(store.submit([job], max_pending=10) for _ in range(50)))
    assert sum(not answer[0].replayed for answer in answers) == 1
    assert await store.redis.zcard(store.keys.queue) == 1
    with pytest.raises(SlotwiseError) as refused:
        await store.submit([Submission(job.id, "Add", {}, fingerprint="f2")], max_pending=10)
    assert refused.value.code == "idempotency-key-reused"


async def test_configured_cap(store: Store) -> None:
    assert (await store.slots()).max_concurrent == 10
    assert await store.configure(20, by="b") == 20
    assert await store.configure(12, by="c", restore=True) == 20, "a restore overrode what somebody set"
    assert await store.configure(20, by="d") == 20
    assert await store.configure(15, by="e") == 15
    assert (await store.slots()).max_concurrent == 15
    assert await store.redis.llen(store.keys.audit) == 2, "a start that says the same is no change"
    await store.redis.delete(store.keys.cap)
    assert await store.configure(12, by="f", restore=True) == 12


async def test_cap_zero_pauses(store: Store, hand: Any) -> None:
    await submitted(store)
    await store.configure(0, by="test")
    assert (await hand().claim()).grants == ()


async def test_a_payload_that_expired_is_told(store: Store, hand: Any) -> None:
    await store.redis.zadd(store.keys.queue, {"gone": 1})
    worker = hand()
    grant = await worker.claim_one()
    assert (grant.id, grant.notice, grant.payload) == ("gone", "expired", b"")
    await worker.finish(grant, "failed")


async def test_a_stock_job_is_seen_before_and_after_its_claim(store: Store, hand: Any) -> None:
    await stock_enqueued(store, "stock:1")
    job = await seen(store, "stock:1")
    assert (job.state, job.algorithm, job.params) == (State.PENDING, "Add", {"args": [1], "b": 2})
    worker = hand()
    grant = await worker.claim_one()
    assert await store.redis.ttl(PAYLOAD + "stock:1") == -1, "a claimed job may not expire"
    assert (await seen(store, "stock:1")).state is State.RUNNING
    await worker.finish(grant, algorithm="Add")
    assert (await seen(store, "stock:1")).algorithm == "Add"


async def test_a_job_that_did_not_start_in_time_is_expired(store: Store, hand: Any) -> None:
    job_id, other = await submitted(store, 2, start_within_ms=1)
    await wait_for(lambda: past(store, job_id), what="its time is over")
    worker = hand()
    assert (await worker.claim(5)).grants == (), "it was started all the same"
    assert worker.leases.expire(KEEP_MS) == 2
    job = await seen(store, job_id)
    assert (job.state, job.error["type"]) == (State.FAILED, "expired")
    assert wire.deserialize(await store.redis.get(RESULT + other))["s"] is False
    assert await store.redis.zcard(store.keys.queue) == 0
    assert await store.redis.zcard(store.keys.unstarted) == 0


async def test_a_job_that_started_in_time_does_not_expire_when_it_is_handed_back(store: Store, hand: Any) -> None:
    (job_id,) = await submitted(store, start_within_ms=200)
    worker = hand()
    await worker.finish(await worker.claim_one(), "release")
    await wait_for(lambda: past(store, job_id), what="its time is over")
    assert worker.leases.expire(KEEP_MS) == 0
    assert (await worker.claim_one()).id == job_id
    await store.cancel(job_id, keep_ms=KEEP_MS)


async def past(store: Store, job_id: str) -> bool:
    seconds, micros = await store.redis.time()
    return seconds * 1000 + micros / 1000 > int(await store.redis.hget(RECORD + job_id, "expires")) + 1


async def _in_state(store: Store, worker: Hand, state: State) -> Grant:
    """A fresh job brought into `state`; its grant where it has or had one."""
    (job_id,) = await submitted(store)
    if state is State.PENDING:
        return Grant(job_id, "1-none-0", 1, 0, "", b"", None, None, None)
    (grant,) = (await worker.claim(ids=(job_id,))).grants
    outcome = {State.COMPLETED: "completed", State.FAILED: "failed", State.CANCELLED: "cancelled"}.get(state)
    if outcome:
        call = wire.decode(grant.payload)
        await worker.finish(grant, outcome, envelope=wire.encode(call | {"s": outcome == "completed", "r": None}))
    return grant


_OUTCOMES = {
    Move.COMPLETE: "completed",
    Move.FAIL: "failed",
    Move.STOP: "cancelled",
    Move.RETRY: "retry",
    Move.RELEASE: "release",
}


async def reopened(store: Store, job_id: str) -> Job:
    return await store.retry(job_id, level_ms=60_000, max_pending=100)


@pytest.mark.parametrize("move", list(Move))
@pytest.mark.parametrize("state", list(State))
async def test_every_pair_of_state_and_move(store: Store, hand: Any, state: State, move: Move) -> None:
    worker = hand()
    grant = await _in_state(store, worker, state)
    after = MOVES.get((state, move), state)
    if move is Move.CLAIM:
        grants = (await worker.claim(ids=(grant.id,))).grants
        assert bool(grants) is (after is State.RUNNING and state is State.PENDING)
    elif move is Move.CANCEL:
        await store.cancel(grant.id, keep_ms=KEEP_MS)
    elif move is Move.EXPIRE:
        await store.redis.hset(RECORD + grant.id, "expires", "1")
        await store.redis.zadd(store.keys.unstarted, {grant.id: 1})
        worker.leases.expire(KEEP_MS)
    elif move in (Move.REOPEN, Move.ERASE):
        with nullcontext() if (state, move) in MOVES else pytest.raises(SlotwiseError):
            await (store.erase(grant.id) if move is Move.ERASE else reopened(store, grant.id))
    elif move is Move.REAP:
        worker.leases.reap(worker.incarnation, "0 10000")
    else:
        second = {"completed": "failed"}.get(_OUTCOMES[move], "completed")
        await worker.finish(grant, _OUTCOMES[move] if state is State.RUNNING else second)
    job = await store.job(grant.id)
    assert (job and job.state) is after
    assert (await store.slots()).running == (after is State.RUNNING)
    in_queue = await store.redis.zscore(store.keys.queue, grant.id) is not None
    assert in_queue is (after in (State.PENDING, State.RUNNING))
    if after in TERMINAL:
        assert await store.redis.ttl(RECORD + grant.id) > 0
        assert await store.redis.exists(PAYLOAD + grant.id) == 0


async def test_results_expire_and_records_with_them(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    await worker.finish(grant, envelope=b'{"s":true,"r":1}')
    assert 0 < await store.redis.pttl(RESULT + grant.id) <= KEEP_MS
    assert 0 < await store.redis.pttl(RECORD + grant.id) <= KEEP_MS


async def test_a_script_flush_is_survived(store: Store, hand: Any) -> None:
    await submitted(store, 2)
    worker = hand()
    grant = await worker.claim_one()
    await store.redis.script_flush()
    claim = Claim(worker.incarnation, 99, 1, "99-x-", "any", False, "w")
    replies, claimed = await store.claims.exchange(
        [Finish(grant.id, grant.token, "completed", keep_ms=KEEP_MS)], claim
    )
    assert replies[0] in ("ok", "again")
    await worker.finish(claimed.grants[0])


async def test_entries_of_a_wrong_kind_stop_nobody(store: Store, hand: Any) -> None:
    await store.redis.zadd(store.keys.promote, {"nobody": 1})
    for name, prefix in [("a", PAYLOAD), ("b", RECORD), ("c", IN_PROGRESS), ("d", "arq:retry:")]:
        await store.redis.zadd(store.keys.queue, {name: 1})
        if prefix == PAYLOAD:
            await store.redis.hset(prefix + name, "x", "y")
        elif prefix == RECORD:
            await store.redis.set(prefix + name, "no hash")
        elif prefix == IN_PROGRESS:
            await store.redis.rpush(prefix + name, "no string")
        else:
            await store.redis.set(prefix + name, "no number")
    (good,) = await submitted(store)
    for name in "abcd":
        assert (job := await store.job(name)) is not None and job.state == State.PENDING
        assert (await store.explain(name)) is not None
    worker = hand()
    grants = (await worker.claim(9)).grants
    assert {grant.id for grant in grants} == {"a", "b", "c", "d", good}
    for grant in grants:
        assert await worker.finish(grant, "failed") == "ok"


async def test_the_id_of_a_job_that_ended_may_be_used_again(store: Store, hand: Any) -> None:
    worker = hand()
    for _ in range(2):
        await stock_enqueued(store, "again")
        assert (await seen(store, "again")).state is State.PENDING
        grant = await worker.claim_one()
        assert grant.attempt == 1
        await worker.finish(grant)
        assert (await seen(store, "again")).state is State.COMPLETED


POISONED_RECORDS = [
    {"state": "nonsense"},
    {"attempt": "many"},
    {"state": "failed", "error": "no json"},
    {"state": "completed", "labels": "[1]", "created": "1e999", "due": "nan"},
]


@pytest.mark.parametrize("record", POISONED_RECORDS)
async def test_a_poisoned_record_is_read_all_the_same(store: Store, record: dict[str, str]) -> None:
    await store.redis.hset(RECORD + "x", mapping=record)
    await store.redis.pexpire(RECORD + "x", KEEP_MS)
    assert (await seen(store, "x")).state in TERMINAL


@pytest.mark.parametrize("score", [float("inf"), float("-inf")])
async def test_an_infinite_score_is_read_all_the_same(store: Store, score: float) -> None:
    await store.redis.zadd(store.keys.queue, {"x": score})
    assert (await seen(store, "x")).state is State.PENDING
