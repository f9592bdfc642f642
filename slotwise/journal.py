"""The log of front ends and workers: one JSON object a line, of ASCII, without a control character.

Nothing that a client or a job brought stands in it but ids: no parameter, result or header, and of an exception
its type and where it was raised, for its text may hold any of them.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

FIELDS: Final = "journal"  # the attribute of a record that holds more fields
MOST_FRAMES: Final = 30
MOST_CHARS: Final = 2_000  # of a message


class Lines(logging.Formatter):
    """Formats a record as such a line."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage()[:MOST_CHARS],
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            told |= {"error": record.exc_info[0].__name__, "trace": frames(record.exc_info[2])}
        return json.dumps(told, default=str).replace("\x7f", "\\u007f")


def frames(trace: TracebackType | None) -> list[str]:
    """Where it was raised, innermost last."""
    found = traceback.extract_tb(trace)[-MOST_FRAMES:]
    return [f"{each.filename}:{each.lineno} {each.name}" for each in found]


def begin(level: str, names: Iterable[str] = ("",)) -> None:
    """Write what these loggers are told to standard error; those that have handlers keep them."""
    for name in names:
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.StreamHandler(sys.stderr))
        for handler in logger.handlers:
            handler.setFormatter(Lines())
        logger.setLevel(level)
        logger.propagate = not name
