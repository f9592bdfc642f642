"""Server-sent events, from bytes to events (HTML standard, section 9.2.6). Does no I/O."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from slotwise.client.model import Event
from slotwise.client.requests import event_of


class Parser:
    """Of one connection: what it left unfinished when it broke is no event."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._text = ""
        self._name, self._id = "", ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that are whole with this chunk. Raises: UnexpectedAnswer."""
        *lines, self._text = _lines(self._text + self._decoder.decode(chunk))
        for line in lines:
            if line:
                self._field(line)
            else:
                name, data = self._name or "message", self._data
                self._name, self._data = "", []  # without data it was no event, and its name is not the next one's
                if data:
                    yield event_of(name, "\n".join(data), self._id)

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value


def _lines(text: str) -> list[str]:
    """Lines ended by LF, CR or both; the last is unfinished. A CR at the end may be half of CR LF: it waits."""
    held = "\r" if text.endswith("\r") else ""
    lines = text.removesuffix(held).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines[-1] += held
    return lines
