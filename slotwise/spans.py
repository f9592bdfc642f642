"""Spans of OpenTelemetry, for whoever has installed the extra `otel` and said where they go; for others they do
nothing, and nothing is imported for them.

They tell of a request, an attempt or a delivery what the log does: ids and names, never what a job was given or
made.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Literal

from slotwise.settings import exports_spans

if TYPE_CHECKING:
    from slotwise.trace import Trace

Role = Literal["slotwise-front-end", "slotwise-worker"]

log = logging.getLogger(__name__)


class Span:
    """Of which nobody is told. `parent`: the W3C `traceparent` for what it brings about; "" where it has none."""

    parent: str = ""

    def end(self, *, status: int | None = None, outcome: str = "", error: str = "") -> None:
        """Once. `status`: of the HTTP answer. `error`: its type; "" where there was none."""


class Spans:
    """Begins spans: nothing here blocks or raises but `close`, which waits a moment."""

    def request(self, method: str, route: str, path: str, trace: Trace) -> Span:
        """A request to a front end; `trace` as it was sent."""
        return NO_SPAN

    def attempt(self, job_id: str, algorithm: str, queue: str, attempt: int, trace: Trace) -> Span:
        """An attempt of a job in a worker; `algorithm` is "" where none of that name is known."""
        return NO_SPAN

    def delivery(self, job_id: str, scheme: str, host: str, port: int, attempts: int, trace: Trace) -> Span:
        """A request to a webhook's receiver, after `attempts` in vain."""
        return NO_SPAN

    def close(self) -> None:
        """Send what has ended, or give up soon; from a thread that may wait."""


NO_SPAN: Final = Span()
NO_SPANS: Final = Spans()


def opened(role: Role) -> Spans:
    """Those of this process, as the environment says; it takes a moment where there are any."""
    if not exports_spans():
        return NO_SPANS
    try:
        from slotwise.otel import Exported  # noqa: PLC0415 - an extra, which takes a while

        return Exported(role)
    except ImportError:
        log.info("spans are not exported: slotwise[otel] is not installed")
    except Exception:  # of the SDK, over a variable that it cannot read: no reason not to work
        log.exception("spans are not exported")
    return NO_SPANS
