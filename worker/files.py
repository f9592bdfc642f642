"""Files that the user's modules opened when they were loaded: a fork shares their position, and a job must not.

What a job reads from such a file is therefore what the first job would have read. Sockets and pipes have no such
cure: they are one, whoever uses them.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker import kernel


@dataclass(frozen=True)
class Opened:
    descriptor: int
    flags: int
    position: int
    inheritable: bool


def opened() -> list[Opened]:
    """The regular files that this process has open, beyond its standard ones."""
    found = []
    for listed in Path("/proc/self/fd").iterdir() if kernel.LINUX else ():
        descriptor = int(listed.name)
        with suppress(OSError):  # that of the listing itself is closed by now
            if descriptor > 2 and stat.S_ISREG(os.fstat(descriptor).st_mode):
                found.append(
                    Opened(
                        descriptor,
                        fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~os.O_TMPFILE,
                        os.lseek(descriptor, 0, os.SEEK_CUR),
                        os.get_inheritable(descriptor),
                    )
                )
    return found


def reopen(files: Iterable[Opened]) -> None:
    """In the child: each with a position of its own. One that may not be opened again stays shared."""
    for file in files:
        with suppress(OSError):
            again = os.open(f"/proc/self/fd/{file.descriptor}", file.flags)
            os.lseek(again, file.position, os.SEEK_SET)
            os.dup2(again, file.descriptor, file.inheritable)
            os.close(again)
