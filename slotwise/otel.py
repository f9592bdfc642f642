"""The spans as OpenTelemetry's SDK exports them, by OTLP over HTTP: the only module that imports it.

A provider of our own: the global one, and what is current, are left to the jobs of the process. What ends is put
in a bounded queue, from which a thread sends it; when that is full, spans are lost.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from slotwise.spans import Role, Span, Spans
from slotwise.trace import Trace

CLOSE_SECONDS: Final = 3.0  # that the last spans have at the end of the process
UNNAMED: Final = "unknown_service"  # what the SDK calls a service that nobody named begins with

Told = Mapping[str, str | int]


class Exported(Spans):
    """Raises: whatever the SDK does over its variables."""

    def __init__(self, role: Role) -> None:
        self._provider = TracerProvider(resource=_resource(role), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("slotwise", version("slotwise"))

    def request(self, method: str, route: str, path: str, trace: Trace) -> Span:
        told: dict[str, str | int] = {
            "http.request.method": method,
            "http.route": route,
            "url.path": path,
            "url.scheme": "http",
            "slotwise.request.id": trace.request_id,
        }
        return self._begin(SpanKind.SERVER, f"{method} {route}", trace, told)

    def attempt(self, job_id: str, algorithm: str, queue: str, attempt: int, trace: Trace) -> Span:
        told: dict[str, str | int] = {
            "messaging.system": "slotwise",
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.destination.name": queue,
            "messaging.message.id": job_id,
            "slotwise.job.id": job_id,
            "slotwise.algorithm": algorithm,
            "slotwise.attempt": attempt,
            "slotwise.request.id": trace.request_id,
        }
        return self._begin(SpanKind.CONSUMER, f"process {algorithm}".rstrip(), trace, told)

    def delivery(self, job_id: str, scheme: str, host: str, port: int, attempts: int, trace: Trace) -> Span:
        told: dict[str, str | int] = {
            "http.request.method": "POST",
            "url.scheme": scheme,  # and no more of it: who knows a receiver's path may send to it
            "server.address": host,
            "server.port": port,
            "slotwise.job.id": job_id,
            "slotwise.request.id": trace.request_id,
        }
        if attempts:
            told["http.request.resend_count"] = attempts
        return self._begin(SpanKind.CLIENT, "POST", trace, told)

    def close(self) -> None:
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)

    def _begin(self, kind: SpanKind, name: str, trace: Trace, told: Told) -> Span:
        attributes = {key: _text(value) for key, value in told.items() if value != ""}
        above = _context(trace.parent)
        span = self._tracer.start_span(name, context=above, kind=kind, attributes=attributes)
        return _Exported(span, kind)


class _Exported(Span):
    def __init__(self, span: api.Span, kind: SpanKind) -> None:
        self._span = span
        self._kind = kind
        here = span.get_span_context()
        self.parent = f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags & 1:02x}"

    def end(self, *, status: int | None = None, outcome: str = "", error: str = "") -> None:
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
        if outcome:
            self._span.set_attribute("slotwise.outcome", outcome)
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def _resource(role: Role) -> Resource:
    told = Resource.create({"service.version": version("slotwise")})
    named = not str(told.attributes.get(SERVICE_NAME, UNNAMED)).startswith(UNNAMED)
    return told if named else told.merge(Resource({SERVICE_NAME: role}))


def _context(parent: str) -> Context:
    """What a `traceparent` names; of "" nothing, whatever may be current here."""
    if not parent:
        return Context()
    _, trace_id, span_id, flags = parent.split("-")
    above = api.SpanContext(int(trace_id, 16), int(span_id, 16), True, api.TraceFlags(int(flags, 16)))
    return api.set_span_in_context(api.NonRecordingSpan(above), Context())


def _text(value: str | int) -> str | int:
    """As UTF-8 has it: an id of a stock client may be bytes that are none."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
