"""Waiting for something to happen to a job: one subscription a process, however many wait."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from slotwise.entry import Entry

RECONNECT_SECONDS: Final = 0.5
QUIET_SECONDS: Final = 1.0  # of one look at the subscription; longer ones would run into the client's own timeout
LOG_PAGE: Final = 200  # entries of the log a call
LOG_PAUSE_SECONDS: Final = 0.01  # between two calls: a fleet that starts 1,000 jobs a second costs 100 reads


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancel `task` until it has ended: before Python 3.12 a wait inside redis-py can swallow a cancel."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


class News:
    """The ids of jobs, as they are told on `channels` and, where one is named, entered into the admission `log`.

    Use as an async context manager. A subscription can break: then every waiter's event is set, and it looks for
    itself.
    """

    def __init__(self, redis: Redis, channels: Sequence[str], log: str | None = None) -> None:
        self._redis = redis
        self._channels = channels
        self._log = log
        self._waiters: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def start(self) -> None:
        """Begin to listen; `stop` ends it."""
        sources = [self._follow] if self._log is None else [self._follow, self._follow_log]
        self._tasks = [asyncio.create_task(self._listen(source), name="news") for source in sources]

    @property
    def running(self) -> bool:
        return bool(self._tasks)

    async def stop(self) -> None:
        """Stop listening, for now or for good."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await end_task(task)

    def expect(self, job_id: str) -> asyncio.Event:
        """Begin to wait for `job_id`: the event is set when something happens to it, until `forget`.

        Ask first and read the job afterwards: then nothing falls between the two.
        """
        event = asyncio.Event()
        self._waiters[job_id].add(event)
        return event

    def forget(self, job_id: str, event: asyncio.Event) -> None:
        """Stop waiting."""
        waiters = self._waiters.get(job_id)
        if waiters is not None:
            waiters.discard(event)
            if not waiters:
                del self._waiters[job_id]

    def wake_everybody(self) -> None:
        """Let all look for themselves."""
        for waiters in self._waiters.values():
            for event in waiters:
                event.set()

    def _wake(self, ids: Iterable[str]) -> None:
        for job_id in ids:
            for event in self._waiters.get(job_id, ()):
                event.set()

    async def _listen(self, follow: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await follow()
            except (RedisError, OSError):
                self.wake_everybody()
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _follow(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(*self._channels)
            self.wake_everybody()  # what happened while nobody listened is seen by looking
            while True:
                message = await subscription.get_message(timeout=QUIET_SECONDS)  # None: nothing happened
                if message is not None:
                    self._wake([message["data"].decode("utf-8", "replace")])

    async def _follow_log(self) -> None:
        log, block_ms = str(self._log), round(QUIET_SECONDS * 1000)
        newest = await self._redis.xrevrange(log, count=1)
        last = newest[0][0] if newest else b"0-0"
        self.wake_everybody()
        while True:
            found = await self._redis.xread({log: last}, count=LOG_PAGE, block=block_ms)
            for stream_id, fields in found[0][1] if found else ():
                last = stream_id
                self._wake(_ids(stream_id, fields))
            if found:
                await asyncio.sleep(LOG_PAUSE_SECONDS)


async def set_within(event: asyncio.Event, timeout_seconds: float) -> bool:
    """Whether `event` is set within the time."""
    try:
        async with asyncio.timeout(timeout_seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _ids(stream_id: bytes, fields: dict[bytes, bytes]) -> tuple[str, ...]:
    """None for an entry that is none of ours."""
    try:
        return Entry.of(stream_id, fields).ids
    except ValueError:
        return ()
