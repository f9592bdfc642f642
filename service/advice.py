"""GET /jobs/concurrency/advice: what the cap binds on, and what another one would do."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from service import query
from service.answer import Json
from service.front import Front
from slotwise import sizing
from slotwise.advice import advise
from slotwise.job import MOST_SLOTS


async def advice(request: Request) -> Response:
    """With `?max_concurrent=N` the outlook at that cap is among the others."""
    front: Front = request.app.state.front
    asked = [query.number(request, name, default=1, most=MOST_SLOTS) for name in request.query_params]
    demand = await front.steering.demand()
    # a large cap takes long to reckon with
    return Json(sizing.as_dict(await asyncio.to_thread(advise, demand, asked)))
