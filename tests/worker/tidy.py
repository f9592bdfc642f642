"""A user's module: jobs whose ends get in each other's way, or whose processes show what they were given."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from slotwise import algorithm


@algorithm
def LeavesDeaf(path: str) -> None:
    """Its child hears no SIGTERM, and says in `path` that it is up."""
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Path(path).write_text("up\n")
        time.sleep(600)
    time.sleep(600)


@algorithm
def LeavesOutlaw(path: str) -> None:
    """Twice removed, in a session of its own, without our environment; its id stands in `path`."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            Path(path).write_text(f"{os.getpid()}\n")
            os.execve("/bin/sleep", ["sleep", "600"], {"NOTHING": "ours"})
        os._exit(0)
    time.sleep(600)


@algorithm
def Rests(seconds: float) -> None:
    time.sleep(seconds)


@algorithm
def Channels() -> list[str]:
    """What it has open that is a socket, and what of it a program that it starts would have."""
    numbers = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208
    found = []
    for number in numbers:
        try:
            where = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
        except OSError:  # that of the listing
            continue
        if where.startswith("socket:"):
            found.append("inheritable" if os.get_inheritable(number) else "own")
    return found


@algorithm
def Environment() -> list[str]:
    return list(os.environ)
