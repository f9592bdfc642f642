"""What one attempt's body used and what was done to end it, written down while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from slotwise.attempt import NO_ACCOUNT, Account, KillStep
from worker.end import End

T = TypeVar("T")


class Tally:
    """None: not measured. A body may have several processes one after the other, as when the first had no room.

    Every attempt has one, and most write nothing into it.
    """

    __slots__ = ("cpu_seconds", "kill_steps", "peak_memory_mb")

    def __init__(self) -> None:
        self.cpu_seconds: float | None = None
        self.peak_memory_mb: float | None = None
        self.kill_steps: tuple[KillStep, ...] = ()

    def used(self, end: End) -> None:
        """Its process has ended, with all that was below it."""
        self.cpu_seconds = (self.cpu_seconds or 0.0) + end.cpu_seconds
        self.peak_memory_mb = max(self.peak_memory_mb or 0.0, end.peak_mb)

    def timed(self, function: Callable[[], T]) -> Callable[[], T]:
        """`function`, whose thread's CPU time is written down when it has ended, however it did."""

        def run() -> T:
            began = time.thread_time()
            try:
                return function()
            finally:
                self.cpu_seconds = (self.cpu_seconds or 0.0) + time.thread_time() - began

        return run

    def step(self, name: str) -> None:
        """Something is done to end the body, now."""
        self.kill_steps = (*self.kill_steps, KillStep(time.time_ns() // 1_000_000, name))

    def account(self) -> Account:
        """As it stands."""
        if self.cpu_seconds is None and not self.kill_steps:
            return NO_ACCOUNT
        return Account(self.cpu_seconds, self.peak_memory_mb, self.kill_steps)
