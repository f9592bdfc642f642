"""What an attempt tells of itself: arq's counters, events for whoever logs and counts, and its span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from arq.utils import args_to_string, timestamp_ms, truncate

from slotwise import wire
from slotwise.errors import name_of
from slotwise.spans import Span
from slotwise.trace import Trace
from worker.events import Event, Name
from worker.outcome import Verdict

if TYPE_CHECKING:
    from worker.execution import Execution


CANCELLED: Final = frozenset[Name]({"cancelled", "cancelled_before_start"})  # somebody's wish, and no failure


class Report:
    def __init__(self, execution: Execution) -> None:
        self._of = execution
        self._span: Span | None = None

    @property
    def trace(self) -> Trace:
        """For what the body brings about: of its span, else of the request that the job came by."""
        sent = self._of.call.trace
        parent = self._span and self._span.parent
        return Trace(sent.request_id, parent) if parent else sent

    def started(self) -> None:
        of = self._of
        self._span = self._begin()
        self.event(
            "started",
            seconds=(of.started_ms - of.call.enqueued_ms) / 1000,
            text=args_to_string(of.call.args, of.call.kwargs),
            delay_seconds=(of.started_ms - of.grant.score) / 1000,
        )

    def ended(self, verdict: Verdict) -> None:
        worker = self._of.worker
        if verdict.outcome == "completed":
            worker.jobs_complete += 1
        elif verdict.outcome in ("retry", "release", "died"):
            worker.jobs_retried += 1
        else:
            worker.jobs_failed += 1
        extra = getattr(verdict.failure, "extra", None)
        self.event(
            verdict.event,
            text=self._text(verdict),
            failure=verdict.failure,
            extra=extra() if callable(extra) else extra,
            delay_seconds=verdict.retry_in_seconds,
        )
        self._end(verdict.event, verdict.failure)

    def faulted(self, fault: Exception) -> None:
        """The worker itself has failed."""
        self._of.worker.jobs_failed += 1
        self.event("failed", failure=fault)
        self._end("failed", fault)

    def _begin(self) -> Span:
        of = self._of
        name = "" if of.function is None else of.call.name  # one that nobody knows is a client's word
        return of.worker.spans.attempt(of.grant.id, name, of.worker.queue_name, of.attempt, of.call.trace)

    def _end(self, outcome: Name, failure: BaseException | None) -> None:
        """The span of one that never began is as long as a moment."""
        error = "" if failure is None or outcome in CANCELLED else name_of(failure)
        (self._span or self._begin()).end(outcome=outcome, error=error)

    def _text(self, verdict: Verdict) -> str:
        result = verdict.result
        if verdict.event == "completed" and result is not None and self._of.worker.log_results:
            return truncate(
                result[:200].decode("utf-8", "replace") if isinstance(result, wire.RawJson) else repr(result)
            )
        if verdict.event == "no_function":
            return self._of.call.name
        if verdict.event == "tries_exceeded":
            return str(self._of.most_tries())
        return ""

    def event(self, name: Name, *, seconds: float | None = None, **fields: Any) -> None:
        of = self._of
        cron = hasattr(of.function, "next_run")
        of.worker.emit(
            Event(
                name,
                job_id=of.grant.id,
                ref=of.call.name if cron else of.ref,
                seconds=(timestamp_ms() - of.started_ms) / 1000 if seconds is None else seconds,
                attempt=of.attempt,
                trace=self.trace,
                **fields,
            )
        )
