"""The job object: every field of the contract, null where it does not apply or is not known yet."""

from __future__ import annotations

from typing import Any

from service.paths import job_url
from slotwise.attempt import Account
from slotwise.job import Job, State
from slotwise.moment import timestamp


def job_object(job: Job) -> dict[str, Any]:
    """`job` as clients see it."""
    url = job_url(job.id)
    ready_ms = _ready_ms(job)
    return {
        "job_id": job.id,
        "status": job.state,
        "algorithm": job.algorithm,
        "params": job.params,
        "result": job.result if job.state is State.COMPLETED else None,
        "error": job.error if job.state is State.FAILED else None,
        "progress": job.progress and job.progress[0],
        "message": job.progress and job.progress[1],
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "priority": job.priority,
        "timeout": job.timeout,
        "created_at": timestamp(job.created_ms),
        "scheduled_for": timestamp(job.due_ms) if ready_ms != job.created_ms else None,
        "started_at": timestamp(job.started_ms),
        "completed_at": timestamp(job.ended_ms),
        "expires_at": timestamp(job.expires_ms),
        "heartbeat_at": timestamp(job.heartbeat_ms),
        "wait_seconds": _seconds(ready_ms, job.started_ms),
        "run_seconds": _seconds(job.started_ms, job.ended_ms),
        "reason": job.reason if job.state is State.PENDING else None,
        "cancel_requested": job.cancel_requested,
        "worker": job.worker,
        "webhook": None,
        "labels": job.labels,
        "usage": usage(job.account),
        "urls": {
            "self": url,
            "result": url + "/result" if job.state is State.COMPLETED else None,
            "events": url + "/events",
            "cancel": url + "/cancel",
        },
    }


def usage(account: Account) -> dict[str, float | None] | None:
    """What an attempt used; None where nothing was measured."""
    if account.cpu_seconds is None and account.peak_memory_mb is None:
        return None
    return {"cpu_seconds": account.cpu_seconds, "peak_memory_mb": account.peak_memory_mb}


def _ready_ms(job: Job) -> int | None:
    """When the job could start: when it fell due, or when it was made if that was later."""
    if job.created_ms is None or job.due_ms is None:
        return job.created_ms if job.due_ms is None else job.due_ms
    return max(job.created_ms, job.due_ms)


def _seconds(began_ms: int | None, ended_ms: int | None) -> float | None:
    return None if began_ms is None or ended_ms is None else max(0, ended_ms - began_ms) / 1000
