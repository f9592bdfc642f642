"""Sizing: what the cap binds on now, how long jobs would wait at others, from where on more of it gains nothing.

Pure rules over a `Demand`. The guidance is the usual one: CPU-bound jobs, cores x 1.5; I/O-bound, cores x 5 to 10;
mixed, x 2 to 3; memory, what is free over what a job takes; the smallest wins. A job that keeps a core busy for a
share u of its time lets 1/u of its kind use it: that is the factor, within 1.5 and 10.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from slotwise.demand import Demand, Load
from slotwise.job import MOST_SLOTS
from slotwise.queueing import slots_without_waiting, wait_seconds, waiting_share

QUANTILE: Final = 0.95
FEWEST, MOST = 1.5, 10.0  # slots for each core
IO_BOUND: Final = 5.0  # slots for each core, and more
LEAST_JOB_MB: Final = 4.0  # that a forked process takes beyond what its body does

Limit = Literal["cap", "worker_slots", "cpu", "memory", "demand"]
Binds = Literal["cap", "worker_slots", "cpu", "memory", "demand", "paused", "no_worker"]
Kind = Literal["cpu_bound", "mixed", "io_bound"]


@dataclass(frozen=True)
class Outlook:
    """At another cap: `usable` slots that would do work at once, the share of them in use, the wait's p95.

    None where more comes than they can do: then the line grows. `drained_seconds`: until the last of those that
    wait now has started.
    """

    max_concurrent: int
    usable: int
    utilisation: float
    waiting_share: float
    wait_p95_seconds: float | None
    drained_seconds: float | None


@dataclass(frozen=True)
class Advice:
    """`limits`: the slots that each allows, None where that was not measured, or is more than any cap may offer
    (`missing` says what)."""

    demand: Demand
    load: Load
    limits: dict[Limit, int | None]
    binds: Binds
    enough: int | None
    because: Limit | None
    outlooks: tuple[Outlook, ...]
    missing: tuple[str, ...]

    @property
    def now(self) -> Outlook | None:
        """At the cap in force."""
        return next((one for one in self.outlooks if one.max_concurrent == self.demand.cap), None)


def advise(demand: Demand, asked: Sequence[int] = ()) -> Advice:
    """What follows from the figures; with the outlook at the caps in `asked` among others."""
    load = demand.mixed()
    limits: dict[Limit, int | None] = {
        "worker_slots": demand.worker_slots if demand.hosts else None,
        "cpu": _cpu_slots(demand, load),
        "memory": _memory_slots(demand, load),
        "demand": None if not load.offered else slots_without_waiting(load.offered, QUANTILE, MOST_SLOTS),
    }
    known = [(slots, name) for name, slots in limits.items() if slots is not None]
    enough, because = min(known, default=(None, None))
    caps = {*asked, demand.cap, -(-demand.cap // 2), demand.cap * 2, *(slots for slots, _ in known)}
    return Advice(
        demand=demand,
        load=load,
        limits=limits,
        binds=_binds(demand, load, limits),
        enough=enough,
        because=because,
        outlooks=tuple(_outlooks(demand, load, sorted(cap for cap in caps if 0 < cap <= MOST_SLOTS))),
        missing=tuple(_missing(demand, load, limits)),
    )


def kind_of(load: Load) -> Kind | None:
    """By the share of its time for which a job keeps a core busy; None while that is unknown."""
    factor = _factor(load)
    if factor is None:
        return None
    return "cpu_bound" if factor == FEWEST else "io_bound" if factor >= IO_BOUND else "mixed"


def _factor(load: Load) -> float | None:
    """Slots for each core."""
    share = load.cpu_share
    return None if share is None else min(MOST, max(FEWEST, 1 / share if share > 0 else MOST))


def _cpu_slots(demand: Demand, load: Load) -> int | None:
    factor, cores = _factor(load), demand.cores
    return None if factor is None or cores is None else max(1, int(cores * factor + 1e-9))


def _memory_slots(demand: Demand, load: Load) -> int | None:
    """As many jobs as fit into what was free on each host, all of them of the largest kind."""
    free = [host.memory_free_mb for host in demand.hosts]
    if load.peak_memory_mb is None or not free or None in free:
        return None
    return sum(int((each or 0) // max(LEAST_JOB_MB, load.peak_memory_mb)) for each in free)


def _binds(demand: Demand, load: Load, limits: dict[Limit, int | None]) -> Binds:
    if not demand.hosts:
        return "no_worker"
    if demand.cap == 0:
        return "paused"
    names: tuple[Limit, ...] = ("worker_slots", "cpu", "memory")
    known = [(slots, name) for name in names if (slots := limits[name]) is not None]
    caps: list[tuple[int, Limit]] = [(demand.cap, "cap"), *known]
    slots, tightest = min(caps, key=lambda each: each[0])
    full = demand.pending > 0 and demand.running >= min(demand.cap, demand.worker_slots or demand.cap)
    needed = limits["demand"] or (math.inf if load.offered else 0)
    if not full and needed <= slots:
        return "demand"
    return tightest


def _outlooks(demand: Demand, load: Load, caps: Sequence[int]) -> Iterator[Outlook]:
    offered, hold, share, cores = load.offered, load.hold_seconds, load.cpu_share, demand.cores
    if not offered or not hold or not demand.hosts:
        return
    most = demand.worker_slots or MOST_SLOTS
    if share and cores:
        most = min(most, max(1, round(cores / share)))  # past it, jobs only take each other's CPU time
    for cap in caps:
        usable = min(cap, most)
        spare = (usable - offered) / hold  # jobs a second
        yield Outlook(
            max_concurrent=cap,
            usable=usable,
            utilisation=min(1.0, offered / usable),
            waiting_share=waiting_share(usable, offered),
            wait_p95_seconds=wait_seconds(usable, offered, hold, load.variation, QUANTILE),
            drained_seconds=0.0 if not demand.pending else demand.pending / spare if spare > 0 else None,
        )


def _missing(demand: Demand, load: Load, limits: dict[Limit, int | None]) -> Iterator[str]:
    if not demand.hosts:
        yield "No worker is there: start one."
    elif demand.cores is None:
        yield "A worker does not tell its cores."
    if load.hold_seconds is None:
        yield "For how long jobs hold their slots: none has ended yet."
    elif load.per_second is None:
        yield "How often jobs come: too few came so far."
    if load.offered and limits["demand"] is None:
        yield f"More jobs come than {MOST_SLOTS} slots would start at once, and no cap may offer more."
    if load.hold_seconds is not None and load.cpu_share is None:
        yield "CPU time and memory of a job: processes of their own are measured, and the CPU time of threads."
    elif load.hold_seconds is not None and load.peak_memory_mb is None:
        yield "Memory of a job: it is measured in processes of their own only."
    if demand.hosts and any(host.memory_free_mb is None for host in demand.hosts):
        yield "The free memory of a host: its system does not tell."
