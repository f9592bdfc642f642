"""Where a failure comes from, the same for each job that fails the same way: what failed jobs are grouped by.

Of an exception: its class, and the file and function that raised it; no line, which moves with each edit, and no
directory, which is another on each machine. Of a crash: its signal or exit code. Of the rest the type says all.
"""

from __future__ import annotations

import re
from typing import Any, Final

from slotwise import wire

_CLASS: Final = re.compile(r"([A-Za-z_][\w.]{0,200})(?::|$)")
_FRAME: Final = re.compile(r'File "(?:[^"\n]*[/\\])?([^"/\\\n]+)", line \d+, in (.+)')
MOST_CHARS: Final = 300


def origin_of(error: bytes) -> str:
    """From a job's error as it is stored; "" where there is nothing to tell, or it is damaged."""
    try:
        told = wire.decode(error)
    except ValueError:
        return ""
    return _origin(told)[:MOST_CHARS] if isinstance(told, dict) else ""


def _origin(told: dict[str, Any]) -> str:
    message, detail = str(told.get("message") or ""), str(told.get("detail") or "")
    if told.get("type") == "crashed":
        return detail.partition("\n")[0]
    named = _CLASS.match(message) if told.get("type") == "exception" else None
    if named is None:
        return ""
    frames = _FRAME.findall(detail)
    return f"{named[1]} in {frames[-1][0]}:{frames[-1][1].strip()}" if frames else named[1]
