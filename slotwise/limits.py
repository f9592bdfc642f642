"""What a job's process may use beyond its time: an algorithm declares its most, a request may only tighten it.

Enforces nothing: that is `worker.bounds`. `memory_mb` and `file_mb` are in MB of 2^20 bytes, `cpu_seconds` in CPU
time; `file_mb` is of each file that the job writes, `open_files` counts descriptors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

LEAST_MEMORY_MB: Final = 16  # below this the interpreter itself cannot tell what went wrong
MOST_MEMORY_MB: Final = 1 << 30  # a PiB: its bytes fit into every kernel's limit
MOST_CPU_SECONDS: Final = 3_153_600_000  # a hundred years
LEAST_OPEN_FILES: Final = 16  # below this the interpreter cannot import a module
MOST_OPEN_FILES: Final = 1 << 20

# the whole numbers: name -> least, most
_WHOLE: Final = {
    "memory_mb": (LEAST_MEMORY_MB, MOST_MEMORY_MB),
    "open_files": (LEAST_OPEN_FILES, MOST_OPEN_FILES),
    "file_mb": (1, MOST_MEMORY_MB),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """None is no limit."""

    memory_mb: int | None = None
    cpu_seconds: float | None = None
    open_files: int | None = None
    file_mb: int | None = None

    @classmethod
    def of(cls, source: Mapping[str, Any]) -> Limits:
        """From a mapping that may have more than these, or less."""
        return cls(*(source.get(name) for name in NAMES))

    def as_dict(self) -> dict[str, Any]:
        """Those that are set, by name."""
        return {name: value for name in NAMES if (value := getattr(self, name)) is not None}

    def tightened_by(self, other: Limits) -> Limits:
        """The smaller of each."""
        if other == NO_LIMITS:
            return self
        mine, theirs = self.as_dict(), other.as_dict()
        return Limits.of({name: min(mine.get(name, value), value) for name, value in (mine | theirs).items()})

    def faults(self) -> Iterator[str]:
        """What is wrong with limits that an algorithm declares."""
        cpu = self.cpu_seconds
        for name, (least, most) in _WHOLE.items():
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not least <= value <= most):
                yield f"{name}={value!r} must be a whole number from {least} to {most}"
        if cpu is not None and (type(cpu) not in (int, float) or not 0 < cpu <= MOST_CPU_SECONDS):
            yield f"cpu_seconds={cpu!r} must be a number above 0, and at most {MOST_CPU_SECONDS}"


NAMES: Final = ("memory_mb", "cpu_seconds", "open_files", "file_mb")
NO_LIMITS: Final = Limits()
