"""Waiting for jobs to end: one subscription a process, however many wait."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any, Final, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

RECONNECT_SECONDS: Final = 0.5
QUIET_SECONDS: Final = 1.0  # of one look at the subscription; longer ones would run into the client's own timeout


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancel `task` until it has ended: before Python 3.12 a wait inside redis-py can swallow a cancel."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


class Ended:
    """The ids of jobs that end, as they end. Use as an async context manager.

    A subscription can break without a sound: a waiter looks again at what it waits for when `wait` returns,
    whichever way it returns.
    """

    def __init__(self, redis: Redis, channel: str) -> None:
        self._redis = redis
        self._channel = channel
        self._waiters: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen(), name="ended-jobs")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end_task(self._task)

    def expect(self, job_id: str) -> asyncio.Event:
        """Begin to wait for `job_id`: the event is set when it ends. Pass it to `wait`, which ends the waiting.

        Ask first and read the job afterwards: then no end falls between the two.
        """
        event = asyncio.Event()
        self._waiters[job_id].add(event)
        return event

    async def wait(self, job_id: str, event: asyncio.Event, timeout_seconds: float) -> bool:
        """Whether the job ended within the time (or the subscription broke: then look)."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await event.wait()
        except TimeoutError:
            return False
        finally:
            self.forget(job_id, event)
        return True

    def forget(self, job_id: str, event: asyncio.Event) -> None:
        """Stop waiting."""
        waiters = self._waiters.get(job_id)
        if waiters is not None:
            waiters.discard(event)
            if not waiters:
                del self._waiters[job_id]

    async def _listen(self) -> None:
        while True:
            try:
                await self._follow()
            except (RedisError, OSError):
                self._wake_everybody()
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _follow(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(self._channel)
            self._wake_everybody()  # what ended while nobody listened is seen by looking
            while True:
                message = await subscription.get_message(timeout=QUIET_SECONDS)  # None: nothing ended
                if message is not None:
                    for event in self._waiters.get(message["data"].decode("utf-8", "replace"), ()):
                        event.set()

    def _wake_everybody(self) -> None:
        for waiters in self._waiters.values():
            for event in waiters:
                event.set()
