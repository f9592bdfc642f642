"""The referee: a process that each body holds a connection to from its start to its death.

The kernel reports a death by closing the connection, whatever killed the body. Unix sockets, because there an end
is known to the referee before anything that was caused by it: a start is never counted before an end that made
room for it.
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.ledger import Ledger


@dataclass
class Seat:
    """One connection: `hello` once it has said who it is."""

    connection: socket.socket
    number: int
    heard: bytes = b""
    hello: dict[str, Any] = field(default_factory=dict)
    said: bool = False  # that it ended by itself
    gone: bool = False


class Referee:
    def __init__(self, listener: socket.socket, ledger: Ledger) -> None:
        self._listener = listener
        self._ledger = ledger
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._seats = 0
        self._alive = 0
        self._present: dict[int, Seat] = {}

    def run(self) -> None:
        starting: list[Seat] = []
        while True:
            later = self._hear(timeout=0 if starting else None)  # and the ends that made room for those that start
            for seat in starting:
                self._begin(seat)
            starting = later

    def leave(self) -> None:
        """Write down who is still there."""
        for seat in self._present.values():
            self._ledger.write("left", n=seat.number, **seat.hello)
        self._ledger.close()

    def _hear(self, timeout: float | None) -> list[Seat]:
        """Take in what the connections say: those that begin."""
        starting = []
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._listener:
                self._accept()
            elif self._read(key.data):
                starting.append(key.data)
        return starting

    def _accept(self) -> None:
        try:
            while True:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                self._seats += 1
                self._selector.register(connection, selectors.EVENT_READ, Seat(connection, self._seats))
        except BlockingIOError:
            return

    def _read(self, seat: Seat) -> bool:
        """Whether it has just said who it is."""
        try:
            data = seat.connection.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._end(seat)
            return False
        *lines, seat.heard = (seat.heard + data).split(b"\n")
        began = False
        for line in lines:
            if line == b"done":
                seat.said = True
            else:
                seat.hello, began = json.loads(line), True
        return began

    def _begin(self, seat: Seat) -> None:
        alive, is_body = self._alive, seat.hello["role"] == "body"
        self._alive += is_body
        self._present[seat.number] = seat
        self._ledger.write("start", n=seat.number, alive=alive, **seat.hello)
        if seat.gone:
            self._end(seat)

    def _end(self, seat: Seat) -> None:
        if not seat.gone:
            seat.gone = True
            self._selector.unregister(seat.connection)
            seat.connection.close()
        if self._present.pop(seat.number, None):
            self._alive -= seat.hello["role"] == "body"
            self._ledger.write("end", n=seat.number, said=seat.said)


def main(address: str, ledger: str) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(4096)
    listener.setblocking(False)
    referee = Referee(listener, Ledger(Path(ledger)))

    def stop(*_: object) -> None:
        referee.leave()
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    referee.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
