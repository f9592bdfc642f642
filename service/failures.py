"""GET /failures: failed jobs, grouped by what is the same of them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from service import query
from service.answer import Json
from service.front import Front
from service.operation import Answer, operation
from slotwise.failed import Group, groups
from slotwise.moment import timestamp
from slotwise.tenant import Scope
from slotwise.view import Timestamp

LIMIT: Final = query.Number("limit", "At most so many groups.", default=50, most=500)


class FailureGroup(TypedDict):
    """Failures that have algorithm, type of error and origin in common."""

    fingerprint: str
    algorithm: str | None
    error_type: str
    origin: Annotated[str | None, Field(description="The class of the exception, and the place that raised it.")]
    message: Annotated[str, Field(description="Of the latest.")]
    count: int
    first_seen: Timestamp
    last_seen: Timestamp
    job_ids: Annotated[list[str], Field(description="The latest, at most five.")]


class Failures(TypedDict):
    """The groups that failed last, first."""

    failures: list[FailureGroup]


@operation(
    "list_failures",
    "service",
    "List failures, grouped by what is the same of them",
    scope=Scope.READ,
    query=[LIMIT],
    answers={200: Answer(Failures, "Of the last week.")},
)
async def failures(request: Request) -> Response:
    """GET /failures"""
    front: Front = request.state.front
    most = LIMIT.of(request)
    return Json({"failures": [failure_group(group) for group in await groups(front.store, most)]})


def failure_group(group: Group) -> FailureGroup:
    return {
        "fingerprint": group.fingerprint,
        "algorithm": group.algorithm,
        "error_type": group.error_type,
        "origin": group.origin or None,
        "message": group.message,
        "count": group.count,
        "first_seen": timestamp(group.first_ms),
        "last_seen": timestamp(group.last_ms),
        "job_ids": list(group.job_ids),
    }
