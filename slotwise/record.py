"""A job's record in Redis, as fields and as a `Job`.

A stock client's job has no record before it is first claimed: until then its payload and its place in the queue
say what there is to say.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from itertools import chain
from typing import Any, Final

from pydantic_core import to_json

from slotwise import wire
from slotwise.attempt import NO_ACCOUNT, Account
from slotwise.job import TERMINAL, Attempt, Job, Reason, State, Submission
from slotwise.limits import NO_LIMITS
from slotwise.trace import NO_TRACE

PLAIN: Final = ("plain", 1)  # of a job whose record has none of the rare fields (lua/parts/granting.lua)
DAMAGED: Final = {"type": "lost", "message": "the job's record in Redis is damaged", "detail": None}


def submit_args(job: Submission) -> list[str | bytes | int | float]:
    """The arguments of submit.lua for one job. Only what differs from the default is stored."""
    call = {"t": None, "f": job.algorithm, "a": (), "k": job.params, "et": round(time.time() * 1000)}
    if job.trace is not NO_TRACE:
        call |= job.trace.as_stored()
    fields: list[str | bytes | int | float] = ["algorithm", job.algorithm]
    if job.priority:
        fields += ("priority", job.priority)
    if job.timeout is not None:
        fields += ("timeout", job.timeout)
    if job.max_attempts is not None:
        fields += ("max_attempts", job.max_attempts)
    if job.labels:
        fields += ("labels", to_json(job.labels))
    rare = _rare_fields(job)
    fields += rare or (PLAIN if job.start_within_ms is None else ())
    due = "" if job.due_ms is None else job.due_ms
    within = "" if job.start_within_ms is None else job.start_within_ms
    return [job.id, wire.encode(call), due, job.head_start_ms, job.fingerprint, within, len(fields) // 2, *fields]


def _rare_fields(job: Submission) -> list[str | bytes | int | float]:
    """Of what a claim reads, what most jobs have none of."""
    fields: list[str | bytes | int | float] = []
    if job.limits is not NO_LIMITS:
        fields += chain.from_iterable(job.limits.as_dict().items())
    if job.keep_result is not None:
        fields += ("keep_result", job.keep_result)
    if job.webhook is not None:
        fields += ("webhook", job.webhook, "webhook_events", " ".join(job.webhook_events))
    if job.tenant:
        fields += ("tenant", job.tenant)
    return fields


def as_queued(job: Submission, now_ms: int) -> Job:
    """A job as it stands in Redis right after `submit` accepted it at `now_ms`."""
    later = job.due_ms is not None and job.due_ms > now_ms
    return Job(
        id=job.id,
        state=State.PENDING,
        algorithm=job.algorithm,
        params=job.params,
        reason=Reason.SCHEDULED if later else Reason.QUEUED,
        max_attempts=job.max_attempts,
        priority=job.priority,
        timeout=job.timeout,
        labels=job.labels,
        created_ms=now_ms,
        due_ms=job.due_ms if job.due_ms is not None else now_ms,
        webhook=job.webhook,
        tenant=job.tenant,
    )


def read_job(
    job_id: str,
    record: Mapping[bytes, bytes],
    payload: bytes | None,
    envelope: bytes | None,
    score: float | None,
    expires_ms: int,
    abort: float | None,
) -> Job | None:
    """The job that these parts describe; None when there is none."""
    fields = {name.decode(): value for name, value in record.items()}
    call = _call(envelope) or _call(payload)
    again = score is not None and fields.get("state", b"").decode("utf-8", "replace") in TERMINAL
    if not fields or again:  # `again`: a stock client has used the id of a job that had ended
        return _without_record(job_id, call, envelope, score, known=payload is not None)
    state, error = _state(fields.get("state")), _json(fields.get("error"))
    if state is None:
        state, error = State.FAILED, DAMAGED
    return Job(
        id=job_id,
        state=state,
        algorithm=_text(fields.get("algorithm")) or call.get("f"),
        params=_params(call),
        result=call.get("r") if state is State.COMPLETED else None,
        error=error if state is State.FAILED else None,
        reason=_reason(fields, state),
        attempt=_int(fields.get("attempt")) or 0,
        max_attempts=_int(fields.get("max_attempts")),
        priority=_int(fields.get("priority")) or 0,
        timeout=_float(fields.get("timeout")),
        labels=_json(fields.get("labels")) or {},
        created_ms=_int(fields.get("created")) or _enqueued(call),
        due_ms=_int(fields.get("due")),
        started_ms=None if state is State.PENDING else _int(fields.get("started")),
        ended_ms=_int(fields.get("ended")) if state in TERMINAL else None,
        expires_ms=expires_ms if expires_ms > 0 else None,
        cancel_requested=state is State.RUNNING and ("cancel_requested" in fields or abort is not None),
        worker=None if state is State.PENDING else _text(fields.get("worker")),
        history=_history(fields.get("history")),
        forgotten=_int(fields.get("forgotten")) or 0,
        ready_ms=_int(fields.get("ready")),
        reopened_ms=_int(fields.get("reopened")),
        ended_waiting="ended_waiting" in fields,
        progress=None if state is State.PENDING else _progress(fields),
        incarnation=_text(fields.get("incarnation")) if state is State.RUNNING else None,
        account=_account(_json(fields.get("account"))) if state in TERMINAL else NO_ACCOUNT,
        webhook=_text(fields.get("webhook")),
        tenant=_text(fields.get("tenant")) or "",
    )


def as_heartbeat(seen: bytes | None, started_ms: int | None) -> int | None:
    """When a running job was last known to live: when its worker was `seen`, or it started if later."""
    seen_ms = _int(seen)
    return None if seen_ms is None else max(seen_ms, started_ms or 0)


def _history(value: bytes | None) -> tuple[Attempt, ...]:
    try:
        rows = wire.decode(b"[%b]" % value) if value else ()
        return tuple(Attempt(**row | {"account": _account(row.get("account"))}) for row in rows)
    except (ValueError, TypeError, AttributeError):
        return ()


def _progress(fields: Mapping[str, bytes]) -> tuple[float, str] | None:
    """What the latest attempt said, not one before it."""
    if fields.get("progress_of") != fields.get("started") or "progress" not in fields:
        return None
    try:
        percent, message = wire.decode(fields["progress"])
        return float(percent), str(message)
    except (ValueError, TypeError):
        return None


def _account(told: Any) -> Account:
    """None of it where it is damaged."""
    try:
        return Account.of(told) if told else NO_ACCOUNT
    except (ValueError, TypeError, AttributeError, OverflowError):
        return NO_ACCOUNT


def _without_record(
    job_id: str, call: Mapping[str, Any], envelope: bytes | None, score: float | None, *, known: bool
) -> Job | None:
    if envelope is not None:
        done = call.get("s") is True
        failure = call.get("r")
        return Job(
            id=job_id,
            state=State.COMPLETED if done else State.FAILED,
            algorithm=call.get("f"),
            params=_params(call),
            result=failure if done else None,
            error=None if done else {"type": "exception", "message": str(failure), "detail": None},
            created_ms=_enqueued(call),
            started_ms=_whole(call.get("st")),
            ended_ms=_whole(call.get("ft")),
        )
    if score is None and not known:
        return None
    created = _enqueued(call)
    due = _whole(score)
    return Job(
        id=job_id,
        state=State.PENDING,
        algorithm=call.get("f"),
        params=_params(call),
        reason=_waiting(due),
        created_ms=created,
        due_ms=due,
    )


def _reason(fields: Mapping[str, bytes], state: State) -> Reason | None:
    if state is not State.PENDING:
        return None
    if fields.get("reason") == Reason.RETRYING.encode():
        return Reason.RETRYING
    return _waiting(_int(fields.get("due")))


def _waiting(due_ms: int | None) -> Reason:
    return Reason.SCHEDULED if due_ms is not None and due_ms > time.time() * 1000 else Reason.QUEUED


def _call(data: bytes | None) -> dict[str, Any]:
    """A payload or envelope; {} for bytes that are not ours to read (a pickle, something poisoned)."""
    try:
        call = wire.decode(data) if data else {}
    except ValueError:
        return {}
    return call if isinstance(call, dict) else {}


def _params(call: Mapping[str, Any]) -> Any:
    params, args = call.get("k"), call.get("a")
    return {"args": args, **params} if args and isinstance(params, dict) else params


def _enqueued(call: Mapping[str, Any]) -> int | None:
    return _whole(call.get("et"))


def _state(value: bytes | None) -> State | None:
    try:
        return State((value or b"").decode())
    except ValueError:
        return None


def _json(value: bytes | None) -> Any:
    """A JSON object, or None for anything else."""
    try:
        found = wire.decode(value) if value else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _int(value: bytes | None) -> int | None:
    return _whole(_float(value))


def _float(value: bytes | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _whole(value: Any) -> int | None:
    """A finite number as an integer; None for everything else, whoever wrote it."""
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else None
