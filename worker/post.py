"""One request to a receiver: to an address that was looked up once, checked, and is the one connected to.

No redirect is followed, no proxy or credential of the environment is used, no connection is kept, and of an
answer little more than its status is read.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any, Final

import httpcore2

from slotwise.destination import Destination
from slotwise.networks import Address, Allowed

ANSWER_SECONDS: Final = 15.0  # from the look-up of the host to the answer's status
CONNECT_SECONDS: Final = 5.0  # for each address
MOST_ADDRESSES: Final = 4  # of a host that are tried
DRAIN_SECONDS, DRAIN_BYTES = 1.0, 16_384  # of an answer's body, read so that its sender ends in peace
BROKEN: Final = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException)

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]

_threads: Final = ThreadPoolExecutor(max_workers=16, thread_name_prefix="slotwise-resolve")


class Refused(Exception):
    """The host leads to an address to which no webhook is sent."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a status, or why there is none."""

    status: int | None = None
    error: str | None = None
    refused: bool = False

    @property
    def well(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def failure(self) -> str:
        """What went wrong, in a word; "" where nothing did."""
        return "" if self.well else "refused" if self.refused else str(self.status or "no_answer")


async def resolve(name: str, port: int) -> Sequence[Address]:
    """The addresses of a host as the machine's resolver says. Raises: OSError."""
    call = asyncio.get_running_loop().run_in_executor(
        _threads, lambda: socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    )
    return [ip_address(str(row[4][0])) for row in await call]


class Post:
    """Sends requests. `resolve` is asked once for each."""

    def __init__(
        self,
        allowed: Allowed,
        ssl_context: Any = None,
        resolve: Resolve = resolve,
        seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._allowed = allowed
        self._ssl_context = ssl_context or httpcore2.default_ssl_context()
        self._resolve = resolve
        self._seconds = seconds

    async def send(self, destination: Destination, headers: Iterable[tuple[str, str]], body: bytes) -> Reply:
        """POST `body`, a JSON text. Never raises but for a cancel."""
        try:
            async with asyncio.timeout(self._seconds):
                return Reply(status=await self._status(destination, headers, body))
        except Refused as error:
            return Reply(error=str(error), refused=True)
        except TimeoutError:
            return Reply(error=f"no answer within {self._seconds:g} s")
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout, OSError) as error:
            return Reply(error=f"no connection: {_why(error)}")
        except (
            httpcore2.NetworkError,
            httpcore2.ProtocolError,
            httpcore2.TimeoutException,
            UnicodeError,
        ) as error:
            return Reply(error=f"no answer: {_why(error)}")

    async def _status(self, destination: Destination, headers: Iterable[tuple[str, str]], body: bytes) -> int:
        backend = _Checked(destination, self._allowed, self._resolve)
        url = httpcore2.URL(
            scheme=destination.scheme, host=destination.name, port=destination.port, target=destination.target
        )
        sent = [
            ("host", destination.origin.partition("//")[2]),
            ("content-type", "application/json"),
            ("user-agent", f"slotwise/{version('slotwise')}"),
            ("connection", "close"),
            *headers,
        ]
        async with (
            httpcore2.AsyncConnectionPool(
                ssl_context=self._ssl_context, max_keepalive_connections=0, network_backend=backend
            ) as pool,
            pool.stream("POST", url, headers=sent, content=body) as response,
        ):
            await _drain(response)
            status: int = response.status
            return status


async def _drain(response: httpcore2.Response) -> None:
    """Read what little is read; the status is known, so nothing that goes wrong matters any more."""
    left = DRAIN_BYTES
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            async for chunk in response.aiter_stream():
                left -= len(chunk)
                if left <= 0:
                    return
    except (TimeoutError, *BROKEN):
        return


class _Checked(httpcore2.AsyncNetworkBackend):
    """Connects to nothing that was not checked: of one destination."""

    def __init__(self, destination: Destination, allowed: Allowed, resolve: Resolve) -> None:
        self._destination = destination
        self._allowed = allowed
        self._resolve = resolve
        self._backend = httpcore2.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        """Raises: Refused, OSError, httpcore2.ConnectError, httpcore2.ConnectTimeout."""
        failure: Exception = OSError("the host has no address")
        for address in await self._addresses():
            try:
                return await self._backend.connect_tcp(str(address), port, timeout=CONNECT_SECONDS)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _addresses(self) -> Sequence[Address]:
        """All of the host's, if each may be reached: one that may not is reason enough to trust none."""
        destination = self._destination
        if destination.address is not None:
            found: Sequence[Address] = [destination.address]
        else:
            found = list(dict.fromkeys(await self._resolve(destination.name, destination.port)))
        if not all(destination.may_reach(address, self._allowed) for address in found):
            raise Refused("the host leads to an address that is not public, and WEBHOOK_ALLOW does not name it")
        return found[:MOST_ADDRESSES]


def _why(error: BaseException) -> str:
    """In a few words, without what an answer said."""
    text = str(error) or type(error).__name__
    return text.partition("\n")[0][:200]
