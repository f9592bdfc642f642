"""Messages between worker, zygote and child: a length, a kind, a body.

    4 bytes, big-endian      1 byte      length bytes
+------------------------+-----------+----------------+
| length of the body     | kind      | body           |
+------------------------+-----------+----------------+
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_HEAD: Final = struct.Struct(">Ic")

# worker -> zygote
SPAWN: Final = b"S"  # key; the child's socket travels with it
ASK: Final = b"Q"  # key: SIGINT to its own process, whose page says that it is cancelled
TERMINATE: Final = b"T"  # key: SIGTERM to each of its processes
KILL: Final = b"K"  # key: SIGKILL to each
# zygote -> worker
READY: Final = b"Y"  # the user's modules are loaded; JSON: no_groups, why jobs have no control group
UNLOADABLE: Final = b"U"  # they cannot be, which it has said on standard error
ENDED: Final = b"X"  # JSON: key, and the end (see end.py); nothing of the job's process tree is left
REFUSED: Final = b"N"  # JSON: key, why; no process could be made
# worker -> child
CALL: Final = b"C"  # JSON: algorithm, args, params, job_id, attempt, seconds, and the limits that are set
# child -> worker
RESULT: Final = b"R"  # the result as JSON
FAILURE: Final = b"F"  # JSON: type, message, detail
AGAIN: Final = b"A"  # JSON: seconds until the retry that the body asked for


def pack(kind: bytes, body: bytes = b"") -> bytes:
    """One message as bytes."""
    return _HEAD.pack(len(body), kind) + body


class Unpacker:
    """Cuts a byte stream into messages; a body over `limit` bytes is a ValueError."""

    def __init__(self, limit: int = 2**31) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The messages that `data` completes, as (kind, body)."""
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            length, kind = _HEAD.unpack_from(self._buffer)
            if length > self._limit:
                raise ValueError(f"a message of {length} bytes; the limit is {self._limit}")
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            yield kind, body
