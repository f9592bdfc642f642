"""What was measured of each algorithm's jobs of late, read from what the scripts keep (pace.lua and flow.lua in
lua/parts).

Moving figures: of about the last fifty jobs, rates of about the last five minutes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from slotwise import wire

MEMORY_MS: Final = 300_000  # as in flow.lua
LEAST_JOBS: Final = 5  # from which a rate is told
LEAST_MS: Final = 5_000  # for which a rate must have been kept


@dataclass(frozen=True)
class Flow:
    """Jobs that came, or went, each counting less the longer ago it was."""

    weight: float
    at_ms: float
    since_ms: float
    jobs: int

    def per_second(self, now_ms: float) -> float | None:
        """The rate of late; None while too little was seen.

        A Poisson process of rate r, each event counting e^(-age/T), has the expected sum r T (1 - e^(-t/T)) after
        a time t: the rate is the sum, divided by the rest of that.
        """
        kept_ms = now_ms - self.since_ms
        if self.jobs < LEAST_JOBS or kept_ms < LEAST_MS:
            return None
        weight = self.weight * math.exp(min(0.0, self.at_ms - now_ms) / MEMORY_MS)
        return weight / (MEMORY_MS * -math.expm1(-kept_ms / MEMORY_MS)) * 1000


@dataclass(frozen=True)
class AlgorithmPace:
    """Of one algorithm's jobs; None for what was not measured. Memory is the most of late, in MB."""

    jobs: int = 0
    hold_ms: float | None = None
    hold_square: float | None = None
    cpu_ms: float | None = None
    peak_memory_mb: float | None = None
    came: Flow | None = None
    went: Flow | None = None


@dataclass(frozen=True)
class Pace:
    """By algorithm."""

    algorithms: Mapping[str, AlgorithmPace]

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes]) -> Self:
        """From the hash."""
        rows: dict[str, dict[str, str]] = {}
        for field, value in fields.items():
            what, _, name = field.decode("utf-8", "replace").partition(":")
            rows.setdefault(name, {})[what] = value.decode("utf-8", "replace")
        return cls({name: _algorithm(row) for name, row in sorted(rows.items()) if name})


def _algorithm(row: Mapping[str, str]) -> AlgorithmPace:
    def number(what: str) -> float | None:
        return wire.number(row[what]) if what in row else None

    return AlgorithmPace(
        jobs=int(number("n") or 0),
        hold_ms=number("mean"),
        hold_square=number("square"),
        cpu_ms=number("cpu"),
        peak_memory_mb=number("peak"),
        came=_flow(row.get("came")),
        went=_flow(row.get("went")),
    )


def _flow(told: str | None) -> Flow | None:
    if told is None:
        return None
    figures = [each for each in map(wire.number, told.split()) if each is not None]
    if len(figures) != 4:
        return None
    weight, at, since, jobs = figures
    return Flow(weight, at, since, int(jobs))
