"""What a webhook is told: the events, and the body that is made of what a script wrote of a job when it moved.

Standard Webhooks 1.0. The same entry makes the same body, however often it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic_core import to_json
from typing_extensions import TypedDict

from slotwise import wire
from slotwise.moment import timestamp
from slotwise.record import read_job
from slotwise.trace import NO_TRACE, Trace
from slotwise.view import JobObject, Timestamp, job_object

Type = Literal["job.running", "job.progress", "job.completed", "job.failed", "job.cancelled"]

ENDS: Final[tuple[Type, ...]] = ("job.completed", "job.failed", "job.cancelled")  # unless a job says otherwise
PREFIX: Final = "job."
MOST_RESULT_BYTES: Final = 20_000  # as JSON: a larger one is left where `urls.result` says
_OWN: Final = b"@"  # what begins so is no field of the record


class Message(TypedDict):
    """The body of a webhook's request."""

    type: Type
    timestamp: Timestamp
    data: JobObject


def message_id(job_id: str, entry: str) -> str:
    """The `webhook-id` of what a job's webhook is told: the same however often it is sent."""
    return f"msg_{job_id}_{entry}"


def kind_of(entry: Mapping[bytes, bytes]) -> str:
    """The type of what is told."""
    return PREFIX + entry.get(b"@type", b"").decode("utf-8", "replace")


def trace_of(entry: Mapping[bytes, bytes]) -> Trace:
    """By which request the job of an entry came; none where that cannot be read."""
    try:
        call = wire.decode(entry.get(b"@payload") or entry.get(b"@envelope") or b"{}")
    except ValueError:
        return NO_TRACE
    return Trace.of(call) if isinstance(call, dict) else NO_TRACE


def body_of(job_id: str, entry: Mapping[bytes, bytes]) -> bytes:
    """The body for an entry of the outbox. Raises: ValueError for one that is not as the scripts write it."""
    record = {name: value for name, value in entry.items() if not name.startswith(_OWN)}
    expires_ms = int(entry.get(b"@expires", b"-1"))
    job = read_job(job_id, record, entry.get(b"@payload"), entry.get(b"@envelope"), None, expires_ms, None)
    if job is None:
        raise ValueError("no record")
    told = job_object(job)
    if told["result"] is not None and len(_json(told["result"])) > MOST_RESULT_BYTES:
        told["result"] = None
    return _json({"type": kind_of(entry), "timestamp": timestamp(int(entry[b"@at"])), "data": told})


def _json(value: Any) -> bytes:
    return to_json(value, inf_nan_mode="null")
