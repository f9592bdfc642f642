"""A job and what it says, seen in one instant: what a stream of its events is made of. Never writes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from slotwise.away import reachable
from slotwise.job import TERMINAL, Job
from slotwise.keys import PAYLOAD, RECORD, RESULT, SAID
from slotwise.record import read_job
from slotwise.said import FIRST, Said, all_of, or_nothing
from slotwise.store import Store

PAGE: Final = 16  # entries of the words a look: 128 KiB at most
_NOTHING: Final[tuple[Any, ...]] = ({}, None, -2, [], None, None)


@dataclass(frozen=True, slots=True)
class Sight:
    """`words` are those behind the id that was asked for; `read` is the id of the last; `more`: others may follow.

    The job's params and result may be None: they are not looked for.
    """

    job: Job
    words: list[Said]
    read: str
    more: bool


async def sight(store: Store, job_id: str, after: str = FIRST) -> Sight | None:
    """None when nobody knows the job. Raises: SlotwiseError `store-unavailable`."""
    if not await store.owns(job_id):
        return None
    with reachable():
        parts = await _look(store, job_id, after, whole=False)
        if not _ours(parts):
            parts = await _look(store, job_id, after, whole=True)
    record, score, expires_ms, rows, payload, envelope = parts
    job = read_job(job_id, record, payload, envelope, score, expires_ms, None)
    if job is None or not store.sees(job):
        return None
    read = rows[-1][0].decode() if rows else after
    return Sight(replace(job, params=None, result=None), all_of(rows), read, len(rows) == PAGE)


async def _look(store: Store, job_id: str, after: str, *, whole: bool) -> list[Any]:
    async with store.redis.pipeline(transaction=True) as tr:
        tr.hgetall(RECORD + job_id)
        tr.zscore(store.keys.queue, job_id)
        tr.pexpiretime(RECORD + job_id)
        tr.xrange(SAID + job_id, f"({after}", "+", count=PAGE)
        if whole:
            tr.get(PAYLOAD + job_id)
            tr.get(RESULT + job_id)
        parts = await tr.execute(raise_on_error=False)
    parts += _NOTHING[len(parts) :]
    return [or_nothing(part, nothing) for part, nothing in zip(parts, _NOTHING, strict=True)]


def _ours(parts: list[Any]) -> bool:
    """Whether the record tells all: that of a stock client's job does not, nor one whose id is used again."""
    record, score = parts[0], parts[1]
    return b"created" in record and not (score is not None and record.get(b"state", b"").decode() in TERMINAL)
