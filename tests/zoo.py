"""Algorithms for the tests: each does one thing that a test needs to see."""

from __future__ import annotations

import asyncio
import ctypes
import mmap
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from arq import Retry

from slotwise import Context, algorithm
from tests.witness import attend, stay


@algorithm
def Add(a: int, b: int) -> int:
    """The sum."""
    return a + b


@algorithm
def Echo(value: Any) -> Any:
    return value


@algorithm
def Hold(seconds: float, name: str = "") -> str:
    """Blocks, in the witness's sight from start to death."""
    connection = attend(name)
    stay(connection, seconds)
    connection.close()
    return name


@algorithm(max_concurrent=1)
def HoldAlone(seconds: float, name: str = "") -> str:
    connection = attend(name)
    stay(connection, seconds)
    connection.close()
    return name


@algorithm(rate="3/second")
async def Seldom() -> None:
    attend("seldom").close()


@algorithm
async def HoldAsync(seconds: float, name: str = "") -> str:
    connection = attend(name)
    connection.setblocking(False)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().sock_recv(connection, 1)
    finally:
        connection.close()
    return name


@algorithm
def Spin(seconds: float) -> int:
    """Burns CPU in pure Python."""
    rounds, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        rounds += 1
    return rounds


@algorithm
def Hostile(name: str = "") -> None:
    """Ignores SIGTERM; leaves children, grandchildren, and processes in sessions of their own, all attended."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    keep = [attend(name)]
    script = "import time; from tests.witness import attend; c = attend(); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            keep.append(attend(name))
            time.sleep(600)
        os._exit(0)
    time.sleep(600)


@algorithm
def Raises(message: str = "no") -> None:
    raise ValueError(message)


@algorithm
def ReadsFile(path: str) -> str:
    """Fails while the file is not there."""
    return Path(path).read_text()


@algorithm
def RaisesOdd() -> None:
    raise ValueError("odd: \ud800 \x00 \x1b[31m é 漢")


@algorithm
def Exits(code: int = 3) -> None:
    sys.exit(code)


@algorithm
def Dies(code: int = 3) -> None:
    os._exit(code)


@algorithm
def Segfaults() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@algorithm
def NotJson() -> Any:
    return object()


@algorithm
def NotANumber() -> float:
    return float("nan")


@algorithm
def Large(size: int) -> str:
    return "x" * size


@algorithm
async def NotJsonAsync() -> Any:
    return {"x": object()}


@algorithm(max_attempts=3)
def FailsTwice(ctx: Context) -> int:
    if ctx.attempt < 3:
        raise ValueError(f"attempt {ctx.attempt}")
    return ctx.attempt


@algorithm
async def AsksAgain(ctx: Context) -> int:
    if ctx.attempt == 1:
        raise Retry(defer=0.05)
    return ctx.attempt


@algorithm
async def Stubborn() -> str:
    """Swallows its cancellation."""
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        return "done anyway"
    return "slept"


@algorithm
def WhoAmI(ctx: Context) -> dict[str, Any]:
    return {"pid": os.getpid(), "job_id": ctx.job_id, "attempt": ctx.attempt, "seconds": ctx.remaining_seconds()}


@algorithm
def KillsItsParent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


@algorithm
async def AsksSevenTimes(ctx: Context) -> int:
    if ctx.attempt < 7:
        raise Retry(defer=0.01)
    return ctx.attempt


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class BeyondException(BaseException):
    pass


@algorithm
async def RaisesUnprintable() -> None:
    raise Unprintable


@algorithm
async def RaisesBeyond() -> None:
    raise BeyondException("not an Exception")


@algorithm
async def ExitsAsync() -> None:
    sys.exit(5)


@algorithm
async def Nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@algorithm
async def CleansUp(key: str) -> None:
    """Takes its time to clean up, and says so when it has."""
    connection = attend("body")
    try:
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(1.2)
        connection.close()
        attend(key).close()


@algorithm
def Environment() -> list[str]:
    return sorted(os.environ)


@algorithm
def OpenFiles() -> int:
    """How many files it may open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@algorithm
def Allocate(mb: int, each: int = 1 << 20) -> int:
    """Holds so much memory, by pieces of `each` bytes, and gives it back."""
    held = [bytearray(each) for _ in range((mb << 20) // each)]
    return len(held)


@algorithm
def HoldMemory(mb: int, below: int, seconds: float) -> int:
    """Holds so much memory, and below it a process that holds some, too."""
    held = b"x" * (mb << 20)
    holds = f"import time; held = b'x' * ({below} << 20); time.sleep({seconds})"
    subprocess.run([sys.executable, "-S", "-c", holds], check=True)
    return len(held) >> 20


@algorithm(memory_mb=256, cpu_seconds=60, max_attempts=3)
def AllocateBounded(mb: int) -> int:
    return len(bytearray(mb << 20)) >> 20


@algorithm
def AllocateInC(mb: int, heed: bool = True) -> int:
    """By malloc(3): looks at what it got (`heed`), or writes there whatever it got."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    for _ in range(mb):
        piece = libc.malloc(ctypes.c_size_t(1 << 20))
        if heed and piece is None:
            raise MemoryError("malloc")
        ctypes.memset(piece, 1, 1 << 20)
    return mb


@algorithm
def MapPrivate(mb: int) -> int:
    with mmap.mmap(-1, mb << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as mapped:
        return len(mapped) >> 20


@algorithm
def SpinStubbornly(seconds: float, heed: bool = False) -> str:
    """Burns CPU; ignores SIGXCPU, or (`heed`) stops at it and returns as if nothing had been."""

    def stop(*_: object) -> None:
        raise InterruptedError

    signal.signal(signal.SIGXCPU, stop if heed else signal.SIG_IGN)
    end = time.process_time() + seconds
    try:
        while time.process_time() < end:
            pass
    except InterruptedError:
        return "heeded"
    return "done"


@algorithm
def SoftLimits() -> list[int]:
    return [
        resource.getrlimit(what)[0] for what in (resource.RLIMIT_CORE, resource.RLIMIT_DATA, resource.RLIMIT_CPU)
    ]


@algorithm
def Traced(ctx: Context, text: str) -> list[str]:
    """By which request it came, and what it passes on to what it starts."""
    print(text)
    passed = subprocess.run(["sh", "-c", "echo $TRACEPARENT"], capture_output=True, text=True, check=True)
    return [ctx.request_id, ctx.traceparent, passed.stdout.strip(), text]


@algorithm
def Loaded(package: str) -> list[str]:
    """What of it this process has imported."""
    return [name for name in sys.modules if name.partition(".")[0] == package]


@algorithm
async def RaisesOn(message: str) -> None:
    raise ValueError(message)
