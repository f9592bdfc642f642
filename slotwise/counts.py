"""What the fleet has done so far, as the scripts count it in Redis (lua/parts/counts.lua)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from slotwise import wire

# seconds; the same bounds, in ms, as in counts.lua
BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_NUMBERS: Final = frozenset(map(str, range(1, len(BUCKETS) + 2)))


@dataclass(frozen=True)
class Histogram:
    """How many took at most so long: cumulative, one for each of BUCKETS and the last for all."""

    cumulative: tuple[int, ...]
    sum_seconds: float

    @property
    def counts(self) -> tuple[int, ...]:
        """How many in each bucket."""
        return tuple(high - low for low, high in pairwise((0, *self.cumulative)))


class Counts:
    """The fields of the hash, by name and labels; those that are numbers."""

    def __init__(self, fields: Mapping[bytes, bytes]) -> None:
        told = {name.decode("utf-8", "replace"): wire.number(value) for name, value in fields.items()}
        self._fields = {name: value for name, value in told.items() if value is not None}

    def total(self, name: str) -> float:
        return self._fields.get(name, 0.0)

    def labelled(self, name: str, labels: int = 1) -> Iterator[tuple[list[str], float]]:
        """Each ([label, …], count) of a name; the last label is the algorithm, and may hold colons."""
        for field, value in self._fields.items():
            if field.startswith(name + ":") and field.count(":") >= labels:
                yield field.split(":", labels)[1:], value

    def histograms(self, name: str) -> dict[str, Histogram]:
        """By algorithm ('' where none is told apart)."""
        buckets: dict[str, list[int]] = {}
        for (number, algorithm), value in self.labelled(name, 2):
            if number in _NUMBERS:
                buckets.setdefault(algorithm, [0] * (len(BUCKETS) + 1))[int(number) - 1] = int(value)
        return {
            algorithm: Histogram(
                tuple(sum(counts[: at + 1]) for at in range(len(counts))),
                self.total(f"{name}_sum:{algorithm}") / 1e6,
            )
            for algorithm, counts in buckets.items()
        }
