"""The endpoint that says why a job waits, where it runs, or where its time went."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.answer import Json
from service.front import Front
from service.view import usage
from slotwise.errors import unknown_job
from slotwise.explain import why
from slotwise.job import TERMINAL, Attempt, Job, State
from slotwise.moment import timestamp
from slotwise.store import Store

ESTIMATES = ["position", "eta_seconds"]
# what becomes of a running job that is to end, by where it runs
TO_ITSELF = "it keeps its slot until it ends by itself, or its worker does."
ENDING = {
    "process": " It was told to end, and is killed when its grace is over.",
    "thread": f" It was told to end, but runs in a thread, which nobody can stop: {TO_ITSELF}",
    "loop": f" It was told to end, but runs on its worker's event loop, where nobody can stop it: {TO_ITSELF}",
}


async def explain(request: Request) -> Response:
    """GET /jobs/{id}/explain"""
    front: Front = request.app.state.front
    job_id = request.path_params["job_id"]
    job = await front.store.job(job_id)
    if job is None:
        raise unknown_job(job_id)
    if job.state is State.PENDING and (waiting := await _waiting(front.store, job)):
        return Json(waiting)
    if job.state is State.PENDING:  # it has moved between the two reads
        job = await front.store.job(job_id) or job
    return Json(_past(job) if job.state in TERMINAL else await _running(front, job))


async def _waiting(store: Store, job: Job) -> dict[str, Any] | None:
    facts = await store.explain(job.id)
    if facts is None:
        return None
    answer = why(facts, job.due_ms)
    return {
        "job_id": job.id,
        "status": job.state,
        "reason": job.reason,
        "text": answer.text,
        "blocking": answer.blocking,
        "position": answer.position,
        "holders": list(answer.holders),
        "eta_seconds": None if answer.eta is None else dict(zip(("p50", "p90"), answer.eta, strict=True)),
        "estimates": ESTIMATES,
        "attempts": [_row(attempt) for attempt in job.history],
    }


async def _running(front: Front, job: Job) -> dict[str, Any]:
    entry = await front.catalogue.get(job.algorithm) or {}
    timeout = job.timeout or entry.get("timeout") or front.settings.job_timeout
    late = job.started_ms is not None and time.time() * 1000 > job.started_ms + timeout * 1000
    executor = entry.get("executor")
    text = f"It runs on {job.worker}." if job.worker else "It runs."
    return {
        "job_id": job.id,
        "status": job.state,
        "text": text + (ENDING.get(str(executor), "") if job.cancel_requested or late else ""),
        "since": timestamp(job.started_ms),
        "worker": job.worker,
        "heartbeat_at": timestamp(job.heartbeat_ms),
        "attempt": job.attempt,
        "cancel_requested": job.cancel_requested,
        "executor": executor,
        "can_be_killed": None if executor is None else executor == "process",
        "attempts": [_row(attempt) for attempt in job.history],
    }


def _past(job: Job) -> dict[str, Any]:
    attempts = list(job.history)
    if job.started_ms is not None and job.ended_ms is not None:
        last = (job.error or {}).get("type") or job.state.value
        attempts.append(Attempt(job.started_ms, job.ended_ms, job.worker or "", last, job.account))
    ran = sum(attempt.ended_ms - attempt.started_ms for attempt in attempts)
    begun = max(filter(None, (job.created_ms, job.due_ms if not job.history else None)), default=None)
    whole = None if job.ended_ms is None or begun is None else job.ended_ms - begun
    return {
        "job_id": job.id,
        "status": job.state,
        "text": "It has ended.",
        "queued_seconds": None if whole is None else max(0, whole - ran) / 1000,
        "running_seconds": ran / 1000,
        "attempts": [_row(attempt) for attempt in attempts],
    }


def _row(attempt: Attempt) -> dict[str, Any]:
    return {
        "started_at": timestamp(attempt.started_ms),
        "ended_at": timestamp(attempt.ended_ms),
        "worker": attempt.worker,
        "outcome": attempt.outcome,
        "usage": usage(attempt.account),
        "kill_steps": [{"at": timestamp(each.at_ms), "step": each.step} for each in attempt.account.kill_steps],
    }
