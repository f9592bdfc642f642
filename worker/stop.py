"""Why a body is to end, and that it is told so once."""

from __future__ import annotations

import asyncio

from slotwise.settings import Settings
from worker.function import AlgorithmFunction
from worker.grace import NO_GRACE, Grace
from worker.tally import Tally


class Stop:
    """Of one attempt. Before its body has begun, and after it has ended, there is nobody to tell."""

    def __init__(self, tally: Tally, settings: Settings) -> None:
        self.cancel_requested = False  # somebody cancelled the job
        self.handed_back = False  # it is to run again elsewhere; the attempt does not count
        self.timed_out = False
        self.told = False
        self._tally = tally
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self._function: object = None
        self._seconds: float | None = None  # that it may run; None: as long as it likes
        self._limit: asyncio.TimerHandle | None = None

    def begun(self, task: asyncio.Task[None], function: object, seconds: float | None) -> None:
        """The body runs in this task, or is about to: `time_begins` says when its seconds do."""
        self._task, self._function, self._seconds = task, function, seconds

    def time_begins(self) -> None:
        """Its time runs from now on, whatever began before."""
        self._disarm()
        if self._seconds is not None:
            self._limit = asyncio.get_running_loop().call_later(self._seconds, self.time_out)

    def ended(self) -> None:
        self._disarm()
        self._task = None

    def _disarm(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def cancel(self) -> None:
        if not self.cancel_requested:
            self.cancel_requested = True
            self._tell()

    def time_out(self) -> None:
        self.timed_out = True
        self._tell()

    def hand_back(self) -> None:
        if not self.handed_back:
            self.handed_back = True
            if self._task is not None and self.told and self._in_process():
                self._task.cancel()  # a grace that it was given is over
            self._tell()

    def grace(self) -> Grace:
        """Of its process. None when it is to run again: the drain was its time, or its lease is nearly lost."""
        function = self._function
        if self.handed_back or not (self.cancel_requested or self.timed_out):
            return NO_GRACE
        return (
            Grace.of(function.algorithm, self._settings) if isinstance(function, AlgorithmFunction) else NO_GRACE
        )

    def _in_process(self) -> bool:
        function = self._function
        return isinstance(function, AlgorithmFunction) and function.algorithm.executor == "process"

    def _tell(self) -> None:
        if self._task is not None and not self.told:  # once: a second cancel would cut its cleaning up short
            self.told = True
            if not self._in_process():
                self._tally.step("cancel")
            self._task.cancel()
