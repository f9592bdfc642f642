"""A control group (cgroup v2) for each job's process tree, where a part of the hierarchy was delegated to us.

It bounds what limits of a process cannot: the memory of the whole tree (`memory_mb`, and RESERVE_MB on top), and
how many processes and threads it has. And it kills the tree in one step, however fast it forks.

    base                       delegated: by systemd (Delegate=yes), as a container's own, or owned by our user
    ├── slotwise               who was in the base before: no group with processes of its own may limit others
    ├── slotwise-<zygote>-<n>  a job: made by its process before the body begins, removed by the zygote after it
    └── …

It keeps accidents in, no attacker: a process of the same user may leave its group again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from worker import kernel
from worker.end import MB

LEAF: Final = "slotwise"
CONTROLLERS: Final = frozenset({"memory", "pids"})
RESERVE_MB: Final = 32  # beyond the limit of a process, which says what it refuses: that one is to bind first


class NotDelegated(Exception):
    """Why there is no group to work with."""


class Group:
    """The group of one job. Its process enters it; its zygote kills and removes it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def enter(self, processes: int, memory_mb: int | None) -> None:
        """Make it, and move this process there. Raises: OSError."""
        self._path.mkdir()
        self._write("pids.max", str(processes))
        if memory_mb is not None:
            self._write("memory.max", str((memory_mb + RESERVE_MB) * MB))
            self._write("memory.oom.group", "1")
            with suppress(FileNotFoundError):  # a kernel without swap
                self._write("memory.swap.max", "0")
        self._write("cgroup.procs", "0")

    def kill(self) -> None:
        """End all that is in it, now: nothing there can fork in between (Linux 5.14)."""
        with suppress(OSError):  # not made yet, or removed: the tree is swept one by one in any case
            self._write("cgroup.kill", "1")

    def out_of_memory(self) -> bool:
        """Whether the kernel ended something in it for want of memory."""
        with suppress(OSError, ValueError):
            return _table(self._path / "memory.events").get("oom_kill", 0) > 0
        return False

    def remove(self) -> None:
        """With the groups that the body made in it. One that is in use still is left for the next zygote."""
        for directory, _, _ in os.walk(self._path, topdown=False):
            with suppress(OSError):
                os.rmdir(directory)  # noqa: PTH106  (its files are no files)

    def _write(self, name: str, value: str) -> None:
        (self._path / name).write_text(value)


class Cgroups:
    """What was delegated to the process that forks jobs."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._prefix = f"{LEAF}-{os.getpid()}-"

    def group(self, key: str) -> Group:
        return Group(self._base / f"{self._prefix}{key}")

    @classmethod
    def delegated(cls) -> Cgroups:
        """Make ready what was delegated. Raises: NotDelegated."""
        if not kernel.LINUX:
            raise NotDelegated("this system has no cgroups")
        try:
            own, root = _own(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())
            base = own.parent if own.name == LEAF and own != root else own
            return cls.at(base, is_root=base == root)
        except OSError as error:
            raise NotDelegated(str(error)) from error

    @classmethod
    def at(cls, base: Path, *, is_root: bool) -> Cgroups:
        """Make `base` ready for groups; `is_root` where it is all that we see. Raises: NotDelegated, OSError."""
        missing = CONTROLLERS - set((base / "cgroup.controllers").read_text().split())
        if missing:
            raise NotDelegated(f"{base} has no controller for {' and '.join(sorted(missing))}")
        if not os.access(base / "cgroup.procs", os.W_OK) or not _meant_for_us(base, is_root):
            raise NotDelegated(f"{base} is not delegated to this user (systemd: Delegate=yes)")
        leaf = base / LEAF
        leaf.mkdir(exist_ok=True)
        for pid in (base / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                (leaf / "cgroup.procs").write_text(pid)
        (base / "cgroup.subtree_control").write_text("".join(f"+{name} " for name in sorted(CONTROLLERS)))
        found = cls(base)
        for left in found._left():
            left.kill()
            left.remove()
        return found

    def _left(self) -> Iterator[Group]:
        """The groups of zygotes that are no more."""
        for path in self._base.glob(f"{LEAF}-*-*"):
            zygote = path.name.split("-")[1]
            if not Path("/proc", zygote).exists() or path.name.startswith(self._prefix):
                yield Group(path)


def _own(groups: str, mounts: str) -> tuple[Path, Path]:
    """This process's group as a directory, and the directory where the hierarchy begins. Raises: NotDelegated."""
    inside = next((line[3:] for line in groups.splitlines() if line.startswith("0::")), None)
    for line in mounts.splitlines():  # see proc_pid_mountinfo(5)
        fields, _, kind = line.partition(" - ")
        if inside is not None and kind.startswith("cgroup2 "):
            mounted, at = fields.split()[3:5]
            if inside == mounted or inside.startswith(mounted.rstrip("/") + "/"):
                return Path(at + inside[len(mounted.rstrip("/")) :].rstrip("/")), Path(at)
    raise NotDelegated("no cgroup v2 hierarchy is mounted here")


def _meant_for_us(base: Path, is_root: bool) -> bool:
    """What root may write it need not be meant to."""
    if not (base / "cgroup.type").exists():  # the machine's own root
        return False
    return is_root or os.geteuid() != 0 or any(_attribute(base, name) == b"1" for name in DELEGATE)


DELEGATE: Final = ("user.delegate", "trusted.delegate")  # by which systemd says so


def _attribute(path: Path, name: str) -> bytes:
    try:
        return os.getxattr(path, name)
    except OSError:
        return b""


def _table(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in map(str.split, path.read_text().splitlines())}
