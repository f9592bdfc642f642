"""Copies of the product: the release before this one, and one with a fault planted."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("slotwise", "service", "worker")


@dataclass(frozen=True)
class Change:
    """In `file`, `line` (which stands there once) becomes `instead`."""

    file: str
    line: str
    instead: str


def copy(directory: Path, changes: Sequence[Change] = ()) -> Path:
    """The tree as it is, changed: where it stands. Raises: ValueError where there is nothing to change."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, directory / package, ignore=shutil.ignore_patterns("__pycache__"))
    for change in changes:
        path = directory / change.file
        text = path.read_text()
        if text.count(change.line) != 1:
            raise ValueError(f"{change.file}: not there, or more than once: {change.line!r}")
        path.write_text(text.replace(change.line, change.instead))
    return directory


def previous(directory: Path, revision: str | None) -> Path:
    """A revision of the repository; without one, this tree with every script's hash another."""
    if revision is None:
        copy(directory)
        for script in (directory / "slotwise" / "lua").glob("*.lua"):
            script.write_text(script.read_text() + "-- of the release before\n")
        return directory
    archive = subprocess.run(
        ["git", "archive", revision, *PACKAGES], cwd=ROOT, check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(directory, filter="data")
    return directory
