"""What was seen, as lines of JSON in a file: written as it happens, outside Redis, and joined only at the end.

Times are seconds on the machine's monotonic clock, which all processes of a run share.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

PROMISES, BODIES, FAULTS, HOOKS = "promises.jsonl", "bodies.jsonl", "faults.jsonl", "hooks.jsonl"


class Ledger:
    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def write(self, event: str, **facts: Any) -> float:
        """Write it down: when that was."""
        at = time.monotonic()
        self._file.write(json.dumps({"at": at, "event": event, **facts}) + "\n")
        return at

    def close(self) -> None:
        self._file.close()


class Tail:
    """A ledger that another process writes, read on as far as it has come."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open()
        self._rest = ""

    def new(self) -> Iterator[Entry]:
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        yield from map(json.loads, lines)

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> list[Entry]:
    """All that stands in a ledger; nothing, if nobody wrote one."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
