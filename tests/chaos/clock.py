"""Wall clocks of other processes, which can be set; their monotonic clocks go on as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))

LEFT = ("faketime_shm_{}", "sem.faketime_sem_{}")  # in /dev/shm, of a process that was killed

PATCH = """
import os
import time

_file, _real, _real_ns, _known = {file!r}, time.time, time.time_ns, [0, 0]

def off():
    changed = os.stat(_file).st_mtime_ns
    if changed != _known[0]:
        with open(_file) as file:
            _known[:] = changed, int(file.read() or 0)
    return _known[1]

time.time = lambda: _real() + off()
time.time_ns = lambda: _real_ns() + off() * 10**9
"""


class Clock:
    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self._file = directory / "clock"
        self.set(0)

    def set(self, seconds: int) -> None:
        """So far from the real time."""
        self._file.write_text(f"{seconds:+d}")

    @property
    def of_a_program(self) -> Mapping[str, str]:
        """Read anew each second."""
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    @property
    def of_python(self) -> Path:
        """To be put on PYTHONPATH: a module that Python imports at its start (libfaketime breaks its sleeps)."""
        (self.directory / "sitecustomize.py").write_text(PATCH.format(file=str(self._file)))
        return self.directory
