"""Writes a worker's events into the journal: what happened to which job, nothing that it was given or said."""

from __future__ import annotations

import logging
from typing import Any, Final

import slotwise.journal
from slotwise.errors import name_of, text_of
from slotwise.journal import FIELDS
from slotwise.settings import Settings
from worker.events import Event, Name
from worker.log import LINES

logger = logging.getLogger("arq.worker")

# whose `text` is ours: a place in the code, a number, what the server or the kernel says
TEXTS: Final = frozenset({"loop_blocked", "tree_unbounded", "memory_unbounded", "wake_refused", "tries_exceeded"})
TO_RECEIVERS: Final = frozenset[Name]({"webhook_refused", "webhook_given_up"})  # whose `ref` is one
LATE: Final = frozenset[Name]({"no_process", "retrying"})  # whose delay is that until the next start


def begin(settings: Settings, *, own: bool) -> None:
    """The levels, and the form of lines where the log is our `own`: a stock project has configured its."""
    if settings.told("log_level"):
        logger.setLevel(settings.log_level)
    if own:
        slotwise.journal.begin(settings.log_level, ("arq", "slotwise", "worker", "opentelemetry"))


def write(event: Event) -> None:
    """The subscriber."""
    level, _ = LINES[event.name]
    if logger.isEnabledFor(level):
        logger.log(level, "%s", event.name, extra={FIELDS: fields(event)})


def fields(event: Event) -> dict[str, Any]:
    """What a line tells beside the event's name."""
    job_id, function = event.job_id, _function(event)
    if event.name in ("loop_blocked", "loop_free"):  # which know the job as the log names it
        job_id, _, function = event.ref.partition(":")
    told: dict[str, Any] = {"job_id": job_id, "function": function, **event.trace.as_logged()}
    if event.name in TO_RECEIVERS:
        told |= {"function": "", "receiver": event.ref}
    told["seconds"] = round(event.seconds, 3)
    if event.job_id:
        told["attempt"] = event.attempt
    if event.delay_seconds:
        told["retry_in" if event.name in LATE else "delayed"] = round(event.delay_seconds, 3)
    if event.failure is not None:
        told["error"] = name_of(event.failure)
    if event.name == "no_process" and event.failure is not None:
        told["why"] = text_of(event.failure)  # the system's own words
    if event.name in TEXTS:
        told["text"] = event.text
    return {name: value for name, value in told.items() if value != ""}


def _function(event: Event) -> str:
    if event.name in ("no_function", "unreadable"):
        return ""  # a name that nobody knows is a client's word
    return event.ref.removeprefix(f"{event.job_id}:") if event.ref else ""
