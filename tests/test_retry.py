"""A retry: whatever ended the job, it waits again as if it never had; and nobody's retry is done twice."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job as StockJob
from arq.jobs import JobStatus
from redis import Redis

from slotwise import scripts, wire
from slotwise.attempt import Finish
from slotwise.errors import SlotwiseError
from slotwise.job import Job, State, Submission
from slotwise.keys import ABORT, IN_PROGRESS, PAYLOAD, PER_JOB, RECORD, RESULT, RETRY, Keys
from slotwise.lease import LeaseStore
from slotwise.reads import Read, Reads
from slotwise.store import Store
from tests.proxy import Proxy
from tests.servers import Server
from tests.service.stand_in import StandInWorker

KEEP_MS = 60_000
LEVEL_MS = 60_000
FAILURE = {"type": "exception", "message": "ValueError: no", "detail": None}
PARAMS = {"n": 10**999 + 7, "x": 1e22, "y": -0.0, "z": 0.1, "text": 'é\0"NaN"', "none": None}


@pytest.fixture
def leases(redis_url: str) -> Any:
    redis = Redis.from_url(redis_url)
    yield LeaseStore(redis, Keys())
    redis.close()


@pytest.fixture
async def worker(store: Store, redis_url: str) -> AsyncIterator[StandInWorker]:
    redis = Redis.from_url(redis_url)
    worker = StandInWorker(store, redis)
    worker.enlist(["Add"])
    yield worker
    worker.leave()
    redis.close()


async def submitted(store: Store, job_id: str = "0" * 32, **fields: Any) -> bytes:
    """Submit a job: its payload."""
    await store.submit([Submission(job_id, "Add", PARAMS, **fields)], max_pending=100)
    return await payload_of(store, job_id)


async def payload_of(store: Store, job_id: str) -> bytes:
    payload: bytes = await store.redis.get(PAYLOAD + job_id)
    return payload


async def failed(worker: StandInWorker, job_id: str = "0" * 32, **fields: Any) -> bytes:
    """A job that has failed: its payload."""
    payload = await submitted(worker.store, job_id, **fields)
    [grant] = await worker.claim()
    await worker.finish(grant, error=FAILURE)
    return payload


async def retried(store: Store, job_id: str = "0" * 32, *, max_pending: int = 100) -> Job:
    return await store.retry(job_id, level_ms=LEVEL_MS, max_pending=max_pending)


async def refusal(store: Store, job_id: str = "0" * 32, *, max_pending: int = 100) -> str:
    """The code with which a retry is refused."""
    with pytest.raises(SlotwiseError) as refused:
        await retried(store, job_id, max_pending=max_pending)
    return refused.value.code


async def test_a_retried_job_has_its_request_and_none_of_its_past(store: Store, worker: StandInWorker) -> None:
    request = {"priority": 2, "timeout": 5.0, "max_attempts": 3, "keep_result": 60.0, "labels": {"team": "a"}}
    job_id = "0" * 32
    payload = await submitted(
        store, head_start_ms=2 * LEVEL_MS, fingerprint="f", start_within_ms=50_000, **request
    )
    fresh, record = await store.job(job_id), await store.redis.hgetall(RECORD + job_id)
    [grant] = await worker.claim()
    await store.cancel(job_id, keep_ms=KEEP_MS)  # it fails all the same
    await store.redis.hset(RECORD + job_id, "deaths", 2)
    await worker.finish(grant, error=FAILURE)
    traces = [store.keys.promote, store.keys.unstarted, store.keys.suspects, ABORT]
    for trace in traces:
        await store.redis.zadd(trace, {job_id: 9e12})
    await store.redis.set(RETRY + job_id, 3, ex=60)
    await store.redis.hset(RECORD + job_id, mapping={"reason": "retrying", "head_start": 5, "ready": 9e12})
    assert fresh is not None

    job = await retried(store)
    assert job == await store.job(job_id)
    assert job.due_ms is not None
    assert fresh.due_ms is not None
    assert job.due_ms >= fresh.due_ms
    assert {**vars(job), "due_ms": None} == {**vars(fresh), "due_ms": None, "reopened_ms": job.due_ms}

    after = await store.redis.hgetall(RECORD + job_id)
    assert set(after) - set(record) == {b"attempt", b"retried", b"reopened"}
    assert set(record) - set(after) == {b"expires"}
    score = await store.redis.zscore(store.keys.queue, job_id)
    assert score == float(after[b"score"])
    assert 0 <= score + 2 * LEVEL_MS - job.due_ms < 1, "its head start is that of its priority"
    assert await payload_of(store, job_id) == payload
    for prefix in PER_JOB:
        expected = -1 if prefix in (RECORD, PAYLOAD) else -2
        assert await store.redis.ttl(prefix + job_id) == expected, prefix
    assert [await store.redis.zcard(trace) for trace in traces] == [0, 0, 0, 0]


async def test_a_retried_job_runs_to_its_end(store: Store, worker: StandInWorker) -> None:
    payload = await failed(worker)
    await retried(store)
    [grant] = await worker.claim()
    assert (grant.attempt, grant.notice, grant.payload) == (1, "", payload)
    await worker.finish(grant, result=3)
    job = await store.job(grant.id)
    assert job is not None
    assert (job.state, job.result, job.error, job.attempt) == (State.COMPLETED, 3, None, 1)
    assert 0 < await store.redis.pttl(RECORD + grant.id) <= KEEP_MS
    assert await refusal(store) == "already-finished"


async def test_a_finish_of_the_life_before_is_stale(store: Store, worker: StandInWorker) -> None:
    await submitted(store)
    [old] = await worker.claim()
    await worker.finish(old, error=FAILURE)
    await retried(store)
    late = Finish(old.id, old.token, "completed", keep_ms=KEEP_MS)
    assert await store.claims.finish(worker.incarnation, [late]) == ["stale"]
    [new] = await worker.claim()
    assert await store.claims.finish(worker.incarnation, [late]) == ["stale"]
    await worker.finish(new, error=FAILURE)


async def cancelled_before_start(store: Store, worker: StandInWorker, leases: LeaseStore) -> None:
    await store.cancel("0" * 32, keep_ms=KEEP_MS)


async def cancelled_for_later(store: Store, worker: StandInWorker, leases: LeaseStore) -> None:
    await store.redis.zadd(store.keys.promote, {"0" * 32: 9e12})
    await store.cancel("0" * 32, keep_ms=KEEP_MS)


async def expired(store: Store, worker: StandInWorker, leases: LeaseStore) -> None:
    await store.redis.hset(RECORD + "0" * 32, "expires", 1)
    await store.redis.zadd(store.keys.unstarted, {"0" * 32: 1})
    assert leases.expire(KEEP_MS) == 1


async def lost(store: Store, worker: StandInWorker, leases: LeaseStore) -> None:
    for _ in range(3):
        await worker.claim()
        [[name, lease]] = leases.leases().items()
        leases.reap(name, lease)
        worker.enlist(["Add"])
    [grant] = await worker.claim()
    assert grant.notice == "lost"
    await worker.finish(grant, error=FAILURE)


async def tried_often(store: Store, worker: StandInWorker, leases: LeaseStore) -> None:
    for attempt in (1, 2):
        [grant] = await worker.claim()
        again = Finish(grant.id, grant.token, "retry", attempt=attempt)
        assert await store.claims.finish(worker.incarnation, [again]) == ["ok"]
    [grant] = await worker.claim()
    assert grant.attempt == 3
    await worker.finish(grant, error=FAILURE)


async def a_cron_jobs(store: Store, worker: StandInWorker, leases: LeaseStore) -> None:
    [grant] = await worker.claim()
    await worker.finish(grant, error=FAILURE)
    await store.redis.set(IN_PROGRESS + "0" * 32, "done", px=60_000)  # so that no late worker starts it again


@pytest.mark.parametrize(
    "end",
    [cancelled_before_start, cancelled_for_later, expired, lost, tried_often, a_cron_jobs],
    ids=lambda end: end.__name__,
)
async def test_whatever_ended_it(store: Store, worker: StandInWorker, leases: LeaseStore, end: Any) -> None:
    payload = await submitted(store)
    await end(store, worker, leases)
    await retried(store)
    assert leases.expire(KEEP_MS) == 0
    [grant] = await worker.claim()
    assert (grant.attempt, grant.notice, grant.payload) == (1, "", payload)
    leases.reap(worker.incarnation, dict(leases.leases())[worker.incarnation])
    worker.enlist(["Add"])
    [grant] = await worker.claim()
    assert grant.notice == "", "the deaths of its life before were counted"
    await worker.finish(grant, result=3)


@pytest.mark.parametrize("start", [True, False])
async def test_a_stock_clients_job(store: Store, worker: StandInWorker, start: bool) -> None:
    arq = ArqRedis(store.redis.connection_pool, job_serializer=wire.serialize, job_deserializer=wire.deserialize)
    job = await arq.enqueue_job("Add", 1, b=2, _job_id="stock/1", _expires=60)
    assert job is not None
    payload = await payload_of(store, "stock/1")
    if start:
        [grant] = await worker.claim()
        await worker.finish(grant, error=FAILURE)
    else:
        await store.cancel("stock/1", keep_ms=KEEP_MS)
    assert await job.status() is JobStatus.complete
    assert (await retried(store, "stock/1")) == await store.job("stock/1")
    assert await payload_of(store, "stock/1") == payload
    assert await job.status() is JobStatus.queued
    with pytest.raises(asyncio.TimeoutError):  # `Job.result()` waits again
        await job.result(timeout=0.01, poll_delay=0.005)
    assert await arq.enqueue_job("Add", 1, b=2, _job_id="stock/1") is None
    [grant] = await worker.claim()
    await worker.finish(grant, result=3)
    assert await StockJob("stock/1", arq, _deserializer=wire.deserialize).result() == 3


async def test_a_job_that_a_stock_worker_ended_has_no_record(store: Store, worker: StandInWorker) -> None:
    call = {"t": 1, "f": "Add", "a": [1], "k": {"b": 2}, "et": 1_700_000_000_000}
    end = {"s": False, "r": FAILURE, "st": 1_700_000_000_001, "ft": 1_700_000_000_002, "q": "arq:queue", "id": "x"}
    await store.redis.set(RESULT + "x", wire.encode(call | end), px=KEEP_MS)
    assert (await retried(store, "x")) == await store.job("x")
    [grant] = await worker.claim()
    assert wire.decode(grant.payload) == call | {"t": None}
    await worker.finish(grant, result=3)
    await store.redis.set(RESULT + "y", wire.encode(call | end | {"s": True, "r": 3, "id": "y"}), px=KEEP_MS)
    assert await refusal(store, "y") == "already-finished"


UNREADABLE = [
    None,
    pickle.dumps({"t": 1, "f": "Add", "a": (1,), "k": {}, "et": 1, "s": False, "r": None}),
    wire.encode({"t": 1, "f": "<unknown>", "a": [], "k": {}, "et": 0, "s": False, "r": FAILURE}),
]


@pytest.mark.parametrize("envelope", UNREADABLE, ids=["gone", "pickle", "unknown call"])
async def test_without_what_was_called_nothing_changes(
    store: Store, worker: StandInWorker, envelope: bytes | None
) -> None:
    await failed(worker)
    await store.redis.delete(RESULT + "0" * 32)
    if envelope is not None:
        await store.redis.set(RESULT + "0" * 32, envelope, px=KEEP_MS)
    before = await store.redis.hgetall(RECORD + "0" * 32)
    assert await refusal(store) == "not-kept"
    assert await store.redis.hgetall(RECORD + "0" * 32) == before
    assert await store.redis.zcard(store.keys.queue) == 0


async def test_a_job_that_has_not_ended_is_left_alone(store: Store, worker: StandInWorker) -> None:
    assert await refusal(store) == "job-not-found"
    await submitted(store)
    assert await refusal(store) == "still-active"
    [grant] = await worker.claim()
    assert await refusal(store) == "still-active"
    await worker.finish(grant, error=FAILURE)


async def test_an_id_that_somebody_else_has_queued_again_is_left_to_it(
    store: Store, worker: StandInWorker
) -> None:
    await failed(worker)
    await store.redis.zadd(store.keys.queue, {"0" * 32: 1})
    before = await store.redis.hgetall(RECORD + "0" * 32)
    assert await refusal(store) == "still-active"
    assert await store.redis.hgetall(RECORD + "0" * 32) == before


async def test_of_many_retries_at_once_one_is_done(store: Store, worker: StandInWorker) -> None:
    await failed(worker)
    answers = await asyncio.gather(*(retried(store) for _ in range(20)), return_exceptions=True)
    codes = [answer.code for answer in answers if isinstance(answer, SlotwiseError)]
    assert codes == ["still-active"] * 19
    assert await store.redis.zcard(store.keys.queue) == 1


async def test_a_queue_that_is_full_takes_no_retry(store: Store, worker: StandInWorker) -> None:
    await failed(worker)
    await store.submit([Submission("1" * 32, "Add", {})], max_pending=2)
    assert await refusal(store, max_pending=1) == "queue-full"
    assert await store.redis.exists(RESULT + "0" * 32) == 1
    await retried(store, max_pending=2)


async def test_a_retry_behind_those_who_wait(store: Store, worker: StandInWorker) -> None:
    await failed(worker)
    await submitted(store, "1" * 32)
    await retried(store)
    grants = await worker.claim(2)
    assert [grant.id for grant in grants] == ["1" * 32, "0" * 32]
    for grant in grants:
        await worker.finish(grant, result=3)


async def test_a_retry_whose_reply_is_lost_is_sent_again_and_no_conflict(
    store: Store, server: Server, worker: StandInWorker
) -> None:
    await failed(worker)
    await scripts.RETRY.load(store.redis)
    proxy = Proxy(server.port)
    proxy.swallow = lambda request: scripts.RETRY.sha.encode() in request and proxy.cut == 0
    through = await Store.connect(f"redis://127.0.0.1:{proxy.port}")
    job = await retried(through)
    assert (proxy.cut, job.state) == (1, State.PENDING)
    assert job == await store.job(job.id)
    await through.close()
    proxy.close()


async def test_a_retry_sent_again_late_moves_nothing(store: Store, worker: StandInWorker) -> None:
    await failed(worker)
    keys = [*(getattr(store.keys, name) for name in ("queue", "running", "promote", "unstarted", "suspects"))]
    keys += [ABORT, *PER_JOB, store.keys.cap, store.keys.pace, store.keys.pending_of, store.keys.tenants]
    keys += store.keys.of_index
    envelope = await store.redis.get(RESULT + "0" * 32)
    args: list[Any] = ["0" * 32, "", "token", 10, 0, envelope, wire.payload_of(envelope), ""]
    first = await scripts.RETRY.run(store.redis, keys, args)
    [grant] = await worker.claim()
    assert await scripts.RETRY.run(store.redis, keys, args) == first, "while it runs"
    await worker.finish(grant, error=FAILURE)
    assert await scripts.RETRY.run(store.redis, keys, args) == first, "when it has failed again"
    args[2] = "another"
    assert await scripts.RETRY.run(store.redis, keys, args) == [b"moved"], "an envelope of the life before"
    assert await store.redis.zcard(store.keys.queue) == 0
    await retried(store)


async def test_a_job_that_is_erased_between_the_look_and_the_retry(store: Store, worker: StandInWorker) -> None:
    await failed(worker)

    class Slow(Reads):
        async def job(self, job_id: str) -> Read:
            found = await super().job(job_id)
            if found[0] is not None:
                await store.erase(job_id)
            return found

    slow = Store(store.redis)
    await slow.reads.close()
    slow.reads = Slow(store.redis, store.keys)
    assert await refusal(slow) == "job-not-found"
    await slow.reads.close()
    assert await store.job("0" * 32) is None


async def test_an_idempotency_key_finds_the_retried_job(store: Store, worker: StandInWorker) -> None:
    await failed(worker, fingerprint="f")
    await retried(store)
    again = Submission("0" * 32, "Add", PARAMS, fingerprint="f")
    [answer] = await store.submit([again], max_pending=10)
    assert (answer.replayed, answer.job.state) == (True, State.PENDING)
    assert await store.redis.zcard(store.keys.queue) == 1
