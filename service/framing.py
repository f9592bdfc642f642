"""HTTP/1.1 read in one way only: what two parsers might read differently is no request.

h11 forgives what the RFC lets a recipient forgive: a bare LF at a line's end, folded headers, the same length
told twice, a length beside a transfer coding, chunk extensions, trailers. A proxy in front may forgive otherwise,
and then the two disagree where a request ends (request smuggling). So all of that is refused here, with the bytes
still at hand: h11 reads lines from its buffer, and this buffer gives none that are not exactly so.
"""

from __future__ import annotations

import re
from typing import Any, Final

import h11
from h11._receivebuffer import ReceiveBuffer

MAX_HEAD: Final = 16_384  # bytes of a request line and its headers
MAX_HEADERS: Final = 100
MAX_CHUNKS: Final = 10_000  # of one body: each costs as much as a small request
_LINE: Final = rb"[A-Z][A-Z-]{0,31} /[!-~]* HTTP/1\.[01]\r\n"
_REQUEST_LINE: Final = re.compile(_LINE)
_HEAD: Final = re.compile(_LINE + rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*")
_BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\x00")
_CHUNK: Final = re.compile(rb"[0-9A-Fa-f]{1,16}\r\n")
_LENGTH: Final = re.compile(rb"\ncontent-length:[ \t]*[0-9]{1,15}[ \t]*\r")
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")


class Buffer(ReceiveBuffer):
    """What came and is not read yet."""

    def __init__(self) -> None:
        super().__init__()
        self.chunks = 0

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """The lines of a head; none at the end of a chunked body. Raises: h11.LocalProtocolError."""
        data = self._data
        if data.startswith(b"\r\n"):
            self._extract(2)
            return []
        end = data.find(b"\r\n\r\n", self._multiple_lines_search)
        if end < 0:
            self._look_at_part()
            return None
        head = bytes(data[: end + 2])
        _check_head(head)
        self.chunks = 0
        self._extract(end + 4)
        return [bytearray(line) for line in head[:-2].split(b"\r\n")]

    def _look_at_part(self) -> None:
        """Refuse a head before its end where no end could mend it: who sends it may wait for an answer."""
        data, seen = self._data, self._multiple_lines_search
        if _BARE.search(data, seen):
            raise _malformed("a line ends in something else than CR LF, or holds NUL")
        line = data.find(b"\n") + 1
        if line > seen and not _REQUEST_LINE.fullmatch(data, 0, line):
            raise _malformed("illegal request line")
        self._multiple_lines_search = max(0, len(data) - 3)

    def maybe_extract_next_line(self) -> bytearray | None:
        """The line before a chunk. Raises: h11.LocalProtocolError."""
        line = super().maybe_extract_next_line()
        if line is not None:
            self.chunks += 1
            if not _CHUNK.fullmatch(line):
                raise _malformed("a chunk's size is not a bare hexadecimal number")
            if self.chunks > MAX_CHUNKS:
                raise _malformed(f"the body has more than {MAX_CHUNKS} chunks", 413)
        return line


class Connection(h11.Connection):
    """A server's side of a connection. A body may have `max_body` bytes on the wire, however it is told."""

    def __init__(self, max_body: int) -> None:
        super().__init__(h11.SERVER, MAX_HEAD)
        self._receive_buffer = Buffer()
        self._most = max_body
        self._body = 0
        self.fault: h11.RemoteProtocolError | None = None

    def next_event(self) -> Any:
        """As h11's; `fault` says why it raised."""
        try:
            event = super().next_event()
            if isinstance(event, h11.Request):
                self._body = 0
                _check_host(event)
            elif isinstance(event, h11.Data):
                self._body += len(event.data)
                if self._body > self._most:
                    raise h11.RemoteProtocolError("the body is too large", 413)
        except h11.RemoteProtocolError as error:
            self.fault = error
            raise
        return event


def _check_head(head: bytes) -> None:
    if len(head) > MAX_HEAD or head.count(b"\n") > MAX_HEADERS + 1:
        raise _malformed(f"more than {MAX_HEAD} bytes or {MAX_HEADERS} headers", 431)
    if not _HEAD.fullmatch(head):
        raise _malformed("illegal request line or header")
    lower = head.lower()
    lengths, codings = lower.count(b"\ncontent-length:"), lower.count(b"\ntransfer-encoding:")
    if lengths + codings > 1:
        raise _malformed("the body's length is told more than once")
    if lengths and not _LENGTH.search(lower):
        raise _malformed("Content-Length is not a number")
    if codings and b" http/1.0\r\n" in lower:
        raise _malformed("HTTP/1.0 has no Transfer-Encoding")
    if lower.startswith(b"connect "):
        raise _malformed("this is no proxy")


def _check_host(request: h11.Request) -> None:
    for name, value in request.headers:
        if name == b"host" and not _HOST.fullmatch(value):
            raise h11.RemoteProtocolError("Host is not a host and a port")


def _malformed(why: str, status: int = 400) -> h11.LocalProtocolError:
    return h11.LocalProtocolError(why, status)
