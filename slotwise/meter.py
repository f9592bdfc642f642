"""How the slots were used, read from what the scripts keep (lua/parts/meter.lua).

Idle-slot seconds: the time for which slots that the cap allows, and that live workers have, stood empty while a
due job waited that started later. A job that its algorithm's own cap or rate held back could not have taken one:
it does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

MARK_MS: Final = 10_000  # as in meter.lua


@dataclass(frozen=True)
class Meter:
    """Slot-milliseconds used and offered up to `at_ms`, and at marks before it."""

    at_ms: float
    running: int
    cap: int
    used: float
    offered: float
    idle_seconds: float
    saturated_since_ms: float | None  # since when no slot is free; None while one is
    marks: Mapping[int, tuple[float, float]]
    began_ms: float | None = None  # when the areas were nothing

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes]) -> Self | None:
        """From the hash; None before a job ever started, or a cap was set, and for what no script wrote."""
        try:
            return cls._of(fields) if b"at" in fields else None
        except (KeyError, ValueError, OverflowError):
            return None

    @classmethod
    def _of(cls, fields: Mapping[bytes, bytes]) -> Self:
        marks = {}
        for name, value in fields.items():
            if name.startswith(b"mark:"):
                mark, used, offered = value.split()
                marks[int(mark)] = (float(used), float(offered))
        return cls(
            at_ms=float(fields[b"at"]),
            running=int(fields[b"running"]),
            cap=int(fields[b"cap"]),
            used=float(fields[b"used"]),
            offered=float(fields[b"offered"]),
            idle_seconds=float(fields.get(b"idle", 0)) / 1e6,
            saturated_since_ms=float(fields[b"saturated_since"]) if fields[b"saturated_since"] else None,
            marks=marks,
            began_ms=float(fields[b"began"]) if b"began" in fields else None,
        )

    def utilisation(self, window_seconds: float, now_ms: float) -> float | None:
        """The share of the offered slot time that was used, from the last mark that is at least so old until now.

        From the oldest mark that is kept, or the beginning, where they are younger than that. None while the cap
        offered nothing.
        """
        mark = int((now_ms - window_seconds * 1000) // MARK_MS)
        used, offered = self._at(now_ms)
        before = self.marks.get(mark)
        if before is None and mark * MARK_MS >= self.at_ms:
            before = self._at(mark * MARK_MS)
        if before is None:
            before = self._oldest_after(mark, now_ms)
        if before is None or offered <= before[1]:
            return None
        return min(1.0, (used - before[0]) / (offered - before[1]))

    def _oldest_after(self, mark: int, now_ms: float) -> tuple[float, float] | None:
        if self.began_ms is not None and mark * MARK_MS <= self.began_ms <= now_ms:
            return 0.0, 0.0
        kept = [each for each in self.marks if mark < each <= now_ms // MARK_MS]
        return self.marks[min(kept)] if kept else None

    def _at(self, ms: float) -> tuple[float, float]:
        passed = max(0.0, ms - self.at_ms)
        return self.used + self.running * passed, self.offered + self.cap * passed
