"""Where a listener stands in a job's stream, as the id of an event: the place right behind it.

    1763791082123.0.3.1763791083004-0.8192
    │             │ │ │               └ bytes of the output that were told
    │             │ │ └ id of the latest of its words that was told
    │             │ └ number of the latest step (slotwise/course.py) that was told; one more than the last: `end`
    │             └ ms at which the job was retried; 0: never
    └ ms at which the job was submitted

All of it is in the id, so any front end goes on where another stopped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from service.problems import invalid
from slotwise.entry import StreamId, shown
from slotwise.job import Job

FORM: Final = r"([0-9]{1,16})\.([0-9]{1,16})\.([0-9]{1,9})\.([0-9]{1,20})-([0-9]{1,20})\.([0-9]{1,16})"
_FORM: Final = re.compile(FORM)
HEADER: Final = "Last-Event-ID"


@dataclass(frozen=True, slots=True)
class Place:
    """`created` and `life` tell which job, and which life of it."""

    created: int
    life: int
    step: int = 0
    word: StreamId = (0, 0)
    written: int = 0

    @classmethod
    def start(cls, job: Job) -> Self:
        """Ahead of the first event."""
        return cls(job.created_ms or 0, job.reopened_ms or 0)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises: SlotwiseError `invalid-request`."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise invalid(f"{HEADER} is no id that a stream of ours gave: send the last one as it came, or none.")
        created, life, step, ms, number, written = map(int, match.groups())
        return cls(created, life, step, (ms, number), written)

    def within(self, job: Job) -> Self:
        """Where this place is in the life that `job` has now. Raises: SlotwiseError `invalid-request`.

        A life before it is over, and what was not told of it is gone: so this one is told from its start.
        """
        if not self._same_job(job):
            raise invalid(f"{HEADER} belongs to the stream of another job: connect without it.")
        return self if self.is_of(job) else self.start(job)

    def is_of(self, job: Job) -> bool:
        """Whether it is a place in the life that `job` has now."""
        return self._same_job(job) and self.life == (job.reopened_ms or 0)

    def _same_job(self, job: Job) -> bool:
        # of a stock client's job it is not known any more when no result is kept
        return not self.created or not job.created_ms or self.created == job.created_ms

    def __str__(self) -> str:
        return f"{self.created}.{self.life}.{self.step}.{shown(self.word)}.{self.written}"
