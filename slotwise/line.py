"""A connection of its own for the conversation that a worker has with Redis all the time.

It does without the pool, the pipeline object and the packing in Python, which cost more than the exchange itself.
Where it fails, the commands are sent again by way of the pool, with the retries that the pool's owner asked for:
only for what may be executed twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

Command = Sequence[str | bytes | int | float]


class Line:
    """One caller at a time. `patient`: what was not answered in time is sent again too."""

    def __init__(self, redis: Redis, *, patient: bool = True) -> None:
        self._redis = redis
        self._again = (RedisConnectionError, RedisTimeoutError) if patient else RedisConnectionError
        self._connection = redis.connection_pool.make_connection()

    async def ask(self, *commands: Command) -> list[Any]:
        """The replies in order, a command's error as its reply. Raises: redis.RedisError without any."""
        data = [pack_command(tuple(command)) for command in commands]  # type: ignore[arg-type]
        try:
            await self._connection.send_packed_command(data)
            return [await self._reply() for _ in data]
        except self._again:
            return await self._by_the_pool(commands)

    async def _reply(self) -> Any:
        try:
            return await self._connection.read_response()
        except ResponseError as error:  # this command's own; the connection is fine
            return error

    async def _by_the_pool(self, commands: Sequence[Command]) -> list[Any]:
        return [await self._asked_alone(command) for command in commands]

    async def _asked_alone(self, command: Command) -> Any:
        try:
            return await self._redis.execute_command(*command)
        except ResponseError as error:
            return error

    async def close(self) -> None:
        await self._connection.disconnect()
