"""A worker's lease: renewed from a thread of its own, with the deadlines that keep a lost one harmless.

        renewed              0.6 to 0.7 L           0.85 L          L
    ------|------------------------|----------------|---------------|------>  since the last renewal was sent
          bodies run               isolated:        the kernel      an observer that watched all the time
                                   bodies killed    kills them      may give the jobs to another worker

Nothing in the thread may block but a call to Redis, which has a timeout: no log line, no event.

Whatever stands still - the loop, the thread, the process, the machine - no body of ours lives when an
observer may first regrant its job. All times are on kernel.clock(), which no one can set.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from redis.exceptions import RedisError

from slotwise.lease import LeaseStore, Watch, look_seconds, observe
from worker import kernel

RENEW_AT: Final = 0.25  # of the lease's length L
ISOLATED_AT: Final = 0.6
KILLED_AT: Final = 0.85


class Holder(Protocol):
    """Whose lease it is. `holding` is called from the lease's thread; the others on the event loop."""

    def holding(self) -> tuple[int, tuple[str, ...]]:
        """The last exchange dealt with, and every token held since."""

    def on_lost(self, tokens: tuple[str, ...]) -> None:
        """These attempts are no longer the worker's."""

    def on_isolated(self) -> None:
        """No renewal got through for 0.6 L: every body must end now."""

    def on_gone(self) -> None:
        """The lease was given up on: every body must end, and a new start of the worker begin."""


class Lease:
    """One worker's lease, over all its incarnations."""

    def __init__(
        self,
        store: LeaseStore,
        length_seconds: float,
        keep_seconds: float,
        holder: Holder,
        on_extended: Callable[[float], None],
        weights: Callable[[], Mapping[str, int]],
    ) -> None:
        self._store = store
        self._length = length_seconds
        self._keep_ms = round(keep_seconds * 1000)  # of a job that expired
        self._holder = holder
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._timer = kernel.Deadline()
        self._lock = threading.Lock()
        self._armed = False
        self._loop_bodies = 0
        self._incarnation = ""
        self._renewed_at = kernel.clock()
        self._isolated = False
        self._weights = weights  # MB by job; called from the lease's thread
        self._on_extended = on_extended  # hears the kernel's deadline of jobs in processes of their own

    def enlist(self, incarnation: str, row: Mapping[str, str | int], serves: Sequence[str]) -> None:
        """Begin a lease for this incarnation (blocking). Raises: redis.RedisError."""
        sent = kernel.clock()
        self._store.enlist(incarnation, int(self._length * 1000), row, serves)
        self._incarnation = incarnation
        self._extend(sent)
        if not self._thread.is_alive():
            self._thread.start()

    def lapse(self) -> None:
        """Stop renewing (blocking). What is held stays held, and the kernel's timer runs, until it is reaped."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def leave(self) -> None:
        """Stop renewing and end the lease (blocking). Raises: redis.RedisError."""
        self.lapse()
        with self._lock:
            self._timer.set(None)
        self._store.leave(self._incarnation)

    def close(self) -> None:
        """Close the connection."""
        self._store.close()

    @property
    def fresh(self) -> bool:
        """Whether a renewal is young enough to start a body under; from any thread."""
        return kernel.clock() - self._renewed_at < ISOLATED_AT * self._length

    def loop_body_started(self) -> None:
        """A body runs in this very process: from now on the kernel's timer holds for the process itself."""
        with self._lock:
            self._loop_bodies += 1
            if not self._armed:
                self._armed = self._timer.set(self._renewed_at + KILLED_AT * self._length)

    def loop_body_ended(self) -> None:
        with self._lock:
            self._loop_bodies -= 1

    def _run(self) -> None:
        watch = Watch()
        renew_at = time.monotonic() + RENEW_AT * self._length
        look_at = time.monotonic()
        while not self._stop.wait(max(0.0, min(look_at, renew_at) - time.monotonic())):
            now = time.monotonic()
            if now >= renew_at:
                renewed = self._renew()
                renew_at = now + (RENEW_AT if renewed else RENEW_AT / 10) * self._length
            self._mind_the_time()
            if now >= look_at:
                look_at = now + self._look(watch)
                self._mind_the_time()

    def _renew(self) -> bool:
        incarnation = self._incarnation
        acknowledged, tokens = self._holder.holding()
        sent = kernel.clock()
        try:
            renewed = self._store.renew(incarnation, acknowledged, tokens, self._weights())
        except (RedisError, OSError):
            return False
        if incarnation != self._incarnation:
            return True  # the loop began a new one meanwhile
        if renewed.gone:
            self._tell(self._holder.on_gone)
            return True
        self._extend(sent)
        if renewed.lost:
            self._tell(lambda: self._holder.on_lost(renewed.lost))
        return True

    def _look(self, watch: Watch) -> float:
        if not self.fresh:  # Redis does not answer: no time for a call that may block
            watch.forget()
            return look_seconds({})
        try:
            return observe(self._store, watch, keep_ms=self._keep_ms)
        except (RedisError, OSError):
            return look_seconds({})

    def _extend(self, sent: float) -> None:
        deadline = sent + KILLED_AT * self._length
        with self._lock:
            self._renewed_at = sent
            self._isolated = False
            self._armed = self._timer.set(deadline if self._loop_bodies else None) and self._loop_bodies > 0
        self._on_extended(deadline)

    def _mind_the_time(self) -> None:
        with self._lock:
            if not self._loop_bodies and self._armed:
                self._armed = False
                self._timer.set(None)
        if not self._isolated and not self.fresh:
            self._isolated = True
            self._tell(self._holder.on_isolated)

    def _tell(self, what: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)
