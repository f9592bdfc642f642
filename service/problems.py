"""Errors as RFC 9457 problem details: one table from codes to statuses, and the two ends of the road to it."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from typing import Annotated, Final, NotRequired
from urllib.parse import quote

from pydantic import Field, ValidationError, WithJsonSchema
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import TypedDict

from service.request_id import request_id
from slotwise.errors import Code, SlotwiseError, printable
from slotwise.journal import FIELDS
from slotwise.rate import Quota

log = logging.getLogger(__name__)

MAX_ROWS: Final = 20  # in `errors`: enough to mend a request, and a hostile one gets no megabytes back
MAX_TOKEN_CHARS: Final = 200

# A code that is not here concerns the start of a program: should it reach a client, it is `internal`.
TABLE: Final[dict[Code, tuple[int, str]]] = {
    "invalid-json": (400, "The body is not valid JSON"),
    "invalid-request": (422, "The request is not valid"),
    "unauthorized": (401, "This needs an API key"),
    "forbidden": (403, "The API key does not allow this"),
    "not-found": (404, "There is nothing at this path"),
    "method-not-allowed": (405, "This path does not take this method"),
    "not-acceptable": (406, "This is not to be had in a form that the request accepts"),
    "job-not-found": (404, "There is no such job"),
    "algorithm-not-found": (404, "There is no such algorithm"),
    "worker-not-found": (404, "There is no such worker"),
    "webhook-not-found": (404, "There is nothing to tell a webhook"),
    "result-not-ready": (404, "The job has no result yet"),
    "job-failed": (409, "The job ended without a result"),
    "already-finished": (409, "The job has already ended"),
    "still-active": (409, "The job has not ended"),
    "count-differs": (409, "Another number of jobs matches"),
    "not-kept": (409, "What the job was called with is not kept any longer"),
    "idempotency-key-reused": (422, "The idempotency key belongs to another request"),
    "payload-too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The body's type is not supported"),
    "malformed-request": (400, "This is no HTTP/1.1 request"),
    "misdirected-request": (421, "This front end is not called by that name"),
    "cross-site": (403, "A page of another site may not ask for this"),
    "request-timeout": (408, "The request took too long to come"),
    "headers-too-large": (431, "The request's headers are too large"),
    "queue-full": (429, "The queue is full"),
    "rate-limited": (429, "The API key submits too fast"),
    "too-many-listeners": (503, "This front end has as many listeners as it takes"),
    "too-many-connections": (503, "There are too many connections"),
    "store-unavailable": (503, "The store is unavailable"),
    "store-damaged": (503, "Something in the store is damaged"),
    "internal": (500, "Something went wrong on our side"),
}


CHALLENGE: Final = 'Bearer realm="slotwise"'


def rate_headers(quota: Quota) -> dict[str, str]:
    """What is left of a rate (draft-ietf-httpapi-ratelimit-headers-10). Times are seconds."""
    window, reset = math.ceil(quota.window_ms / 1000), math.ceil(quota.reset_ms / 1000)
    return {
        "RateLimit-Policy": f'"submit";q={quota.count};w={window}',
        "RateLimit": f'"submit";r={quota.remaining};t={reset}',
    }


def type_of(code: Code) -> str:
    """The `type` of a problem."""
    return f"/problems/{code}"


class Fault(TypedDict):
    """What is wrong at one place of a request."""

    pointer: Annotated[str, Field(description="JSON pointer into the body, as `#/params/number`; or `?name`.")]
    detail: str


class Problem(TypedDict):
    """What went wrong (RFC 9457)."""

    type: Annotated[str, WithJsonSchema({"enum": [type_of(code) for code in TABLE], "type": "string"})]
    title: str
    status: int
    detail: Annotated[str, Field(description="What happened, and what to do about it.")]
    instance: str
    request_id: str
    errors: NotRequired[list[Fault]]


def pointer(*path: str | int) -> str:
    """A JSON pointer as a URI fragment (RFC 6901, section 6): `#/params/number`."""
    return "#" + "".join("/" + _token(str(part)) for part in path)


def _token(part: str) -> str:
    if len(part) > MAX_TOKEN_CHARS:
        part = part[: MAX_TOKEN_CHARS - 1] + "…"
    return quote(part.replace("~", "~0").replace("/", "~1"), safe="~")


def parameter(name: str) -> str:
    """A query parameter, where a pointer would point into the body: `?dry_run`."""
    return "?" + quote(name, safe="")


def rows_of(error: ValidationError, unknown: str) -> dict[str, str]:
    """What is wrong with a body, by pointers; `unknown` is what a field is that has no business there."""
    wording = {"missing": "is required", "extra_forbidden": unknown}
    rows = {}
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        where = pointer(*(part for part in fault["loc"] if part != "[key]"))
        rows[where] = wording.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    return rows


def invalid(detail: str, rows: Mapping[str, str] | None = None) -> SlotwiseError:
    """The error of a request that does not validate; `rows` are pointers and what is wrong there."""
    errors = [{"pointer": where, "detail": what} for where, what in (rows or {}).items()]
    return SlotwiseError("invalid-request", detail, errors=errors[:MAX_ROWS])


def beneath(error: SlotwiseError, *path: str | int) -> SlotwiseError:
    """The error of a part of the body that stands at `path`: its pointers begin there."""
    above = pointer(*path)
    rows = [{**row, "pointer": above + row["pointer"].removeprefix("#")} for row in error.errors]
    rows = rows or [{"pointer": above, "detail": error.message}]
    return SlotwiseError(error.code, error.message, errors=rows, retry_after_seconds=error.retry_after_seconds)


def answer(error: SlotwiseError, scope: Scope, headers: Mapping[str, str] | None = None) -> Response:
    """The problem as a response."""
    sent = dict(headers or {})
    if error.retry_after_seconds is not None:
        sent["Retry-After"] = str(error.retry_after_seconds)
    if error.code == "unauthorized":
        sent["WWW-Authenticate"] = CHALLENGE
    if error.quota is not None:
        sent |= rate_headers(error.quota)
    problem = problem_object(error, scope["path"], request_id(scope))
    return Response(to_json(problem), problem["status"], sent, "application/problem+json")


def problem_object(error: SlotwiseError, instance: str, request_id: str) -> Problem:
    """The problem as clients see it."""
    status, title = TABLE[error.code]
    problem: Problem = {
        "type": type_of(error.code),
        "title": title,
        "status": status,
        "detail": printable(error.message, 2_000),
        "instance": instance,
        "request_id": request_id,
    }
    if error.errors:
        problem["errors"] = [{"pointer": each["pointer"], "detail": each["detail"]} for each in error.errors]
    return problem


async def on_slotwise_error(request: Request, error: Exception) -> Response:
    """Starlette's exception handler for our own errors."""
    assert isinstance(error, SlotwiseError)
    if error.code not in TABLE:
        raise error
    return answer(error, request.scope)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's exception handler for the 404 and 405 of its router; `Allow` is kept."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        found = SlotwiseError("not-found", "No endpoint has this path.")
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        found = SlotwiseError("method-not-allowed", f"{request.method} is not possible here, only {allowed}.")
    else:
        raise error
    return answer(found, request.scope, error.headers)


class Unforeseen:
    """ASGI middleware: whatever nobody foresaw is logged with its operation and answered as `internal`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:  # the process is being stopped, and the time for what is under way is over
            if not begun:
                stopped = SlotwiseError(
                    "store-unavailable", "The service is being stopped.", retry_after_seconds=1
                )
                await answer(stopped, scope)(scope, receive, send)
            raise
        except ClientDisconnect:
            log.debug("%s %s: the client hung up", scope["method"], scope["path"])
        except Exception:
            told = {"request_id": request_id(scope)}
            log.exception("%s %s failed", scope["method"], scope["path"], extra={FIELDS: told})
            if begun:
                raise  # half an answer is out: only cutting the connection tells the client
            unforeseen = SlotwiseError("internal", "The request could not be served. The log has the details.")
            await answer(unforeseen, scope)(scope, receive, send)
