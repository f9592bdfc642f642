"""The endpoint of the proof."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from service.answer import Json
from service.front import Front
from service.problems import invalid
from slotwise.errors import SlotwiseError, printable
from slotwise.log import DEFAULT_WINDOW_SECONDS, MAX_WINDOW_SECONDS, prove

_WHOLE: Final = re.compile("[1-9][0-9]{0,5}")


async def proof(request: Request) -> Response:
    """GET /jobs/concurrency/proof: the admission log of the last `window` seconds, replayed."""
    front: Front = request.app.state.front
    verdict = await prove(front.store, _window_seconds(request))
    return Json(verdict.as_dict())


def _window_seconds(request: Request) -> int:
    """Raises: SlotwiseError `invalid-request`."""
    if not request.scope["query_string"]:
        return DEFAULT_WINDOW_SECONDS
    given = request.query_params.multi_items()
    odd = next((name for name, _ in given if name != "window"), None if given else "")
    if odd is not None:
        raise _wrong(odd, "is not a parameter of this endpoint, which takes only window")
    if len(given) > 1:
        raise _wrong("window", "must be given once")
    text = given[0][1]
    if not _WHOLE.fullmatch(text) or int(text) > MAX_WINDOW_SECONDS:
        raise _wrong("window", f"must be a whole number from 1 to {MAX_WINDOW_SECONDS}")
    return int(text)


def _wrong(name: str, what: str) -> SlotwiseError:
    name = printable(name, 100)
    # a parameter, where a pointer would point into the body
    return invalid(f"The query is not valid: {name or 'it'} {what}.", {"?" + quote(name, safe=""): what})
