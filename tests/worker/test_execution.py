"""One attempt, without a fleet around it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from worker.execution import Execution
from worker.hearing import Hearing


class Meeting:
    """Settings that two threads read at the same time, if nothing keeps them from it."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(2)

    @property
    def max_log_bytes(self) -> int:
        with suppress(threading.BrokenBarrierError):
            self._barrier.wait(0.2)
        return 1000


async def test_threads_that_ask_first_together_get_one_context() -> None:
    """Of two, the words of one would be lost."""
    worker: Any = SimpleNamespace(settings=Meeting(), leaving=False)
    grant: Any = SimpleNamespace(id="x", token="1", attempt=1)
    execution = Execution(worker, Hearing(lambda words: None, lambda: True), grant, "w")
    first, second = await asyncio.gather(*(asyncio.to_thread(execution._known_to_body) for _ in range(2)))
    assert first.voice is second.voice
