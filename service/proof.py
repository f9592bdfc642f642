"""The endpoint of the proof."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service import query
from service.answer import Json
from service.front import Front
from slotwise.admissions import DEFAULT_WINDOW_SECONDS, MAX_WINDOW_SECONDS, prove


async def proof(request: Request) -> Response:
    """GET /jobs/concurrency/proof: the admission log of the last `window` seconds, replayed."""
    front: Front = request.app.state.front
    window = query.number(request, "window", default=DEFAULT_WINDOW_SECONDS, most=MAX_WINDOW_SECONDS)
    verdict = await prove(front.store, window)
    return Json(verdict.as_dict())
