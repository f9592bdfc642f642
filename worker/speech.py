"""What one attempt says, as the worker hears it: its progress, and the newest of its output, till it is passed on.

Filled from the event loop by a job's process, or from any thread by a body that runs in the worker's own.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from slotwise.words import Words


class Speech:
    """A `Voice` of the context. `heard` is called, from any thread, when there is something to pass on."""

    __slots__ = (
        "_cancelled",
        "_heard",
        "_keep",
        "_left_out",
        "_lock",
        "_number",
        "_output",
        "_progress",
        "_size",
        "id",
        "token",
    )

    def __init__(
        self,
        job_id: str,
        token: str,
        keep_bytes: int,
        heard: Callable[[Speech], None],
        cancelled: Callable[[], bool],
    ) -> None:
        self.id = job_id
        self.token = token
        self._keep = keep_bytes
        self._heard = heard
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._output: deque[bytes] = deque()
        self._size = self._left_out = self._number = 0
        self._progress: tuple[float, str] | None = None

    def progress(self, percent: float, message: str) -> None:
        with self._lock:
            fresh, self._progress = self._progress is None, (percent, message)
        if fresh:
            self._heard(self)

    def cancelled(self) -> bool:
        return self._cancelled()

    def log(self, output: bytes) -> None:
        """What is more than is kept is let go of at once, the oldest first."""
        if not self._keep:
            return
        with self._lock:
            fresh = not self._output and not self._left_out
            self._output.append(output)
            self._size += len(output)
            while self._output and self._size - len(self._output[0]) >= self._keep:
                self._left_out += len(self._output[0])
                self._size -= len(self._output.popleft())
        if fresh:
            self._heard(self)

    def take(self) -> Words | None:
        """All that waits, as the attempt's next words; None when nothing does."""
        with self._lock:
            progress, self._progress = self._progress, None
            if progress is None and not self._output and not self._left_out:
                return None
            output, left_out = b"".join(self._output), self._left_out
            self._output.clear()
            self._size = self._left_out = 0
        over = max(0, len(output) - self._keep)
        self._number += 1
        return Words(self.id, self.token, self._number, progress, left_out + over, output[over:])
