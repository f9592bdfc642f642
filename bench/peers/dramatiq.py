"""Dramatiq: one process with a thread a slot; CPU-bound jobs in a process a slot. Results are kept in Redis."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench.peers import bodies
from bench.peers.program import REDIS, arguments

broker: Any = RedisBroker(url=REDIS)
broker.add_middleware(Results(backend=RedisBackend(url=REDIS)))
dramatiq.set_broker(broker)
ACTORS: dict[str, Any] = {
    "noop": dramatiq.actor(bodies.noop, actor_name="noop", store_results=True),
    "rest": dramatiq.actor(bodies.doze, actor_name="rest", store_results=True),
    "burn": dramatiq.actor(bodies.burn, actor_name="burn", store_results=True),
}


def work(cap: int, kind: str) -> None:
    processes, threads = (cap, 1) if kind == "burn" else (1, cap)
    command = str(Path(sys.executable).with_name("dramatiq"))
    os.execv(command, [command, "bench.peers.dramatiq", "-p", str(processes), "-t", str(threads)])


class Client:
    async def fill(self, kind: str, numbers: Sequence[int], argument: float | None) -> None:
        for number in numbers:
            ACTORS[kind].send(*arguments(number, argument))

    async def one(self, number: int) -> Any:
        return ACTORS["noop"].send(number).get_result(block=True, timeout=60_000)


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    yield Client()
