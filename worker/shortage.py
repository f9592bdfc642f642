"""What the machine may run out of when a job's process is made: descriptors, processes, memory.

None of it is the doing of the job whose turn it was: such a job has not begun, and waits again.
"""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Final

ERRNOS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOBUFS, errno.ETOOMANYREFS}
)
OPEN_FILES: Final = 65_536  # at most: two a job that starts and one a job that runs


class NoProcess(RuntimeError):
    """A job could not be given a process: its body has not begun, and another try may do.

    `pause_seconds` is how long the job had better wait for that.
    """

    def __init__(self, why: str, pause_seconds: float = 1.0) -> None:
        super().__init__(why)
        self.pause_seconds = pause_seconds


class NoZygote(NoProcess):
    """Nor is there what could make one: the users' modules or start-up hooks fail."""


@contextmanager
def as_no_process() -> Iterator[None]:
    """Turn an OSError that says what the machine is short of into NoProcess."""
    try:
        yield
    except OSError as error:
        if error.errno not in ERRNOS:
            raise
        raise NoProcess(str(error)) from error


@cache
def raise_open_files() -> int:
    """Let this process hold as many descriptors as it may; returns how many it might before.

    Once a process. Jobs get the old limit back: select() in their code knows no descriptor above 1023.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):  # macOS calls a limit infinite that is not
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return soft


def set_open_files(soft: int) -> None:
    """Hold this process, and what it starts, to `soft` descriptors."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
