"""Everybody in this process who follows a job: one subscription, one reader of the log, while there is somebody.

A listener's events are read from Redis as fast as they are taken, no faster: one that does not read costs a page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

from service.place import Place
from service.tale import Event, Tale
from slotwise.errors import SlotwiseError
from slotwise.news import set_within
from slotwise.said import FIRST
from slotwise.sight import Sight, sight
from slotwise.store import Store

Holds = Callable[[], Awaitable[bool]]  # whether a listener may still listen

MOST: Final = 1_000  # listeners of one front end
LOOK_SECONDS: Final = 2.0  # between looks that nothing called for: the net below the news
AWAY_SECONDS: Final = 0.5  # between looks while the store is away
AT_ONCE: Final = 16  # looks, each on a connection: all listeners look when a subscription has broken


async def always() -> bool:
    return True


class Listening:
    """Use `enter` and `leave` around `follow`."""

    def __init__(self, store: Store) -> None:
        self._news = store.news()
        self._listeners = 0
        self._stopping = False
        self._changing = asyncio.Lock()
        self._looks = asyncio.Semaphore(AT_ONCE)

    def stop(self) -> None:
        """Let every stream end now: the service stops."""
        self._stopping = True
        self._news.wake_everybody()

    def check_room(self) -> None:
        """Raises: SlotwiseError `too-many-listeners`."""
        if self._listeners >= MOST:
            text = f"{MOST} streams are open here already: try again later, or ask for the job itself."
            raise SlotwiseError("too-many-listeners", text, retry_after_seconds=5)

    async def enter(self) -> None:
        self._listeners += 1
        await self._listen_or_not()

    async def leave(self) -> None:
        self._listeners -= 1
        await asyncio.shield(self._listen_or_not())

    async def _listen_or_not(self) -> None:
        async with self._changing:
            if self._listeners and not self._news.running:
                self._news.start()
            elif not self._listeners and self._news.running:
                await self._news.stop()

    async def follow(
        self, store: Store, job_id: str, place: Place, holds: Holds = always
    ) -> AsyncGenerator[Event]:
        """What happens to a job behind `place`, to its end; or until it is erased, the service stops, or the
        listener's key `holds` no more.
        """
        heard = self._news.expect(job_id)  # first: what happens after a look sets it
        tale, read = Tale(place), FIRST
        try:
            while not self._stopping:
                heard.clear()
                seen = await self._look(store, job_id, read, holds)
                if seen is None:
                    return
                if not tale.place.is_of(seen.job):
                    tale, read = Tale(Place.start(seen.job)), FIRST
                    continue
                for event in tale.tell(seen):
                    yield event
                    if event.name == "end":
                        return
                read = seen.read
                if not seen.more:
                    await set_within(heard, LOOK_SECONDS)
        finally:
            self._news.forget(job_id, heard)

    async def _look(self, store: Store, job_id: str, read: str, holds: Holds) -> Sight | None:
        """What is to be seen, as soon as the store is there; None for a job that is not seen, and at a stop."""
        while not self._stopping:
            try:
                async with self._looks:
                    return await sight(store, job_id, read) if await holds() else None
            except SlotwiseError as error:
                if error.code not in ("store-unavailable", "store-damaged"):
                    raise
            await asyncio.sleep(AWAY_SECONDS)
        return None
