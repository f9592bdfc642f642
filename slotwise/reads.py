"""Reads of single jobs, in groups (see `convoy`), each on one connection and in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from slotwise import scripts
from slotwise.away import reachable
from slotwise.convoy import Convoy
from slotwise.job import Job
from slotwise.keys import ABORT, PER_JOB, Keys
from slotwise.line import Line
from slotwise.record import as_heartbeat, read_job

MOST: Final = 16  # jobs in one read: each may bring a result of a megabyte

Read = tuple[Job | None, bytes | None]


class Reads:
    """The reads of one process."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = [keys.queue, ABORT, keys.workers, *PER_JOB]
        self._line = Line(redis, patient=False)
        self._convoy: Convoy[bytes, Read] = Convoy(self._read, most=MOST, most_weight=0)

    async def job(self, job_id: str) -> Read:
        """The job, and the envelope of its result. Raises: SlotwiseError `store-unavailable`."""
        return await self._convoy.call(job_id.encode("utf-8", "surrogateescape"))

    async def close(self) -> None:
        await self._convoy.close()
        await self._line.close()

    async def _read(self, ids: Sequence[bytes]) -> Sequence[Read | Exception]:
        with reachable():
            [reply] = await self._line.ask(scripts.READ.call(self._keys, ids))
            if isinstance(reply, NoScriptError):
                reply = await scripts.READ.run(self._redis, self._keys, ids)
            if isinstance(reply, Exception):
                raise reply
        return [_as_read(job_id, parts) for job_id, parts in zip(ids, reply, strict=True)]


def _as_read(id: bytes, parts: Sequence[Any]) -> Read | Exception:
    flat, payload, envelope, score, expires_ms, abort, seen = parts
    job_id, record = id.decode("utf-8", "surrogateescape"), dict(zip(flat[::2], flat[1::2], strict=True))
    try:
        job = read_job(job_id, record, payload, envelope, _float(score), expires_ms, _float(abort))
    except Exception as error:  # of this job alone, whatever stands in its keys
        return error
    if job is not None and job.incarnation is not None:
        job = replace(job, heartbeat_ms=as_heartbeat(seen, job.started_ms))
    return job, envelope


def _float(text: bytes | None) -> float | None:
    return None if text is None else float(text)
