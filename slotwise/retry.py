"""A retry as its caller sees it: which job may have one, the payload it runs on, and how it then stands.

Pure rules. The payload is deleted when a job ends; what was called stands in the envelope of its result.
"""

from __future__ import annotations

from dataclasses import replace

from slotwise import wire
from slotwise.attempt import NO_ACCOUNT
from slotwise.errors import SlotwiseError
from slotwise.job import TERMINAL, Job, Reason, State


def retry_args(
    job: Job, envelope: bytes | None, token: str, level_ms: float, max_pending: int
) -> list[str | bytes | int | float]:
    """The arguments of retry.lua for a job that was read with this envelope; `level_ms` is worth one of priority.

    Raises: SlotwiseError `still-active`, `already-finished`, `not-kept`.
    """
    if job.state not in TERMINAL:
        raise SlotwiseError("still-active", f"The job is {job.state}: there is nothing to retry yet.")
    if job.state is State.COMPLETED:
        raise SlotwiseError(
            "already-finished",
            "The job has completed, and only one that failed or was cancelled is retried: submit it anew.",
        )
    if envelope is None:
        raise SlotwiseError(
            "not-kept",
            "The job's parameters were kept with its result, and that is gone (keep_result): submit it anew.",
        )
    payload = wire.payload_of(envelope)
    if payload is None:
        raise SlotwiseError(
            "not-kept", "What the job was called with is not stored in a form that we can read: submit it anew."
        )
    return [job.id, "", token, max_pending, job.priority * level_ms, envelope, payload]


def as_retried(job: Job, due_ms: int) -> Job:
    """The job that `retry_args` accepted, as it stands in Redis right after its retry."""
    return replace(
        job,
        state=State.PENDING,
        reason=Reason.QUEUED,
        error=None,
        attempt=0,
        due_ms=due_ms,
        started_ms=None,
        ended_ms=None,
        expires_ms=None,
        cancel_requested=False,
        worker=None,
        history=(),
        forgotten=0,
        ready_ms=None,
        reopened_ms=due_ms,
        ended_waiting=False,
        account=NO_ACCOUNT,
        progress=None,
    )
