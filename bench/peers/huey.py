"""huey: a thread a slot; CPU-bound jobs in a process a slot. Faster: `notify_result`, which wakes who waits."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from huey import RedisHuey

from bench.peers import bodies
from bench.peers.program import FAST, REDIS, arguments

app: Any = RedisHuey("bench", url=REDIS, notify_result=FAST)
TASKS: dict[str, Any] = {
    "noop": app.task(name="noop")(bodies.noop),
    "rest": app.task(name="rest")(bodies.doze),
    "burn": app.task(name="burn")(bodies.burn),
}


def work(cap: int, kind: str) -> None:
    command = str(Path(sys.executable).with_name("huey_consumer"))
    flags = ["--workers", str(cap), "--worker-type", "process" if kind == "burn" else "thread"]
    os.execv(command, [command, "bench.peers.huey.app", *flags])


class Client:
    async def fill(self, kind: str, numbers: Sequence[int], argument: float | None) -> None:
        for number in numbers:
            TASKS[kind](*arguments(number, argument))

    async def one(self, number: int) -> Any:
        return TASKS["noop"](number).get(blocking=True, timeout=60)


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    yield Client()
