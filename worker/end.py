"""The end of a job's process, as its parent saw it, and what an end is called under the job's limits.

Pure rules. The usage is the kernel's (wait4).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from slotwise.errors import JobError
from slotwise.limits import Limits

MB: Final = 1 << 20
NEAR: Final = 0.8  # of the limit: a process that aborts with so much resident memory was refused more
# How a process ends that cannot do without the memory it was refused; SIGKILL is the kernel's own out-of-memory.
STARVED: Final = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGKILL})


@dataclass(frozen=True, slots=True)
class End:
    """`status` is the wait status; `peak_mb` the most resident memory, beyond what the process began with.

    `own_cpu_seconds` is without the descendants that it waited for, by the kernel's clock tick.
    """

    status: int
    cpu_seconds: float
    peak_mb: float
    own_cpu_seconds: float
    out_of_memory: bool = False  # the kernel ended something of its tree for want of memory within its group

    def told(self) -> dict[str, Any]:
        """For the zygote's ENDED."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> End:
        """From the zygote's ENDED."""
        return cls(
            told["status"], told["cpu_seconds"], told["peak_mb"], told["own_cpu_seconds"], told["out_of_memory"]
        )


def memory_limit(limit_mb: int, used: str) -> JobError:
    return JobError(
        "memory_limit", f"the job needed more than its {limit_mb} MB (memory_mb)", f"limit {limit_mb} MB; {used}"
    )


def cpu_limit(limit_seconds: float, used_seconds: float) -> JobError:
    return JobError(
        "cpu_limit",
        f"the job used more than its {limit_seconds:g} s of CPU time (cpu_seconds)",
        f"limit {limit_seconds:g} s; it had used {used_seconds:.2f} s",
    )


def describe(end: End, limits: Limits) -> JobError:
    """What became of a process that ended without a word.

    Memory that was refused leaves no trace in a dead process: it is told from the memory that it had.
    """
    code = os.waitstatus_to_exitcode(end.status)
    if code >= 0:
        return _crashed(f"ended with exit code {code} and no result", f"exit code {code}", end, limits)
    cpu, memory = limits.cpu_seconds, limits.memory_mb
    if cpu is not None and (-code == signal.SIGXCPU or (-code == signal.SIGKILL and end.own_cpu_seconds >= cpu)):
        return cpu_limit(cpu, end.own_cpu_seconds)
    if memory is not None and end.out_of_memory:
        return memory_limit(memory, "its processes together passed it, and the kernel ended them")
    name = _name(-code)
    if memory is not None and -code in STARVED and end.peak_mb >= NEAR * memory:
        return memory_limit(memory, f"it had {end.peak_mb:.0f} MB when {name} ended it")
    return _crashed(f"was killed by {name}", f"signal {-code} ({name})", end, limits)


def _crashed(how: str, detail: str, end: End, limits: Limits) -> JobError:
    if limits.memory_mb is not None:
        detail += f"; it had at most {end.peak_mb:.0f} of its {limits.memory_mb} MB"
    return JobError("crashed", f"the job's process {how}", detail)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
