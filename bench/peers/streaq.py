"""streaQ. Faster: a deeper prefetch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from streaq import Worker

from bench.peers import bodies
from bench.peers.program import CAP, FAST, REDIS, arguments, batches

worker: Any = Worker(redis_url=REDIS, concurrency=CAP, prefetch=100 if FAST else None)


@worker.task(name="noop")
async def noop(number: int) -> int:
    return bodies.noop(number)


@worker.task(name="rest")
async def rest(number: int, milliseconds: float) -> int:
    return await bodies.rest(number, milliseconds)


@worker.task(name="burn")
async def burn(number: int, rounds: float) -> int:
    return bodies.burn(number, rounds)


TASKS: dict[str, Any] = {"noop": noop, "rest": rest, "burn": burn}


def work(cap: int, kind: str) -> None:
    assert cap == CAP
    worker.run_sync()


class Client:
    async def fill(self, kind: str, numbers: Sequence[int], argument: float | None) -> None:
        for some in batches(numbers):
            await worker.enqueue_many([TASKS[kind].enqueue(*arguments(number, argument)) for number in some])

    async def one(self, number: int) -> Any:
        task = await noop.enqueue(number)
        return await task.result(timeout=60)


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    async with worker:
        yield Client()
