"""Raw bytes to a front end, and all that it answers until the connection ends."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass

SECONDS = 20  # within which the other side has to close; generous


@dataclass(frozen=True)
class Said:
    """`closed`: by the other side, in time."""

    data: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"(?:^|\r\n|[}\n])HTTP/1\.1 ([0-9]{3})", self.data)]


def ask(address: tuple[str, int], sent: bytes, *, source: str = "", seconds: float = SECONDS) -> Said:
    """Send these bytes and read on to the end."""
    with socket.create_connection(address, timeout=seconds, source_address=(source, 0)) as client:
        with suppress(ConnectionError):  # refused before all of it was sent: the answer may stand
            client.sendall(sent)
        return listen(client)


def listen(client: socket.socket) -> Said:
    data = b""
    try:
        while part := client.recv(65_536):
            data += part
    except TimeoutError:
        return Said(data, closed=False)
    except ConnectionError:
        pass
    return Said(data, closed=True)
