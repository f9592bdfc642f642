"""The data directory: made private, locked, and the notes in it that say who lives there.

A lock lives as long as any process holds its descriptor, and no longer: none is ever stale.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from slotwise.errors import SlotwiseError


def prepared(data_dir: Path) -> Path:
    """The directory, resolved; made with mode 700 if it is missing. Raises: SlotwiseError `no-server`."""
    try:
        data = data_dir.resolve()
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise _unusable(data_dir, error) from error
    return data


def lock(data: Path, name: str) -> int | None:
    """The locked descriptor of a file in it, None if somebody holds it. Raises: SlotwiseError `no-server`."""
    try:
        descriptor = os.open(data / name, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(data, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def note(data: Path, name: str, content: dict[str, Any]) -> None:
    """Write a note; no reader ever sees half of it. Raises: SlotwiseError `no-server`."""
    keep(data, name, json.dumps(content) + "\n")


def keep(data: Path, name: str, text: str) -> None:
    """Write a file that is its owner's alone, in one step. Raises: SlotwiseError `no-server`."""
    draft = data / f"{name}.new"
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(data / name)
    except OSError as error:
        raise _unusable(data, error) from error


def noted(data: Path, name: str) -> dict[str, Any]:
    """What a note says; nothing if it is missing or not ours."""
    try:
        content = json.loads((data / name).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _unusable(data: Path, error: Exception) -> SlotwiseError:
    why = getattr(error, "strerror", None) or error
    return SlotwiseError("no-server", f"cannot use DATA_DIR={data}: {why}")
