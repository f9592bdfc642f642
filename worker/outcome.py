"""What an attempt's end means: pure rules, no Redis and no clock.

A body's exception becomes a final failure, a retry, or a job handed back; only the job's own doing counts as
an attempt.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any, Final

from arq.worker import JobExecutionFailed, RetryJob

from slotwise import wire
from slotwise.attempt import Outcome
from slotwise.errors import JobError
from slotwise.failure import named, pause_seconds
from worker.events import Name
from worker.runner import NoProcess, ZygoteDied

RETRYABLE: Final = frozenset({"exception", "timeout", "crashed"})
BACKOFF_SECONDS: Final = 1.0  # before the second attempt; doubled for each further one
BACKOFF_MOST_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended: the outcome for the store, the event for the log, and what goes with them."""

    outcome: Outcome
    event: Name
    result: Any = None
    failure: BaseException | None = None
    error: JobError | None = None
    retry_in_seconds: float = 0.0
    counted: bool = True  # as an attempt, where the outcome is `retry`


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the worker knows of an attempt that the body's exception does not tell."""

    attempt: int
    attempts: int  # that the algorithm's policy allows for failures; 1 for a plain arq function
    cancel_requested: bool  # somebody cancelled the job
    handed_back: bool  # the worker itself cancelled the body: an outage, a lost lease
    leaving: bool  # the worker was told to stop
    timed_out: bool
    retry_jobs: bool  # arq's `retry_jobs`


def completed(result: Any) -> Verdict:
    return Verdict("completed", "completed", result=result)


def failed(failure: BaseException, error: JobError | None = None, event: Name = "failed") -> Verdict:
    """A final failure: `failure` is what arq's clients see, `error` what the record says."""
    return Verdict("failed", event, failure=failure, error=error or wire.error_of(failure))


def cancelled(event: Name = "cancelled") -> Verdict:
    failure = asyncio.CancelledError()
    return Verdict("cancelled", event, failure=failure, error=wire.error_of(failure))


def not_run(code: str, text: str, event: Name) -> Verdict:
    """A job that ends without a body having run."""
    return failed(JobExecutionFailed(text), JobError(code, text), event)


def judge(failure: BaseException, given: Circumstances) -> Verdict:
    """The verdict on an attempt whose body raised `failure`."""
    if given.cancel_requested:
        return cancelled()
    if given.handed_back or (given.leaving and isinstance(failure, asyncio.CancelledError)):
        return Verdict("release", "handed_back")
    if isinstance(failure, ZygoteDied):
        return Verdict("died", "handed_back")
    if isinstance(failure, NoProcess):  # later, and whichever worker has one to spare
        told = failure.with_traceback(None)
        return Verdict("retry", "no_process", failure=told, retry_in_seconds=failure.pause_seconds, counted=False)
    pause = pause_seconds(failure)
    if given.retry_jobs and pause is not None:
        return Verdict("retry", "retrying", retry_in_seconds=pause)
    if given.retry_jobs and isinstance(failure, asyncio.CancelledError | RetryJob):
        return Verdict("retry", "handed_back")
    error = _error(failure, given)
    if error.type in RETRYABLE and given.attempt < given.attempts:
        return Verdict("retry", "retrying", failure=failure, retry_in_seconds=backoff_seconds(given.attempt))
    return failed(failure, error)


def _error(failure: BaseException, given: Circumstances) -> JobError:
    """A TimeoutError of the body's own is an exception: the job's timeout is known by its timer."""
    if given.timed_out:
        return wire.error_of(TimeoutError())
    return wire.error_of(failure) if isinstance(failure, asyncio.CancelledError) else named(failure)


def backoff_seconds(attempt: int) -> float:
    """Exponential, with full jitter over its upper half, so that what failed together is not retried together."""
    most: float = min(BACKOFF_MOST_SECONDS, BACKOFF_SECONDS * 2 ** min(attempt - 1, 16))
    return most * random.uniform(0.5, 1.0)  # noqa: S311  (spreading load, not secrets)
