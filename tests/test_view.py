"""The job object, for a job in every state."""

from __future__ import annotations

from typing import Any

import pytest

from slotwise.job import Job, Reason, State
from slotwise.view import job_object, timestamp

CREATED = 1_700_000_000_123

NOT_YET = dict.fromkeys(
    [
        *("result", "error", "progress", "message", "scheduled_for", "started_at", "completed_at", "expires_at"),
        *("heartbeat_at", "wait_seconds", "run_seconds", "worker", "webhook", "usage", "max_attempts", "timeout"),
    ]
)

QUEUED: dict[str, Any] = NOT_YET | {
    "job_id": "ab12",
    "status": "pending",
    "algorithm": "Rest",
    "params": {"seconds": 1},
    "attempt": 0,
    "priority": 0,
    "created_at": "2023-11-14T22:13:20.123Z",
    "reason": "queued",
    "cancel_requested": False,
    "labels": {},
    "tenant": None,
    "urls": {"self": "/jobs/ab12", "result": None, "events": "/jobs/ab12/events", "cancel": "/jobs/ab12/cancel"},
}

URLS = QUEUED["urls"] | {"result": "/jobs/ab12/result"}

RUN = {"started_ms": CREATED + 1_500, "attempt": 1, "worker": "w1"}
RUN_SEEN = {
    "started_at": "2023-11-14T22:13:21.623Z",
    "attempt": 1,
    "worker": "w1",
    "wait_seconds": 1.5,
    "reason": None,
}
END = {"ended_ms": CREATED + 3_750, "expires_ms": CREATED + 60_000}
END_SEEN = {
    "completed_at": "2023-11-14T22:13:23.873Z",
    "expires_at": "2023-11-14T22:14:20.123Z",
    "run_seconds": 2.25,
}
ERROR = {"type": "exception", "message": "no", "detail": None}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "queued": ({"reason": Reason.QUEUED, "due_ms": CREATED}, {}),
    "scheduled": (
        {"reason": Reason.SCHEDULED, "due_ms": CREATED + 5_000, "priority": 3, "timeout": 7.5, "max_attempts": 2},
        {
            "reason": "scheduled",
            "scheduled_for": "2023-11-14T22:13:25.123Z",
            "priority": 3,
            "timeout": 7.5,
            "max_attempts": 2,
        },
    ),
    "running": ({"state": State.RUNNING, "due_ms": CREATED} | RUN, {"status": "running"} | RUN_SEEN),
    "running, to be cancelled": (
        {"state": State.RUNNING, "cancel_requested": True} | RUN,
        {"status": "running", "cancel_requested": True} | RUN_SEEN,
    ),
    "running, once scheduled": (
        {"state": State.RUNNING, "due_ms": CREATED + 1_000} | RUN,
        {"status": "running", "scheduled_for": "2023-11-14T22:13:21.123Z"} | RUN_SEEN | {"wait_seconds": 0.5},
    ),
    "completed": (
        {"state": State.COMPLETED, "result": {"n": 10**30}} | RUN | END,
        {"status": "completed", "result": {"n": 10**30}, "urls": URLS} | RUN_SEEN | END_SEEN,
    ),
    "failed": (
        {"state": State.FAILED, "error": ERROR} | RUN | END,
        {"status": "failed", "error": ERROR} | RUN_SEEN | END_SEEN,
    ),
    "cancelled before it ran": (
        {"state": State.CANCELLED, "error": ERROR} | END,
        {"status": "cancelled", "reason": None} | END_SEEN | {"run_seconds": None},
    ),
    "a stock client's": (
        {"algorithm": None, "params": None, "created_ms": None, "due_ms": CREATED, "reason": Reason.QUEUED},
        {"algorithm": None, "params": None, "created_at": None, "scheduled_for": "2023-11-14T22:13:20.123Z"},
    ),
}


@pytest.mark.parametrize(("given", "differs"), CASES.values(), ids=CASES.keys())
def test_a_job_in_every_state(given: dict[str, Any], differs: dict[str, Any]) -> None:
    fields: dict[str, Any] = {
        "id": "ab12",
        "state": State.PENDING,
        "algorithm": "Rest",
        "params": {"seconds": 1},
        "created_ms": CREATED,
    }
    assert job_object(Job(**(fields | given))) == QUEUED | differs


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, None),
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
        (9_000_000_000_000_000, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_timestamps(ms: int | None, text: str | None) -> None:
    assert timestamp(ms) == text
