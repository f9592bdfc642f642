"""A connection of its own for the conversation that a worker has with Redis all the time.

Without the pool, the pipeline object and the packing in Python, which cost more than the exchange itself. Only
for what may be executed twice: commands whose connection was found broken are sent again on a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

Command = Sequence[str | bytes | int | float]


class Line:
    """One caller at a time."""

    def __init__(self, redis: Redis) -> None:
        self._connection = redis.connection_pool.make_connection()

    async def ask(self, *commands: Command) -> list[Any]:
        """The replies in order, a command's error as its reply. Raises: redis.RedisError without any."""
        data = [pack_command(tuple(command)) for command in commands]  # type: ignore[arg-type]
        if self._connection.is_connected:
            try:
                return await self._ask(data)
            except RedisConnectionError:  # closed since its last use, by the server or on the way
                pass
        return await self._ask(data)

    async def _ask(self, data: list[bytes]) -> list[Any]:
        await self._connection.send_packed_command(data)
        return [await self._reply() for _ in data]

    async def _reply(self) -> Any:
        try:
            return await self._connection.read_response()
        except ResponseError as error:  # this command's own; the connection is fine
            return error

    async def close(self) -> None:
        await self._connection.disconnect()
