"""The cap as clients see it: its rich view, what a change would do, the audit; and the workers under it."""

from __future__ import annotations

from typing import Any, Final

from slotwise.moment import timestamp
from slotwise.rate import Rate
from slotwise.snapshot import AlgorithmSlots, Effect, LiveWorker, Override, RunningJob, Snapshot
from slotwise.steering import AuditEntry

MOST_JOBS: Final = 500  # named in the rich view: those that run longest


def rich_view(snapshot: Snapshot) -> dict[str, Any]:
    """Everything about the slots, of one instant."""
    slots = snapshot.slots
    return {
        "max_concurrent": slots.max_concurrent,
        "available_slots": slots.available,
        "running_jobs": slots.running,
        "pending_jobs": snapshot.pending,
        "scheduled_jobs": snapshot.scheduled,
        "oldest_pending_seconds": _since(snapshot.oldest_due_ms, snapshot.now_ms),
        "configured": snapshot.configured,
        "override": override_object(snapshot.override),
        **_use(snapshot),
        "workers": [worker_object(worker, snapshot.now_ms) for worker in snapshot.workers],
        "algorithms": {algorithm.name: _algorithm(algorithm) for algorithm in snapshot.algorithms},
        "jobs": [_job(job, snapshot.now_ms) for job in snapshot.jobs],
        "jobs_left_out": slots.running - len(snapshot.jobs),
    }


def _job(job: RunningJob, now_ms: int) -> dict[str, Any]:
    """A job in a slot, with the age of its heartbeat: null when its worker's lease is gone."""
    return {
        "job_id": job.id,
        "algorithm": job.algorithm,
        "worker": job.worker,
        "running_seconds": _since(job.since_ms, now_ms),
        "heartbeat_seconds": _since(job.heartbeat_ms, now_ms),
    }


def _use(snapshot: Snapshot) -> dict[str, Any]:
    meter, now_ms = snapshot.meter, snapshot.now_ms
    windows = {"1m": 60, "15m": 900}
    return {
        "saturated_since": None if meter is None else timestamp(_whole(meter.saturated_since_ms)),
        "utilisation": {
            name: None if meter is None else meter.utilisation(seconds, now_ms)
            for name, seconds in windows.items()
        },
        "idle_slot_seconds_total": 0.0 if meter is None else meter.idle_seconds,
    }


def worker_object(worker: LiveWorker, now_ms: int) -> dict[str, Any]:
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


def _algorithm(algorithm: AlgorithmSlots) -> dict[str, Any]:
    return {
        "running": algorithm.running,
        "pending": algorithm.pending,
        "max_concurrent": algorithm.max_concurrent,
        "declared": algorithm.declared,
        "override": override_object(algorithm.override),
        "rate": None if algorithm.rate is None else str(Rate.stored(algorithm.rate)),
    }


def override_object(override: Override | None) -> dict[str, Any] | None:
    """An override as clients see it; null when none stands."""
    if override is None:
        return None
    return {
        "value": override.value,
        "reason": override.reason,
        "by": override.by,
        "at": timestamp(override.at_ms),
        "expires_at": timestamp(override.expires_ms),
    }


def effect_object(effect: Effect) -> dict[str, Any]:
    """What `?dry_run=true` answers."""
    return {
        "dry_run": True,
        "from": effect.before,
        "to": effect.after,
        "fills": effect.fills,
        "drains": effect.drains,
        "drains_in_seconds": effect.drains_in_seconds,
    }


def audit_object(entry: AuditEntry) -> dict[str, Any]:
    """A change of a cap as clients see it."""
    return {
        "at": timestamp(entry.at_ms),
        "scope": "fleet" if entry.algorithm is None else "algorithm",
        "algorithm": entry.algorithm,
        "change": entry.change,
        "from": entry.from_cap,
        "to": entry.to_cap,
        "by": entry.by,
        "reason": entry.reason,
        "expires_at": timestamp(entry.expires_ms),
    }


def _since(began_ms: int | None, now_ms: int) -> float | None:
    return None if began_ms is None else max(0, now_ms - began_ms) / 1000


def _whole(ms: float | None) -> int | None:
    return None if ms is None else int(ms)
