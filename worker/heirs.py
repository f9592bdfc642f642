"""What becomes a child of the worker when a guardian was killed: the processes that were below it.

None of them is in the worker's session, and no process can enter it. A child in another session is an heir if it
carries the mark of its zygote, and also if it was not there when the worker last looked: a program that cast its
environment off carries nothing. What the worker's own code starts in a session of its own, between that look and
the guardian's death, is taken for an heir.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import Final

from worker import tree

EMPTY_SECONDS: Final = 0.5  # any process is without one for a moment, until an exec has set up the new one
EXITING: Final = 0x4  # PF_EXITING in its flags, proc_pid_stat(5)


class Kind(Enum):
    HEIR = auto()
    ENDING = auto()  # without an environment any more, and still with children that will be ours
    ENDED = auto()  # met for the first time: what it left became ours after we had asked for our children
    EMPTY = auto()
    OTHER = auto()


class Heirs:
    """Of the zygote whose environment says `name`=`mark`."""

    def __init__(self, name: str, mark: str) -> None:
        self._name = f"{name}=".encode()
        self._mark = self._name + mark.encode()
        self._own: set[int] = set()
        self._met: dict[int, float] = {}  # when, on time.monotonic(): those without an environment
        self.note_own()

    def note_own(self) -> None:
        """From any thread, while the guardian is alive: the children that there are now are no heirs."""
        with suppress(OSError):  # no descriptor is free: what was there before still counts
            self._own = tree.children(os.getpid())

    def strike(self) -> bool:
        """Kill and reap those that there are. Whether to look again; False: nothing of theirs is left.

        For the thread that starts guardians: another thread might meet one before it carries its own mark.
        Raises: OSError where the kernel cannot say what there is.
        """
        found = {pid: self._kind(pid) for pid in tree.children(os.getpid())}
        for pid, kind in found.items():
            if kind in (Kind.EMPTY, Kind.ENDED):
                self._met.setdefault(pid, time.monotonic())
            if kind == Kind.HEIR or (kind == Kind.EMPTY and time.monotonic() - self._met[pid] > EMPTY_SECONDS):
                for below in (pid, *tree.descendants(pid)):
                    tree.strike(below)
                _reap(pid)
            elif kind == Kind.ENDED and pid not in self._own:  # nobody else will
                _reap(pid)
        return any(kind != Kind.OTHER for kind in found.values())

    def _kind(self, pid: int) -> Kind:
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
            state, session, flags = stat[0], int(stat[3]), int(stat[6])
            if session == os.getsid(0):
                return Kind.OTHER
            if state == b"Z":
                return Kind.OTHER if pid in self._met else Kind.ENDED
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except PermissionError:  # another user's, which we could not kill either; or one that guards its secrets
            return Kind.HEIR if pid not in self._own and _killable(pid) else Kind.OTHER
        except (FileNotFoundError, ProcessLookupError):
            return Kind.ENDING
        if environment:
            return self._kind_by(environment, pid)
        if flags & EXITING:
            return Kind.ENDING
        return Kind.OTHER if pid in self._own else Kind.EMPTY

    def _kind_by(self, environment: bytes, pid: int) -> Kind:
        carried = environment.split(b"\0")
        if self._mark in carried:
            return Kind.HEIR
        other_zygote = any(each.startswith(self._name) for each in carried)
        return Kind.OTHER if other_zygote or pid in self._own else Kind.HEIR


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _killable(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (PermissionError, ProcessLookupError):
        return False
    return True
