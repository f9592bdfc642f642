"""POST /jobs/cancel and POST /jobs/retry: what is done to one job, done to all that fit a filter.

Who asks says how many jobs that should be, and nothing is done when it is another number; or tries it out first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from service import body
from service.answer import Json
from service.front import Front
from service.listing import JobFilter
from service.operation import Answer, operation
from service.problems import invalid, rows_of
from slotwise import bulk
from slotwise.errors import SlotwiseError
from slotwise.job import State
from slotwise.listing import Filter, ids
from slotwise.tenant import Scope

MOST: Final = 100_000  # jobs in one request
CANCELLED: Final = frozenset({State.PENDING, State.RUNNING})
RETRIED: Final = frozenset({State.FAILED, State.CANCELLED})


class _Bulk(BaseModel):
    """`expected`: how many jobs must match. `dry_run`: only count them. One of the two is required."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "anyOf": [
                {"required": ["expected"]},
                {"required": ["dry_run"], "properties": {"dry_run": {"const": True}}},
            ]
        },
    )

    filter: JobFilter
    expected: int = Field(default_factory=lambda: -1, ge=0, le=MOST)
    dry_run: bool = False


class CancelFilter(JobFilter):
    status: Literal["pending", "running"] | None = None


class RetryFilter(JobFilter):
    status: Literal["failed", "cancelled"] | None = None


class BulkCancel(_Bulk):
    filter: CancelFilter


class BulkRetry(_Bulk):
    filter: RetryFilter


class Done(TypedDict):
    """How many jobs fit, and to how many it was done."""

    matched: int
    done: int


@operation(
    "cancel_jobs",
    "jobs",
    "Cancel all jobs that fit a filter",
    scope=Scope.SUBMIT,
    body=BulkCancel,
    answers={200: Answer(Done, "Those that wait are cancelled, those that run were told to end.")},
    problems=["count-differs"],
)
async def cancel(request: Request) -> Response:
    """POST /jobs/cancel"""
    front: Front = request.state.front
    keep_ms = round(front.settings.keep_results * 1000)
    return await _act(request, BulkCancel, CANCELLED, lambda ids: bulk.cancel(front.store, ids, keep_ms=keep_ms))


@operation(
    "retry_jobs",
    "jobs",
    "Let all failed and cancelled jobs that fit a filter wait again",
    scope=Scope.SUBMIT,
    body=BulkRetry,
    answers={200: Answer(Done, "They wait again.")},
    problems=["count-differs", "queue-full"],
)
async def retry(request: Request) -> Response:
    """POST /jobs/retry"""
    front: Front = request.state.front
    level_ms, most = front.settings.priority_head_start * 1000, front.settings.max_pending_jobs
    return await _act(
        request, BulkRetry, RETRIED, lambda ids: bulk.retry(front.store, ids, level_ms=level_ms, max_pending=most)
    )


async def _act(
    request: Request, model: type[_Bulk], states: frozenset[State], act: Callable[[list[str]], Awaitable[int]]
) -> Response:
    front: Front = request.state.front
    value, _ = await body.json_object(request, front.settings.max_body_bytes)
    asked = _request(value, model)
    found, matched = [], 0
    async for some in ids(front.store, _wanted(asked, states)):
        matched += len(some)
        found += [] if asked.dry_run or matched > asked.expected else some
    if asked.expected >= 0 and matched != asked.expected:
        raise SlotwiseError(
            "count-differs",
            f"{matched} jobs match, not {asked.expected}: nothing was done. Look again, and say {matched}.",
        )
    return Json({"matched": matched, "done": 0 if asked.dry_run else await act(found)})


def _wanted(asked: _Bulk, states: frozenset[State]) -> Filter:
    return asked.filter.wanted().within(states)


def _request(value: dict[str, Any], model: type[_Bulk]) -> _Bulk:
    """Raises: SlotwiseError `invalid-request`."""
    try:
        asked = model.model_validate(value)
    except ValidationError as error:
        raise invalid("The request is not valid.", rows_of(error, "is not a field of this request")) from None
    if asked.expected < 0 and not asked.dry_run:
        raise invalid("The request is not valid.", {"#/expected": "is required, unless dry_run is true"})
    return asked
