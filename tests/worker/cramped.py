"""A user's module that leaves the process which loads it no room to fork, until SIGUSR1: for a zygote only."""

from __future__ import annotations

import os
import resource
import signal

from slotwise import algorithm

NOBODY = 65534

HARD = resource.getrlimit(resource.RLIMIT_NPROC)[1]

resource.setrlimit(resource.RLIMIT_NPROC, (0, HARD))
signal.signal(signal.SIGUSR1, lambda *_: resource.setrlimit(resource.RLIMIT_NPROC, (HARD, HARD)))
if os.getuid() == 0:  # the kernel counts no processes of root's
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


@algorithm
def Twice(number: int) -> int:
    return 2 * number
