"""The command `slotwise` as a process of its own: with pipes, as scripts have it, or on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from slotwise.settings import Settings

SLOTWISE = Path(sys.executable).with_name("slotwise")
Result = subprocess.CompletedProcess[str]
_NOT_OURS = {"SLOTWISE_URL", "SLOTWISE_KEY", "NO_COLOR", *map(str.upper, Settings.model_fields)}


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """This one's, without what would steer the command, and `env`."""
    return {name: value for name, value in os.environ.items() if name.upper() not in _NOT_OURS} | dict(env)


def slotwise(cwd: Path, *arguments: str, timeout: float = 90, **env: str) -> Result:
    return subprocess.run(
        [SLOTWISE, *arguments],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def on_a_terminal(cwd: Path, *arguments: str, **env: str) -> tuple[int, str]:
    """Exit status, and all that a terminal was told."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [SLOTWISE, *arguments], cwd=cwd, env=environment(env), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    told = b""
    try:
        while data := os.read(ours, 65_536):
            told += data
    except OSError:  # the last that wrote to it is gone
        pass
    os.close(ours)
    return process.wait(30), told.decode()
