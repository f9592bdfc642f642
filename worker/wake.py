"""What wakes an idle worker: the server itself says that the queue, a cancel or the cap has changed.

One connection with CLIENT TRACKING in broadcast mode, redirected to itself (RESP2): any producer's enqueue
wakes us, a stock arq client's too, with no configuration of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from slotwise.ended import end_task

CHANNEL: Final = "__redis__:invalidate"
RECONNECT_SECONDS: Final = 0.5


class Wake:
    """Calls `on_change` with the name of each key that changed under the prefixes; with '' when in doubt."""

    def __init__(self, redis: Redis, prefixes: tuple[str, ...], on_change: Callable[[str], None]) -> None:
        self._redis = redis
        self._prefixes = prefixes
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._listen(), name="wake")

    async def stop(self) -> None:
        if self._task is not None:
            await end_task(self._task)

    async def _listen(self) -> None:
        while True:
            with suppress(RedisError, OSError):
                await self._follow()
            self._on_change("")
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _follow(self) -> None:
        connection = self._redis.connection_pool.make_connection()
        try:
            await connection.connect()
            await connection.send_command("CLIENT", "ID")
            own = await connection.read_response()
            prefixes = [part for prefix in self._prefixes for part in ("PREFIX", prefix)]
            await connection.send_command("CLIENT", "TRACKING", "ON", "REDIRECT", own, "BCAST", *prefixes)
            await connection.read_response()
            await connection.send_command("SUBSCRIBE", CHANNEL)
            await connection.read_response()
            self._on_change("")  # what changed while nobody listened
            while True:
                self._announce(await connection.read_response(timeout=None, disconnect_on_error=False))
        finally:
            await connection.disconnect(nowait=True)

    def _announce(self, message: Any) -> None:
        keys = message[2] if isinstance(message, list) and len(message) > 2 else None
        for key in keys or [b""]:  # no keys: the database was flushed
            self._on_change(key.decode("utf-8", "replace"))
