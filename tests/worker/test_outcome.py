"""What an attempt's end means: the table of rules."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from arq.worker import Retry, RetryJob

from slotwise import JobError
from worker.outcome import BACKOFF_MOST_SECONDS, Circumstances, backoff_seconds, judge
from worker.runner import NoProcess, ZygoteDied
from worker.shortage import NoZygote

PLAIN = Circumstances(
    attempt=1,
    attempts=1,
    cancel_requested=False,
    handed_back=False,
    leaving=False,
    timed_out=False,
    retry_jobs=True,
)
CANCELLED = asyncio.CancelledError()


def again(defer_score: object) -> Retry:
    retry = Retry()
    retry.defer_score = defer_score  # type: ignore[assignment]
    return retry


@pytest.mark.parametrize(
    ("failure", "given", "outcome", "error"),
    [
        (ValueError("x"), {}, "failed", "exception"),
        (ValueError("x"), {"attempts": 2}, "retry", None),
        (ValueError("x"), {"attempts": 2, "attempt": 2}, "failed", "exception"),
        (TimeoutError(), {"timed_out": True}, "failed", "timeout"),
        (CANCELLED, {"timed_out": True, "attempts": 2}, "retry", None),
        (TimeoutError(), {}, "failed", "exception"),  # the body's own
        (JobError("lost", "x"), {}, "failed", "exception"),  # not for a body to say
        (again("soon"), {}, "failed", "exception"),
        (again(1e300), {}, "retry", None),
        (JobError("crashed", "x"), {"attempts": 2}, "retry", None),
        (JobError("memory_limit", "x"), {"attempts": 9}, "failed", "memory_limit"),
        (JobError("cpu_limit", "x"), {"attempts": 9}, "failed", "cpu_limit"),
        (JobError("bad_params", "x"), {"attempts": 9}, "failed", "bad_params"),
        (JobError("bad_result", "x"), {"attempts": 9}, "failed", "bad_result"),
        (Retry(defer=3), {}, "retry", None),
        (Retry(defer=3), {"retry_jobs": False}, "failed", "exception"),
        (RetryJob(), {}, "retry", None),
        (CANCELLED, {}, "retry", None),  # the body cancelled itself: as in arq, it runs again, and that counts
        (CANCELLED, {"retry_jobs": False}, "failed", "cancelled"),
        (CANCELLED, {"cancel_requested": True}, "cancelled", "cancelled"),
        (ValueError("on its way out"), {"cancel_requested": True, "attempts": 9}, "cancelled", "cancelled"),
        (CANCELLED, {"leaving": True}, "release", None),
        (ValueError("x"), {"leaving": True}, "failed", "exception"),  # it failed by itself during the drain
        (CANCELLED, {"handed_back": True}, "release", None),
        (ValueError("on its way out"), {"handed_back": True}, "release", None),
        (CANCELLED, {"handed_back": True, "cancel_requested": True}, "cancelled", "cancelled"),
        (ZygoteDied("x"), {}, "died", None),
        (ZygoteDied("x"), {"cancel_requested": True}, "cancelled", "cancelled"),
        (NoProcess("x"), {"attempt": 9}, "retry", None),
        (NoZygote("x", 5), {"attempt": 9}, "retry", None),
        (NoProcess("x"), {"cancel_requested": True}, "cancelled", "cancelled"),
        (NoProcess("x"), {"handed_back": True}, "release", None),
    ],
)
def test_judge(failure: BaseException, given: dict[str, object], outcome: str, error: str | None) -> None:
    verdict = judge(failure, replace(PLAIN, **given))  # type: ignore[arg-type]
    assert verdict.outcome == outcome
    assert (verdict.error and verdict.error.type) == error


def test_a_job_without_a_process_waits_as_long_as_it_is_told_and_that_does_not_count() -> None:
    verdict = judge(NoZygote("x", 5), PLAIN)
    assert (verdict.retry_in_seconds, verdict.counted) == (5, False)


def test_backoff_doubles_up_to_its_bound_and_is_jittered() -> None:
    for attempt, most in [(1, 1), (2, 2), (5, 16), (50, BACKOFF_MOST_SECONDS)]:
        drawn = [backoff_seconds(attempt) for _ in range(200)]
        assert most / 2 <= min(drawn) < max(drawn) <= most
