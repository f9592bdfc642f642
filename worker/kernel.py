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
from pathlib import Path
from typing import Final

LINUX: Final = sys.platform.startswith("linux")

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while the machine sleeps
_SIGEV_SIGNAL: Final = 0
_TIMER_ABSTIME: Final = 1

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
