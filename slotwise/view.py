"""The job object: every field of the contract, null where it does not apply or is not known yet.

What endpoints answer, and what webhooks tell.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NotRequired, cast
from urllib.parse import quote

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from slotwise.attempt import Account
from slotwise.job import Job, Reason, State
from slotwise.moment import timestamp

RESERVED: Final = "concurrency"  # a path below /jobs that is no job's

Timestamp = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Seconds = Annotated[float, Field(ge=0)]


class Usage(TypedDict):
    """What an attempt used. Null: it was not measured."""

    cpu_seconds: float | None
    peak_memory_mb: float | None


class Failure(TypedDict):
    """Why a job failed."""

    type: Annotated[
        str,
        Field(
            description="exception, timeout, memory_limit, cpu_limit, crashed, lost, bad_result, bad_params, "
            "algorithm_not_found or expired; more may come"
        ),
    ]
    message: str
    detail: str | None


class JobUrls(TypedDict):
    """Paths of the job's own. Null where there is nothing."""

    self: str
    result: str | None
    events: str
    cancel: str


class _JobFields(TypedDict):
    job_id: str
    status: State
    algorithm: str | None
    error: Annotated[Failure | None, Field(description="Of a failed job.")]
    progress: Annotated[float | None, Field(description="Percent, as the job said it.")]
    message: Annotated[str | None, Field(description="As the job said it.")]
    attempt: Annotated[int, Field(description="The number of attempts that count; 0 before the first.")]
    max_attempts: int | None
    priority: int
    timeout: Annotated[float | None, Field(description="Seconds.")]
    created_at: Timestamp | None
    scheduled_for: Timestamp | None
    started_at: Timestamp | None
    completed_at: Annotated[Timestamp | None, Field(description="When it ended, however it did.")]
    expires_at: Annotated[Timestamp | None, Field(description="When it is forgotten.")]
    heartbeat_at: Timestamp | None
    wait_seconds: Seconds | None
    run_seconds: Seconds | None
    reason: Annotated[Reason | None, Field(description="Why it waits, while it is pending.")]
    cancel_requested: bool
    worker: str | None
    webhook: Annotated[str | None, Field(description="Whom its end is told.")]
    labels: dict[str, str]
    tenant: Annotated[str | None, Field(description="The name of the API key whose it is.")]
    usage: Usage | None
    urls: JobUrls


class JobObject(_JobFields):
    """A job. A field that does not apply, or is not known yet, is null."""

    params: Annotated[Any, Field(description="As they were given.")]
    result: Annotated[Any, Field(description="Of a completed job: any JSON value.")]


class ListedJob(_JobFields):
    """A job in a list: `params` and `result` are there if they were asked for."""

    params: NotRequired[Annotated[Any, Field(description="As they were given.")]]
    result: NotRequired[Annotated[Any, Field(description="Of a completed job: any JSON value.")]]


def job_url(job_id: str) -> str:
    """The path at which a job is found."""
    part = quote(job_id, safe="")
    return "/jobs/" + ("%63" + part[1:] if part == RESERVED else part)


def job_object(job: Job) -> JobObject:
    """`job` as clients see it."""
    url = job_url(job.id)
    ready_ms = _ready_ms(job)
    return {
        "job_id": job.id,
        "status": job.state,
        "algorithm": job.algorithm,
        "params": job.params,
        "result": job.result if job.state is State.COMPLETED else None,
        "error": _error(job.error) if job.state is State.FAILED else None,
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
        "webhook": job.webhook,
        "labels": job.labels,
        "tenant": job.tenant or None,
        "usage": usage(job.account),
        "urls": {
            "self": url,
            "result": url + "/result" if job.state is State.COMPLETED else None,
            "events": url + "/events",
            "cancel": url + "/cancel",
        },
    }


def _error(error: dict[str, Any] | None) -> Failure | None:
    return None if error is None else cast(Failure, error)


def usage(account: Account) -> Usage | None:
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
