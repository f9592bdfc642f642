"""What people see: tables and lines, coloured on a terminal; what scripts see: JSON. Nothing that a job's author
wrote reaches a terminal as a command to it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import click

from slotwise.errors import harmless

CELL_CHARS: Final = 60
VALUE_CHARS: Final = 2_000
BAR_CHARS: Final = 30
_COLOURS: Final = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "pending": "blue",
}


def as_json(value: object) -> None:
    click.echo(json.dumps(value))


def table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as what is in them; a state has its colour."""
    cells = [[harmless(_shown(value), CELL_CHARS) for value in row] for row in rows]
    widths = [max(len(row[at]) for row in [list(names), *cells]) for at in range(len(names))]
    click.echo(click.style(_joined(names, widths), bold=True))
    for row in cells:
        padded = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(_painted(cell, text) for cell, text in zip(row, padded, strict=True)).rstrip())


def facts(values: Mapping[str, object]) -> None:
    """A name and a value in each line, what is None left out."""
    told = {name: harmless(_shown(value), VALUE_CHARS) for name, value in values.items() if value is not None}
    width = max(map(len, told), default=0)
    for name, text in told.items():
        click.echo(f"{name:<{width}}  {_painted(text, text)}")


def event(at: datetime, what: str, text: str) -> None:
    """A line of a stream, told at once."""
    word = f"{harmless(what, CELL_CHARS):<9}"
    click.echo(
        f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}  {_painted(what, word)}  {harmless(text, VALUE_CHARS)}"
    )


def progress(percent: float | None, text: str) -> None:
    """A line on standard error that the next call replaces; nothing where that is no terminal."""
    if sys.stderr.isatty():
        done = round(BAR_CHARS * min(max(percent or 0, 0), 100) / 100)
        bar = "#" * done + "-" * (BAR_CHARS - done)
        number = "     " if percent is None else f"{percent:3.0f} %"
        sys.stderr.write(f"\r[{bar}] {number}  {harmless(text, CELL_CHARS)}\x1b[K")
        sys.stderr.flush()


def clear_progress() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _painted(value: str, text: str) -> str:
    return click.style(text, fg=_COLOURS[value]) if value in _COLOURS else text


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"
    return json.dumps(value, ensure_ascii=False, default=str)
