"""What both clients share about HTTP itself: where the service is, how long an answer may take."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Self

import httpx2

from slotwise.client.problems import Answer
from slotwise.client.requests import MEDIA_TYPE, Request
from slotwise.settings import access

SILENCE_SECONDS: Final = 45.0  # of a stream, until it counts as broken: three of the service's pings
# Each wait and each stream holds one. A front end takes more from one address; a process may have few more open.
# An idle one is given up before a front end does (5 s): what is sent as it closes is lost, and not always resent.
LIMITS: Final = httpx2.Limits(max_connections=500, max_keepalive_connections=100, keepalive_expiry=4.0)


@dataclass(frozen=True)
class Access:
    """Where the service is, and what is sent with every request."""

    url: str
    headers: dict[str, str]

    @classmethod
    def of(cls, url: str | None, key: str | None) -> Self:
        """As given, else from the environment. Raises: ValueError."""
        where, secret = access(url, key)
        if not where.startswith(("http://", "https://")):
            raise ValueError(f"the service's URL must begin with http:// or https://, not {where!r}")
        try:
            httpx2.URL(where)
        except httpx2.InvalidURL as error:
            raise ValueError(f"{where!r} is no URL: {error}") from None
        headers = {"User-Agent": f"slotwise/{version('slotwise')}", "Accept": "application/json, */*"}
        return cls(where, headers | ({"Authorization": f"Bearer {secret}"} if secret else {}))


def timeouts(request: Request, seconds: float) -> httpx2.Timeout:
    """The service may hold an answer back for as long as it was asked to, and a stream between two pings.

    Who waits for a connection waits for other calls of this client: that says nothing of the service.
    """
    listening = request.headers.get("Accept") == MEDIA_TYPE
    read = SILENCE_SECONDS if listening else seconds + request.wait_seconds
    return httpx2.Timeout(seconds, read=read, pool=None)


def answer_of(response: httpx2.Response) -> Answer:
    return Answer(response.status_code, response.headers, response.content)


def listens(response: httpx2.Response) -> bool:
    """Whether it is a stream of events, rather than an answer that ends."""
    media_type: str = response.headers.get("content-type", "")
    return response.status_code == 200 and media_type.startswith(MEDIA_TYPE)
