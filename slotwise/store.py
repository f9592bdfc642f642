"""Every move of a job and every read of one, on an asyncio connection: one method a script.

The only module, with `lease` (the blocking half, for threads), that talks to Redis about jobs; what an
operator does to the cap and the workers is in `steering`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from pydantic_core import to_json
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError

from slotwise import scripts, wire
from slotwise.attempt import Claim, Claimed, Finish
from slotwise.away import reachable
from slotwise.ended import Ended
from slotwise.errors import JobError, SlotwiseError
from slotwise.job import Job, Slots, Submission
from slotwise.keys import ABORT, PAYLOAD, PER_JOB, RECORD, RESULT, Keys
from slotwise.line import Line
from slotwise.rate import Rate
from slotwise.record import as_queued, read_job, submit_args

Cancelled = Literal["cancelled", "already-cancelled", "requested", "finished", "unknown"]

PAUSED_SECONDS, UNKNOWN_SECONDS, MOST_SECONDS = 60, 5, 3600  # of a Retry-After
MAX_BATCH: Final = 100  # jobs in one submit: a longer script would hold up every other client


@dataclass(frozen=True)
class Submitted:
    """A job that was put into the queue; `replayed` when the same request had done so before."""

    job: Job
    replayed: bool


class Store:
    """The queue of one fleet. Every method raises SlotwiseError `store-unavailable` while Redis is away."""

    def __init__(self, redis: Redis, keys: Keys | None = None) -> None:
        self.redis = redis
        self.keys = keys or Keys()
        self._line = Line(redis)

    @classmethod
    async def connect(cls, url: str, keys: Keys | None = None, *, timeout_seconds: float = 2.0) -> Self:
        """A store on a pool of its own. Does not raise while the server is away: the methods do."""
        redis = Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 1),  # every move is idempotent
            retry_on_error=[RedisConnectionError],
            health_check_interval=0,
        )
        return cls(redis, keys)

    async def close(self) -> None:
        """Close the connections, those of `redis` too."""
        await self.hang_up()
        await self.redis.aclose()

    async def hang_up(self) -> None:
        """Close the connection of the exchanges; the next one opens it again."""
        await self._line.close()

    async def ping(self) -> None:
        with reachable():
            await self.redis.ping()

    async def submit(self, jobs: Sequence[Submission], *, max_pending: int) -> list[Submitted]:
        """Queue `jobs`, all or none. Raises: SlotwiseError `queue-full`, `idempotency-key-reused`.

        State after: each new job is `pending`. A job whose id and fingerprint are known is returned as it is.
        """
        if not 1 <= len(jobs) <= MAX_BATCH:
            raise ValueError(f"a submit takes 1 to {MAX_BATCH} jobs")
        args: list[scripts.Arg] = ["", max_pending, len(jobs)]
        for job in jobs:
            args += submit_args(job)
        own = self.keys
        keys = self._job_keys(own.queue, own.running, own.promote, own.unstarted, own.cap, own.pace)
        with reachable():
            reply = await scripts.SUBMIT.run(self.redis, keys, args)
        if reply[0] == b"full":
            raise SlotwiseError(
                "queue-full",
                f"{max_pending} jobs wait already: try again later",
                retry_after_seconds=places_free_in(len(jobs), cap=int(reply[2]), hold_ms=float(reply[3] or "nan")),
            )
        return [
            await self._submitted(job, outcome.decode(), int(reply[1]))
            for job, outcome in zip(jobs, reply[2], strict=True)
        ]

    async def _submitted(self, job: Submission, outcome: str, now_ms: int) -> Submitted:
        if outcome == "new":
            return Submitted(as_queued(job, now_ms), replayed=False)
        known = await self.job(job.id) if outcome == "replayed" else None
        if known is None:
            raise SlotwiseError(
                "idempotency-key-reused",
                "this Idempotency-Key belongs to another request: use a new key for a new request",
            )
        return Submitted(known, replayed=True)

    async def job(self, job_id: str) -> Job | None:
        """What one atomic read shows of a job, ours or a stock client's; None when nobody knows it."""
        with reachable():
            async with self.redis.pipeline(transaction=True) as tr:
                tr.hgetall(RECORD + job_id)
                tr.get(PAYLOAD + job_id)
                tr.get(RESULT + job_id)
                tr.zscore(self.keys.queue, job_id)
                tr.pexpiretime(RECORD + job_id)
                tr.zscore(ABORT, job_id)
                record, payload, envelope, score, expires_ms, abort = await tr.execute()
        return read_job(job_id, record, payload, envelope, score, expires_ms, abort)

    async def cancel(self, job_id: str, *, keep_ms: int) -> Cancelled:
        """End a waiting job, or ask for the end of a running one. The record is kept for `keep_ms`."""
        error = to_json(JobError("cancelled", "the job was cancelled before it started").as_dict())
        own = self.keys
        keys = self._job_keys(own.queue, own.running, own.promote, own.unstarted, ABORT, own.parked_of)
        with reachable():
            reply = await scripts.CANCEL.run(self.redis, keys, [job_id, "", keep_ms, error, self.keys.ended])
        outcome: Cancelled = reply.decode()
        return outcome

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
            return int(await scripts.CONFIGURE.run(self.redis, self.keys.of_caps, args))

    async def publish(self, entries: Sequence[dict[str, Any]], *, by: str = "") -> None:
        """Put algorithms (as `Algorithm.describe()` gives them) into the catalogue, with what they declare."""
        for at in range(0, len(entries), MAX_BATCH):
            rows = [part for entry in entries[at : at + MAX_BATCH] for part in _published(entry)]
            with reachable():
                await scripts.PUBLISH.run(self.redis, [*self.keys.of_caps, self.keys.catalogue], [by, "", *rows])

    async def catalogue(self) -> dict[str, dict[str, Any]]:
        """The algorithms, by name, each with `served`: whether a live worker serves it."""
        with reachable():
            async with self.redis.pipeline(transaction=True) as tr:
                tr.hgetall(self.keys.catalogue)
                tr.hkeys(self.keys.served)
                rows, served = await tr.execute()
        entries = {name: wire.decode(row) | {"served": name in served} for name, row in rows.items()}
        return {name.decode(): entry for name, entry in sorted(entries.items())}

    def ended(self) -> Ended:
        """A subscription to the ends of jobs, shared by everybody in this process who waits for one."""
        return Ended(self.redis, self.keys.ended)

    async def claim(self, claim: Claim) -> Claimed:
        """Ask for slots. Raises: redis.RedisError (the worker's loop sends the same claim again)."""
        return Claimed.of(await scripts.CLAIM.run(self.redis, *self._claim(claim)))

    async def finish(self, incarnation: str, finishes: Sequence[Finish]) -> list[str]:
        """End attempts: 'ok', 'again' or 'stale' for each. Raises: redis.RedisError."""
        return _texts(await scripts.FINISH.run(self.redis, *self._finish(incarnation, finishes)))

    async def exchange(self, finishes: Sequence[Finish], claim: Claim) -> tuple[list[str], Claimed]:
        """`finish`, then `claim`, in one round trip. Raises: redis.RedisError."""
        commands = [scripts.CLAIM.call(*self._claim(claim))]
        if finishes:
            commands.insert(0, scripts.FINISH.call(*self._finish(claim.incarnation, finishes)))
        replies = await self._line.ask(*commands)
        if any(isinstance(reply, NoScriptError) for reply in replies):
            # a server that started anew: whatever it did execute, it does not do twice
            await scripts.FINISH.load(self.redis)
            await scripts.CLAIM.load(self.redis)
            return await self.exchange(finishes, claim)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return _texts(replies[0]) if finishes else [], Claimed.of(replies[-1])

    def _job_keys(self, *names: str) -> list[str]:
        return [*names, *PER_JOB]

    def _claim(self, claim: Claim) -> tuple[list[str], list[scripts.Arg]]:
        keys = self.keys
        return self._job_keys(
            keys.queue,
            keys.running,
            keys.promote,
            keys.cap,
            keys.leases,
            keys.worker(claim.incarnation),
            keys.held(claim.incarnation),
            ABORT,
            keys.suspects,
            keys.unstarted,
            keys.limits,
            keys.parked,
            keys.serves(claim.incarnation),
            keys.served,
            keys.catalogue,
            keys.hungry,
            keys.loads,
            keys.log,
            keys.meter,
            keys.running_of,
            keys.parked_of,
            keys.starts_of,
        ), [
            claim.incarnation,
            claim.number,
            claim.asked,
            claim.prefix,
            claim.cancels,
            "1" if claim.look_for_cancels else "",
            claim.worker,
            "",
            *claim.ids,
        ]

    def _finish(self, incarnation: str, finishes: Sequence[Finish]) -> tuple[list[str], list[scripts.Arg]]:
        keys = self.keys
        return self._job_keys(
            keys.queue,
            keys.running,
            keys.held(incarnation),
            ABORT,
            keys.cap,
            keys.log,
            keys.meter,
            keys.pace,
            keys.running_of,
        ), ["", self.keys.ended, *(arg for finish in finishes for arg in finish.args())]


def places_free_in(jobs: int, *, cap: int, hold_ms: float) -> int:
    """Whole seconds until a full queue has drained by `jobs`, at the pace of late; a guess while none is known."""
    if cap == 0:
        return PAUSED_SECONDS
    if math.isnan(hold_ms):
        return UNKNOWN_SECONDS
    return min(MOST_SECONDS, max(1, math.ceil(jobs * hold_ms / cap / 1000)))


def _published(entry: Mapping[str, Any]) -> tuple[scripts.Arg, ...]:
    """An algorithm as publish.lua takes it."""
    cap, rate = entry.get("max_concurrent"), entry.get("rate")
    return (
        entry["name"],
        to_json(entry),
        "" if cap is None else cap,
        "" if rate is None else Rate.of(rate).as_stored(),
    )


def _texts(replies: Sequence[bytes]) -> list[str]:
    return [reply.decode() for reply in replies]
