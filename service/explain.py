"""The endpoint that says why a job waits, where it runs, or where its time went."""

from __future__ import annotations

import time
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from service.answer import Json
from service.front import Front
from service.operation import Answer, operation
from slotwise.errors import unknown_job
from slotwise.explain import Blocking, why
from slotwise.job import TERMINAL, Attempt, Job, Reason, State
from slotwise.moment import timestamp
from slotwise.store import Store
from slotwise.tenant import Scope
from slotwise.view import Seconds, Timestamp, Usage, usage

ESTIMATES: Final = ["position", "eta_seconds"]
# what becomes of a running job that is to end, by where it runs
TO_ITSELF = "it keeps its slot until it ends by itself, or its worker does."
ENDING = {
    "process": " It was told to end, and is killed when its grace is over.",
    "thread": f" It was told to end, but runs in a thread, which nobody can stop: {TO_ITSELF}",
    "loop": f" It was told to end, but runs on its worker's event loop, where nobody can stop it: {TO_ITSELF}",
}


class KillStepObject(TypedDict):
    """Something done to end a body; `gone` when nothing was left of it."""

    at: Timestamp
    step: str


class AttemptObject(TypedDict):
    """An attempt that has ended."""

    started_at: Timestamp
    ended_at: Timestamp
    worker: str
    outcome: str
    usage: Usage | None
    kill_steps: list[KillStepObject]


class Eta(TypedDict):
    """Seconds until it starts, estimated."""

    p50: Seconds
    p90: Seconds


class WhyItWaits(TypedDict):
    """Of a pending job. `blocking` is the limit that binds; null: it is about to start."""

    job_id: str
    status: Literal[State.PENDING]
    reason: Reason | None
    text: str
    blocking: Blocking | None
    position: int | None
    holders: list[str]
    eta_seconds: Eta | None
    estimates: list[str]
    attempts: list[AttemptObject]


class WhereItRuns(TypedDict):
    """Of a running job. `can_be_killed` null: nobody says how its algorithm runs."""

    job_id: str
    status: State
    text: str
    since: Timestamp | None
    worker: str | None
    heartbeat_at: Timestamp | None
    attempt: int
    cancel_requested: bool
    executor: str | None
    can_be_killed: bool | None
    attempts: list[AttemptObject]


class WhereItsTimeWent(TypedDict):
    """Of a job that has ended."""

    job_id: str
    status: State
    text: str
    queued_seconds: Seconds | None
    running_seconds: Seconds
    attempts: list[AttemptObject]


@operation(
    "explain_job",
    "jobs",
    "Why a job waits, where it runs, or where its time went",
    scope=Scope.READ,
    answers={200: Answer(WhyItWaits | WhereItRuns | WhereItsTimeWent, "By the state that it is in.")},
    problems=["job-not-found"],
)
async def explain(request: Request) -> Response:
    """GET /jobs/{id}/explain"""
    front: Front = request.state.front
    job_id = request.path_params["job_id"]
    job = await front.store.job(job_id)
    if job is None:
        raise unknown_job(job_id)
    if job.state is State.PENDING and (waiting := await _waiting(front.store, job)):
        return Json(waiting)
    if job.state is State.PENDING:  # it has moved between the two reads
        job = await front.store.job(job_id) or job
    return Json(past(job) if job.state in TERMINAL else await _running(front, job))


async def _waiting(store: Store, job: Job) -> WhyItWaits | None:
    facts = await store.explain(job.id)
    if facts is None:
        return None
    answer = why(facts, job.due_ms)
    return {
        "job_id": job.id,
        "status": State.PENDING,
        "reason": job.reason,
        "text": answer.text,
        "blocking": answer.blocking,
        "position": answer.position,
        "holders": list(answer.holders),
        "eta_seconds": None if answer.eta is None else {"p50": answer.eta[0], "p90": answer.eta[1]},
        "estimates": ESTIMATES,
        "attempts": [_row(attempt) for attempt in job.history],
    }


async def _running(front: Front, job: Job) -> WhereItRuns:
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


def past(job: Job) -> WhereItsTimeWent:
    """Of a job that has ended."""
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


def _row(attempt: Attempt) -> AttemptObject:
    return {
        "started_at": timestamp(attempt.started_ms),
        "ended_at": timestamp(attempt.ended_ms),
        "worker": attempt.worker,
        "outcome": attempt.outcome,
        "usage": usage(attempt.account),
        "kill_steps": [{"at": timestamp(each.at_ms), "step": each.step} for each in attempt.account.kill_steps],
    }
