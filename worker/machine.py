"""How many cores, and how much memory, this process may use: what the machine has, or less where it is told so.

By the scheduler's affinity and by the limits of its cgroup, of version 2 or 1, and of every cgroup above it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from worker.end import MB

CGROUPS: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Machine:
    """`cores` may have a fraction; memory in MB of 2^20 bytes, None where the system does not tell."""

    cores: float
    memory_mb: int | None
    memory_free_mb: int | None

    def row(self) -> dict[str, str]:
        """For the worker's row in the store."""
        return {name: "" if value is None else f"{value}" for name, value in asdict(self).items()}


def machine(proc: Path = Path("/proc"), cgroups: Path = CGROUPS) -> Machine:
    """As it is now."""
    total, free = _memory(proc)
    cores = float(_affinity())
    for group in _groups(proc, cgroups):
        cores = min(cores, _quota(group))
        most, used = _bound(group)
        total = min(total, most)
        free = min(free, max(0.0, most - used))
    return Machine(round(cores, 2), _mb(total), _mb(free))


def _mb(size: float) -> int | None:
    return int(size // MB) if math.isfinite(size) else None


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory(proc: Path) -> tuple[float, float]:
    try:
        rows = dict(line.split(":", 1) for line in (proc / "meminfo").read_text().splitlines())
        return tuple(int(rows[name].split()[0]) * 1024.0 for name in ("MemTotal", "MemAvailable"))  # type: ignore[return-value]
    except (OSError, KeyError, ValueError):
        return _installed(), math.inf


def _installed() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError):
        return math.inf


def _groups(proc: Path, cgroups: Path) -> Iterator[Path]:
    """The directories of this process's cgroups, each with those above it."""
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for root in [cgroups / name for name in controllers.split(",")] if controllers else [cgroups]:
            group = root / path.lstrip("/")
            yield from (each for each in (group, *group.parents) if each.is_relative_to(root))


def _quota(group: Path) -> float:
    """Cores of CPU time that a cgroup allows."""
    told = _read(group / "cpu.max").split()
    if not told:
        told = [_read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")]
    try:
        quota, period = float(told[0]), float(told[1])
    except (ValueError, IndexError):  # "max", or no such file
        return math.inf
    return quota / period if quota > 0 and period > 0 else math.inf


def _bound(group: Path) -> tuple[float, float]:
    """Bytes that a cgroup allows, and that it uses without what the kernel would give up at once."""
    most = _read(group / "memory.max") or _read(group / "memory.limit_in_bytes")
    used = _read(group / "memory.current") or _read(group / "memory.usage_in_bytes")
    if not most.isdecimal() or int(most) >= 1 << 60:  # "max", or version 1's word for it
        return math.inf, 0.0
    given_up = 0
    for line in _read(group / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            given_up = int(value)
    return float(most), max(0.0, float(used or 0) - given_up)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
