"""ardiq. CPU-bound jobs in a process each, which an abort can stop. Faster: on the loop; a deeper prefetch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ardiq import Ardiq

from bench.peers import bodies
from bench.peers.program import CAP, FAST, REDIS, arguments, batches

app = Ardiq(redis_url=REDIS, queue_name="bench", concurrency=CAP, **({"prefetch": 10 * CAP} if FAST else {}))


@app.task()
async def noop(number: int) -> int:
    return bodies.noop(number)


@app.task()
async def rest(number: int, milliseconds: float) -> int:
    return await bodies.rest(number, milliseconds)


@app.task()
async def burn(number: int, rounds: float) -> int:
    return bodies.burn(number, rounds)


@app.task(executor="process")
def burn_apart(number: int, rounds: float) -> int:
    return bodies.burn(number, rounds)


TASKS = {"noop": noop, "rest": rest, "burn": burn if FAST else burn_apart}


def work(cap: int, kind: str) -> None:
    assert cap == CAP
    asyncio.run(app.run())


class Client:
    async def fill(self, kind: str, numbers: Sequence[int], argument: float | None) -> None:
        for some in batches(numbers):
            await app.enqueue_many([TASKS[kind].prepare(*arguments(number, argument)) for number in some])

    async def one(self, number: int) -> Any:
        job = await noop.enqueue(number)
        return await job.result(timeout=60)


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    yield Client()
