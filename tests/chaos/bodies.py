"""The algorithms of a chaos run: honest work of each executor, and jobs that mean harm.

Each tells the referee when it starts, and holds the connection until it ends or dies.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Self

from slotwise import Context, algorithm

ADDRESS = "SLOTWISE_REFEREE"
MEMBER = "SLOTWISE_CHAOS_MEMBER"  # which worker of the stage this is


class Seat:
    """A connection to the referee. Left without an exception it says that the body ended by itself."""

    def __init__(self, job_id: str, attempt: int, role: str = "body") -> None:
        self.nonce = secrets.token_hex(8)
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(os.environ[ADDRESS])
        hello = {"job": job_id, "attempt": attempt, "role": role, "nonce": self.nonce, "pid": os.getpid()}
        self._connection.sendall(json.dumps(hello | {"member": os.environ.get(MEMBER, "")}).encode() + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._connection.sendall(b"done\n")
        self._connection.close()


@algorithm
def InProcess(ctx: Context, n: int, ms: int) -> dict[str, Any]:
    with Seat(ctx.job_id, ctx.attempt) as seat:
        time.sleep(ms / 1000)
    return {"n": n, "nonce": seat.nonce}


@algorithm
async def InLoop(ctx: Context, n: int, ms: int) -> dict[str, Any]:
    with Seat(ctx.job_id, ctx.attempt) as seat:
        await asyncio.sleep(ms / 1000)
    return {"n": n, "nonce": seat.nonce}


@algorithm(executor="thread")
def InThread(ctx: Context, n: int, ms: int) -> dict[str, Any]:
    with Seat(ctx.job_id, ctx.attempt) as seat:
        time.sleep(ms / 1000)
    return {"n": n, "nonce": seat.nonce}


@algorithm
async def BlocksLoop(ctx: Context, n: int, ms: int) -> dict[str, Any]:
    with Seat(ctx.job_id, ctx.attempt) as seat:
        time.sleep(ms / 1000)  # noqa: ASYNC251 - that is its harm
    return {"n": n, "nonce": seat.nonce}


@algorithm
def Hostile(ctx: Context, n: int, ms: int) -> None:
    """Ignores SIGTERM, leaves a child in a session of its own and an orphan; ends by its timeout only."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    seats = [Seat(ctx.job_id, ctx.attempt)]
    script = (
        "import sys, time; from tests.chaos.bodies import Seat; s = Seat(sys.argv[1], 0, 'kin'); time.sleep(600)"
    )
    subprocess.Popen([sys.executable, "-c", script, ctx.job_id], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            seats.append(Seat(ctx.job_id, ctx.attempt, "kin"))
            time.sleep(600)
        os._exit(0)
    time.sleep(600)


@algorithm
def Poison(ctx: Context, n: int, ms: int, way: str) -> Any:
    with Seat(ctx.job_id, ctx.attempt):
        if way == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif way == "exit":
            os._exit(3)
        elif way == "large":
            return "x" * 3_000_000
        elif way == "talk":
            for _ in range(2_000):
                print("x" * 1_000)
        elif way == "zygote":
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        raise ValueError(way)
