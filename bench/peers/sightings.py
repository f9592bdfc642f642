"""What the witness saw of one run: starts, ends, the most alive at once, what was lost or ran twice."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.peers.bodies import BEGAN, ENDED, RECORD


@dataclass(frozen=True)
class Seen:
    """One run's bodies, by number; times are monotonic nanoseconds."""

    began: dict[int, int]
    ended: dict[int, int]
    most_alive: int
    twice: int  # bodies that began again

    @property
    def span(self) -> float:
        """Seconds from the first start to the last end."""
        return (max(self.ended.values()) - min(self.began.values())) / 1e9

    def faults(self, jobs: int, cap: int) -> list[str]:
        """What a run of so many jobs at this cap did wrong."""
        found = []
        if self.most_alive > cap:
            found.append(f"{self.most_alive} bodies alive at once at cap {cap}")
        if lost := jobs - len(self.ended):
            found.append(f"{lost} of {jobs} jobs did not end")
        if self.twice:
            found.append(f"{self.twice} bodies ran twice")
        return found


class Witness:
    """The file that bodies write to, outside Redis."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clear()

    def clear(self) -> None:
        self.path.write_bytes(b"")

    @property
    def records(self) -> int:
        return self.path.stat().st_size // RECORD.size

    def await_records(self, count: int, within: float) -> bool:
        """Whether so many come within the seconds; looks often, reads nothing."""
        deadline = time.monotonic() + within
        while self.records < count:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def seen(self, *numbers: range) -> Seen:
        """The bodies of these jobs, or of all."""
        rows = list(RECORD.iter_unpack(self.path.read_bytes()))
        if numbers:
            rows = [row for row in rows if any(row[1] in those for those in numbers)]
        began = Counter(number for _, number, what in rows if what == BEGAN)
        first = {number: at for at, number, what in reversed(rows) if what == BEGAN}
        last = {number: at for at, number, what in rows if what == ENDED}
        alive = most = 0
        # an end and a start of the same nanosecond: the end came first
        for _, change in sorted((at, 1 if what == BEGAN else -1) for at, _, what in rows):
            alive += change
            most = max(most, alive)
        return Seen(first, last, most, sum(count - 1 for count in began.values()))
