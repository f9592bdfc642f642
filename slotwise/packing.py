"""Connections of redis-py's asyncio client that send at less cost: for who sends all the time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import DataError
from redis.exceptions import TimeoutError as RedisTimeoutError


class _Packed(AbstractConnection):
    def pack_command(self, *args: Any) -> list[bytes]:
        """As redis-py's own, in C: a command's name may have several words. Raises: redis.DataError."""
        name, *rest = args
        words = name.split() if isinstance(name, str | bytes) else [name]
        try:
            return [pack_command((*words, *rest))]
        except TypeError as error:
            raise DataError(str(error)) from None

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """As redis-py's own, which before Python 3.12 makes a task of each command to bound it in time."""
        if not self.is_connected or self.socket_timeout is None:
            await super().send_packed_command(command, check_health)
            return
        seconds, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(seconds):
                await super().send_packed_command(command, check_health)
        except TimeoutError:
            raise RedisTimeoutError("Timeout writing to socket") from None
        finally:
            self.socket_timeout = seconds


def packed(redis: Redis) -> Redis:
    """The same client, whose connections are such from now on."""
    pool = redis.connection_pool
    pool.connection_class = _kind(pool.connection_class)
    return redis


def _kind(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    return type(kind.__name__, (_Packed, kind), {})
