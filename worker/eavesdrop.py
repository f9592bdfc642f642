"""Hears what bodies in the worker's own process print and tell `logging`, and puts it into their jobs' logs.

Which job it belongs to is told by the context of execution. For `logging` it stands where a logger calls its
handlers, and is none itself: whoever configures the log, before or after, finds it as if nobody had come. For
`print` it stands in front of the standard streams.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, TextIO

from slotwise import context
from worker.voice import LINE

OWN: Final = "arq.worker"  # the worker's own lines, written in a job's context at times


_handled: Final = ContextVar("slotwise-handled", default=False)  # what is written is a log's, and was heard


class Stream:
    """In place of a standard stream: what a job prints goes into its log, and all else to the stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._process = os.getpid()

    def write(self, text: str) -> int:
        job = None if _handled.get() or os.getpid() != self._process else context.current()
        if job is None or not isinstance(text, str):
            return self._stream.write(text)
        job.voice.log(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


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
        heard.emit(record)  # not `handle`: a thread that is asked to end would leave its lock taken
        before = _handled.set(True)
        try:
            call_handlers(logger, record)
        finally:
            _handled.reset(before)

    logging.Logger.callHandlers = call_all  # type: ignore[assignment, method-assign]
    for name in ("stdout", "stderr"):
        if (stream := getattr(sys, name)) is not None:
            setattr(sys, name, Stream(stream))
