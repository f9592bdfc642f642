"""The signs of life of many workers, made by a few threads of one process, and some who look at them."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from redis import Redis

from slotwise.keys import Keys
from slotwise.lease import LeaseStore, Watch, observe
from worker.lease import RENEW_AT

RENEWERS = 4  # threads


class Held(Protocol):
    """A worker as far as its lease knows it."""

    incarnation: str

    def holding(self) -> tuple[int, tuple[str, ...]]:
        """The last exchange dealt with, and every token held since."""


@dataclass
class Renewals:
    """Threads that renew leases when they are due, and how late that was, in seconds."""

    url: str
    length: float  # of a lease, in seconds
    stop: threading.Event = field(default_factory=threading.Event)
    late: list[float] = field(default_factory=list)
    gone: int = 0

    def start(self, members: Sequence[Held]) -> None:
        for part in range(RENEWERS):
            threading.Thread(target=self._run, args=(members[part::RENEWERS],), daemon=True).start()

    def _run(self, members: Sequence[Held]) -> None:
        store = LeaseStore(Redis.from_url(self.url), Keys())
        every = RENEW_AT * self.length
        began = time.monotonic()
        due = [(began + every * number / len(members), number) for number in range(len(members))]
        heapq.heapify(due)
        while not self.stop.wait(max(0.0, due[0][0] - time.monotonic())):
            at, number = heapq.heappop(due)
            renewed = store.renew(members[number].incarnation, *members[number].holding())
            self.gone += renewed.gone
            self.late.append(time.monotonic() - at)
            heapq.heappush(due, (max(at + every, time.monotonic()), number))
        store.close()


class Observers:
    """Threads that look at all leases, as each worker does."""

    def __init__(self, url: str, count: int, keep_ms: int) -> None:
        self.looks = 0
        self._stop = threading.Event()
        for _ in range(count):
            threading.Thread(target=self._run, args=(url, keep_ms), daemon=True).start()

    def _run(self, url: str, keep_ms: int) -> None:
        store, watch, pause = LeaseStore(Redis.from_url(url), Keys()), Watch(), 0.0
        while not self._stop.wait(pause):
            pause = observe(store, watch, keep_ms=keep_ms)
            self.looks += 1

    def stop(self) -> None:
        self._stop.set()
