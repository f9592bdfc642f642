"""Writes a worker's events as arq writes them, to arq's logger: one line a move."""

from __future__ import annotations

import logging
from typing import Final

from slotwise.errors import text_of
from worker.events import Event, Name

logger = logging.getLogger("arq.worker")

# event -> (level, line); formatted with the event's own fields
LINES: Final[dict[Name, tuple[int, str]]] = {
    "started": (logging.INFO, "{e.seconds:6.2f}s → {e.ref}({e.text}){tries}{delayed}"),
    "completed": (logging.INFO, "{e.seconds:6.2f}s ← {e.ref} ● {e.text}"),
    "failed": (logging.ERROR, "{e.seconds:6.2f}s ! {e.ref} failed, {kind}: {failure}"),
    "retrying": (logging.INFO, "{e.seconds:6.2f}s ↻ {e.ref} retrying job in {e.delay_seconds:0.2f}s"),
    "handed_back": (logging.INFO, "{e.seconds:6.2f}s ↻ {e.ref} cancelled, will be run again"),
    "no_process": (logging.WARNING, "{e.ref} waits {e.delay_seconds:0.2f}s: no process to be had, {failure}"),
    "cancelled": (logging.INFO, "{e.seconds:6.2f}s ⊘ {e.ref} aborted"),
    "cancelled_before_start": (logging.INFO, "{e.seconds:6.2f}s ⊘ {e.ref} aborted before start"),
    "expired": (logging.WARNING, "job {e.job_id} expired"),
    "unreadable": (logging.ERROR, "deserializing job {e.job_id} failed"),
    "no_function": (logging.WARNING, "job {e.job_id}, function {e.text!r} not found"),
    "tries_exceeded": (logging.WARNING, "{e.seconds:6.2f}s ! {e.ref} max retries {e.text} exceeded"),
    "stale": (logging.WARNING, "job {e.job_id}: its slot had been given away; what it did is not counted"),
    "loop_blocked": (
        logging.WARNING,
        "{e.ref} blocks the event loop, for {e.seconds:.1f}s by now, at {e.text}: this worker's other jobs wait",
    ),
    "loop_free": (logging.WARNING, "{e.ref} blocked the event loop for {e.seconds:.1f}s"),
    "tree_unbounded": (
        logging.INFO,
        "limits bind each process of a job by itself, nothing bounds how many it has: {e.text}",
    ),
    "webhooks_unsigned": (logging.WARNING, "webhooks are sent unsigned: WEBHOOK_SECRET is not set"),
    "webhook_refused": (logging.WARNING, "job {e.job_id}: its webhook is not sent to {e.ref}: {e.text}"),
    "webhook_given_up": (logging.ERROR, "job {e.job_id}: gave up its webhook to {e.ref}: {e.text}"),
    "memory_unbounded": (logging.WARNING, "memory_mb of {e.text} is not enforced: this system has no such limit"),
    "disturbed": (logging.WARNING, "a job tried to end the worker's event loop, which goes on: {kind} {failure}"),
    "result_unserialisable": (logging.WARNING, "error serializing result of {e.ref}"),
    "wake_refused": (logging.WARNING, "the server refuses CLIENT TRACKING, jobs are found by polling: {e.text}"),
}


def write(event: Event) -> None:
    """The subscriber."""
    level, line = LINES[event.name]
    if not logger.isEnabledFor(level):
        return
    text = line.format(
        e=event,
        kind=type(event.failure).__name__,
        failure="" if event.failure is None else text_of(event.failure),
        tries=f" try={event.attempt}" if event.attempt > 1 else "",
        delayed=f" delayed={event.delay_seconds:0.2f}s" if event.delay_seconds > 1.2 else "",
    )
    # a traceback only where the body raised it: what a child reports has none here
    trace = event.failure if event.failure is not None and event.failure.__traceback__ is not None else None
    logger.log(level, "%s", text, exc_info=trace, extra={"extra": event.extra})
