"""The front end as `slotwise up` sees it from outside: where it listens, and what it answers."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any, Final

from slotwise.errors import SlotwiseError

SHUT: Final = object()
ANSWER_SECONDS: Final = 0.5  # short: meanwhile `up` reacts to nothing
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


@dataclass(frozen=True)
class Address:
    """A host and a port that was free a moment ago."""

    host: str
    port: int

    @classmethod
    def free(cls, host: str, port: int) -> Address:
        """The address if it can be bound; port 0 becomes one that is free. Raises: SlotwiseError."""
        try:
            family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
                trial.bind(where)
                return cls(host, trial.getsockname()[1])
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise SlotwiseError("invalid-settings", f"cannot listen on HOST={host} PORT={port}: {why}") from None

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        host = EVERYWHERE.get(self.host, self.host)
        if host in ("127.0.0.1", "::1"):
            host = "localhost"
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def get(self, path: str) -> Any:
        """The JSON that a GET answers with status 200; SHUT, where it asks for an API key; else None."""
        connection = http.client.HTTPConnection(
            EVERYWHERE.get(self.host, self.host), self.port, timeout=ANSWER_SECONDS
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == http.HTTPStatus.UNAUTHORIZED:
                return SHUT
            return json.loads(body) if answer.status == http.HTTPStatus.OK else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()
