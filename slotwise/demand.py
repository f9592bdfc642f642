"""What a fleet has, and what is asked of it: hosts with cores and memory, algorithms with rates and times.

Plain figures out of one snapshot and the measured pace, for `advice`; None for what was not measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from slotwise.pace import AlgorithmPace, Pace
from slotwise.snapshot import AlgorithmSlots, LiveWorker, Snapshot


@dataclass(frozen=True)
class Host:
    """A machine with workers on it. Workers that share its name share what it has."""

    name: str
    workers: int
    slots: int | None  # of its workers together; None: one of them follows the cap
    cores: float | None
    memory_mb: int | None
    memory_free_mb: int | None  # when its workers began

    @classmethod
    def of(cls, name: str, workers: list[LiveWorker]) -> Self:
        slots = [worker.slots for worker in workers]
        return cls(
            name=name,
            workers=len(workers),
            slots=None if None in slots else sum(each or 0 for each in slots),
            cores=_most(worker.cores for worker in workers),
            memory_mb=_most(worker.memory_mb for worker in workers),
            memory_free_mb=_most(worker.memory_free_mb for worker in workers),
        )


@dataclass(frozen=True)
class Load:
    """One algorithm's jobs of late. `hold_seconds`: for how long one holds a slot."""

    name: str
    jobs: int = 0
    per_second: float | None = None
    hold_seconds: float | None = None
    hold_square: float | None = None  # mean of the squares, s^2
    cpu_seconds: float | None = None
    peak_memory_mb: float | None = None
    max_concurrent: int | None = None

    @classmethod
    def of(cls, name: str, pace: AlgorithmPace, own: AlgorithmSlots | None, now_ms: float) -> Self:
        flow = pace.came or pace.went  # jobs of stock clients are seen when they go only
        return cls(
            name=name,
            jobs=pace.jobs,
            per_second=None if flow is None else flow.per_second(now_ms),
            hold_seconds=_seconds(pace.hold_ms),
            hold_square=None if pace.hold_square is None else pace.hold_square / 1e6,
            cpu_seconds=_seconds(pace.cpu_ms),
            peak_memory_mb=pace.peak_memory_mb,
            max_concurrent=None if own is None else own.max_concurrent,
        )

    @property
    def offered(self) -> float | None:
        """Slots that it takes on average, by Little's law."""
        if self.per_second is None or self.hold_seconds is None:
            return None
        return self.per_second * self.hold_seconds

    @property
    def variation(self) -> float:
        """The squared coefficient of variation of the times; 1, as of exponential ones, where unknown."""
        if not self.hold_seconds or self.hold_square is None:
            return 1.0
        return max(0.0, self.hold_square / self.hold_seconds**2 - 1)

    @property
    def cpu_share(self) -> float | None:
        """Cores that one job keeps busy while it holds its slot."""
        if self.cpu_seconds is None or not self.hold_seconds:
            return None
        return self.cpu_seconds / self.hold_seconds


@dataclass(frozen=True)
class Demand:
    """A fleet at one instant. `cap` is the one in force."""

    cap: int
    running: int
    pending: int
    hosts: tuple[Host, ...]
    loads: tuple[Load, ...]

    @classmethod
    def of(cls, snapshot: Snapshot, pace: Pace) -> Self:
        """Drained workers have nothing to offer. Algorithms of which nothing was measured are left out."""
        by_host: dict[str, list[LiveWorker]] = {}
        for worker in snapshot.workers:
            if not worker.draining:
                by_host.setdefault(worker.host or worker.name, []).append(worker)
        now_ms = snapshot.now_ms
        return cls(
            cap=snapshot.slots.max_concurrent,
            running=snapshot.slots.running,
            pending=snapshot.pending,
            hosts=tuple(Host.of(name, workers) for name, workers in sorted(by_host.items())),
            loads=tuple(
                Load.of(name, each, snapshot.algorithm(name), now_ms) for name, each in pace.algorithms.items()
            ),
        )

    @property
    def cores(self) -> float | None:
        """Of all hosts; None where one does not tell."""
        told = [host.cores for host in self.hosts]
        return None if not told or None in told else sum(each or 0.0 for each in told)

    @property
    def worker_slots(self) -> int | None:
        """Of all workers; None where one follows the cap."""
        told = [host.slots for host in self.hosts]
        return None if None in told else sum(each or 0 for each in told)

    def mixed(self) -> Load:
        """All algorithms as one, weighed by how often their jobs come; by their number where no rate is known."""
        known = [one for one in self.loads if one.hold_seconds is not None]
        told = any(one.per_second for one in known)
        weights = [one.per_second or 0.0 if told else float(one.jobs) for one in known]
        if not sum(weights):
            return Load("*")
        hold = _mean((one.hold_seconds for one in known), weights)
        # CPU time over slot time, of those whose CPU time is measured
        slot_time = [weight * (one.hold_seconds or 0.0) for one, weight in zip(known, weights, strict=True)]
        share = _mean((one.cpu_share for one in known), slot_time)
        return Load(
            "*",
            jobs=sum(one.jobs for one in known),
            per_second=sum(weights) if told else None,
            hold_seconds=hold,
            hold_square=_mean((one.hold_square for one in known), weights),
            cpu_seconds=None if share is None or hold is None else share * hold,
            peak_memory_mb=_most(one.peak_memory_mb for one, each in zip(known, weights, strict=True) if each),
        )


def _mean(figures: Iterable[float | None], weights: list[float]) -> float | None:
    """Of those that are known; None where none is."""
    pairs = [(figure, weight) for figure, weight in zip(figures, weights, strict=True) if figure is not None]
    total = sum(weight for _, weight in pairs)
    return sum(figure * weight for figure, weight in pairs) / total if total else None


def _most(figures: Iterable[float | None]) -> Any:
    return max((figure for figure in figures if figure is not None), default=None)


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000
