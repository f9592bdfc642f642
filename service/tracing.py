"""What a request says of itself, for the jobs that it brings, and the span of one that changes something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from service.request_id import request_id
from slotwise.spans import NO_SPANS, Spans
from slotwise.trace import Trace, traceparent

HEADER: Final = "traceparent"
CHANGES: Final = frozenset({"POST", "PUT", "DELETE"})
_KEY: Final = "slotwise.parent"


def trace_of(request: Request) -> Trace:
    """Its id, and the W3C trace context for its jobs: its span's, else what was sent if it is well-formed."""
    parent = request.scope.get(_KEY)
    return _sent(request.scope) if parent is None else Trace(request_id(request.scope), parent)


async def spanned(
    spans: Spans, route: str, app: Callable[..., Awaitable[None]], scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer by `app`, whose failures are answers already but for those that nobody foresaw."""
    if spans is NO_SPANS or scope["method"] not in CHANGES:
        await app(scope, receive, send)
        return
    status: int | None = None

    async def watched(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        await send(message)

    error = ""
    span = spans.request(scope["method"], route, scope["path"], _sent(scope))
    scope[_KEY] = span.parent
    try:
        await app(scope, receive, watched)
        error = str(status) if status is not None and status >= 500 else ""
    except BaseException as failure:
        error = type(failure).__name__
        raise
    finally:
        span.end(status=status, error=error)


def _sent(scope: Scope) -> Trace:
    told = Headers(scope=scope).getlist(HEADER)
    return Trace(request_id(scope), traceparent(told[0]) if len(told) == 1 else "")
