"""Every move of a job and every read of one, on an asyncio connection: one method a script.

Only this module, `claims` (the worker's half) and `lease` (blocking, for threads) talk to Redis about jobs;
`steering` does about the cap and the workers, for an operator.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from pydantic_core import to_json
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from slotwise import scripts
from slotwise.away import reachable
from slotwise.bounds import refused, reused
from slotwise.claims import Claims
from slotwise.counts import Counts
from slotwise.endpoint import Endpoint
from slotwise.errors import JobError, SlotwiseError, unknown_job
from slotwise.explain import Facts
from slotwise.job import Job, Slots, Submission
from slotwise.keys import ABORT, PAYLOAD, PER_JOB, RECORD, RESULT, Keys
from slotwise.moves import Moves
from slotwise.news import News
from slotwise.outbox import Outbox
from slotwise.packing import packed
from slotwise.published import entries_of, published
from slotwise.rate import Quota
from slotwise.reads import Read, Reads
from slotwise.record import as_queued, submit_args
from slotwise.retry import as_retried, retry_args

Cancelled = Literal["cancelled", "already-cancelled", "requested", "finished", "unknown"]

MAX_BATCH: Final = 100  # jobs in one submit: a longer script would hold up every other client
HOLDERS: Final = 100  # ids that an explanation names at most
LOOKS: Final = 3  # at a job that others move between the look and the retry


@dataclass
class Submitted:
    """What became of a job that was to be queued at `now_ms`; `known`: the same request had queued that before.

    `quota`: what is left of its tenant's rate; None where it has none.
    """

    asked: Submission
    now_ms: int
    known: Job | None = None
    quota: Quota | None = None

    @property
    def replayed(self) -> bool:
        return self.known is not None

    @property
    def job(self) -> Job:
        """As it stands in the store. Made when it is asked for: not everybody who submits does."""
        return as_queued(self.asked, self.now_ms) if self.known is None else self.known


class Store:
    """The queue of one fleet. Every method raises SlotwiseError `store-unavailable` while Redis is away."""

    def __init__(self, redis: Redis, keys: Keys | None = None) -> None:
        self.redis = redis
        self.keys = keys or Keys()
        self.claims = Claims(redis, self.keys)
        self.outbox = Outbox(redis, self.keys)
        self.reads = Reads(redis, self.keys)
        self.whose = ""

    def seen_by(self, whose: str) -> Self:
        """This store as a tenant sees it: no job but its own. '': as it is."""
        if not whose:
            return self
        seen = copy(self)
        seen.whose = whose
        return seen

    def sees(self, job: Job) -> bool:
        return self.whose in ("", job.tenant)

    async def owns(self, job_id: str) -> bool:
        """Whether the job is one that is seen here; asked first, so that others' are as if they did not exist."""
        if not self.whose:
            return True
        with reachable():
            tenant = await self.redis.execute_command("HGET", RECORD + job_id, "tenant")
        return bool(tenant == self.whose.encode())

    @classmethod
    async def connect(cls, url: str, keys: Keys | None = None, *, timeout_seconds: float = 2.0) -> Self:
        """A store on a pool of its own. Does not raise while the server is away: the methods do."""
        redis = Endpoint.of(url).client(
            timeout_seconds,
            retry=Retry(NoBackoff(), 1),  # every move is idempotent
            retry_on_error=[RedisConnectionError],
            health_check_interval=0,
        )
        return cls(packed(redis), keys)

    async def close(self) -> None:
        """Close the connections, those of `redis` too."""
        await self.reads.close()
        await self.claims.hang_up()
        await self.redis.aclose()

    async def ping(self) -> None:
        with reachable():
            await self.redis.ping()

    async def submit(self, jobs: Sequence[Submission], *, max_pending: int) -> list[Submitted]:
        """Queue `jobs`, all or none. Raises: SlotwiseError `queue-full`, `idempotency-key-reused`.

        State after: each new job is `pending`. Jobs whose ids and fingerprints are known are returned as they are.
        """
        if not 1 <= len(jobs) <= MAX_BATCH:
            raise ValueError(f"a submit takes 1 to {MAX_BATCH} jobs")
        if len({job.tenant for job in jobs}) > 1:
            raise ValueError("a submit takes one tenant's jobs")
        args: list[scripts.Arg] = ["", max_pending, len(jobs)]
        for job in jobs:
            args += submit_args(job)
        own = self.keys
        kept = [own.queue, own.running, own.promote, own.unstarted, own.cap, own.pace, own.counts, own.meter]
        keys = self._job_keys(
            *kept, own.limits, own.parked, own.served, own.catalogue, own.pending_of, own.parked_of
        )
        keys += [own.tenants, *own.of_index]
        with reachable():
            reply = await scripts.SUBMIT.run(self.redis, keys, args)
        if reply[0] == b"full":
            raise refused(reply[2:], max_pending=max_pending, jobs=len(jobs))
        if reply[0] == b"conflict":
            raise reused()
        quota = Quota(*map(int, reply[3])) if reply[3] else None
        now_ms = int(reply[1])
        return [
            Submitted(job, now_ms, await self._known(job.id) if outcome == b"replayed" else None, quota)
            for job, outcome in zip(jobs, reply[2], strict=True)
        ]

    async def _known(self, job_id: str) -> Job:
        """Raises: SlotwiseError `idempotency-key-reused` where it has expired since."""
        known = await self.job(job_id)
        if known is None:
            raise reused()
        return known

    async def job(self, job_id: str) -> Job | None:
        """What one atomic read shows of a job, ours or a stock client's; None when nobody knows it."""
        return (await self._read(job_id))[0]

    async def _read(self, job_id: str) -> Read:
        if not await self.owns(job_id):
            return None, None
        job, envelope = await self.reads.job(job_id)
        return (job, envelope) if job and self.sees(job) else (None, None)

    async def cancel(self, job_id: str, *, keep_ms: int) -> Cancelled:
        """End a waiting job, or ask for the end of a running one. The record is kept for `keep_ms`."""
        with reachable():
            reply = await scripts.CANCEL.run(self.redis, *self.cancel_call(job_id, keep_ms))
        outcome: Cancelled = reply.decode()
        return outcome

    def cancel_call(self, job_id: str, keep_ms: int) -> tuple[list[str], list[scripts.Arg]]:
        """Keys and arguments of `cancel`, also for a pipeline."""
        own = self.keys
        error = to_json(JobError("cancelled", "the job was cancelled before it started").as_dict())
        waiting = [own.queue, own.running, own.promote, own.unstarted, ABORT]
        counted = [own.counts, own.parked, own.served, own.catalogue, own.parked_of, own.pending_of]
        id = job_id.encode("utf-8", "surrogateescape")
        args: list[scripts.Arg] = [id, "", keep_ms, error, own.ended, self.whose]
        return [*self._job_keys(*waiting, *counted), *own.of_outbox, *own.of_index], args

    async def retry(self, job_id: str, *, level_ms: float, max_pending: int) -> Job:
        """Let a job that failed or was cancelled wait again; each level of its priority is worth `level_ms`.

        State after: `pending`, as returned. Raises: SlotwiseError `job-not-found`, `still-active`,
        `already-finished`, `not-kept`, `queue-full`.
        """
        own, token = self.keys, secrets.token_hex(16)
        keys = [*self._ended_job_keys(), own.cap, own.pace, own.pending_of, own.tenants, *own.of_index]
        for _ in range(LOOKS):
            job, envelope = await self._read(job_id)
            if job is None:
                raise unknown_job(job_id)
            args = [*retry_args(job, envelope, token, level_ms, max_pending), self.whose]
            with reachable():
                outcome, *told = await scripts.RETRY.run(self.redis, keys, args)
            if outcome == b"full":
                raise refused(told, max_pending=max_pending, jobs=1)
            if outcome == b"unknown":
                raise unknown_job(job_id)
            if outcome == b"ok":
                return as_retried(job, *told)
        raise SlotwiseError("still-active", "Somebody else uses the job's id at this moment: look at it again.")

    async def explain(self, job_id: str) -> Facts | None:
        """What binds a job that waits, as one instant shows it; None for one that is not in the queue."""
        own = self.keys
        keys = [own.queue, own.running, own.cap, own.limits, own.parked, own.served, own.suspects, own.pace]
        keys += [own.leases, own.running_of, own.parked_of, own.starts_of, own.workers, *PER_JOB]
        keys.append(own.tenants)
        with reachable():
            reply = await scripts.EXPLAIN.run(self.redis, keys, [job_id, "", HOLDERS, self.whose])
        return None if reply[0] == b"gone" else Facts.of(reply)

    async def erase(self, job_id: str) -> None:
        """Forget a job that has ended. Raises: SlotwiseError `job-not-found`, `still-active`."""
        keys = [*self._ended_job_keys(), self.keys.attempts_of, *self.keys.of_index]
        if not await self.owns(job_id):
            raise unknown_job(job_id)
        with reachable():
            known = await self.redis.exists(RECORD + job_id, PAYLOAD + job_id, RESULT + job_id)
            outcome = await scripts.ERASE.run(self.redis, keys, [job_id, self.whose])
        if outcome == b"active":
            raise SlotwiseError("still-active", "The job has not ended: cancel it first, and erase it then.")
        if outcome == b"unknown" and not known:  # else its reply was lost, and this is the second sending
            raise unknown_job(job_id)

    async def slots(self) -> Slots:
        """The cap in force and the number of running jobs, of one instant."""
        with reachable():
            cap, running = await scripts.SLOTS.run(self.redis, [self.keys.cap, self.keys.running], [""])
        return Slots(max_concurrent=int(cap), running=int(running))

    async def configure(self, cap: int, *, by: str, restore: bool = False) -> int:
        """Make `cap` the configured one (`restore`: only where none is), beneath an override; which one it is.

        For a cap that somebody set: a default is never stored, so that it overrides nobody.
        """
        with reachable():
            args: list[scripts.Arg] = [cap, "restore" if restore else "set", by, ""]
            return int(await scripts.CONFIGURE.run(self.redis, [*self.keys.of_caps, *self.keys.of_moves], args))

    async def publish(self, entries: Sequence[dict[str, Any]], *, by: str = "") -> None:
        """Put algorithms (as `Algorithm.describe()` gives them) into the catalogue, with what they declare."""
        keys = [*self.keys.of_caps, self.keys.catalogue, *self.keys.of_moves]
        for at in range(0, len(entries), MAX_BATCH):
            rows = [part for entry in entries[at : at + MAX_BATCH] for part in published(entry)]
            with reachable():
                await scripts.PUBLISH.run(self.redis, keys, [by, "", *rows])

    async def catalogue(self) -> dict[str, dict[str, Any]]:
        """The algorithms, by name, each with `served`: whether a live worker serves it."""
        with reachable():
            async with self.redis.pipeline(transaction=True) as tr:
                tr.hgetall(self.keys.catalogue)
                tr.hkeys(self.keys.served)
                rows, served = await tr.execute()
        return {entry["name"]: entry | {"served": name in served} for name, entry in entries_of(rows)}

    async def counts(self) -> Counts:
        """What the fleet has done so far."""
        with reachable():
            return Counts(await self.redis.execute_command("HGETALL", self.keys.counts))

    def ended(self) -> News:
        """A subscription to the ends of jobs, shared by everybody in this process who waits for one."""
        return News(self.redis, [self.keys.ended])

    def news(self) -> News:
        """A subscription to all that happens to jobs: their starts, words and ends."""
        return News(self.redis, [self.keys.ended, self.keys.told], self.keys.log)

    def moves(self) -> Moves:
        """The moves of all jobs."""
        return Moves(self.redis, self.keys)

    def _job_keys(self, *names: str) -> list[str]:
        return [*names, *PER_JOB]

    def _ended_job_keys(self) -> list[str]:
        keys = self.keys
        return self._job_keys(keys.queue, keys.running, keys.promote, keys.unstarted, keys.suspects, ABORT)
