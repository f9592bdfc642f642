"""Where a listener stands in the stream of the whole fleet, as the id of an event: the place right behind it.

    1763791082123-0.3
    │               └ how many jobs of this step were told; without it: all that there is to tell of it
    └ id of the step, as Redis has it (slotwise/moves.py)

All of it is in the id, so any front end goes on where another stopped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from service.problems import invalid
from slotwise.entry import StreamId, shown

FORM: Final = r"([0-9]{1,19})-([0-9]{1,19})(?:\.([0-9]{1,9}))?"
_FORM: Final = re.compile(FORM)


@dataclass(frozen=True, slots=True)
class Position:
    """`jobs` None: behind the whole step."""

    step: StreamId
    jobs: int | None = None

    @classmethod
    def parse(cls, text: str, header: str) -> Self:
        """Raises: SlotwiseError `invalid-request`."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise invalid(f"{header} is no id that this stream gave: send the last one as it came, or none.")
        ms, number, jobs = match.groups()
        return cls((int(ms), int(number)), None if jobs is None else int(jobs))

    def __str__(self) -> str:
        return shown(self.step) if self.jobs is None else f"{shown(self.step)}.{self.jobs}"
