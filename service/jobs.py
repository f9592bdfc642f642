"""The endpoints of jobs: submit, read, cancel, retry, erase."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from service import body
from service.answer import Json
from service.catalogue import Known
from service.front import Front
from service.idempotency import identity
from service.paths import job_url
from service.submission import JobRequest, job_request
from service.view import job_object
from service.waiting import preferred_seconds
from slotwise.errors import SlotwiseError, unknown_job
from slotwise.job import TERMINAL, Job, State
from slotwise.store import Submitted


async def submit(request: Request) -> Response:
    """POST /jobs"""
    front: Front = request.app.state.front
    seconds = preferred_seconds(request.headers)
    value, size = await body.json_object(request, front.settings.max_body_bytes)
    asked = job_request(value)
    known = await front.catalogue.find(asked.algorithm)
    await known.parameters.check(asked.params, size)
    submitted = await _queue(front, request, asked, known)
    job = submitted.job if seconds is None else await _ended(front, request, submitted.job, seconds)
    headers = {"Location": job_url(job.id)}
    if submitted.replayed:
        headers["Idempotent-Replayed"] = "true"
    if seconds is not None and job.state in TERMINAL:
        return Json(job_object(job), 200, headers | _applied(seconds))
    return Json(job_object(job), 202, headers)


async def _queue(front: Front, request: Request, asked: JobRequest, known: Known) -> Submitted:
    job_id, fingerprint = identity(request.headers, asked)
    submission = asked.submission(
        job_id,
        fingerprint,
        now_ms=time.time_ns() // 1_000_000,
        declared=known.entry,
        settings=front.settings,
    )
    [submitted] = await front.store.submit([submission], max_pending=front.settings.max_pending_jobs)
    return submitted


async def _ended(front: Front, request: Request, job: Job, seconds: int) -> Job:
    """The job after the wait, or as it was accepted if it can no longer be read: accepted it is."""
    try:
        return await front.waiting.job(job.id, seconds, request.receive) or job
    except SlotwiseError:
        return job


async def read(request: Request) -> Response:
    """GET /jobs/{id}"""
    front: Front = request.app.state.front
    job_id = request.path_params["job_id"]
    seconds = preferred_seconds(request.headers)
    if seconds is None:
        job = await front.store.job(job_id)
    else:
        job = await front.waiting.job(job_id, seconds, request.receive)
    if job is None:
        raise unknown_job(job_id)
    if job.state not in TERMINAL:
        return Json(job_object(job), 200, {"Retry-After": "1"})
    return Json(job_object(job), 200, {} if seconds is None else _applied(seconds))


async def result(request: Request) -> Response:
    """GET /jobs/{id}/result"""
    front: Front = request.app.state.front
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


async def cancel(request: Request) -> Response:
    """POST /jobs/{id}/cancel"""
    front: Front = request.app.state.front
    job_id = request.path_params["job_id"]
    await body.refuse(request)
    outcome = await front.store.cancel(job_id, keep_ms=round(front.settings.keep_results * 1000))
    if outcome == "finished":
        raise SlotwiseError("already-finished", "The job has ended: there is nothing left to cancel.")
    job = None if outcome == "unknown" else await front.store.job(job_id)
    if job is None:
        raise unknown_job(job_id)
    return Json(job_object(job), 202 if outcome == "requested" else 200)


async def retry(request: Request) -> Response:
    """POST /jobs/{id}/retry"""
    front: Front = request.app.state.front
    await body.refuse(request)
    job = await front.store.retry(
        request.path_params["job_id"],
        level_ms=front.settings.priority_head_start * 1000,
        max_pending=front.settings.max_pending_jobs,
    )
    return Json(job_object(job), 202)


async def erase(request: Request) -> Response:
    """DELETE /jobs/{id}"""
    front: Front = request.app.state.front
    await body.refuse(request)
    await front.store.erase(request.path_params["job_id"])
    return Response(status_code=204)


def _applied(seconds: int) -> dict[str, str]:
    return {"Preference-Applied": f"wait={seconds}"}
