"""What the stream of moves has to hold, told from nothing but how the reference stood before and after a step."""

from __future__ import annotations

from typing import Any

from tests.protocol.reference import Reference, error_type
from tests.protocol.rows import HIDDEN, Record

Row = tuple[str, str, str, int, str, str]  # id, state, reason, attempt, error type, algorithm
Entry = tuple[frozenset[Row], tuple[int, int, int] | None]


class Telling:
    """`entries` is None while nobody listens."""

    def __init__(self) -> None:
        self.entries: list[Entry] | None = None
        self._before: dict[str, tuple[Record, str]] = {}
        self._caps = 0

    def begin(self) -> None:
        """Somebody listens."""
        self.entries = self.entries or [(frozenset(), None)]

    def note(self, ref: Reference, now: int, erased: str | None = None) -> None:
        """A step was made; `erased`: the job that it erased."""
        after = {id: (record, record.state) for id, record in ref.records.items()}
        rows = {_row(ref, id) for id, (record, state) in after.items() if not self._was(id, record, state)}
        if erased is not None:
            old = self._before[erased][0] if erased in self._before else Record()
            rows.add((erased, "erased", "", old.attempt, "", old.algorithm or ""))
        caps = sum(move == "cap" for move, *_ in ref.log)
        if self.entries is not None:
            self.entries += [(frozenset(), numbers(ref, now))] * (caps - self._caps)
            if rows:
                self.entries.append((frozenset(rows), None if erased is not None else numbers(ref, now)))
        self._before, self._caps = after, caps

    def _was(self, id: str, record: Record, state: str) -> bool:
        old, was = self._before.get(id, (None, ""))
        return record is old and state == was


def _row(ref: Reference, id: str) -> Row:
    record = ref.records[id]
    reason = record.reason if record.state == "pending" else None
    kind = error_type(record.error) if record.state == "failed" else ""
    return id, record.state, reason or "", record.attempt, kind, ref._name(id, record)


def numbers(ref: Reference, now: int) -> tuple[int, int, int]:
    """Cap, running jobs, and those that wait and are due."""
    scheduled = sum(now + 1 < score < HIDDEN for score in ref.queue.values())
    running = len(ref.running())
    return ref.cap(now)[0], running, len(ref.queue) - running - scheduled


def entry_of(fields: dict[str, str]) -> Entry:
    """An entry of the stream as `Telling` has it."""
    rows = set[Row]()
    for number in range(1, len(fields)):
        if str(number) in fields:
            state, reason, attempt, kind, length, rest = fields[str(number)].split(" ", 5)
            rows.add((rest[int(length) :], state, reason, int(attempt), kind, rest[: int(length)]))
    told: Any = tuple(map(int, fields["slots"].split())) if "slots" in fields else None
    return frozenset(rows), told
