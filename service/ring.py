"""The latest steps of the fleet, ready to be sent: what all listeners of a front end share. Does no I/O."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import to_json

from service.position import Position
from slotwise.entry import StreamId
from slotwise.moment import timestamp
from slotwise.moves import Moved, Numbers, Step

STEPS: Final = 1_000  # that are kept at least
AT_ONCE: Final = 200  # steps that a listener is sent in one piece


@dataclass(frozen=True, slots=True)
class Told:
    """A step as it is sent. `slots` where it changed them."""

    id: StreamId
    jobs: bytes
    slots: bytes | None


class Ring:
    """Steps behind `start`. `generation` is another whenever it is not known that none is missing between two."""

    def __init__(self) -> None:
        self.generation = 0
        self.start: StreamId | None = None
        self._ids: list[StreamId] = []
        self._told: list[Told] = []

    def begin(self, start: StreamId) -> None:
        """Anew, with nothing behind `start` yet."""
        self.generation += 1
        self.start, self._ids, self._told = start, [], []

    def forget(self) -> None:
        """Nobody listens."""
        self.generation += 1
        self.start, self._ids, self._told = None, [], []

    def add(self, steps: Sequence[Step]) -> None:
        """Steps that follow those it has."""
        self._ids += [step.id for step in steps]
        self._told += map(told, steps)
        surplus = len(self._ids) - STEPS
        if surplus >= STEPS:  # a list is cut in large pieces, for that moves what is left
            self.start = self._ids[surplus - 1]
            del self._ids[:surplus], self._told[:surplus]

    def reaches(self, step: StreamId) -> bool:
        """Whether everything behind `step` is here, or will be."""
        return self.start is not None and step >= self.start

    def behind(self, step: StreamId) -> list[Told]:
        """What it has behind a step that it `reaches`."""
        at = bisect_right(self._ids, step)
        return self._told[at : at + AT_ONCE]


def told(step: Step, from_job: int = 0) -> Told:
    """A step without its first `from_job` jobs."""
    at = timestamp(step.at_ms)
    jobs = b"".join(_jobs(step, from_job, at))
    slots = None if step.numbers is None else slots_event(step.id, at, step.numbers)
    return Told(step.id, jobs, slots)


def together(steps: Sequence[Told]) -> bytes:
    """Of the slots only the latest numbers are told: those before them are over."""
    last = max((at for at, step in enumerate(steps) if step.slots), default=None)
    return b"".join(step.jobs + (step.slots or b"" if at == last else b"") for at, step in enumerate(steps))


def slots_event(step: StreamId, at: str, numbers: Numbers) -> bytes:
    slots = numbers.slots
    data = {
        "max_concurrent": slots.max_concurrent,
        "available_slots": slots.available,
        "running_jobs": slots.running,
        "pending_jobs": numbers.pending,
        "at": at,
    }
    return _event("slots", data, Position(step))


def reset_event() -> bytes:
    """It has no id: who loses the connection here comes back with the old one."""
    return _event("reset", {"detail": "What happened meanwhile is not kept: go on from the slots that follow."})


def _jobs(step: Step, from_job: int, at: str) -> Iterator[bytes]:
    for number, moved in enumerate(step.moved[from_job:], from_job + 1):
        yield _event("job", _job(moved, at), Position(step.id, number))


def _job(moved: Moved, at: str) -> dict[str, Any]:
    return {
        "job_id": moved.job_id,
        "algorithm": moved.algorithm,
        "status": moved.status,
        "reason": moved.reason,
        "attempt": moved.attempt,
        "error_type": moved.error_type,
        "at": at,
    }


def _event(name: str, data: dict[str, Any], position: Position | None = None) -> bytes:
    head = f"id: {position}\n" if position else ""
    return f"{head}event: {name}\ndata: ".encode() + to_json(data) + b"\n\n"
