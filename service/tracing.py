"""What a request says of itself, for the jobs that it brings."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from service.request_id import request_id
from slotwise.trace import Trace, traceparent

HEADER: Final = "traceparent"


def trace_of(request: Request) -> Trace:
    """Its id, and its W3C trace context where it has one that is well-formed."""
    told = request.headers.getlist(HEADER)
    return Trace(request_id(request.scope), traceparent(told[0]) if len(told) == 1 else "")
