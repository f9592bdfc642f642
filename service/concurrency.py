"""The cap as clients see it: its rich view, what a change would do, the audit; and the workers under it."""

from __future__ import annotations

from typing import Final, Literal

from typing_extensions import TypedDict

from slotwise.job import Slots
from slotwise.moment import timestamp
from slotwise.rate import Rate
from slotwise.snapshot import AlgorithmSlots, Effect, LiveWorker, Override, RunningJob, Snapshot
from slotwise.steering import AuditEntry, Change
from slotwise.view import Seconds, Timestamp

WINDOWS: Final = {"1m": 60, "15m": 900}  # seconds
OF_KEY: Final = "key "
MOST_JOBS: Final = 500  # named in the rich view: those that run longest


class SlotCounts(TypedDict):
    """The slots of the whole fleet, of one instant."""

    max_concurrent: int
    available_slots: int
    running_jobs: int


class OverrideObject(TypedDict):
    """A cap that somebody set while the service ran."""

    value: int
    reason: str | None
    by: str | None
    at: Timestamp | None
    expires_at: Timestamp | None


class WorkerObject(TypedDict):
    """A worker that holds a lease. `slots` null: it follows the cap. `configured`: the cap that it was told."""

    name: str
    host: str | None
    version: str | None
    slots: int | None
    running: int
    last_seen_seconds: Seconds | None
    algorithms: list[str]
    draining: bool
    configured: int | None
    cores: float | None
    memory_mb: int | None
    memory_free_mb: int | None


class AlgorithmCap(TypedDict):
    """An algorithm's own cap; null where it has none."""

    running: int
    pending: int
    max_concurrent: int | None
    declared: int | None
    override: OverrideObject | None
    rate: str | None


class SlotHolder(TypedDict):
    """A job in a slot. `heartbeat_seconds` null: its worker's lease is gone. `memory_mb` null: not weighed."""

    job_id: str
    algorithm: str | None
    worker: str | None
    running_seconds: Seconds | None
    heartbeat_seconds: Seconds | None
    memory_mb: int | None


class Concurrency(SlotCounts):
    """Everything about the slots, of one instant. `utilisation` is over the windows `1m` and `15m`."""

    pending_jobs: int
    scheduled_jobs: int
    oldest_pending_seconds: Seconds | None
    configured: int
    override: OverrideObject | None
    saturated_since: Timestamp | None
    utilisation: dict[str, float | None]
    idle_slot_seconds_total: float
    workers: list[WorkerObject]
    algorithms: dict[str, AlgorithmCap]
    jobs: list[SlotHolder]
    jobs_left_out: int


Effects = TypedDict(
    "Effects",
    {
        "dry_run": Literal[True],
        "from": int | None,
        "to": int | None,
        "fills": int,
        "drains": int,
        "drains_in_seconds": Seconds | None,
    },
)
Effects.__doc__ = "What a change of a cap would do at once."

CapChange = TypedDict(
    "CapChange",
    {
        "at": Timestamp,
        "scope": Literal["fleet", "algorithm"],
        "algorithm": str | None,
        "change": Change,
        "from": int | None,
        "to": int | None,
        "by": str | None,
        "reason": str | None,
        "expires_at": Timestamp | None,
    },
)
CapChange.__doc__ = "A change of a cap. `from` or `to` null: no cap of its own."


class Workers(TypedDict):
    """The fleet."""

    workers: list[WorkerObject]


class Audit(TypedDict):
    """Newest first."""

    audit: list[CapChange]


def slot_counts(slots: Slots) -> SlotCounts:
    """The three numbers."""
    return {
        "max_concurrent": slots.max_concurrent,
        "available_slots": slots.available,
        "running_jobs": slots.running,
    }


def rich_view(snapshot: Snapshot, whose: str = "") -> Concurrency:
    """Everything about the slots, of one instant; of the jobs in them those of one tenant ('': all)."""
    slots, meter = snapshot.slots, snapshot.meter
    shown = [job for job in snapshot.jobs if whose in ("", job.tenant)]
    return {
        **slot_counts(slots),
        "pending_jobs": snapshot.pending,
        "scheduled_jobs": snapshot.scheduled,
        "oldest_pending_seconds": _since(snapshot.oldest_due_ms, snapshot.now_ms),
        "configured": snapshot.configured,
        "override": override_object(snapshot.override, whose),
        "saturated_since": timestamp(_whole(None if meter is None else meter.saturated_since_ms)),
        "utilisation": {
            name: None if meter is None else meter.utilisation(seconds, snapshot.now_ms)
            for name, seconds in WINDOWS.items()
        },
        "idle_slot_seconds_total": 0.0 if meter is None else meter.idle_seconds,
        "workers": [worker_object(worker, snapshot.now_ms) for worker in snapshot.workers],
        "algorithms": {algorithm.name: _algorithm(algorithm, whose) for algorithm in snapshot.algorithms},
        "jobs": [_job(job, snapshot.now_ms) for job in shown],
        "jobs_left_out": slots.running - len(shown),
    }


def _job(job: RunningJob, now_ms: int) -> SlotHolder:
    """A job in a slot, with the age of its heartbeat: null when its worker's lease is gone."""
    return {
        "job_id": job.id,
        "algorithm": job.algorithm,
        "worker": job.worker,
        "running_seconds": _since(job.since_ms, now_ms),
        "heartbeat_seconds": _since(job.heartbeat_ms, now_ms),
        "memory_mb": job.memory_mb,
    }


def worker_object(worker: LiveWorker, now_ms: int) -> WorkerObject:
    """A worker as clients see it. `slots` null: it follows the cap. `configured`: what it was told."""
    return {
        "name": worker.name,
        "host": worker.host,
        "version": worker.version,
        "slots": worker.slots,
        "running": worker.running,
        "last_seen_seconds": _since(worker.seen_ms, now_ms),
        "algorithms": list(worker.algorithms),
        "draining": worker.draining,
        "configured": worker.configured,
        "cores": worker.cores,
        "memory_mb": worker.memory_mb,
        "memory_free_mb": worker.memory_free_mb,
    }


def _algorithm(algorithm: AlgorithmSlots, whose: str) -> AlgorithmCap:
    return {
        "running": algorithm.running,
        "pending": algorithm.pending,
        "max_concurrent": algorithm.max_concurrent,
        "declared": algorithm.declared,
        "override": override_object(algorithm.override, whose),
        "rate": None if algorithm.rate is None else str(Rate.stored(algorithm.rate)),
    }


def override_object(override: Override | None, whose: str = "") -> OverrideObject | None:
    """An override as a tenant ('': an admin) sees it; null when none stands."""
    if override is None:
        return None
    return {
        "value": override.value,
        "reason": override.reason,
        "by": _by(override.by, whose),
        "at": timestamp(override.at_ms),
        "expires_at": timestamp(override.expires_ms),
    }


def effect_object(effect: Effect) -> Effects:
    """What `?dry_run=true` answers."""
    return {
        "dry_run": True,
        "from": effect.before,
        "to": effect.after,
        "fills": effect.fills,
        "drains": effect.drains,
        "drains_in_seconds": effect.drains_in_seconds,
    }


def audit_object(entry: AuditEntry, whose: str = "") -> CapChange:
    """A change of a cap as a tenant ('': an admin) sees it."""
    return {
        "at": timestamp(entry.at_ms),
        "scope": "fleet" if entry.algorithm is None else "algorithm",
        "algorithm": entry.algorithm,
        "change": entry.change,
        "from": entry.from_cap,
        "to": entry.to_cap,
        "by": _by(entry.by, whose),
        "reason": entry.reason,
        "expires_at": timestamp(entry.expires_ms),
    }


def by_key(name: str) -> str:
    """What the audit says of who changed a cap with an API key."""
    return f"{OF_KEY}{name}"


def _by(by: str | None, whose: str) -> str | None:
    """No tenant is told the name of another."""
    hidden = whose and by is not None and by.startswith(OF_KEY) and by != by_key(whose)
    return "another key" if hidden else by


def _since(began_ms: int | None, now_ms: int) -> float | None:
    return None if began_ms is None else max(0, now_ms - began_ms) / 1000


def _whole(ms: float | None) -> int | None:
    return None if ms is None else int(ms)
