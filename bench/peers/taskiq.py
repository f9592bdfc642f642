"""taskiq with the stream broker of taskiq-redis. Faster: its list broker, no acknowledgement; a 10 ms poll."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

from bench.peers import bodies
from bench.peers.program import FAST, REDIS, arguments, batches

BROKER = ListQueueBroker if FAST else RedisStreamBroker
CHECK_SECONDS = 0.01 if FAST else 0.2
results: Any = RedisAsyncResultBackend(redis_url=REDIS, result_ex_time=1000)
broker = BROKER(url=REDIS).with_result_backend(results)


@broker.task(task_name="noop")
async def noop(number: int) -> int:
    return bodies.noop(number)


@broker.task(task_name="rest")
async def rest(number: int, milliseconds: float) -> int:
    return await bodies.rest(number, milliseconds)


@broker.task(task_name="burn")
async def burn(number: int, rounds: float) -> int:
    return bodies.burn(number, rounds)


TASKS: dict[str, Any] = {"noop": noop, "rest": rest, "burn": burn}


def work(cap: int, kind: str) -> None:
    command = str(Path(sys.executable).with_name("taskiq"))
    flags = ["--workers", "1", "--max-async-tasks", str(cap)]
    os.execv(command, [command, "worker", "bench.peers.taskiq:broker", *flags])


class Client:
    async def fill(self, kind: str, numbers: Sequence[int], argument: float | None) -> None:
        for some in batches(numbers):
            await asyncio.gather(*(TASKS[kind].kiq(*arguments(number, argument)) for number in some))

    async def one(self, number: int) -> Any:
        task = await noop.kiq(number)
        return await task.wait_result(check_interval=CHECK_SECONDS, timeout=60)


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    await broker.startup()
    yield Client()
    await broker.shutdown()
