"""Everybody in this process who listens to the whole fleet: one reader of its moves, while there is somebody.

What it reads is kept for all of them, bounded. A listener that is further behind reads Redis for itself, as does
one that comes with an id, until it has caught up. One that is further behind than Redis keeps is told so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Final

from redis.exceptions import RedisError

from service.position import Position
from service.ring import Ring, Told, reset_event, slots_event, together, told
from slotwise.entry import StreamId
from slotwise.errors import SlotwiseError
from slotwise.moment import timestamp
from slotwise.moves import Lost, Moves, Start, Step
from slotwise.news import end_task

MOST: Final = 1_000  # listeners of one front end
AWAY_SECONDS: Final = 0.5  # between looks while the store is away
PAUSE_SECONDS: Final = 0.01  # between two reads: a busy fleet costs 100 of them a second
KEEP_AGAIN_SECONDS: Final = 60.0  # between two words that somebody listens
AT_ONCE: Final = 16  # listeners that read for themselves, each on a connection


class Broadcast:
    """Use `enter` and `leave` around `follow`."""

    def __init__(self, moves: Moves) -> None:
        self._moves = moves
        self._ring = Ring()
        self._changed = asyncio.Event()
        self._listeners = 0
        self._stopping = False
        self._changing = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._looks = asyncio.Semaphore(AT_ONCE)

    def stop(self) -> None:
        """Let every stream end now: the service stops."""
        self._stopping = True
        self._wake()

    def check_room(self) -> None:
        """Raises: SlotwiseError `too-many-listeners`."""
        if self._listeners >= MOST:
            text = f"{MOST} streams are open here already: try again later, or ask for the slots themselves."
            raise SlotwiseError("too-many-listeners", text, retry_after_seconds=5)

    async def start(self) -> Start:
        """Let moves be told from here on. Raises: SlotwiseError `store-unavailable`."""
        return await self._moves.listen()

    async def enter(self) -> None:
        self._listeners += 1
        await self._read_or_not()

    async def leave(self) -> None:
        self._listeners -= 1
        await asyncio.shield(self._read_or_not())

    async def _read_or_not(self) -> None:
        async with self._changing:
            if self._listeners and self._reading is None:
                self._reading = asyncio.create_task(self._read(), name="broadcast")
            elif not self._listeners and self._reading is not None:
                await end_task(self._reading)
                self._reading = None
                self._ring.forget()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _read(self) -> None:
        """Keep the ring up with the fleet."""
        last: StreamId | None = None
        keep_at = 0.0
        while True:
            try:
                if last is None:
                    last = (await self._moves.listen()).id
                    self._ring.begin(last)
                    self._wake()
                if keep_at <= time.monotonic():
                    await self._moves.keep()
                    keep_at = time.monotonic() + KEEP_AGAIN_SECONDS
                _, *steps = await self._moves.since(last)
                if steps:
                    last = steps[-1].id
                    self._ring.add(steps)
                    self._wake()
                    await asyncio.sleep(PAUSE_SECONDS)
                else:
                    await self._moves.wait(last)
            except Lost:
                last = None
                await asyncio.sleep(PAUSE_SECONDS)
            except (SlotwiseError, RedisError, OSError):
                await asyncio.sleep(AWAY_SECONDS)

    async def follow(self, position: Position | None, start: Start) -> AsyncGenerator[bytes]:
        """What happens behind `position`; None: behind `start`, which is told first. Until the service stops."""
        if position is None:
            yield _snapshot(start)
            position = Position(start.id)
        seen_in = -1  # the generation of the ring in which Redis was seen to have this step
        while not self._stopping:
            changed, generation = self._changed, self._ring.generation
            if position.jobs is None and seen_in == generation and self._ring.reaches(position.step):
                steps = self._ring.behind(position.step)
                if steps:
                    position = Position(steps[-1].id)
                    yield together(steps)
                else:
                    await changed.wait()
                continue
            found = await self._look(position)
            seen_in = generation
            if isinstance(found, Start):
                yield reset_event() + _snapshot(found)
                position = Position(found.id)
            elif found:
                sent = together(_behind(found, position))
                position = Position(found[-1].id)
                if sent:
                    yield sent
                elif not self._ring.reaches(position.step):
                    await changed.wait()

    async def _look(self, position: Position) -> list[Step] | Start:
        """The step of a listener, with what is behind it; where that is not known any more, a new start."""
        while not self._stopping:
            try:
                async with self._looks:
                    try:
                        return await self._moves.since(position.step)
                    except Lost:
                        return await self._moves.listen()
            except SlotwiseError as error:
                if error.code not in ("store-unavailable", "store-damaged"):
                    raise
            await asyncio.sleep(AWAY_SECONDS)
        return []


def _behind(steps: list[Step], position: Position) -> list[Told]:
    """`steps` begin with that of `position`."""
    first = [] if position.jobs is None else [told(steps[0], position.jobs)]
    return [*first, *map(told, steps[1:])]


def _snapshot(start: Start) -> bytes:
    return slots_event(start.id, timestamp(start.at_ms), start.numbers)
