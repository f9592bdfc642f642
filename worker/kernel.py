"""What we ask of the kernel, so that a promise holds even while every process of ours is stopped.

On Linux by prctl(2) and timer_create(2); where the kernel has no such thing (macOS), the call says False.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

LINUX: Final = sys.platform.startswith("linux")

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while the machine sleeps
_SIGEV_SIGNAL: Final = 0
_TIMER_ABSTIME: Final = 1

YES, NO, ENDING = "yes", "no", "ending"
ENDING_SECONDS: Final = 0.001

_libc = ctypes.CDLL(None, use_errno=True)


def clock() -> float:
    """Seconds on the clock that leases are counted by on this machine; no wall clock."""
    return time.clock_gettime(_CLOCK)


def die_with_parent(parent: int) -> bool:
    """Let the kernel SIGKILL this process when the thread that forked it ends. False where it cannot."""
    if not LINUX:
        return False
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)
    return True


def adopt_orphans() -> bool:
    """Make descendants whose parent died children of this process. False where it cannot."""
    return LINUX and _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def children(pid: int) -> set[int]:
    """The processes whose parent is `pid` now; empty where the kernel does not tell."""
    found: set[int] = set()
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  (a Path costs five times as much, for each job)
            with suppress(OSError), open(f"/proc/{pid}/task/{task}/children", "rb", 0) as listing:  # noqa: PTH123
                found.update(map(int, listing.read().split()))
    return found


def descendants(pid: int) -> set[int]:
    """Everything below `pid` now, by one walk: what forks meanwhile may be missed."""
    found: set[int] = set()
    parents = [pid]
    while parents:
        below = children(parents.pop()) - found
        found |= below
        parents.extend(below)
    return found


def strike(pid: int) -> None:
    """SIGKILL this process, and its whole group unless that is ours: no fork within a group escapes."""
    with suppress(ProcessLookupError, PermissionError):
        group = os.getpgid(pid)
        os.kill(pid, signal.SIGKILL)
        if group != os.getpgrp():
            os.killpg(group, signal.SIGKILL)


def end_children() -> None:
    """Kill and reap until nothing is left below this process (blocking)."""
    while heirs := children(os.getpid()):
        for pid in heirs | {below for heir in heirs for below in descendants(heir)}:
            strike(pid)
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)


def kill_heirs(mark: str) -> None:
    """Kill, and wait for, every child of this process that carries `mark` in its environment (blocking).

    A process that is about to end has no environment any more, and still children that will be ours.
    """
    while heirs := {
        pid: carried for pid in children(os.getpid()) if (carried := _carries(pid, mark.encode())) != NO
    }:
        for pid, carried in heirs.items():
            if carried == YES:
                with suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        if YES not in heirs.values():
            time.sleep(ENDING_SECONDS)


def _heirs(mark: bytes) -> dict[int, str]:
    carried = {pid: _carries(pid, mark) for pid in children(os.getpid())}
    return {pid: answer for pid, answer in carried.items() if answer != NO}


def _carries(pid: int, mark: bytes) -> str:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        if not environment:
            state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1]
            return NO if state == b"Z" else ENDING
    except OSError:
        return NO
    return YES if mark in environment.split(b"\0") else NO


def memory_bytes() -> tuple[int, int]:
    """This process's private writable memory, as RLIMIT_DATA counts it, and what is in RAM; 0: not told."""
    if not LINUX:
        return 0, 0
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    private, resident = (int(status[name].split()[0]) << 10 for name in ("VmData", "VmRSS"))
    return private, resident


def peak_bytes(usage: resource.struct_rusage) -> int:
    """The most that was in RAM, by getrusage(2): in KB on Linux, in bytes on macOS."""
    return usage.ru_maxrss << 10 if LINUX else usage.ru_maxrss


class _SignalEvent(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("padding", ctypes.c_char * 48),
    )


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Timer:
    """A kernel timer that sends this very process a signal; not inherited by a fork."""

    def __init__(self, clock: int, number: signal.Signals) -> None:
        self._timer: ctypes.c_void_p | None = None
        if LINUX:
            event = _SignalEvent(signo=number, notify=_SIGEV_SIGNAL)
            timer = ctypes.c_void_p()
            if _libc.timer_create(clock, ctypes.byref(event), ctypes.byref(timer)) == 0:
                self._timer = timer

    def set(self, at: float | None) -> bool:
        """Fire at `at` on its clock; None: never. False where the kernel has no such timer."""
        return self._set(_TIMER_ABSTIME, 0 if at is None else max(1, int(at * 1e9)), 0)

    def repeat(self, seconds: float) -> bool:
        """Fire again and again, so far apart. False where the kernel has no such timer."""
        return self._set(0, int(seconds * 1e9), int(seconds * 1e9))

    def _set(self, flags: int, first: int, interval: int) -> bool:
        if self._timer is None:
            return False
        spec = _TimerSpec(_Timespec(*divmod(interval, 10**9)), _Timespec(*divmod(first, 10**9)))
        return bool(_libc.timer_settime(self._timer, flags, ctypes.byref(spec), None) == 0)


class Restart(Timer):
    """A timer that continues this process over and over: nobody can stop it for longer than `seconds`.

    The signal has a handler, which costs a moment each time: a timer whose signal is ignored rests (Linux 6.13).
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(_CLOCK, signal.SIGCONT)
        signal.signal(signal.SIGCONT, lambda *_: None)
        self.repeat(seconds)


class Deadline(Timer):
    """A timer on `clock()` that SIGKILLs this process, stopped or not, unless it is moved in time."""

    def __init__(self) -> None:
        super().__init__(_CLOCK, signal.SIGKILL)
