"""How often an algorithm's jobs may start: `100/minute` is at most 100 starts in any 60 seconds.

Counted by claim.lua (lua/parts/room.lua), in the same step as the caps. And how often a tenant may submit, counted
by submit.lua (lua/parts/bounds.lua).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

WINDOWS: Final = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}  # ms
MOST_STARTS: Final = 1_000_000  # each is remembered for as long as the window
_STORED: Final = re.compile(r"[0-9]{1,9} [0-9]{1,15}")
_WRITTEN: Final = re.compile(r"([1-9][0-9]{0,6})/(" + "|".join(WINDOWS) + ")")


@dataclass(frozen=True)
class Rate:
    starts: int
    window_ms: int

    @classmethod
    def of(cls, text: object) -> Self:
        """From `{starts}/{second, minute, hour or day}`. Raises: ValueError that says what is right."""
        match = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
        if match is None or int(match[1]) > MOST_STARTS:
            units = ", ".join(WINDOWS)
            raise ValueError(
                f"rate={text!r} must be a number of starts from 1 to {MOST_STARTS}, a slash, and one of {units}, "
                "as '100/minute'"
            )
        return cls(int(match[1]), WINDOWS[match[2]])

    @staticmethod
    def is_stored(text: str) -> bool:
        """Whether `stored` reads it; else none of ours wrote it."""
        return _STORED.fullmatch(text) is not None

    @classmethod
    def stored(cls, text: str) -> Self:
        """From the form that claim.lua reads: "starts window_ms"."""
        starts, window_ms = text.split()
        return cls(int(starts), int(window_ms))

    def as_stored(self) -> str:
        return f"{self.starts} {self.window_ms}"

    def __str__(self) -> str:
        units = {window_ms: unit for unit, window_ms in WINDOWS.items()}
        return f"{self.starts}/{units.get(self.window_ms, f'{self.window_ms} ms')}"


@dataclass(frozen=True)
class Quota:
    """What is left of a tenant's rate: `remaining` of `count` in `window_ms`, whole again in `reset_ms`."""

    count: int
    window_ms: int
    remaining: int
    reset_ms: int
