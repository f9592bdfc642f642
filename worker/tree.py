"""The processes below this one: which there are, and their end. Told by Linux only; elsewhere there are none."""

from __future__ import annotations

import mmap
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from worker.kernel import LINUX


def children(pid: int) -> set[int]:
    """The processes whose parent is `pid` now, ended ones too; none once it is gone.

    Raises: OSError where the kernel cannot say: no descriptor is free, for one. That is not the same as none.
    """
    if not LINUX:
        return set()
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  (glob takes every error for nothing there)
        return set().union(*(_children_of_thread(pid, thread) for thread in threads))
    except (FileNotFoundError, ProcessLookupError):
        return set()


def _children_of_thread(pid: int, thread: str) -> Iterator[int]:
    try:
        yield from map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):  # the thread ended while we looked
        return


def descendants(pid: int) -> set[int]:
    """What is below `pid` now, by one walk: what forks meanwhile, or cannot be read, is missed."""
    found: set[int] = set()
    parents = [pid]
    with suppress(OSError):
        while parents:
            below = children(parents.pop()) - found
            found |= below
            parents.extend(below)
    return found


def parent(pid: int) -> int | None:
    """None once it is gone, and where nobody tells."""
    fields = _told(pid, "stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else None


def private_bytes(pid: int) -> int:
    """What it holds in RAM that is no file's, shared memory neither; 0 once it is gone, and where nobody tells."""
    fields = _told(pid, "statm").split()  # which, unlike smaps, waits for no lock of the process
    return (int(fields[1]) - int(fields[2])) * mmap.PAGESIZE if fields else 0


def _told(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text() if LINUX else ""
    except OSError:
        return ""


class Brood:
    """The children of this process, whose main thread makes them all: told without a free descriptor."""

    def __init__(self) -> None:
        self._file: int | None = None
        if LINUX:
            me = os.getpid()
            self._file = os.open(f"/proc/{me}/task/{me}/children", os.O_RDONLY)

    def now(self) -> set[int]:
        """Ended ones too, until they are reaped. Raises: OSError."""
        if self._file is None:
            return set()
        told, at = b"", 0
        while data := os.pread(self._file, 1 << 16, at):
            told += data
            at += len(data)
        return set(map(int, told.split()))

    def end(self) -> None:
        """Kill and reap until nothing is left below this process (blocking)."""
        while heirs := self.now():
            for pid in heirs | {below for heir in heirs for below in descendants(heir)}:
                strike(pid)
            with suppress(ChildProcessError):
                os.waitpid(-1, 0)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)


def strike(pid: int) -> None:
    """SIGKILL this process, and its whole group unless that is ours: no fork within a group escapes."""
    with suppress(ProcessLookupError, PermissionError):
        group = os.getpgid(pid)
        os.kill(pid, signal.SIGKILL)
        if group != os.getpgrp():
            os.killpg(group, signal.SIGKILL)


def own_cpu_seconds_of_next_killed() -> dict[int, float]:
    """By process: the CPU time, without its children's, of the child that is reaped next, if SIGKILL ended it.

    Only told until it is reaped; empty for any other end, and where the kernel does not tell. Raises:
    ChildProcessError without any child.
    """
    ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) if LINUX else None
    if ended is None or (ended.si_code, ended.si_status) != (os.CLD_KILLED, signal.SIGKILL):
        return {}
    try:
        fields = Path(f"/proc/{ended.si_pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return {}
    return {ended.si_pid: (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")}
