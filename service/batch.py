"""POST /jobs/batch: up to 100 jobs in one atomic step, all of them or none."""

from __future__ import annotations

import time
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from service import body
from service.answer import Json
from service.catalogue import Known
from service.front import Front
from service.idempotency import identities
from service.jobs import KEY, REPLAYED, quota_headers
from service.operation import RATE, Answer, operation
from service.problems import beneath
from service.submission import BatchRequest, JobRequest, batch_request, job_request
from service.tracing import trace_of
from slotwise.errors import SlotwiseError
from slotwise.job import Submission
from slotwise.tenant import Scope
from slotwise.view import JobObject, job_object

SMALL_BYTES = 4_096  # of a batch: the sizes of its jobs make no difference


class Batch(TypedDict):
    """The jobs, in the order in which they were sent."""

    jobs: list[JobObject]


@operation(
    "submit_jobs",
    "jobs",
    "Submit up to 100 jobs, all or none",
    scope=Scope.SUBMIT,
    body=BatchRequest,
    headers=[KEY],
    answers={202: Answer(Batch, "All are accepted.", [REPLAYED, *RATE])},
    problems=["algorithm-not-found", "idempotency-key-reused", "queue-full", "rate-limited"],
)
async def submit(request: Request) -> Response:
    """POST /jobs/batch"""
    front: Front = request.state.front
    value, size = await body.json_object(request, front.settings.max_body_bytes)
    asked = [await _checked(front, number, each, size) for number, each in enumerate(batch_request(value).jobs)]
    submitted = await front.store.submit(
        _submissions(front, request, asked), max_pending=front.settings.max_pending_jobs
    )
    headers = {"Idempotent-Replayed": "true"} if submitted[0].replayed else {}
    headers |= quota_headers(submitted[0])
    return Json({"jobs": [job_object(each.job) for each in submitted]}, 202, headers)


async def _checked(front: Front, number: int, value: dict[str, Any], size: int) -> tuple[JobRequest, Known]:
    """Raises: SlotwiseError, which says which job it is."""
    try:
        asked = job_request(value)
        known = await front.catalogue.find(asked.algorithm)
        await known.parameters.check(asked.params, size if size < SMALL_BYTES else len(to_json(value)))
    except SlotwiseError as error:
        raise beneath(error, "jobs", number) from None
    return asked, known


def _submissions(front: Front, request: Request, asked: list[tuple[JobRequest, Known]]) -> list[Submission]:
    ids, fingerprint = identities(request.headers, [each for each, _ in asked], front.caller.name)
    now_ms, trace, made = time.time_ns() // 1_000_000, trace_of(request), []
    for number, (each, known) in enumerate(asked):
        try:
            made.append(
                each.submission(
                    ids[number],
                    fingerprint,
                    now_ms=now_ms,
                    declared=known.entry,
                    settings=front.settings,
                    trace=trace,
                    tenant=front.caller.name,
                )
            )
        except SlotwiseError as error:
            raise beneath(error, "jobs", number) from None
    return made
