"""Hears what bodies in the worker's own process tell the `logging` module, and puts it into their jobs' logs.

Which job a record belongs to is told by the context of execution. Nothing changes for the other handlers.
"""

from __future__ import annotations

import logging
from typing import Final

from slotwise import context
from worker.voice import LINE

OWN: Final = "arq.worker"  # the worker's own lines, written in a job's context at times


class Eavesdropper(logging.Handler):
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
        last = logging.lastResort
        alone = logging.root.handlers == [self] and not _has_handler(record.name)
        if alone and last is not None and record.levelno >= last.level:
            last.handle(record)  # logging would, had we not come


def _has_handler(name: str) -> bool:
    """Whether a logger below the root, on the way up from `name`, writes what it is told."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None and logger is not logging.root:
        if logger.handlers:
            return True
        logger = logger.parent
    return False


def listen() -> None:
    """Begin, once a process. A log that nobody has configured then tells INFO and above."""
    if any(isinstance(handler, Eavesdropper) for handler in logging.root.handlers):
        return
    if not logging.root.handlers:
        logging.root.setLevel(logging.INFO)
    logging.root.addHandler(Eavesdropper())
