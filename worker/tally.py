"""What one attempt's body used and what was done to end it, written down while it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from slotwise.attempt import NO_ACCOUNT, Account, KillStep
from worker.end import End


@dataclass(slots=True)
class Tally:
    """None: not measured. A body may have several processes one after the other, as when the first had no room."""

    cpu_seconds: float | None = None
    peak_memory_mb: float | None = None
    kill_steps: list[KillStep] = field(default_factory=list)

    def used(self, end: End) -> None:
        """Its process has ended, with all that was below it."""
        self.cpu_seconds = (self.cpu_seconds or 0.0) + end.cpu_seconds
        self.peak_memory_mb = max(self.peak_memory_mb or 0.0, end.peak_mb)

    def step(self, name: str) -> None:
        """Something is done to end the body, now."""
        self.kill_steps.append(KillStep(time.time_ns() // 1_000_000, name))

    def account(self) -> Account:
        """As it stands."""
        if self.cpu_seconds is None and not self.kill_steps:
            return NO_ACCOUNT
        return Account(self.cpu_seconds, self.peak_memory_mb, tuple(self.kill_steps))
