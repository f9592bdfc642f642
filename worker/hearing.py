"""All that the bodies of a worker say, gathered: a few times a second it goes to the store, in one call.

It travels with the worker's exchange. A body that says nothing costs nothing here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Final

from slotwise.context import Voice
from slotwise.words import Words
from worker.page import Page
from worker.speech import Speech

PASS_ON_SECONDS: Final = 0.2  # between two looks at what was said
MOST_BYTES: Final = 256 << 10  # of output passed on in one go; the rest waits, and may be cut


class Hearing:
    """`pass_on` gets what was said, and says whether it can take more by now: else it is asked again."""

    def __init__(self, pass_on: Callable[[Sequence[Words]], None], ready: Callable[[], bool]) -> None:
        self._pass_on = pass_on
        self._ready = ready
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._spoke: dict[Speech, None] = {}
        self._pages: dict[Page, Voice] = {}
        self._timer: asyncio.TimerHandle | None = None

    def heard(self, speech: Speech) -> None:
        """It has something to pass on; from any thread."""
        if threading.get_ident() == self._thread:
            self._note(speech)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, speech)

    def _note(self, speech: Speech) -> None:
        self._spoke[speech] = None
        self._set_timer()

    def watch(self, page: Page, voice: Voice) -> None:
        """Look at this page from time to time, until `unwatch`."""
        self._pages[page] = voice
        self._set_timer()

    def unwatch(self, page: Page) -> None:
        """Look a last time."""
        _look(page, self._pages.pop(page))

    def processes(self) -> dict[str, int]:
        """From any thread: the process of each job that runs in one of its own and has begun, by the job's id."""
        told = {voice.id: page.process for page, voice in list(self._pages.items()) if isinstance(voice, Speech)}
        return {job_id: process for job_id, process in told.items() if process}

    def last_words(self, speech: Speech) -> Words | None:
        """What has not been passed on when the body has ended; it goes with the attempt's finish."""
        self._spoke.pop(speech, None)
        return speech.take()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(PASS_ON_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        for page, voice in self._pages.items():
            _look(page, voice)
        if self._spoke and self._ready():
            self._pass_on(self._gathered())
        if self._spoke or self._pages:
            self._set_timer()

    def _gathered(self) -> list[Words]:
        """The first that spoke, first; as much as goes at once."""
        words, size = [], 0
        while self._spoke and size < MOST_BYTES:
            speech = next(iter(self._spoke))
            del self._spoke[speech]
            said = speech.take()
            if said is not None:
                words.append(said)
                size += len(said.output)
        return words


def _look(page: Page, voice: Voice) -> None:
    said = page.read()
    if said is not None:
        voice.progress(*said)
