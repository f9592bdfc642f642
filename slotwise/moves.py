"""Reads the moves of all jobs, in their order, for those who listen to the whole fleet.

The stream is kept for `KEEP_SECONDS` after the last word that somebody listens (`listen`, `keep`), and of it the
latest 10,000 steps or so: who has read up to a step that is still there reads on behind it, and misses nothing.
`Lost` says that it is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from redis.asyncio import Redis

from slotwise import scripts
from slotwise.away import reachable
from slotwise.entry import StreamId, shown, stream_id_of
from slotwise.job import Slots
from slotwise.keys import Keys

KEEP_SECONDS: Final = 360
PAGE: Final = 200  # steps a call
BLOCK_MS: Final = 1_000  # of one look at a quiet stream; longer ones would run into the client's own timeout
_FIELDS: Final = 5  # of a row before the algorithm and the id


class Lost(Exception):
    """What happened behind this step is not known any more."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A job came into a state, `erased` among them. `reason` while it waits, `error_type` if it failed."""

    job_id: str
    algorithm: str | None
    status: str
    reason: str | None
    attempt: int
    error_type: str | None

    @classmethod
    def of(cls, row: bytes) -> Self:
        """As lua/parts/moves.lua wrote it. Raises: ValueError."""
        status, reason, attempt, error_type, length, rest = row.split(b" ", _FIELDS)
        algorithm, job_id = rest[: int(length)], rest[int(length) :]
        return cls(
            job_id.decode("utf-8", "replace"),
            algorithm.decode("utf-8", "replace") or None,
            status.decode(),
            reason.decode() or None,
            int(attempt),
            error_type.decode() or None,
        )


@dataclass(frozen=True, slots=True)
class Numbers:
    """The slots, and the jobs that wait and are due."""

    slots: Slots
    pending: int

    @classmethod
    def of(cls, text: bytes) -> Self:
        """Raises: ValueError."""
        cap, running, pending = map(int, text.split())
        return cls(Slots(max_concurrent=cap, running=running), pending)


@dataclass(frozen=True, slots=True)
class Step:
    """What one step moved, or a part of that. `numbers` are those after it; None where it changed none."""

    id: StreamId
    at_ms: int
    moved: tuple[Moved, ...]
    numbers: Numbers | None

    @classmethod
    def of(cls, stream_id: bytes, fields: Mapping[bytes, bytes]) -> Self:
        """Raises: ValueError for what no move of ours wrote."""
        try:
            at_ms = int(fields[b"at"])
        except KeyError:
            raise ValueError("it has no time") from None
        numbers = fields.get(b"slots")
        return cls(
            stream_id_of(stream_id), at_ms, tuple(_rows(fields)), None if numbers is None else Numbers.of(numbers)
        )


@dataclass(frozen=True, slots=True)
class Start:
    """What is true at the step `id`."""

    id: StreamId
    at_ms: int
    numbers: Numbers


class Moves:
    """Of one fleet. Every method raises SlotwiseError `store-unavailable` while Redis is away."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def listen(self) -> Start:
        """Let the moves be written from here on, and say where that is."""
        with reachable():
            reply = await scripts.LISTEN.run(self._redis, self._keys.of_moves, [KEEP_SECONDS * 1000, ""])
        return Start(stream_id_of(reply[0]), int(reply[1]), Numbers.of(reply[2]))

    async def keep(self) -> None:
        """Say that somebody listens still."""
        with reachable():
            await self._redis.pexpire(self._keys.moves, KEEP_SECONDS * 1000)

    async def since(self, step: StreamId) -> list[Step]:
        """`step` itself and a page of what came behind it. Raises: Lost."""
        with reachable():
            rows = await self._redis.xrange(self._keys.moves, shown(step), count=PAGE + 1)
        steps = list(_steps(rows))
        if not steps or steps[0].id != step:
            raise Lost
        return steps

    async def wait(self, step: StreamId) -> None:
        """Until there is something behind `step`, a second at most."""
        with reachable():
            await self._redis.xread({self._keys.moves: shown(step)}, count=1, block=BLOCK_MS)


def _steps(rows: Sequence[tuple[bytes, Mapping[bytes, bytes]]]) -> Iterator[Step]:
    for stream_id, fields in rows:
        try:
            yield Step.of(stream_id, fields)
        except ValueError:
            yield Step(stream_id_of(stream_id), 0, (), None)  # somebody else's, whatever it means


def _rows(fields: Mapping[bytes, bytes]) -> Iterator[Moved]:
    number = 1
    while (row := fields.get(b"%d" % number)) is not None:
        number += 1
        try:
            yield Moved.of(row)
        except ValueError:  # of a record that is damaged: the others are told
            continue
