"""GET /: the dashboard. Files of ours, and the libraries that `scripts/browser.sh` has fetched."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.docs import FOLDER, HEADERS, POLICY, SENT
from service.operation import Answer, Operation, operation

OURS: Final = FOLDER / "page"
FETCHED: Final = FOLDER / "vendor"  # by scripts/browser.sh; not committed
NEEDED: Final = ("preact.js", "uplot.js", "uplot.css")
HEADERS_SENT: Final = {**SENT, "Content-Security-Policy": f"{POLICY}; img-src 'self'"}


@operation(
    "read_page",
    "service",
    "The dashboard",
    public="always",
    answers={200: Answer(None, "A page; without its libraries, one that says so.", HEADERS, "text/html")},
    needs_store=False,
)
async def page(_: Request) -> Response:
    """GET /"""
    name = (
        "index.html" if all(_found("." + each.rpartition(".")[2]).get(each) for each in NEEDED) else "absent.html"
    )
    return Response((OURS / name).read_bytes(), headers=HEADERS_SENT, media_type="text/html")


def _files(suffix: str, media_type: str, id: str, what: str) -> Operation:
    """The files of one type, by their name without it."""

    files = {200: Answer(None, "A file.", HEADERS, media_type)}

    @operation(id, "service", what, public="always", answers=files, needs_store=False)
    async def sent(request: Request) -> Response:
        path = _found(suffix).get(request.path_params["file"] + suffix)
        if path is None:
            raise HTTPException(404)
        return Response(path.read_bytes(), headers=HEADERS_SENT, media_type=media_type)

    return sent


@cache
def _found(suffix: str) -> dict[str, Path]:
    """What is served: these names and no other, whatever a path says."""
    return {each.name: each for folder in (OURS, FETCHED) for each in sorted(folder.glob("*" + suffix))}


script: Final = _files(".js", "text/javascript", "read_page_script", "What the dashboard runs")
style: Final = _files(".css", "text/css", "read_page_style", "How the dashboard looks")
icon: Final = _files(".svg", "image/svg+xml", "read_page_icon", "The dashboard's icon")
