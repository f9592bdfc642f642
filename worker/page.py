"""A page of memory that a worker shares with one job's process: a word in each direction, at no cost but its own.

    0   cancelled      1 byte    by the worker: somebody wants the body to end
    8   number         4 bytes   by the body: of its latest progress, rising; 0: none yet
    64  progress       2 slots of 1,280 bytes, written in turn: progress n stands in slot n % 2
        crc 4, length 4, percent 8, message (UTF-8)

Whoever dies while writing leaves the slot before whole. A reader that meets a slot in the making, as many
processes of one job may make it, takes it for no progress: the next look finds it.
"""

from __future__ import annotations

import os
import struct
import tempfile
import threading
import zlib
from mmap import mmap
from typing import Final

from slotwise.context import MESSAGE_BYTES

SIZE: Final = 4096
_NUMBER: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<IId")
_NUMBER_AT: Final = 8
_SLOTS_AT: Final = 64
_SLOT: Final = 1280


class Page:
    """One end. `descriptor` is what the other end opens it by, and may be closed once it has."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap(descriptor, SIZE)
        self._seen = 0
        self._lock = threading.Lock()

    @classmethod
    def new(cls) -> Page:
        """Raises: OSError."""
        descriptor = _anonymous_file()
        try:
            os.ftruncate(descriptor, SIZE)
            return cls(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def close(self) -> None:
        self._memory.close()
        os.close(self.descriptor)

    def clear(self) -> None:
        """Make it ready for the next job: nothing of the last one's is left."""
        self._memory[:] = bytes(SIZE)
        self._seen = 0

    def cancel(self) -> None:
        self._memory[0] = 1

    @property
    def cancelled(self) -> bool:
        return self._memory[0] != 0

    def write(self, percent: float, message: bytes) -> None:
        """The body's progress; a message over MESSAGE_BYTES is cut."""
        with self._lock:
            (number,) = _NUMBER.unpack_from(self._memory, _NUMBER_AT)
            number = number % 0xFFFF_FFFF + 1
            at = _SLOTS_AT + number % 2 * _SLOT
            cut = message[:MESSAGE_BYTES]
            _HEAD.pack_into(self._memory, at, zlib.crc32(cut), len(cut), percent)
            self._memory[at + _HEAD.size : at + _HEAD.size + len(cut)] = cut
            _NUMBER.pack_into(self._memory, _NUMBER_AT, number)

    def read(self) -> tuple[float, str] | None:
        """The latest progress, percent and message; None when there is none since the last look."""
        (number,) = _NUMBER.unpack_from(self._memory, _NUMBER_AT)
        if number == self._seen:
            return None
        at = _SLOTS_AT + number % 2 * _SLOT
        crc, length, percent = _HEAD.unpack_from(self._memory, at)
        message = self._memory[at + _HEAD.size : at + _HEAD.size + min(length, MESSAGE_BYTES)]
        if zlib.crc32(message) != crc or not 0 <= percent <= 100:
            return None
        self._seen = number
        return percent, message.decode("utf-8", "ignore")  # a character cut in two is left out


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("slotwise-job", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Pages:
    """Pages in reserve: as many are made as jobs ran at once."""

    def __init__(self) -> None:
        self._free: list[Page] = []

    def take(self) -> Page:
        """A clear one. Raises: OSError."""
        if not self._free:
            return Page.new()
        page = self._free.pop()
        page.clear()
        return page

    def give_back(self, page: Page) -> None:
        """Only when nothing of the job's process tree is left that could write to it."""
        self._free.append(page)

    def close(self) -> None:
        while self._free:
            self._free.pop().close()
