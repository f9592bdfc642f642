"""The limits of one job, imposed by its own process on itself before the body begins.

Memory: RLIMIT_DATA, at what the process has when the body begins (the interpreter and the modules that the zygote
has loaded, shared copy-on-write) plus `memory_mb`. The kernel (Linux 4.7 and later) counts private writable memory
by address space: heap, private anonymous mappings, stacks of threads, touched or not. It does not count shared
memory and mapped files; nor what an allocator reserves and may not touch yet, which is why this is not RLIMIT_AS:
a thread alone would cost 64 MB there.

CPU time: SIGXCPU at `cpu_seconds` by a timer on the process's own CPU clock. RLIMIT_CPU, which has whole seconds
only, sends it again at the next second, and SIGKILL one second later to a body that handles or ignores it. Such a
body has passed its limit all the same, whatever it returns.

Open files and the size of each file: RLIMIT_NOFILE and RLIMIT_FSIZE. The system refuses more, with an error that
the body may handle.

All bind a process, not a tree: what the body starts inherits them (not the timer), and counts by itself. The
timeout is what bounds the tree.
"""

from __future__ import annotations

import math
import resource
import signal
import time
from typing import Final

from slotwise.errors import MAX_DETAIL_CHARS, JobError
from slotwise.failure import lacked_memory, traceback_of
from slotwise.limits import Limits
from worker import kernel
from worker.end import MB, cpu_limit, memory_limit

RESERVE_MB: Final = 16  # beyond the limit, for telling that it was reached
TRACEBACK_CHARS: Final = MAX_DETAIL_CHARS - 200  # the numbers before it are kept


class Bounds:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._private = self._resident = 0  # bytes, when the body began
        self._timer: kernel.Timer | None = None

    def impose(self) -> None:
        """Bind this process from now on."""
        if self._limits.memory_mb is not None and kernel.LINUX:
            self._private, self._resident = kernel.memory_bytes()
            most = self._private + self._limits.memory_mb * MB
            _tighten(resource.RLIMIT_DATA, most, most + RESERVE_MB * MB)
        if self._limits.cpu_seconds is not None:
            signal.signal(signal.SIGXCPU, signal.SIG_DFL)  # whatever a module set when it was loaded
            self._timer = kernel.Timer(time.CLOCK_PROCESS_CPUTIME_ID, signal.SIGXCPU)
            self._timer.set(self._limits.cpu_seconds)
            whole = math.ceil(self._limits.cpu_seconds)
            _tighten(resource.RLIMIT_CPU, whole, whole + 1)
        if self._limits.open_files is not None:
            _tighten(resource.RLIMIT_NOFILE, self._limits.open_files, self._limits.open_files)
        if self._limits.file_mb is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # write(2) fails instead, and the body hears why
            _tighten(resource.RLIMIT_FSIZE, self._limits.file_mb * MB, self._limits.file_mb * MB)

    def body_ended(self) -> None:
        """Leave room to tell of it: the reserve, and the second before SIGKILL."""
        if self._limits.cpu_seconds is not None:
            signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        if self._limits.memory_mb is not None and kernel.LINUX:
            _, most = resource.getrlimit(resource.RLIMIT_DATA)
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))

    def overspent(self) -> JobError | None:
        """The verdict on a body that used more CPU time than its limit."""
        used = time.process_time()
        if self._limits.cpu_seconds is None or used < self._limits.cpu_seconds:
            return None
        return cpu_limit(self._limits.cpu_seconds, used)

    def refused(self, error: BaseException) -> JobError | None:
        """The verdict on a body that ended by `error` because it was refused memory; None for any other error."""
        if self._limits.memory_mb is None or not lacked_memory(error):
            return None
        peak = kernel.peak_bytes(resource.getrusage(resource.RUSAGE_SELF)) - self._resident
        held = kernel.memory_bytes()[0] - self._private  # not always in RAM; the peak may have been given back
        most_mb = max(0, held, peak) / MB
        told = f"it had {most_mb:.0f} MB and asked for more\n\n{traceback_of(error)[-TRACEBACK_CHARS:]}"
        return memory_limit(self._limits.memory_mb, told)


def _tighten(what: int, soft: int, hard: int) -> None:
    """Set both limits, as far as those in force allow: nobody but root may raise a hard one."""
    _, most = resource.getrlimit(what)
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(what, (soft, hard))
