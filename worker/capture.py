"""Hears one job's process: all that its tree writes to standard output and error, and its page.

Both descriptors travel to the process with its call.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

from slotwise.context import Voice
from worker.hearing import Hearing
from worker.page import Page, Pages

READ_BYTES: Final = 1 << 16  # a pipe's whole capacity, as a rule
MOST_READS: Final = 32  # at the end: a pipe may have 1 MB at most


class Capture:
    def __init__(self, pages: Pages, hearing: Hearing, voice: Voice) -> None:
        """Raises: OSError when the machine has no descriptor left."""
        self._loop = asyncio.get_running_loop()
        self._pages = pages
        self._hearing = hearing
        self._voice = voice
        self._page: Page = pages.take()
        try:
            self._output, self._theirs = os.pipe()
        except OSError:
            pages.give_back(self._page)
            raise
        self._open = True
        os.set_blocking(self._output, False)
        self._loop.add_reader(self._output, self._read)
        hearing.watch(self._page, voice)

    @property
    def descriptors(self) -> list[int]:
        """For the process: where to write, and its page."""
        return [self._theirs, self._page.descriptor]

    def passed(self) -> None:
        """The process has its own by now, or never will."""
        if self._theirs >= 0:
            os.close(self._theirs)
            self._theirs = -1

    def cancel(self) -> None:
        """Let the body see that it is to end."""
        self._page.cancel()

    def close(self) -> None:
        """Take what was said last. Only when nothing of the process tree is left."""
        self.passed()
        for _ in range(MOST_READS):
            if not self._read():
                break
        self._stop_reading()
        os.close(self._output)
        self._hearing.unwatch(self._page)
        self._pages.give_back(self._page)

    def _read(self) -> bool:
        """Take what there is, and say whether there may be more. Once a turn of the loop: others have theirs."""
        try:
            data = os.read(self._output, READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._voice.log(data)
        else:
            self._stop_reading()
        return bool(data)

    def _stop_reading(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._output)
