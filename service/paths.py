"""Paths as the client wrote them: a job's id may hold any character, a slash too, when it is percent-encoded.

Routes match the raw path, and each variable part is decoded by itself. So `/jobs/concurrency` is always ours,
and a job that is really called "concurrency" is reached as `/jobs/%63oncurrency`.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from slotwise.view import RESERVED


class RawPath:
    """ASGI middleware that lets the routes see the path before percent-decoding."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = scope.get("raw_path")
            scope["path"] = quote(scope["path"]) if raw is None else raw.decode("ascii", "replace")
        await self._app(scope, receive, send)


class Name(Convertor[str]):
    """One part of a path, percent-decoded. What is no UTF-8 names nothing: 404."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        try:
            return unquote(value, errors="strict")
        except UnicodeDecodeError:
            raise HTTPException(404) from None

    def to_string(self, value: str) -> str:
        return quote(value, safe="")


class JobId(Name):
    """A job's id: any name but the words that are routes."""

    regex = f"(?!{RESERVED}(?:/|$))[^/]+"


register_url_convertor("name", Name())
register_url_convertor("job_id", JobId())
