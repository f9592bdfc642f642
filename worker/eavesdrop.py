"""Hears what bodies in the worker's own process tell the `logging` module, and puts it into their jobs' logs.

Which job a record belongs to is told by the context of execution. It stands where a logger calls its handlers, and
is none itself: whoever configures the log, before or after, finds it as if nobody had come.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Final

from slotwise import context
from worker.voice import LINE

OWN: Final = "arq.worker"  # the worker's own lines, written in a job's context at times


class Eavesdropper(logging.Handler):
    """In no logger's list."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(LINE))

    def emit(self, record: logging.LogRecord) -> None:
        """Into the log of the job that runs here, if one does."""
        job = context.current()
        if job is not None and record.name != OWN:
            try:
                job.log(self.format(record))
            except Exception:  # a message that does not fit its arguments: as every handler tells it
                self.handleError(record)


@cache
def listen() -> None:
    """Begin, once a process. A log that nobody has configured then tells INFO and above."""
    if not logging.root.handlers:
        logging.root.setLevel(logging.INFO)
    heard, call_handlers = Eavesdropper(), logging.Logger.callHandlers

    def call_all(logger: logging.Logger, record: logging.LogRecord) -> None:
        heard.handle(record)
        call_handlers(logger, record)

    logging.Logger.callHandlers = call_all  # type: ignore[assignment, method-assign]
