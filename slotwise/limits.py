"""What a job's process may use beyond its time: an algorithm declares its most, a request may only tighten it.

Enforces nothing: that is `worker.bounds`. `memory_mb` is in MB of 2^20 bytes, `cpu_seconds` in CPU time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

LEAST_MEMORY_MB: Final = 16  # below this the interpreter itself cannot tell what went wrong
MOST_MEMORY_MB: Final = 1 << 30  # a PiB: its bytes fit into every kernel's limit
MOST_CPU_SECONDS: Final = 3_153_600_000  # a hundred years


@dataclass(frozen=True, slots=True)
class Limits:
    """None is no limit."""

    memory_mb: int | None = None
    cpu_seconds: float | None = None

    @classmethod
    def of(cls, source: Mapping[str, Any]) -> Limits:
        """From a mapping that may have more than these, or less."""
        return cls(source.get("memory_mb"), source.get("cpu_seconds"))

    def as_dict(self) -> dict[str, Any]:
        """Those that are set, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def tightened_by(self, other: Limits) -> Limits:
        """The smaller of each."""
        mine, theirs = self.as_dict(), other.as_dict()
        return Limits.of({name: min(mine.get(name, value), value) for name, value in (mine | theirs).items()})

    def faults(self) -> Iterator[str]:
        """What is wrong with limits that an algorithm declares."""
        memory, cpu = self.memory_mb, self.cpu_seconds
        if memory is not None and (type(memory) is not int or not LEAST_MEMORY_MB <= memory <= MOST_MEMORY_MB):
            yield f"memory_mb={memory!r} must be a whole number from {LEAST_MEMORY_MB} to {MOST_MEMORY_MB}"
        if cpu is not None and (type(cpu) not in (int, float) or not 0 < cpu <= MOST_CPU_SECONDS):
            yield f"cpu_seconds={cpu!r} must be a number above 0, and at most {MOST_CPU_SECONDS}"


NO_LIMITS: Final = Limits()
