"""A stream of server-sent events, as an answer (HTML standard, section 9.2): pings, an end at a stop, patience."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from service.operation import Header

MEDIA_TYPE: Final = "text/event-stream"
PING_SECONDS: Final = 15
SEND_SECONDS: Final = 30.0  # for which a listener may leave what it was sent unread
GRACE_SECONDS: Final = 3.0  # to end a stream by itself when the service stops; below uvicorn's own
SEPARATOR: Final = "\n"
UNHELD: Final = Header("X-Accel-Buffering", "Asks proxies to pass on each event.", {"const": "no"})


class Door(Protocol):
    """Knows who listens."""

    async def enter(self) -> None: ...

    async def leave(self) -> None: ...


class EventStream(EventSourceResponse):
    """The events of `content`, for one listener."""

    def __init__(self, door: Door, content: AsyncIterator[ServerSentEvent | bytes]) -> None:
        super().__init__(
            content,
            headers={"X-Content-Type-Options": "nosniff"},
            ping=PING_SECONDS,
            ping_message_factory=lambda: ServerSentEvent(comment="ping", sep=SEPARATOR),
            sep=SEPARATOR,
            send_timeout=SEND_SECONDS,
            shutdown_grace_period=GRACE_SECONDS,
        )
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door.enter()
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            raise ClientDisconnect from None  # it does not read: as if it had hung up
        finally:
            await self._door.leave()
