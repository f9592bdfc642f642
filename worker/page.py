"""A page of memory that a worker shares with one job's process: a word in each direction, at no cost but its own.

    0   cancelled      1 byte    by the worker: somebody wants the body to end
    4   process        4 bytes   by the body: its process; 0: not begun
    8   number         4 bytes   by the body: of its latest progress, rising; 0: none yet
    64  progress       2 slots of 1,280 bytes, written in turn: progress n stands in slot n % 2
        crc of percent and message 4, length 4, percent 8, message (UTF-8)

Whoever dies while writing leaves the slot before whole. A reader that meets a slot in the making tries again, and
else takes it for no progress: the next look finds it.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import threading
import zlib
from mmap import mmap
from typing import Final
from uuid import uuid4

from slotwise.context import MESSAGE_BYTES

SIZE: Final = 4096
TRIES: Final = 4  # for what is written while it is read
_NUMBER: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<IId")
_PERCENT: Final = struct.Struct("<d")
_PROCESS_AT: Final = 4
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
            _seal(descriptor)
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

    def sign(self) -> None:
        """This process is the body's."""
        _NUMBER.pack_into(self._memory, _PROCESS_AT, os.getpid())

    @property
    def process(self) -> int:
        (process,) = _NUMBER.unpack_from(self._memory, _PROCESS_AT)
        return int(process)

    def write(self, percent: float, message: bytes) -> None:
        """The body's progress; a message over MESSAGE_BYTES is cut."""
        with self._lock:
            (number,) = _NUMBER.unpack_from(self._memory, _NUMBER_AT)
            number = number % 0xFFFF_FFFF + 1
            at = _SLOTS_AT + number % 2 * _SLOT
            cut = message[:MESSAGE_BYTES]
            _HEAD.pack_into(self._memory, at, _crc(percent, cut), len(cut), percent)
            self._memory[at + _HEAD.size : at + _HEAD.size + len(cut)] = cut
            _NUMBER.pack_into(self._memory, _NUMBER_AT, number)

    def read(self) -> tuple[float, str] | None:
        """The latest progress, percent and message; None when there is none since the last look."""
        return next(filter(None, (self._read_once() for _ in range(TRIES))), None)

    def _read_once(self) -> tuple[float, str] | None:
        (number,) = _NUMBER.unpack_from(self._memory, _NUMBER_AT)
        if number == self._seen:
            return None
        at = _SLOTS_AT + number % 2 * _SLOT
        crc, length, percent = _HEAD.unpack_from(self._memory, at)
        message = self._memory[at + _HEAD.size : at + _HEAD.size + min(length, MESSAGE_BYTES)]
        if _crc(percent, message) != crc or not 0 <= percent <= 100:
            return None
        self._seen = number
        return percent, message.decode("utf-8", "ignore")  # a character cut in two is left out


def _crc(percent: float, message: bytes) -> int:
    return zlib.crc32(message, zlib.crc32(_PERCENT.pack(percent)))


def _anonymous_file() -> int:
    """Of no size yet; once it has one, nobody must be able to take it away: a read past the end is a SIGBUS."""
    if sys.platform == "linux":
        return os.memfd_create("slotwise-job", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:  # noqa: RET505  (for mypy, which has no types for what only others need)
        import _posixshmem  # noqa: PLC0415

        name = f"/slotwise-{uuid4().hex[:16]}"
        descriptor: int = _posixshmem.shm_open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode=0o600)
        _posixshmem.shm_unlink(name)
        return descriptor


def _seal(descriptor: int) -> None:
    """Its size stays, whoever holds a descriptor. macOS sets that of shared memory once in any case."""
    if sys.platform == "linux":
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)


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
