"""Reads what a job said of itself: its progress and its output, live while it runs. Never writes.

A job's words are one stream, whose ids rise: who has read up to an id reads on behind it and misses nothing but
progress that newer progress has taken the place of, and output that was cut (then `at` leaps). Every addition
is told on the channel `Keys.told`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import ResponseError

from slotwise import wire
from slotwise.away import reachable
from slotwise.keys import PAYLOAD, RECORD, RESULT, SAID
from slotwise.store import Store

FIRST: Final = "0-0"
MOST_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Progress:
    """`id` is the stream's: "ms-number"."""

    id: str
    attempt: int
    percent: float
    message: str


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of what the job wrote. `at`: how many bytes it had written before, over all its attempts."""

    id: str
    attempt: int
    at: int
    data: bytes


Said = Progress | Output


async def said(store: Store, job_id: str, after: str = FIRST) -> list[Said]:
    """What is kept of a job's words behind `after`, in order. Raises: SlotwiseError `store-unavailable`."""
    with reachable():
        rows = await store.redis.xrange(SAID + job_id, f"({after}", "+")
    return all_of(rows)


async def output(store: Store, job_id: str) -> tuple[int, bytes] | None:
    """How many bytes of a job's output are cut, and what follows them; None when nobody knows the job.

    Raises: SlotwiseError `store-unavailable`.
    """
    if not await store.owns(job_id):
        return None
    with reachable():
        async with store.redis.pipeline(transaction=True) as tr:
            tr.exists(RECORD + job_id, PAYLOAD + job_id, RESULT + job_id)
            tr.hget(RECORD + job_id, "written")
            tr.xrange(SAID + job_id)
            parts = await tr.execute(raise_on_error=False)
    known, written, rows = map(or_nothing, parts, (0, None, []))
    if not known:
        return None
    pieces = [piece for piece in all_of(rows) if isinstance(piece, Output)]
    if pieces:
        return pieces[0].at, b"".join(piece.data for piece in pieces)
    return _count(written), b""


def or_nothing(part: Any, nothing: Any) -> Any:
    """A reply; `nothing` where the key is of a type that is not ours. Raises: every other error that it is."""
    if isinstance(part, ResponseError) and str(part).startswith("WRONGTYPE"):
        return nothing
    if isinstance(part, Exception):
        raise part
    return part


def _count(written: bytes | None) -> int:
    return int(written) if written and written.isdigit() and len(written) < MOST_DIGITS else 0


def all_of(rows: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Said]:
    """The entries of a job's stream, less what is none of ours."""
    found = (_one(stream_id.decode(), fields) for stream_id, fields in rows)
    return [one for one in found if one is not None]


def _one(stream_id: str, fields: dict[bytes, bytes]) -> Said | None:
    """None for an entry that is none of ours."""
    try:
        attempt = int(fields[b"attempt"])
        if b"output" in fields:
            return Output(stream_id, attempt, int(fields[b"at"]), fields[b"output"])
        percent, message = wire.decode(fields[b"progress"])
        return Progress(stream_id, attempt, float(percent), str(message))
    except (KeyError, ValueError, TypeError):
        return None
