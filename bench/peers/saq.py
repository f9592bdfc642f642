"""SAQ. Faster for who waits: `Job.refresh(until_complete=...)` listens, where `apply` polls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from saq import Queue, Worker

from bench.peers import bodies
from bench.peers.program import FAST, REDIS, batches

queue = Queue.from_url(REDIS)
NAMES = {"rest": "milliseconds", "burn": "rounds"}


async def noop(ctx: dict[str, Any], *, number: int) -> int:
    return bodies.noop(number)


async def rest(ctx: dict[str, Any], *, number: int, milliseconds: float) -> int:
    return await bodies.rest(number, milliseconds)


async def burn(ctx: dict[str, Any], *, number: int, rounds: float) -> int:
    return bodies.burn(number, rounds)


def work(cap: int, kind: str) -> None:
    async def run() -> None:
        await queue.connect()
        await Worker(queue, functions=[noop, rest, burn], concurrency=cap).start()

    asyncio.run(run())


class Client:
    async def fill(self, kind: str, numbers: Sequence[int], argument: float | None) -> None:
        extra = {} if argument is None else {NAMES[kind]: argument}
        for some in batches(numbers):
            await asyncio.gather(*(queue.enqueue(kind, number=number, **extra) for number in some))

    async def one(self, number: int) -> Any:
        if not FAST:
            return await queue.apply("noop", number=number)
        job = await queue.enqueue("noop", number=number)
        assert job is not None
        while not job.completed:
            with suppress(asyncio.TimeoutError):
                await job.refresh(until_complete=1)
        return job.result


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    await queue.connect()
    yield Client()
    await queue.disconnect()
