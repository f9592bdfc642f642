"""What an attempt tells of itself: arq's counters, and events for whoever logs and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arq.utils import args_to_string, timestamp_ms, truncate

from slotwise import wire
from worker.events import Event, Name
from worker.outcome import Verdict

if TYPE_CHECKING:
    from worker.execution import Execution


class Report:
    def __init__(self, execution: Execution) -> None:
        self._of = execution

    def started(self) -> None:
        of = self._of
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
                trace=of.call.trace,
                **fields,
            )
        )
