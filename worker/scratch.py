"""Where jobs' processes keep temporary files: a directory a job, below one a zygote.

The one who holds the lock on a zygote's directory is alive; directories without one are a dead worker's, and are
removed by whoever starts next.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

PREFIX: Final = "slotwise-jobs-"
UNLOCKED: Final = ".slotwise-jobs-"  # not yet locked, and therefore nobody's to remove
# A job may have left what its owner may not enter, or what is too deep for a walk in Python.
REMOVE: Final = """
for each; do
    rm -rf -- "$each" || { chmod -R u+rwX -- "$each"; rm -rf -- "$each"; }
done 2>/dev/null
"""
PLAIN: Final = {"PATH": os.defpath}


class Scratch:
    """A zygote's directory. Raises: OSError where none can be made."""

    def __init__(self) -> None:
        self._made = 0
        self.path, self._lock = self._locked()

    @staticmethod
    def _locked() -> tuple[Path, int]:
        made = Path(tempfile.mkdtemp(prefix=UNLOCKED))
        lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return made.rename(made.with_name(PREFIX + made.name[len(UNLOCKED) :])), lock

    def pass_on(self) -> None:
        """Leave the lock to the process that has forked us."""
        os.close(self._lock)

    def new(self) -> Path:
        """The directory of one job, whose process makes it.

        Where somebody has removed the one above, there is another: the next start removes it.
        """
        self._made += 1
        if not self.path.is_dir():
            with suppress(OSError):
                self.path, self._lock = self._locked()
        return self.path / str(self._made)

    def sweep(self) -> int | None:
        """Remove what dead workers left; the id of the process that does so, where there is something."""
        left = [found for found in self.path.parent.glob(PREFIX + "*") if found != self.path and _abandoned(found)]
        return _remover(*left) if left else None

    def remove(self) -> None:
        """Remove everything (blocking)."""
        subprocess.run(_removal(self.path), env=PLAIN, check=False)


def clear(path: Path) -> int | None:
    """Remove a job's directory; the id of the process that does so, where there is more than a directory.

    Raises: OSError.
    """
    try:
        path.rmdir()
    except FileNotFoundError:
        return None
    except OSError:
        return _remover(path)
    return None


def use(path: Path) -> None:
    """In a job's process: make its directory, and let everything find it."""
    with suppress(OSError):  # the disk is full, or read-only: a job that needs it will say so
        path.mkdir(0o700)
    os.environ["TMPDIR"] = str(path)
    if "tempfile" in sys.modules:
        tempfile.tempdir = str(path)


def _abandoned(path: Path) -> bool:
    """Whether it is ours to remove."""
    with suppress(OSError):
        return path.lstat().st_uid == os.getuid() and _unlocked(path)
    return False


def _unlocked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _removal(*paths: Path) -> list[str]:
    return ["sh", "-c", REMOVE, "sh", *map(str, paths)]


def _remover(*paths: Path) -> int:
    return os.posix_spawn("/bin/sh", _removal(*paths), PLAIN)
