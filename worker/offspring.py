"""The children of the process that forks jobs: the jobs' own, the orphans that those leave, and what is ours."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from worker import frames, kernel, tree
from worker.cgroup import Group
from worker.end import MB, End
from worker.tree import Brood

SWEEPS: Final = 200  # in a row, while there are new orphans each time


@dataclass
class Body:
    """A job's process: `end` is set once it has ended."""

    key: str
    pid: int
    files: Path  # its temporary ones
    group: Group | None
    end: End | None = None
    spared: set[int] = field(default_factory=set)  # of its tree, which were told to end and have time to
    left: set[int] = field(default_factory=set)  # orphans that may be its own, once it has ended


class Offspring:
    def __init__(self) -> None:
        self._brood = Brood()
        self._bodies: dict[int, Body] = {}
        self._orphans_ends: dict[int, End] = {}  # reaped, and nobody's yet
        # These run no job: modules' own, those that wait for one, those that clean up.
        self._helpers = self._brood.now()
        _, self._resident = kernel.memory_bytes()  # that every body begins with, copy-on-write

    def leave(self) -> None:
        """In a child: these are no children of its own."""
        self._brood.close()

    def add(self, body: Body) -> None:
        """This process, which may have been a helper, has a job."""
        self._helpers.discard(body.pid)
        self._bodies[body.pid] = body

    def add_helper(self, pid: int) -> None:
        """This process is no orphan of a job's, although it is no job's."""
        self._helpers.add(pid)

    def helps(self, pid: int) -> bool:
        """Whether it is a helper, which has not ended."""
        return pid in self._helpers

    @property
    def has_bodies(self) -> bool:
        return bool(self._bodies)

    @property
    def killed(self) -> bool:
        """Whether there are orphans that were killed, and are not known to have ended."""
        return any(body.left - body.spared for body in self._bodies.values())

    def order(self, order: bytes, key: str) -> None:
        """ASK, TERMINATE or KILL the job `key`, as far as there is anything of it."""
        for body in self._bodies.values():
            if body.key == key and order == frames.KILL:
                _kill(body)
            elif body.key == key and body.end is None:
                _ask(body) if order == frames.ASK else _terminate(body)

    def gone(self) -> list[tuple[Body, End]]:
        """Reap what has ended, kill orphans: the jobs of which nothing is left since the last call."""
        self._reap()
        if all(body.end is None for body in self._bodies.values()):
            self._orphans_ends.clear()
            return []
        orphans = self._sweep()
        ending = [body for body in self._bodies.values() if body.end is not None]  # some since then
        self._charge(ending)
        self._attribute(ending, orphans)
        gone = [(body, body.end) for body in ending if body.end is not None and not body.left]
        for body, _ in gone:
            del self._bodies[body.pid]
        return [(body, _last_look(body, end)) for body, end in gone]

    def end(self) -> None:
        """Kill and reap everything (blocking)."""
        for body in self._bodies.values():
            _kill(body)
        self._brood.end()
        for body in self._bodies.values():
            if body.group is not None:
                body.group.remove()

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                alone = tree.own_cpu_seconds_of_next_killed()
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    break
                end = self._end_of(status, usage, alone.get(pid))
                if (body := self._bodies.get(pid)) is None:
                    if pid not in self._helpers:
                        self._orphans_ends[pid] = end
                    self._helpers.discard(pid)
                else:
                    body.end = end
                    if body.group is not None and not body.spared:
                        body.group.kill()  # what it leaves behind, however fast that forks

    def _end_of(self, status: int, usage: resource.struct_rusage, alone: float | None) -> End:
        peak = max(0, kernel.peak_bytes(usage) - self._resident)
        used = usage.ru_utime + usage.ru_stime
        return End(status, used, peak / MB, used if alone is None else alone)

    def _sweep(self) -> set[int]:
        """Kill every orphan of a job that ended, and what is below it, but for those that are spared: those left.

        What an orphan had forked is a child of ours as soon as it is dead. We look again at once for as long as
        there are new ones: a tree that forks all the time must not be given the time to.
        """
        spared = {pid for body in self._bodies.values() for pid in body.spared}
        struck: set[int] = set()
        for _ in range(SWEEPS):
            left = self._orphans()
            fresh = left - spared - struck
            if not fresh:
                return left
            for orphan in fresh:
                for pid in (orphan, *tree.descendants(orphan)):
                    tree.strike(pid)
            struck |= fresh
            self._reap()
        return self._orphans()

    def _charge(self, ending: list[Body]) -> None:
        """Add what orphans used to the job that they were of, as far as that is known: it may be the only one."""
        for pid, orphan in self._orphans_ends.items():
            owners = [body for body in ending if pid in body.left | body.spared] or ending
            if len(owners) == 1 and (end := owners[0].end) is not None:
                used, peak = end.cpu_seconds + orphan.cpu_seconds, max(end.peak_mb, orphan.peak_mb)
                owners[0].end = replace(end, cpu_seconds=used, peak_mb=peak)
        self._orphans_ends.clear()

    def _attribute(self, ending: list[Body], orphans: set[int]) -> None:
        """Tell whose orphans those may be that are left: they hold up the end of their own job, and of no other.

        An orphan does not say whose it was: a new one may be of each that is ending now.
        """
        new = orphans.difference(*(body.left | body.spared for body in self._bodies.values()))
        for body in ending:
            body.left = orphans & (body.left | body.spared | new)

    def _orphans(self) -> set[int]:
        return self._brood.now() - self._bodies.keys() - self._helpers


def _ask(body: Body) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(body.pid, signal.SIGINT)


def _terminate(body: Body) -> None:
    """SIGTERM to each, as by hand: what is stopped goes on, to hear it."""
    body.spared = tree.descendants(body.pid)
    for pid in (body.pid, *body.spared):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)


def _kill(body: Body) -> None:
    """Its groups at once, so that no fork escapes; other descendants become ours, and are swept."""
    body.spared = set()
    if body.group is not None:
        body.group.kill()
    if body.end is None:
        tree.strike(body.pid)


def _last_look(body: Body, end: End) -> End:
    """Its end, with what its group knows, which is removed."""
    if body.group is None:
        return end
    starved = body.group.out_of_memory()
    body.group.remove()
    return replace(end, out_of_memory=starved)
