"""Where the embedded server's socket is: a short path, in a directory that nobody else can use.

The data directory itself cannot hold it: its path may be longer than a socket's may be.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from slotwise.errors import SlotwiseError

LONGEST_PATH: Final = 99  # bytes; sockaddr_un has room for 104 on macOS, 108 on Linux


def path_for(data: Path) -> Path:
    """The socket's path for a resolved data directory; makes its parent. Raises: SlotwiseError `no-server`."""
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16] + ".sock"
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - the directory inside is checked
        path = Path(parent) / f"slotwise-{os.getuid()}" / name
        if len(os.fsencode(path)) <= LONGEST_PATH:
            break
    check_private(path.parent)
    return path


def check_private(directory: Path) -> None:
    """Make the directory if it is missing. Raises: SlotwiseError `no-server` unless it is ours alone."""
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise SlotwiseError("no-server", f"cannot use {directory}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SlotwiseError("no-server", f"{directory} must be a directory of your own, with mode 700")
