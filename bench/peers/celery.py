"""Celery, prefork. Faster for short jobs: threads, a prefetch of 64, no gossip, mingle or heartbeat."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from celery import Celery

from bench.peers import bodies
from bench.peers.program import FAST, REDIS, arguments

app: Any = Celery("bench", broker=f"{REDIS}/0", backend=f"{REDIS}/1")
if FAST:
    app.conf.worker_prefetch_multiplier = 64
TASKS: dict[str, Any] = {
    "noop": app.task(bodies.noop, name="noop"),
    "rest": app.task(bodies.doze, name="rest"),
    "burn": app.task(bodies.burn, name="burn"),
}


def work(cap: int, kind: str) -> None:
    command = str(Path(sys.executable).with_name("celery"))
    flags = ["--concurrency", str(cap)]
    if FAST and kind != "burn":
        flags += ["--pool", "threads", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    os.execv(command, [command, "-A", "bench.peers.celery", "worker", *flags])


class Client:
    async def fill(self, kind: str, numbers: Sequence[int], argument: float | None) -> None:
        for number in numbers:
            TASKS[kind].delay(*arguments(number, argument))

    async def one(self, number: int) -> Any:
        return TASKS["noop"].delay(number).get(timeout=60)


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    yield Client()
