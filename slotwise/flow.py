"""The fleet's course over time: what came, what ended and how long jobs waited, step by step.

Every 15 s one of those who watch the leases keeps a sample of what the scripts have counted (lua/sample.lua): jobs
pay nothing for it. What happened between two samples is their difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

from slotwise.counts import BUCKETS

STEP_MS: Final = 15_000
MOST_SAMPLES: Final = 5_760  # a day of them
MOST_POINTS: Final = 240  # that are told
SUMS: Final = ("created", "completed", "failed", "cancelled", "retried", "idle")


@dataclass(frozen=True)
class Sample:
    """What had been counted at `at_ms`: SUMS (`idle` in microseconds), and jobs by how long they waited."""

    at_ms: int
    cap: int
    running: int
    waiting: int
    sums: Mapping[str, int]
    waits: tuple[int, ...]
    oldest_ms: int = 0  # for which the job that had waited longest was due

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes]) -> Self | None:
        """From an entry; None for one that our scripts did not write."""
        try:
            return cls.read(fields)
        except (KeyError, ValueError, OverflowError):
            return None

    @classmethod
    def read(cls, fields: Mapping[bytes, bytes]) -> Self:
        """From what our script says. Raises: KeyError, ValueError, OverflowError."""
        at, cap, running, waiting = (int(fields[name]) for name in (b"at", b"cap", b"running", b"waiting"))
        sums = {name: int(float(fields[name.encode()])) for name in SUMS}
        waits = tuple(map(int, fields[b"wait"].split()))
        return cls(at, cap, running, waiting, sums, waits, int(fields.get(b"oldest", 0)))


@dataclass(frozen=True)
class Point:
    """What happened from `first` to `last`."""

    first: Sample
    last: Sample

    @property
    def seconds(self) -> float:
        return (self.last.at_ms - self.first.at_ms) / 1000

    @property
    def sums(self) -> dict[str, int]:
        """How many of SUMS there were."""
        return {name: _since(self.first.sums[name], now) for name, now in self.last.sums.items()}

    @property
    def waits(self) -> tuple[int, ...]:
        """The jobs that started, by how long they had waited."""
        return tuple(map(_since, self.first.waits, self.last.waits))


def course(samples: Iterable[Sample], since_ms: int) -> list[Point]:
    """The points of a window: at most MOST_POINTS, evenly spread, up to the last sample, which is of now.

    What a clock that was ahead has left is none of it.
    """
    told = list(samples)
    taken = [sample for sample in told if since_ms <= sample.at_ms <= told[-1].at_ms]
    stride = max(1, -(-(len(taken) - 1) // MOST_POINTS))
    chosen = taken[::-stride][::-1]
    return [Point(first, last) for first, last in pairwise(chosen) if first.at_ms < last.at_ms]


def quantile(counts: Sequence[int], share: float) -> float | None:
    """The quantile of a histogram with BUCKETS, in seconds; None of nothing.

    Interpolated within its bucket; what lies beyond the last bound counts as that bound.
    """
    rank, below = share * sum(counts), 0
    for number, count in enumerate(counts):
        if count and below + count >= rank:
            low = BUCKETS[number - 1] if number else 0.0
            high = BUCKETS[number] if number < len(BUCKETS) else low
            return low + (high - low) * (rank - below) / count
        below += count
    return None


def _since(first: int, last: int) -> int:
    """A server that lost its data counts from 0 again."""
    return last - first if last >= first else last
