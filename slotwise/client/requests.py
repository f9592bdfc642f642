"""Every request that the SDK makes, and how its answer is read: data and pure functions, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, Required, TypedDict, TypeVar
from urllib.parse import quote

from pydantic_core import from_json

from slotwise import wire
from slotwise.client.model import (
    Concurrency,
    Effect,
    Event,
    Explanation,
    FleetEvent,
    Job,
    JobMove,
    SlotNumbers,
    Told,
    WebhookAttempt,
    Worker,
)
from slotwise.client.problems import Answer, UnexpectedAnswer

T = TypeVar("T")
M = TypeVar("M", bound=Told)

MEDIA_TYPE: Final = "text/event-stream"
# what leads elsewhere as a part of a path: dots to the path above, the others to routes that are no job's
_ROUTES: Final = frozenset({"concurrency", "batch", "cancel", "retry", ".", ".."})


class Options(TypedDict, total=False):
    """What may be asked for a job. Times are seconds."""

    priority: int
    timeout: float
    max_attempts: int
    run_at: datetime | str
    delay: float
    expires_in: float
    keep_result: float
    memory_mb: int
    cpu_seconds: float
    open_files: int
    file_mb: int
    labels: Mapping[str, str]
    webhook: str
    webhook_events: Sequence[str]


class JobRequest(Options, total=False):
    """A job as it is asked for."""

    algorithm: Required[str]
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """`safe`: it may be sent again after no answer came: it reads, or the service knows it again by its key.

    `wait_seconds`: for which the service may hold its answer back, as it was asked to.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    safe: bool = False
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and what a good answer to it means."""

    request: Request
    read: Callable[[Answer], T]


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing, and what the next part is asked for with."""

    jobs: tuple[Job, ...]
    next_cursor: str | None


def submit(job: Mapping[str, Any], key: str, wait: int | None) -> Call[Job]:
    headers = {"Idempotency-Key": key, **_preferring(wait)}
    return Call(_post("/jobs", job, headers, wait or 0), _one(Job))


def submit_batch(body: bytes, key: str) -> Call[list[Job]]:
    """`body`: as `batch_of` puts it together."""
    request = Request("POST", "/jobs/batch", headers={**_JSON, "Idempotency-Key": key}, body=body, safe=True)
    return Call(request, lambda answer: list(_many(Job, "jobs")(answer)))


def batch_of(entries: Sequence[bytes]) -> bytes:
    return b'{"jobs":[%b]}' % b",".join(entries)


def get(job_id: str, wait: int | None = None) -> Call[Job]:
    request = Request("GET", _job(job_id), headers=_preferring(wait), safe=True, wait_seconds=wait or 0)
    return Call(request, _one(Job))


def listing(query: Mapping[str, object]) -> Call[Page]:
    return Call(Request("GET", "/jobs", query=_query(query), safe=True), _page)


def cancel(job_id: str) -> Call[Job]:
    return Call(_post(_job(job_id, "cancel")), _one(Job))


def retry(job_id: str) -> Call[Job]:
    return Call(_post(_job(job_id, "retry")), _one(Job))


def erase(job_id: str) -> Call[None]:
    return Call(Request("DELETE", _job(job_id)), lambda answer: None)


def logs(job_id: str, tail: int | None) -> Call[str]:
    request = Request("GET", _job(job_id, "logs"), query=_query({"tail": tail}), safe=True)
    return Call(request, lambda answer: answer.body.decode("utf-8", "replace"))


def explain(job_id: str) -> Call[Explanation]:
    return Call(Request("GET", _job(job_id, "explain"), safe=True), _one(Explanation))


def webhook_attempts(job_id: str) -> Call[tuple[WebhookAttempt, ...]]:
    return Call(Request("GET", _job(job_id, "webhooks"), safe=True), _many(WebhookAttempt, "attempts"))


def redeliver(job_id: str) -> Call[tuple[WebhookAttempt, ...]]:
    return Call(_post(_job(job_id, "webhooks/redeliver")), _many(WebhookAttempt, "attempts"))


def events(job_id: str | None, last: str) -> Request:
    """None: of the whole fleet."""
    headers = {"Accept": MEDIA_TYPE, "Cache-Control": "no-store"} | ({"Last-Event-ID": last} if last else {})
    path = "/events" if job_id is None else _job(job_id, "events")
    return Request("GET", path, headers=headers, safe=True)


def concurrency() -> Call[Concurrency]:
    return Call(Request("GET", "/jobs/concurrency", safe=True), _one(Concurrency))


def set_concurrency(
    cap: int, reason: str | None, ttl: float | None, algorithm: str | None, *, dry_run: bool = False
) -> Request:
    body = {"max_concurrent": cap, "reason": reason, "ttl": ttl}
    told = {name: value for name, value in body.items() if value is not None}
    return Request("PUT", _cap(algorithm), query=_dry(dry_run), headers=_JSON, body=_encoded(told))


def clear_concurrency(algorithm: str | None, *, dry_run: bool = False) -> Request:
    return Request("DELETE", _cap(algorithm), query=_dry(dry_run))


def changed(request: Request) -> Call[Concurrency]:
    return Call(request, _one(Concurrency))


def foretold(request: Request) -> Call[Effect]:
    return Call(request, _one(Effect))


def workers() -> Call[tuple[Worker, ...]]:
    return Call(Request("GET", "/workers", safe=True), _many(Worker, "workers"))


def steer_worker(name: str, what: str) -> Call[Worker]:
    return Call(_post(f"/workers/{_part(name)}/{what}"), _one(Worker))


def entry_of(job: Mapping[str, Any]) -> bytes:
    """A job of a batch as JSON. Raises: ValueError for what JSON cannot say."""
    return _encoded(job)


def event_of(name: str, data: str, identity: str) -> Event:
    """Raises: UnexpectedAnswer."""
    try:
        value = from_json(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UnexpectedAnswer(f"an event {name!r} whose data is no JSON object")
    return Event(name, value, identity)


def fleet_event(event: Event) -> FleetEvent:
    """Raises: UnexpectedAnswer."""
    slots = _read(SlotNumbers, event.data) if event.name == "slots" else None
    job = _read(JobMove, event.data) if event.name == "job" else None
    return FleetEvent(event.name, event.data, event.id, slots, job)


_JSON: Final = {"Content-Type": "application/json"}


def _post(
    path: str,
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    wait_seconds: float = 0.0,
) -> Request:
    data = None if body is None else _encoded(body)
    sent = {**(_JSON if data else {}), **(headers or {})}
    known_again = "Idempotency-Key" in sent
    return Request("POST", path, headers=sent, body=data, safe=known_again, wait_seconds=wait_seconds)


def _encoded(body: Mapping[str, Any]) -> bytes:
    return wire.encode(dict(body))


def _job(job_id: str, what: str = "") -> str:
    if not job_id:
        raise ValueError("a job's id is not empty")
    part = _part(job_id)
    return f"/jobs/{part}/{what}" if what else f"/jobs/{part}"


def _part(name: str) -> str:
    part = quote(name, safe="")
    return f"%{ord(name[0]):02X}{part[1:]}" if name in _ROUTES else part


def _cap(algorithm: str | None) -> str:
    return "/jobs/concurrency" + ("" if algorithm is None else f"/algorithms/{_part(algorithm)}")


def _dry(dry_run: bool) -> tuple[tuple[str, str], ...]:
    return (("dry_run", "true"),) if dry_run else ()


def _preferring(wait: int | None) -> dict[str, str]:
    return {} if wait is None else {"Prefer": f"wait={wait}"}


def _query(given: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    return tuple((name, _shown(value)) for name, value in given.items() if value is not None)


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, float) else str(value)  # never with an exponent


def _one(model: type[M]) -> Callable[[Answer], M]:
    return lambda answer: _read(model, _value(answer))


def _many(model: type[M], name: str) -> Callable[[Answer], tuple[M, ...]]:
    return lambda answer: tuple(_read(model, row) for row in _rows(_value(answer), name))


def _page(answer: Answer) -> Page:
    value = _value(answer)
    cursor = value.get("next_cursor") if isinstance(value, dict) else None
    return Page(tuple(_read(Job, row) for row in _rows(value, "jobs")), None if cursor is None else str(cursor))


def _rows(value: Any, name: str) -> list[Any]:
    rows = value.get(name) if isinstance(value, dict) else None
    if not isinstance(rows, list):
        raise UnexpectedAnswer(f"an answer without a list of {name}")
    return rows


def _read(model: type[M], value: Any) -> M:
    try:
        return model.of(value)
    except ValueError as error:
        raise UnexpectedAnswer(f"an answer that is no {model.__name__}: {error}") from error


def _value(answer: Answer) -> Any:
    try:
        return from_json(answer.body)
    except ValueError:
        raise UnexpectedAnswer(f"status {answer.status} with a body that is not JSON") from None
