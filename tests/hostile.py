"""Plain functions that do what no function should: each one beast of the zoo (tests/worker/test_zoo.py)."""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import itertools
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from arq import Retry

from slotwise import Context, algorithm
from slotwise.errors import JobError
from tests.witness import attend

AGES = 120.0  # seconds
# of a fork bomb here, for the sake of the machine, should nobody end it
MOST_PROCESSES = 100
BOMB_SECONDS = 15.0


# what it says as it ends


class Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit("no words")

    __repr__ = __str__


class Babbler(Exception):
    def __str__(self) -> str:
        return "blah " * 10_000_000


class Unshowable:
    def __repr__(self) -> str:
        raise KeyboardInterrupt


@algorithm
def RaisesChained() -> None:
    try:
        raise KeyError("the cause")
    except KeyError as error:
        raise RuntimeError("the effect") from error


@algorithm
def RaisesLongChain() -> None:
    error: Exception | None = None
    for number in range(20_000):
        error, before = ValueError(str(number)), error
        error.__cause__ = before
    assert error is not None
    raise error


@algorithm
def RaisesCycle() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


@algorithm
def RaisesDeepGroup() -> None:
    error: Exception = ValueError("core")
    for _ in range(5_000):
        error = ExceptionGroup("shell", [error])
    raise error


@algorithm
def RaisesMute() -> None:
    raise Mute


@algorithm
def RaisesBabble() -> None:
    raise Babbler


@algorithm
def RaisesJobError(kind: str) -> None:
    raise JobError(kind, "made up")


@algorithm
def RaisesKeyboardInterrupt() -> None:
    raise KeyboardInterrupt


@algorithm
def RaisesCancelled() -> None:
    raise asyncio.CancelledError


@algorithm
def RaisesTimeout() -> None:
    raise TimeoutError


@algorithm
def ExitsOddly() -> None:
    sys.exit(Unshowable())  # type: ignore[arg-type]


@algorithm
def RecursesForEver() -> int:
    return _recurse(0)


def _recurse(depth: int) -> int:
    return _recurse(depth + 1) + 1


@algorithm
def AsksAgainForAges(seconds: float, ctx: Context) -> str:
    if ctx.attempt == 1:
        again = Retry()
        again.defer_score = int(seconds * 1000)
        raise again
    return "again"


@algorithm
def AsksAgainOddly() -> None:
    again = Retry()
    again.defer_score = "soon"  # type: ignore[assignment]
    raise again


# what it returns


@algorithm
def Returns(what: str) -> Any:
    return RESULTS[what]()


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


class Treacherous(dict[str, int]):
    def items(self) -> NoReturn:  # type: ignore[override]
        raise SystemExit(9)

    __iter__ = items  # type: ignore[assignment]


async def _coroutine() -> None: ...


RESULTS: dict[str, Callable[[], Any]] = {
    "inf": lambda: [1.0, float("-inf")],
    "surrogate": lambda: "\ud800",
    "surrogate key": lambda: {"\ud800": 1},
    "deep": lambda: _nested(10_000),
    "circular": _circular,
    "huge int": lambda: 10**100_000,
    "bytes": lambda: b"\xff\xfe",
    "coroutine": _coroutine,
    "function": lambda: _nested,
    "endless": lambda: itertools.repeat("x" * 1000),
    "generator": lambda: (number for number in range(3)),
    "treacherous": lambda: Treacherous(a=1),
    "module": lambda: json,
}


# what it does to its own process


@algorithm
def Signals(number: int, group: bool = False) -> None:
    if group:
        os.killpg(0, number)
    os.kill(os.getpid(), number)
    time.sleep(AGES)


@algorithm
def DereferencesNull() -> None:
    ctypes.string_at(0)


@algorithm
def OverflowsTheStack() -> None:
    sys.setrecursionlimit(10**9)
    repr(_nested(1_000_000))


@algorithm
def SetsAnAlarm() -> None:
    signal.alarm(1)
    time.sleep(AGES)


@algorithm
def BecomesAnother(program: str, argument: str) -> None:
    os.execvp(program, [program, argument])


@algorithm
def SpinsInC() -> int:
    return sum(range(10**15))


@algorithm
def HidesFromSignals() -> None:
    for number in range(1, 65):
        if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    time.sleep(AGES)


@algorithm
def CatchesItsShortage() -> str:
    try:
        bytearray(1 << 40)
    except MemoryError:
        return "made do"
    return "had it"


@algorithm
def HidesItsShortage(how: str) -> None:
    try:
        bytearray(1 << 30)
    except MemoryError as error:
        if how == "cause":
            raise RuntimeError("it did not work") from error
        raise ExceptionGroup("together", [ValueError("one"), ExceptionGroup("inner", [error])]) from None


@algorithm
def ClosesEverything() -> int:
    os.closerange(0, 4096)
    return 1


@algorithm
def ClosesItsOutput() -> int:
    sys.stdout.close()
    sys.stderr.close()
    os.closerange(1, 3)
    return 1


@algorithm
def PutsAFileInTheWay(directory: str) -> int:
    """Every descriptor that it had is a file of its own now, that of its answer among them."""
    path = Path(directory) / "in-the-way"
    os.closerange(3, 4096)
    with path.open("wb") as file:
        for number in range(4, 256):
            os.dup2(file.fileno(), number)
        return 1


@algorithm
def ReplacesItsOutput() -> int:
    class Broken:
        def flush(self) -> None:
            raise RuntimeError("no flush")

        write = None

    sys.stdout = sys.stderr = Broken()  # type: ignore[assignment]
    return 1


@algorithm
def Monkeypatches() -> int:
    def never(*_: object, **__: object) -> None: ...

    os._exit = os.getpid = os.fork = os.write = never  # type: ignore
    json.dumps = json.loads = never  # type: ignore
    sys.exit = never  # type: ignore
    sys.modules.clear()
    return 1


@algorithm
def LowersItsLimits() -> int:
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    return 1


@algorithm
def LimitsItsTime() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    while True:
        pass


@algorithm
def HangsAtExit() -> int:
    atexit.register(time.sleep, AGES)
    return 1


@algorithm
def LeavesThreads() -> int:
    for _ in range(8):
        threading.Thread(target=time.sleep, args=[AGES]).start()
    return 1


@algorithm(open_files=64)
def OpensTooManyFiles() -> int:
    held: list[int] = []
    while len(held) < 20_000:
        held.append(os.open(os.devnull, os.O_RDONLY))
    return len(held)


@algorithm(file_mb=2)
def FillsAFile() -> int:
    with tempfile.TemporaryFile() as file:
        for _ in range(64):
            file.write(b"x" * (1 << 20))
            file.flush()
    return 64


@algorithm
def Talks(mb: int) -> int:
    for _ in range(mb):
        print("x" * ((1 << 20) - 1))
    return mb


# what it says on the socket of its answer


def _answering() -> socket.socket:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) > 2 and Path(f"/proc/self/fd/{name}").is_socket():
            found = socket.socket(fileno=int(name))
            if found.family == socket.AF_UNIX:
                return found
            found.detach()
    raise AssertionError("no socket")


@algorithm
def Forges(message: str, kind: str, declared: int = -1) -> str:
    body, answering = message.encode(), _answering()
    answering.sendall(struct.pack(">Ic", len(body) if declared < 0 else declared, kind.encode()) + body)
    answering.detach()
    return "said it"


@algorithm
def Floods() -> None:
    answering = _answering()
    while True:
        answering.sendall(struct.pack(">Ic", 1, b"?") + b"1")


# what it does with other processes


@algorithm
def ForksAndBothReturn() -> int:
    return os.fork() and 1


@algorithm
def ForksABomb() -> None:
    """Each process makes others, as long as there have been less than MOST_PROCESSES of them."""
    end = time.monotonic() + BOMB_SECONDS
    with tempfile.TemporaryFile(buffering=0) as made:
        while time.monotonic() < end:
            if os.fstat(made.fileno()).st_size < MOST_PROCESSES:
                os.write(made.fileno(), b"x")
                os.fork()
            else:
                time.sleep(0.01)
    os._exit(0)


@algorithm
def Flees(processes: int) -> int:
    """Leaves comets behind: processes that fork and exit, all the time, each in a session of its own."""
    end = time.monotonic() + BOMB_SECONDS
    for _ in range(processes):
        if os.fork() == 0:
            while time.monotonic() < end:
                os.setsid()
                if os.fork():
                    os._exit(0)
            os._exit(0)
    return processes


@algorithm
def LeavesADaemon() -> int:
    keep = attend("daemon")
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
            os.closerange(0, keep.fileno())
            time.sleep(AGES)
        os._exit(0)
    return 1


@algorithm
def LeavesAStoppedChild() -> int:
    keep = attend("stopped")
    child = subprocess.Popen(["sleep", str(AGES)], pass_fds=[keep.fileno()], env={})
    child.send_signal(signal.SIGSTOP)
    return 1


@algorithm
def LeavesAReaper() -> int:
    """Its child adopts orphans itself, and has some."""
    keep = attend("reaper")
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
        for _ in range(3):
            if os.fork() == 0:
                os.fork()
                break
        time.sleep(AGES)
    keep.close()
    return 1


@algorithm
def BurnsInAChildAndDies() -> None:
    """Its child used the CPU time, and it waited for that child."""
    if (child := os.fork()) == 0:
        end = time.process_time() + 0.6
        while time.process_time() < end:
            pass
        os._exit(0)
    os.waitpid(child, 0)
    os.kill(os.getpid(), signal.SIGKILL)


@algorithm
def StopsItsParent() -> None:
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(AGES)


@algorithm(memory_mb=64)
def AllocatesTogether(children: int, mb: int) -> int:
    """Each process stays below the limit, and all of them together do not."""
    for _ in range(children):
        if os.fork() == 0:
            held = bytearray(mb << 20)
            held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
            time.sleep(AGES)
    for _ in range(children):
        os.wait()
    return children


@algorithm
def ForksAsManyAsItMay() -> int:
    made = 0
    try:
        while made < 500:
            if os.fork() == 0:
                time.sleep(AGES)
            made += 1
    except BlockingIOError:
        pass
    return made


# what else runs


@algorithm
def Canary(until: str, name: str = "canary") -> dict[str, Any]:
    """Sings until the file is there; tells what is left of its world then."""
    keep = attend(name)
    mask = os.umask(0)
    os.umask(mask)
    while not Path(until).exists():
        time.sleep(0.05)
    keep.close()
    return {"mask": mask, "alive": True}
