"""What wakes an idle worker: the server itself says that the queue, a cancel or the cap has changed.

One connection with CLIENT TRACKING in broadcast mode, redirected to itself (RESP2): any producer's enqueue
wakes us, a stock arq client's too, with no configuration of the server. A job that no wake tells of is found
by the worker's slow poll; nothing here may end the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from slotwise.away import is_away
from slotwise.news import end_task

CHANNEL: Final = "__redis__:invalidate"
RECONNECT_SECONDS: Final = 0.5
REFUSED_SECONDS: Final = 60.0  # until we ask again a server that refused: its access rules may have been mended
QUIET_SECONDS: Final = 5.0  # of silence before we ask whether anybody is there, and again until we give up


class Wake:
    """Calls `on_change` with each of `keys` as it changes; with '' when in doubt.

    `on_refused` is called once if the server does not let us listen.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Iterable[str],
        on_change: Callable[[str], None],
        on_refused: Callable[[ResponseError], None],
    ) -> None:
        self._redis = redis
        self._keys = frozenset(keys)
        self._on_change = on_change
        self._on_refused = on_refused
        self._refused = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._listen(), name="wake")

    async def stop(self) -> None:
        if self._task is not None:
            await end_task(self._task)

    async def _listen(self) -> None:
        while True:
            pause = RECONNECT_SECONDS
            try:
                await self._follow()
            except (RedisError, OSError) as error:
                if isinstance(error, ResponseError) and not is_away(error):
                    pause = REFUSED_SECONDS
                    self._tell_refused(error)
            self._on_change("")
            await asyncio.sleep(pause)

    def _tell_refused(self, error: ResponseError) -> None:
        if not self._refused:
            self._refused = True
            self._on_refused(error)

    async def _follow(self) -> None:
        """Listen until the link breaks. Raises: ResponseError if the server refuses, RedisError, OSError."""
        connection = self._redis.connection_pool.make_connection()
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                await connection.connect()
                await self._subscribe(connection)
            self._refused = False
            self._on_change("")  # what changed while nobody listened
            await self._hear(connection)
        finally:
            await connection.disconnect(nowait=True)

    async def _subscribe(self, connection: Any) -> None:
        await connection.send_command("CLIENT", "ID")
        own = await connection.read_response()
        prefixes = [part for prefix in outermost(self._keys) for part in ("PREFIX", prefix)]
        await connection.send_command("CLIENT", "TRACKING", "ON", "REDIRECT", own, "BCAST", *prefixes)
        await connection.read_response()
        await connection.send_command("SUBSCRIBE", CHANNEL)
        await connection.read_response()

    async def _hear(self, connection: Any) -> None:
        """Announce what comes, until nothing does: a link may be dead and not say so."""
        asked = False
        while True:
            message = await connection.read_response(timeout=QUIET_SECONDS, disconnect_on_error=False)
            if message is not None:
                asked = False
                self._announce(message)
            elif asked:
                return
            else:
                asked = True
                await connection.send_command("PING")

    def _announce(self, message: list[Any]) -> None:
        if len(message) < 3:  # the answer to our PING
            return
        if message[2] is None:  # the database was flushed
            self._on_change("")
            return
        for key in (raw.decode("utf-8", "replace") for raw in message[2]):
            if key in self._keys:  # not all that begins like one of them
                self._on_change(key)


def outermost(prefixes: Iterable[str]) -> list[str]:
    """Those that begin with no other one: the server refuses prefixes that overlap."""
    found: list[str] = []
    for prefix in sorted(prefixes):  # a prefix sorts before all that begin with it
        if not found or not prefix.startswith(found[-1]):
            found.append(prefix)
    return found
