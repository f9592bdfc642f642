"""Large answers go out in pieces, each when the one before it is on its way: a slow reader costs no copy."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

PIECE_BYTES: Final = 65_536


class Pieces:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def in_pieces(message: Message) -> None:
            body = message.get("body", b"")
            if len(body) > PIECE_BYTES:
                view = memoryview(body)
                for at in range(0, len(body) - PIECE_BYTES, PIECE_BYTES):
                    piece = bytes(view[at : at + PIECE_BYTES])
                    await send({"type": message["type"], "body": piece, "more_body": True})
                message["body"] = bytes(view[at + PIECE_BYTES :])
            await send(message)

        await self._app(scope, receive, in_pieces)
