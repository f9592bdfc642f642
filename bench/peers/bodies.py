"""The jobs that are measured, and the witness that each of them reports to: the same code under every peer.

The witness is a file outside Redis, named by BENCH_WITNESS. A body appends one record when it begins and one when
it ends (one write for both where nothing lies between): a few microseconds, the same for everybody, and the kernel
appends whole records. Only the standard library: each peer imports this under its own Python.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time

RECORD = struct.Struct("<qii")  # monotonic nanoseconds, number of the job, what
BEGAN, ENDED = 0, 1

_file: list[int] = []


def record(*rows: tuple[int, int, int]) -> None:
    """Append rows of (monotonic ns, number, what)."""
    if not _file:
        _file.append(os.open(os.environ["BENCH_WITNESS"], os.O_WRONLY | os.O_APPEND))
    os.write(_file[0], b"".join(RECORD.pack(*row) for row in rows))


def noop(number: int) -> int:
    """Nothing."""
    began = time.monotonic_ns()
    record((began, number, BEGAN), (time.monotonic_ns(), number, ENDED))
    return number


async def rest(number: int, milliseconds: float) -> int:
    """Wait on the event loop."""
    record((time.monotonic_ns(), number, BEGAN))
    await asyncio.sleep(milliseconds / 1000)
    record((time.monotonic_ns(), number, ENDED))
    return number


def doze(number: int, milliseconds: float) -> int:
    """`rest`, for peers without an event loop."""
    record((time.monotonic_ns(), number, BEGAN))
    time.sleep(milliseconds / 1000)
    record((time.monotonic_ns(), number, ENDED))
    return number


def burn(number: int, rounds: float) -> int:
    """So many rounds of pure Python."""
    record((time.monotonic_ns(), number, BEGAN))
    loop(int(rounds))
    record((time.monotonic_ns(), number, ENDED))
    return number


def loop(rounds: int) -> int:
    total = 0
    for i in range(rounds):
        total += i * i % 7
    return total
