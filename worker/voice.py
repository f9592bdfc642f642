"""How a job's own process speaks: standard output and error go into the worker's pipe, and so does its log.

On the level of descriptors, so that code in C and the body's own subprocesses are heard as well.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from slotwise.context import Silence, Voice
from worker.page import Page

LINE = "%(levelname)s %(name)s: %(message)s"  # of a log that nobody has configured


class ProcessVoice:
    """A `slotwise.context.Voice`."""

    def __init__(self, output: int, page: Page) -> None:
        self._output = output
        self._page = page

    def progress(self, percent: float, message: str) -> None:
        self._page.write(percent, message.encode("utf-8", "replace"))

    def log(self, output: bytes) -> None:
        with suppress(OSError):  # the body closed it
            while output:
                output = output[os.write(self._output, output) :]

    def cancelled(self) -> bool:
        return self._page.cancelled


def raised(descriptors: Sequence[int]) -> Voice:
    """The voice of this process, with what came along with its call; a silent one where that did not."""
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    if len(descriptors) != 2:  # the kernel had no number free for them
        for descriptor in descriptors:
            os.close(descriptor)
        return Silence()
    output, shared = descriptors
    for standard in (1, 2):
        os.dup2(output, standard)
    page = Page(shared)
    page.sign()
    os.close(shared)
    return ProcessVoice(output, page)


def talk_by_line() -> None:
    """In the process that job's processes are forked from: what they print is heard at once, whatever it is."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def flush() -> None:
    """Write out what the streams hold back, as far as they are open."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


def log_at_all() -> None:
    """Where the user's modules have configured no log: INFO and above, to standard error."""
    if not logging.root.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(LINE))
        logging.root.addHandler(handler)
        logging.root.setLevel(logging.INFO)
