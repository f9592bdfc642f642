"""The endpoints of a job's webhook: what came of telling it, and telling it once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from service import body
from service.answer import Json
from service.front import Front
from service.operation import Answer, operation
from slotwise.errors import unknown_job
from slotwise.moment import timestamp
from slotwise.store import Store
from slotwise.tenant import Scope
from slotwise.view import Timestamp


class Attempt(TypedDict):
    """One request to the webhook."""

    at: Timestamp
    event: str | None
    webhook_id: Annotated[str | None, Field(description="The same for all attempts to tell the same.")]
    outcome: Annotated[
        str | None, Field(description="delivered, failed (it is tried again), refused or given_up; more may come")
    ]
    status_code: Annotated[int | None, Field(description="Null: no answer came.")]
    ms: Annotated[int | None, Field(description="For how long it took.")]
    next_at: Annotated[Timestamp | None, Field(description="When the next attempt is due.")]
    error: str | None


class Attempts(TypedDict):
    """The latest attempts, oldest first."""

    attempts: list[Attempt]


@operation(
    "read_webhook_attempts",
    "jobs",
    "What came of telling a job's webhook",
    scope=Scope.READ,
    answers={200: Answer(Attempts, "Empty before the first, and for a job without a webhook.")},
    problems=["job-not-found"],
)
async def attempts(request: Request) -> Response:
    """GET /jobs/{id}/webhooks"""
    store, job_id = await _job_of(request)
    rows = await store.outbox.attempts(job_id)
    return Json({"attempts": [attempt_object(row) for row in rows]})


@operation(
    "redeliver_webhook",
    "jobs",
    "Tell a job's webhook now",
    scope=Scope.SUBMIT,
    answers={202: Answer(Attempts, "It is told at once; so far came of it this.")},
    problems=["job-not-found", "webhook-not-found"],
    text="What it is to be told next, with its attempts anew; where nothing is left, once more how the job ended.",
)
async def redeliver(request: Request) -> Response:
    """POST /jobs/{id}/webhooks/redeliver"""
    await body.refuse(request)
    store, job_id = await _job_of(request)
    await store.outbox.redeliver(job_id)
    rows = await store.outbox.attempts(job_id)
    return Json({"attempts": [attempt_object(row) for row in rows]}, 202)


async def _job_of(request: Request) -> tuple[Store, str]:
    """The job, if who asks may see it. Raises: SlotwiseError `job-not-found`."""
    front: Front = request.state.front
    job_id: str = request.path_params["job_id"]
    if not await front.store.owns(job_id):
        raise unknown_job(job_id)
    return front.store, job_id


def attempt_object(row: Mapping[str, Any]) -> Attempt:
    """An attempt as clients see it."""
    return {
        "at": timestamp(int(row.get("at") or 0)),
        "event": row.get("event"),
        "webhook_id": row.get("webhook_id"),
        "outcome": row.get("outcome"),
        "status_code": row.get("status_code"),
        "ms": row.get("ms"),
        "next_at": timestamp(row.get("next_at")),
        "error": row.get("error"),
    }
