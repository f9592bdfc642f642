"""Every request has an id: the client's own if it is sane, else a new one. Every answer repeats it."""

from __future__ import annotations

import re
import secrets
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = b"x-request-id"
_KEY: Final = "slotwise.request_id"
_SANE: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=@~-]{0,127}")


class RequestId:
    """ASGI middleware that names the request and puts `X-Request-Id` on its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = _told(scope) or secrets.token_hex(16).encode()
        scope[_KEY] = identity.decode()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, identity)]
            await send(message)

        await self._app(scope, receive, named)


def request_id(scope: Scope) -> str:
    """The id of the request that `scope` belongs to."""
    identity: str = scope[_KEY]
    return identity


def _told(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == HEADER:
            return value if _SANE.fullmatch(value) else None
    return None
