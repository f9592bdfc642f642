"""What the end of a job's process is called."""

from __future__ import annotations

import signal

import pytest

from slotwise.limits import Limits
from worker.end import End, describe

BOTH = Limits(64, 0.5)
NEAR, FAR = 60.0, 20.0  # MB
EXIT_3 = 3 << 8


@pytest.mark.parametrize(
    ("status", "cpu", "peak", "limits", "kind"),
    [
        (signal.SIGXCPU, 0.5, 1, BOTH, "cpu_limit"),
        (signal.SIGKILL, 2.0, 1, BOTH, "cpu_limit"),
        (signal.SIGKILL, 0.1, 1, BOTH, "crashed"),  # somebody's kill -9
        (signal.SIGXCPU, 9.0, 1, Limits(64), "crashed"),  # no limit of ours
        (signal.SIGKILL, 9.0, 1, Limits(), "crashed"),
        (signal.SIGKILL, 0.1, NEAR, BOTH, "memory_limit"),
        (signal.SIGABRT, 0.1, NEAR, BOTH, "memory_limit"),
        (signal.SIGSEGV, 0.1, NEAR, BOTH, "memory_limit"),
        (signal.SIGSEGV, 0.1, FAR, BOTH, "crashed"),
        (signal.SIGSEGV, 0.1, NEAR, Limits(cpu_seconds=1), "crashed"),
        (signal.SIGTERM, 0.1, NEAR, BOTH, "crashed"),
        (EXIT_3, 0.1, NEAR, BOTH, "crashed"),
        (0, 0.1, 1, Limits(), "crashed"),
    ],
)
def test_describe(status: int, cpu: float, peak: float, limits: Limits, kind: str) -> None:
    assert describe(End(status, 9.0, peak, cpu), limits).type == kind


def test_a_crash_says_how_and_what_it_had() -> None:
    told = describe(End(signal.SIGSEGV, 0.1, FAR, 0.1), Limits(64))
    assert told.message == "the job's process was killed by SIGSEGV"
    assert told.detail == "signal 11 (SIGSEGV); it had at most 20 of its 64 MB"
    assert describe(End(EXIT_3, 0.1, FAR, 0.1), Limits()).detail == "exit code 3"
    assert "signal 63" in describe(End(63, 0.1, FAR, 0.1), Limits()).message
