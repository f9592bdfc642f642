"""Notices an event loop that does not come round, and who keeps it. From a thread of its own.

A body that blocks the loop costs the other async jobs their time, not their leases; it is named, with the place.
The thread may block where its words are written: nobody waits for it, the lease's thread least of all.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from worker.events import Event

LOOK_SECONDS: Final = 0.25
BLOCKED_SECONDS: Final = 1.0  # without a turn, before anybody is named
BODIES: Final = str(Path(__file__).with_name("bodies.py"))  # what it calls is the user's


class Watchdog:
    """Made on the loop's own thread. `ref_of` names the job of a task; it and `emit` are called from another."""

    def __init__(self, ref_of: Callable[[asyncio.Task[Any] | None], str], emit: Callable[[Event], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._ref_of = ref_of
        self._emit = emit
        self._asked_at = self._answered_at = time.monotonic()
        self._cpu = 0.0  # of the process, when the loop was asked
        self._told: str | None = None  # who keeps the loop; None while nobody was named
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin to watch, until `stop`."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Every LOOK_SECONDS or so: ask the loop for a sign of life, or find out why there is none."""
        if self._answered_at >= self._asked_at:
            self._past()
            self._ask()
        elif self._told is None and time.monotonic() - self._asked_at >= BLOCKED_SECONDS:
            self._name()

    def _ask(self) -> None:
        self._cpu = time.process_time()
        self._asked_at = time.monotonic()
        try:
            self._loop.call_soon_threadsafe(self._answer)
        except RuntimeError:  # it is closed
            self.stop()

    def _answer(self) -> None:
        self._answered_at = time.monotonic()

    def _past(self) -> None:
        """The loop has come round: say how long it took, if it was long."""
        seconds = self._answered_at - self._asked_at
        if self._told is not None:
            self._emit(Event("loop_free", ref=self._told, seconds=seconds))
        elif (
            seconds >= BLOCKED_SECONDS and time.process_time() - self._cpu >= seconds / 2
        ):  # not stopped: it worked
            self._emit(Event("loop_free", ref="something that let no other thread run", seconds=seconds))
        self._told = None

    def _name(self) -> None:
        ref = self._ref_of(asyncio.current_task(self._loop))
        frame = sys._current_frames().get(self._thread)
        if self._answered_at < self._asked_at:  # else it has just ended, and we saw somebody else
            self._told = ref or "something that is no job"
            seconds = time.monotonic() - self._asked_at
            self._emit(Event("loop_blocked", ref=self._told, seconds=seconds, text=place(frame)))


def place(frame: FrameType | None) -> str:
    """Where the user's code is in this stack: what a body called first, or else the innermost call."""
    found = inner = frame
    while frame is not None and frame.f_code.co_filename != BODIES:
        found, frame = frame, frame.f_back
    where = found if frame is not None else inner
    return "" if where is None else f"{where.f_code.co_filename}:{where.f_lineno} in {where.f_code.co_name}"
