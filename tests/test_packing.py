"""Connections that pack in C and send without a task: the same words, the same errors, the same bound in time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import DataError
from redis.exceptions import TimeoutError as RedisTimeoutError

from slotwise.packing import packed


async def test_what_is_sent_is_what_arrives(redis_url: str) -> None:
    client = packed(Redis.from_url(redis_url, socket_timeout=2))
    values, long = ["text", b"\x00\xff", 17, 1.5, "é"], b"x" * 1_000_000
    await client.execute_command("RPUSH", "list", *values, long)
    assert await client.lrange("list", 0, -1) == [
        b"text",
        b"\x00\xff",
        b"17",
        b"1.5",
        "é".encode(),
        b"x" * 1_000_000,
    ]
    assert isinstance(await client.execute_command("CLIENT ID"), int)
    async with client.pipeline() as pipeline:
        pipeline.set("one", 1, px=1_000)
        pipeline.get("one")
        assert await pipeline.execute() == [True, b"1"]
    with pytest.raises(DataError):
        await client.execute_command("SET", "one", object())
    assert await client.get("one") == b"1"
    await client.delete("list")
    await client.aclose()


async def test_a_server_that_takes_nothing_is_given_up_on() -> None:
    done = asyncio.Event()

    async def takes_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"+PONG\r\n")
        await done.wait()
        writer.close()

    server = await asyncio.start_server(takes_nothing, "127.0.0.1", 0, limit=1)
    port = server.sockets[0].getsockname()[1]
    client = packed(
        Redis(port=port, socket_timeout=0.2, retry=Retry(NoBackoff(), 0), lib_name=None, lib_version=None)
    )
    assert await client.ping()
    with pytest.raises(RedisTimeoutError, match="writing"):
        await client.set("one", b"x" * 50_000_000)
    [connection] = client.connection_pool._available_connections
    assert (connection.is_connected, connection.socket_timeout) == (False, 0.2)
    await client.aclose()
    done.set()
    server.close()
    await server.wait_closed()


async def test_no_command_makes_a_task(redis_url: str) -> None:
    client, made = packed(Redis.from_url(redis_url, socket_timeout=2)), []
    await client.ping()
    loop = asyncio.get_running_loop()

    def make(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> asyncio.Task[Any]:
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **more)

    loop.set_task_factory(make)
    try:
        await client.get("none")
    finally:
        loop.set_task_factory(None)
    assert made == []
    await client.aclose()
