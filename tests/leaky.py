"""Algorithms that leave something behind, and look for what others left."""

from __future__ import annotations

import importlib
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from slotwise import algorithm
from tests.witness import attend

SETTINGS: dict[str, str] = {}
importlib.import_module("numpy.random")
LINES = Path(__file__).open()  # noqa: SIM115  (one that a module opens and keeps)


def state() -> dict[str, Any]:
    """All of this process that a job could change."""
    mask = os.umask(0)
    os.umask(mask)
    return {
        "globals": dict(SETTINGS),
        "cwd": str(Path.cwd()),
        "environment": os.environ.get("LEFT_BEHIND"),
        "umask": mask,
        "handlers": [str(signal.getsignal(number)) for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGALRM)],
        "files": sorted(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "position": LINES.buffer.tell(),
        "temporary": [str(path) for path in Path(tempfile.gettempdir()).iterdir()],
        "priority": os.nice(0),
    }


@algorithm
def Leak(stay: bool = False) -> dict[str, Any]:
    """The state that it found; it leaves another."""
    found = state()
    SETTINGS["left"] = "behind"
    os.chdir("/")
    os.environ["LEFT_BEHIND"] = "1"
    os.umask(0o77)
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    os.dup(0)
    LINES.read()
    os.nice(5)
    kept = Path(tempfile.mkdtemp(), "deep")
    kept.mkdir()
    (kept / "file").write_text("left behind")
    kept.chmod(0)
    if stay:
        connection = attend("stays")
        time.sleep(600)
        connection.close()
    return found


@algorithm
def Draw() -> list[float]:
    """Random numbers, of every generator that a process shares."""
    return [random.random(), importlib.import_module("numpy.random").random()]


@algorithm
def TemporaryDirectory() -> str:
    return tempfile.gettempdir()
