"""RQ: a pool of workers, one process a slot, each job in a fork. Faster: `SimpleWorker`, which does not fork."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from rq import Queue

from bench.peers import bodies
from bench.peers.program import FAST, REDIS, arguments, batches

FUNCTIONS: dict[str, Any] = {"noop": bodies.noop, "rest": bodies.doze, "burn": bodies.burn}
WORKER = "rq.worker.SimpleWorker" if FAST else "rq.worker.Worker"


def work(cap: int, kind: str) -> None:
    command = str(Path(sys.executable).with_name("rq"))
    flags = ["--num-workers", str(cap), "--url", REDIS, "--worker-class", WORKER]
    os.execv(command, [command, "worker-pool", "default", *flags])


class Client:
    def __init__(self) -> None:
        self._queue = Queue(connection=Redis.from_url(REDIS))

    async def fill(self, kind: str, numbers: Sequence[int], argument: float | None) -> None:
        for some in batches(numbers):
            self._queue.enqueue_many(
                [Queue.prepare_data(FUNCTIONS[kind], arguments(number, argument)) for number in some]
            )

    async def one(self, number: int) -> Any:
        result = self._queue.enqueue(bodies.noop, number).latest_result(timeout=60)
        assert result is not None and result.return_value == number
        return result.return_value


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    yield Client()
