"""The whole picture of the cap, of one instant: slots, waiting jobs, workers, algorithms; what a change would do.

Read by `steering`, shown by the front end. Asks nobody anything: everything follows from the one reply of
snapshot.lua.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from slotwise import wire
from slotwise.job import Slots
from slotwise.meter import Meter
from slotwise.rate import Rate

UNBOUNDED: Final = 1 << 53
MOST_MB: Final = 1 << 40


@dataclass(frozen=True)
class Override:
    """A cap that somebody set while the service ran. `expires_ms` None: it stands until it is cleared."""

    value: int
    expires_ms: int | None
    reason: str | None
    by: str | None
    at_ms: int | None

    @classmethod
    def of(cls, reply: Sequence[bytes]) -> Self | None:
        if not reply:
            return None
        value, ends, reason, by, at = reply
        cap = _int(value)
        return None if cap is None else cls(cap, _int(ends), _text(reason) or None, _text(by) or None, _int(at))


@dataclass(frozen=True)
class LiveWorker:
    """A worker with a lease. `slots` None: it follows the cap. `draining`: it takes no more.

    `configured` is what its own environment says of the cap, None where it says nothing.
    """

    name: str
    host: str | None
    version: str | None
    slots: int | None
    running: int
    seen_ms: int | None
    algorithms: tuple[str, ...]
    draining: bool
    configured: int | None
    cores: float | None = None  # that its processes may use, as the machine or a quota allows
    memory_mb: int | None = None
    memory_free_mb: int | None = None  # when its lease began

    @classmethod
    def of(cls, reply: Sequence[Any]) -> Self:
        _, held, row, serves = reply
        fields = {_text(name): _text(value) for name, value in zip(row[::2], row[1::2], strict=True)}
        return cls(
            name=fields.get("name", ""),
            host=fields.get("host"),
            version=fields.get("version"),
            slots=_number(fields.get("slots", "")),
            running=int(held),
            seen_ms=_number(fields.get("seen", "")),
            algorithms=tuple(sorted(map(_text, serves))),
            draining="drained" in fields,
            configured=_number(fields.get("configured", "")),
            cores=wire.number(fields.get("cores", "")),
            memory_mb=_number(fields.get("memory_mb", "")),
            memory_free_mb=_number(fields.get("memory_free_mb", "")),
        )

    @property
    def room(self) -> int:
        """How many jobs it could take, by its own limit."""
        return 0 if self.draining else max(0, (self.slots or UNBOUNDED) - self.running)


@dataclass(frozen=True)
class AlgorithmSlots:
    """An algorithm's own cap: in force, as declared, as overridden; None where there is none."""

    name: str
    running: int
    parked: int  # jobs that were met and might not start
    max_concurrent: int | None
    declared: int | None
    rate: str | None  # "starts window_ms"
    override: Override | None
    hold_ms: float | None  # for which its jobs hold a slot, of late
    pending: int  # jobs that wait, those with a time of their own included

    @classmethod
    def of(cls, reply: Sequence[Any]) -> Self:
        name, running, parked, cap, declared, rate, override, hold, pending = reply
        return cls(
            _text(name),
            int(running),
            int(parked),
            _int(cap),
            _int(declared),
            _text(rate) if Rate.is_stored(_text(rate)) else None,
            Override.of(override),
            wire.number(hold),
            int(pending),
        )

    @property
    def room(self) -> int:
        """How many more jobs its own cap allows."""
        return UNBOUNDED if self.max_concurrent is None else max(0, self.max_concurrent - self.running)


@dataclass(frozen=True)
class RunningJob:
    """A job in a slot. `heartbeat_ms`: when it was last known to live; None: its worker's lease is gone."""

    id: str
    algorithm: str | None
    worker: str | None
    since_ms: int
    heartbeat_ms: int | None
    tenant: str = ""
    memory_mb: int | None = None  # that its processes hold; None: not weighed

    @classmethod
    def of(cls, reply: Sequence[bytes], weights: Mapping[str, int]) -> Self:
        job_id, algorithm, worker, since, seen, tenant = reply
        since_ms = int(float(since))
        heartbeat_ms = max(int(seen), since_ms) if seen else None
        told = _text(algorithm) or None, _text(worker) or None
        id = _text(job_id)
        return cls(id, *told, since_ms, heartbeat_ms, _text(tenant), weights.get(id))


@dataclass(frozen=True)
class Effect:
    """What another cap would do at once. `fills` is the most: limits of their own may hold some of these back."""

    before: int | None
    after: int | None
    fills: int
    drains: int
    drains_in_seconds: float | None  # an estimate; None until a job has ended


@dataclass(frozen=True)
class Snapshot:
    """`pending` wait and are due, `scheduled` are not due yet; `within_reach` are pending and not set aside."""

    now_ms: int
    slots: Slots
    configured: int
    override: Override | None
    pending: int
    scheduled: int
    within_reach: int
    oldest_due_ms: int | None
    hold_ms: float | None  # for which jobs hold a slot, of late
    workers: tuple[LiveWorker, ...]
    algorithms: tuple[AlgorithmSlots, ...]
    meter: Meter | None
    jobs: tuple[RunningJob, ...]  # those that run longest, as many as were asked for

    @classmethod
    def of(cls, reply: Sequence[Any]) -> Self:
        """From what snapshot.lua returns."""
        counts, (configured, override), workers, algorithms, meter, jobs = reply
        now, cap, running, waiting, scheduled, within_reach, oldest, hold = counts
        weights = _weights(row for _, _, row, _ in workers)
        return cls(
            now_ms=int(now),
            slots=Slots(int(cap), int(running)),
            configured=told if (told := _int(configured)) is not None else int(cap),
            override=Override.of(override),
            pending=max(0, int(waiting) - int(scheduled)),
            scheduled=int(scheduled),
            within_reach=int(within_reach),
            oldest_due_ms=_int(oldest),
            hold_ms=wire.number(hold),
            workers=_by_name(map(LiveWorker.of, workers)),
            algorithms=tuple(sorted(map(AlgorithmSlots.of, algorithms), key=lambda one: one.name)),
            meter=Meter.of(dict(zip(meter[::2], meter[1::2], strict=True))),
            jobs=tuple(RunningJob.of(job, weights) for job in jobs),
        )

    def algorithm(self, name: str) -> AlgorithmSlots | None:
        return next((one for one in self.algorithms if one.name == name), None)

    def worker(self, name: str) -> LiveWorker | None:
        return next((one for one in self.workers if one.name == name), None)

    def effect(self, cap: int | None) -> Effect:
        """Of another cap for the fleet (None: no override)."""
        running, after = self.slots.running, self.configured if cap is None else cap
        aside = sum(min(one.parked, one.room) for one in self.algorithms)
        fills = max(0, min(after - running, self.within_reach + aside, self._room()))
        drains = max(0, running - after)
        seconds = _drain_seconds(running, drains, self.hold_ms)
        return Effect(self.slots.max_concurrent, after, fills, drains, seconds)

    def effect_on(self, algorithm: AlgorithmSlots, cap: int | None) -> Effect:
        """Of another cap for an algorithm (None: no override)."""
        running, after = algorithm.running, algorithm.declared if cap is None else cap
        most = UNBOUNDED if after is None else after
        waiting = algorithm.parked + self.within_reach
        fills = max(0, min(most - running, self.slots.available, waiting, self._room()))
        drains = max(0, running - most)
        seconds = _drain_seconds(running, drains, algorithm.hold_ms)
        return Effect(algorithm.max_concurrent, after, fills, drains, seconds)

    def _room(self) -> int:
        return sum(worker.room for worker in self.workers)


def _by_name(workers: Iterable[LiveWorker]) -> tuple[LiveWorker, ...]:
    """One row a worker: for as long as a lease that it gave up has not been reaped, it has two."""
    rows: dict[str, LiveWorker] = {}
    for one in sorted(workers, key=lambda each: (each.name, each.seen_ms or 0)):
        before = rows.get(one.name)
        rows[one.name] = one if before is None else replace(one, running=one.running + before.running)
    return tuple(rows.values())


def _drain_seconds(running: int, drains: int, hold_ms: float | None) -> float | None:
    """Until `drains` of `running` jobs have ended, whose ends come at random, none of them being replaced."""
    if drains == 0:
        return 0.0
    return None if hold_ms is None else hold_ms / 1000 * sum(1 / (running - ended) for ended in range(drains))


def _weights(rows: Iterable[Sequence[bytes]]) -> dict[str, int]:
    """MB by job, as the workers' rows tell; what is damaged there tells nothing."""
    found: dict[str, int] = {}
    for row in rows:
        fields = dict(zip(row[::2], row[1::2], strict=True))
        with suppress(ValueError):
            told = wire.decode(fields.get(b"weights", b"{}"))
            if isinstance(told, dict):
                found |= {job_id: mb for job_id, mb in told.items() if type(mb) is int and 0 <= mb <= MOST_MB}
    return found


def _int(value: bytes | int) -> int | None:
    """None, too, for what is no number: then none of ours wrote it."""
    told = wire.number(value)
    return None if told is None else int(told)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
