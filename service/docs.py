"""GET /docs: a page that shows /openapi.json. It is three files of ours, and loads nothing from elsewhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from service.operation import NO_SNIFF, Answer, Header, Operation, operation

FOLDER: Final = Path(__file__).with_name("static")
# `fetch` and the files of this service, and nothing else: not even what somebody might smuggle into a description
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
SENT: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
HEADERS: Final = [
    NO_SNIFF,
    Header("Content-Security-Policy", "Nothing from elsewhere, no inline script."),
    Header("Referrer-Policy", "`no-referrer`"),
]


def _file(name: str, media_type: str, id: str, what: str) -> Operation:
    @cache
    def content() -> bytes:
        return (FOLDER / name).read_bytes()

    @operation(
        id,
        "service",
        what,
        public="always",
        answers={200: Answer(None, "A file.", HEADERS, media_type)},
        needs_store=False,
    )
    async def sent(_: Request) -> Response:
        return Response(content(), headers=SENT, media_type=media_type)

    return sent


page: Final = _file("docs.html", "text/html", "read_docs", "This description, for people")
script: Final = _file("docs.js", "text/javascript", "read_docs_script", "What the page runs")
style: Final = _file("docs.css", "text/css", "read_docs_style", "How the page looks")
