"""What there is of each job, by one atomic read of all its keys. Payloads are recognised, never loaded."""

from __future__ import annotations

import pickletools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

from pydantic_core import from_json
from redis import Redis
from redis.exceptions import ResponseError

from slotwise.keys import ABORT, HIDDEN, IN_PROGRESS, PAYLOAD, RECORD, SAID, Keys

AT_A_TIME: Final = 50  # jobs in one transaction
PAYLOAD_BYTES: Final = 65_536  # of each payload that are read
ALL_BYTES: Final = 64 << 20  # of all payloads
NO_TTL, GONE = -1, -2  # what PTTL answers
Kind = Literal["json", "pickle", "unreadable", "none"]


@dataclass(frozen=True)
class Look:
    """TTLs are ms, or NO_TTL, or GONE without the key. `elsewhere`: another queue has the job."""

    id: bytes
    score: float | None
    elsewhere: bool
    runs: bool
    aside: bool  # out of a claim's sight for a reason
    in_progress_ttl: int
    record_ttl: int
    payload_ttl: int
    said_ttl: int
    state: bytes | None
    abort_ms: float | None
    kind: Kind | None  # None: not looked into
    function: bytes | None
    damaged: tuple[bytes, ...]  # its keys that are of another type

    @property
    def queued(self) -> bool:
        return self.score is not None

    @property
    def waits(self) -> bool:
        """In the queue, and nobody's."""
        return self.queued and not self.runs and self.in_progress_ttl == GONE

    @property
    def lost_from_sight(self) -> bool:
        return self.waits and (self.score or 0) >= HIDDEN and not self.aside


class Looks:
    """Over the jobs of one queue, where `others` are the other queues of this server."""

    def __init__(self, redis: Redis, keys: Keys, others: Collection[str], algorithms: Collection[bytes]) -> None:
        self._redis = redis
        self._keys = keys
        self._queues = [keys.queue, *sorted(set(others) - {keys.queue})]
        self._parked = [keys.parked_of + name.decode("utf-8", "surrogateescape") for name in sorted(algorithms)]
        self._bytes_left = ALL_BYTES

    @property
    def exhausted(self) -> bool:
        """Whether some payloads were not looked into."""
        return self._bytes_left <= 0

    def at(self, ids: Collection[bytes]) -> Iterator[Look]:
        left = iter(sorted(ids))
        while chunk := list(islice(left, AT_A_TIME)):
            yield from self._chunk(chunk)

    def _chunk(self, ids: list[bytes]) -> Iterator[Look]:
        pipe: Any = self._redis.pipeline(transaction=True)
        sets = [*self._sets_of_slots(), self._keys.suspects, self._keys.unstarted, *self._parked]
        full = not self.exhausted
        for job_id in ids:
            for name in (*self._queues, *sets, ABORT):
                pipe.zscore(name, job_id)
            for prefix in (IN_PROGRESS, RECORD, PAYLOAD, SAID):
                pipe.pttl(prefix.encode() + job_id)
            pipe.hmget(RECORD.encode() + job_id, "state", "algorithm")
            pipe.getrange(PAYLOAD.encode() + job_id, 0, PAYLOAD_BYTES - 1 if full else 0)
        replies = pipe.execute(raise_on_error=False)
        width = len(replies) // len(ids)
        for at, job_id in enumerate(ids):
            yield self._look(job_id, replies[at * width : (at + 1) * width], len(sets), full=full)

    def _sets_of_slots(self) -> list[str]:
        return [Keys(queue).running for queue in self._queues]

    def _look(self, job_id: bytes, replies: Sequence[Any], sets: int, *, full: bool) -> Look:
        """`full`: payloads were read."""
        queues = len(self._queues)
        scores, members = replies[:queues], [_or_none(reply) for reply in replies[queues : queues + sets]]
        abort, in_progress, record, payload, said, fields, data = replies[queues + sets :]
        self._bytes_left -= len(_or_none(data) or b"")
        state, algorithm = _or_none(fields) or (None, None)
        kind, function = _payload(data) if full else (None, None)
        damaged = [(RECORD, fields), (PAYLOAD, data)]
        return Look(
            id=job_id,
            score=_or_none(scores[0]),
            elsewhere=any(_or_none(score) is not None for score in scores[1:]),
            runs=any(member is not None for member in members[:queues]),
            aside=any(member is not None for member in members[queues:]),
            in_progress_ttl=in_progress,
            record_ttl=record,
            payload_ttl=payload,
            said_ttl=said,
            state=state,
            abort_ms=_or_none(abort),
            kind="none" if payload == GONE else kind,
            function=algorithm or function,
            damaged=tuple(name.encode() + job_id for name, reply in damaged if isinstance(reply, ResponseError)),
        )


def _or_none(reply: Any) -> Any:
    """Nothing, where the key is of another type."""
    return None if isinstance(reply, ResponseError) else reply


def _payload(data: Any) -> tuple[Kind | None, bytes | None]:
    return (None, None) if isinstance(data, ResponseError) else recognised(data)


def recognised(data: bytes) -> tuple[Kind, bytes | None]:
    """What a payload is, and the function that it calls, as far as its beginning tells. Executes nothing."""
    if data[:1] == b"\x80":
        return "pickle", _pickled_function(data)
    try:
        call = from_json(data, allow_partial=len(data) == PAYLOAD_BYTES, allow_inf_nan=False)
    except ValueError:
        return "unreadable", None
    if not isinstance(call, dict):
        return "unreadable", None
    function = call.get("f")
    return "json", function.encode() if isinstance(function, str) else None


def _pickled_function(data: bytes) -> bytes | None:
    """The string behind the string "f", by the opcodes' names alone."""
    strings: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if "UNICODE" in opcode.name:
                strings.append(str(argument))
                if strings[-2:-1] == ["f"]:
                    return strings[-1].encode("utf-8", "backslashreplace")
    except ValueError:  # cut off, or no pickle after all
        return None
    return None
