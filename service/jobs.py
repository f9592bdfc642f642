"""The endpoints of jobs: submit, read, cancel, retry, erase."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from service import body
from service.answer import Json
from service.catalogue import Known
from service.front import Front
from service.idempotency import KEY as KEY_FORM
from service.idempotency import identity
from service.operation import RATE, Answer, Header, operation
from service.problems import rate_headers
from service.submission import JobRequest, job_request
from service.tracing import trace_of
from service.waiting import MAX_SECONDS, preferred_seconds
from slotwise.errors import SlotwiseError, unknown_job
from slotwise.job import TERMINAL, Job, State
from slotwise.journal import FIELDS
from slotwise.store import Submitted
from slotwise.tenant import Scope
from slotwise.view import JobObject, job_object, job_url

log = logging.getLogger(__name__)

KEY: Final = Header(
    "Idempotency-Key",
    "The same key and the same body make the same job, however often they are sent.",
    {"type": "string", "pattern": f"^{KEY_FORM}$"},
    "order-17",
)
PREFER: Final = Header(
    "Prefer",
    f"`wait=N`: answer when the job has ended, after at most N seconds (up to {MAX_SECONDS}).",
    example="wait=1",
)
LOCATION: Final = Header("Location", "Where the job is read.")
REPLAYED: Final = Header("Idempotent-Replayed", "The job was there already.", {"const": "true"})
APPLIED: Final = Header("Preference-Applied", "`wait=N`, when the job has ended.")
AGAIN: Final = Header("Retry-After", "Seconds, while it has not ended.", {"type": "string", "pattern": "^[0-9]+$"})


@operation(
    "submit_job",
    "jobs",
    "Submit a job",
    scope=Scope.SUBMIT,
    body=JobRequest,
    headers=[KEY, PREFER],
    answers={
        202: Answer(JobObject, "Accepted: it will run.", [LOCATION, REPLAYED, *RATE]),
        200: Answer(
            JobObject, "It has ended within the time that Prefer gave it.", [LOCATION, REPLAYED, APPLIED, *RATE]
        ),
    },
    problems=["algorithm-not-found", "idempotency-key-reused", "queue-full", "rate-limited"],
)
async def submit(request: Request) -> Response:
    """POST /jobs"""
    front: Front = request.state.front
    seconds = preferred_seconds(request.headers)
    value, size = await body.json_object(request, front.settings.max_body_bytes)
    asked = job_request(value)
    known = await front.catalogue.find(asked.algorithm)
    await known.parameters.check(asked.params, size)
    submitted = await _queue(front, request, asked, known, size)
    job = submitted.job if seconds is None else await _ended(front, request, submitted.job, seconds)
    headers = {"Location": job_url(job.id)} | quota_headers(submitted)
    if submitted.replayed:
        headers["Idempotent-Replayed"] = "true"
    if seconds is not None and job.state in TERMINAL:
        return Json(job_object(job), 200, headers | _applied(seconds))
    return Json(job_object(job), 202, headers)


async def _queue(front: Front, request: Request, asked: JobRequest, known: Known, size: int) -> Submitted:
    job_id, fingerprint = identity(request.headers, asked, front.caller.name)
    submission = asked.submission(
        job_id,
        fingerprint,
        now_ms=time.time_ns() // 1_000_000,
        declared=known.entry,
        settings=front.settings,
        trace=trace_of(request),
        tenant=front.caller.name,
    )
    submitted = await front.intake.submit(submission, size)
    if log.isEnabledFor(logging.DEBUG):
        log.debug("submitted", extra={FIELDS: {"job_id": job_id, **submission.trace.as_logged()}})
    return submitted


async def _ended(front: Front, request: Request, job: Job, seconds: int) -> Job:
    """The job after the wait, or as it was accepted if it can no longer be read: accepted it is."""
    try:
        return await front.waiting.job(front.store, job.id, seconds, request.receive) or job
    except SlotwiseError:
        return job


@operation(
    "read_job",
    "jobs",
    "Read a job",
    scope=Scope.READ,
    headers=[PREFER],
    answers={
        200: Answer(JobObject, "As it is; Prefer: wait=N holds it back until it has ended.", [AGAIN, APPLIED])
    },
    problems=["job-not-found"],
)
async def read(request: Request) -> Response:
    """GET /jobs/{id}"""
    front: Front = request.state.front
    job_id = request.path_params["job_id"]
    seconds = preferred_seconds(request.headers)
    if seconds is None:
        job = await front.store.job(job_id)
    else:
        job = await front.waiting.job(front.store, job_id, seconds, request.receive)
    if job is None:
        raise unknown_job(job_id)
    if job.state not in TERMINAL:
        return Json(job_object(job), 200, {"Retry-After": "1"})
    return Json(job_object(job), 200, {} if seconds is None else _applied(seconds))


@operation(
    "read_result",
    "jobs",
    "Read a job's bare result",
    scope=Scope.READ,
    answers={200: Answer(Any, "As the job returned it.")},
    problems=["job-not-found", "result-not-ready", "job-failed"],
)
async def result(request: Request) -> Response:
    """GET /jobs/{id}/result"""
    front: Front = request.state.front
    job_id = request.path_params["job_id"]
    job = await front.store.job(job_id)
    if job is None:
        raise unknown_job(job_id)
    if job.state not in TERMINAL:
        raise SlotwiseError(
            "result-not-ready", f"The job is {job.state}: ask again once it has ended.", retry_after_seconds=1
        )
    if job.state is not State.COMPLETED:
        raise SlotwiseError("job-failed", f"The job is {job.state}: {job_url(job_id)} says why.")
    return Json(job.result)


@operation(
    "cancel_job",
    "jobs",
    "Cancel a job",
    scope=Scope.SUBMIT,
    answers={
        200: Answer(JobObject, "It was waiting, or is cancelled already."),
        202: Answer(JobObject, "It runs, and was told to end."),
    },
    problems=["job-not-found", "already-finished"],
)
async def cancel(request: Request) -> Response:
    """POST /jobs/{id}/cancel"""
    front: Front = request.state.front
    job_id = request.path_params["job_id"]
    await body.refuse(request)
    outcome = await front.store.cancel(job_id, keep_ms=round(front.settings.keep_results * 1000))
    if outcome == "finished":
        raise SlotwiseError("already-finished", "The job has ended: there is nothing left to cancel.")
    job = None if outcome == "unknown" else await front.store.job(job_id)
    if job is None:
        raise unknown_job(job_id)
    return Json(job_object(job), 202 if outcome == "requested" else 200)


@operation(
    "retry_job",
    "jobs",
    "Let a failed or cancelled job wait again",
    scope=Scope.SUBMIT,
    answers={202: Answer(JobObject, "It waits, under its id; its attempts begin anew.")},
    problems=["job-not-found", "already-finished", "still-active", "not-kept", "queue-full"],
)
async def retry(request: Request) -> Response:
    """POST /jobs/{id}/retry"""
    front: Front = request.state.front
    await body.refuse(request)
    job = await front.store.retry(
        request.path_params["job_id"],
        level_ms=front.settings.priority_head_start * 1000,
        max_pending=front.settings.max_pending_jobs,
    )
    return Json(job_object(job), 202)


@operation(
    "erase_job",
    "jobs",
    "Erase a job that has ended",
    scope=Scope.SUBMIT,
    answers={204: Answer(None, "Nothing knows it any more.", media_type="")},
    problems=["job-not-found", "still-active"],
)
async def erase(request: Request) -> Response:
    """DELETE /jobs/{id}"""
    front: Front = request.state.front
    await body.refuse(request)
    await front.store.erase(request.path_params["job_id"])
    return Response(status_code=204)


def quota_headers(submitted: Submitted) -> dict[str, str]:
    return rate_headers(submitted.quota) if submitted.quota else {}


def _applied(seconds: int) -> dict[str, str]:
    return {"Preference-Applied": f"wait={seconds}"}
