"""Processes of this machine, as /proc tells of them."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def parents() -> dict[int, int]:
    """Of every process that is there."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def tree(root: int) -> list[int]:
    """A process and all below it, itself first."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found = [root]
    for pid in found:
        found += children.get(pid, ())
    return found


def send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
