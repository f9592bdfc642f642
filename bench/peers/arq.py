"""arq. Faster: `poll_delay` of 10 ms in place of half a second, for worker and client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.worker import run_worker

from bench.peers import bodies
from bench.peers.program import FAST, REDIS, arguments, batches

POLL_SECONDS = 0.01 if FAST else 0.5


async def noop(ctx: dict[Any, Any], number: int) -> int:
    return bodies.noop(number)


async def rest(ctx: dict[Any, Any], number: int, milliseconds: float) -> int:
    return await bodies.rest(number, milliseconds)


async def burn(ctx: dict[Any, Any], number: int, rounds: float) -> int:
    return bodies.burn(number, rounds)


class WorkerSettings:
    functions = [noop, rest, burn]
    redis_settings = RedisSettings.from_dsn(REDIS)
    poll_delay = POLL_SECONDS


def work(cap: int, kind: str) -> None:
    settings: Any = WorkerSettings
    run_worker(settings, max_jobs=cap)


class Client:
    def __init__(self, pool: ArqRedis) -> None:
        self._pool = pool

    async def fill(self, kind: str, numbers: Sequence[int], argument: float | None) -> None:
        for some in batches(numbers):
            await asyncio.gather(*(self._pool.enqueue_job(kind, *arguments(each, argument)) for each in some))

    async def one(self, number: int) -> Any:
        job = await self._pool.enqueue_job("noop", number)
        assert job is not None
        return await job.result(poll_delay=POLL_SECONDS)


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    pool = await create_pool(WorkerSettings.redis_settings)
    yield Client(pool)
    await pool.aclose()
