"""GET /jobs/concurrency/advice: what the cap binds on, and what another one would do."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from service import query
from service.answer import Json
from service.front import Front
from service.operation import Answer, operation
from slotwise import sizing
from slotwise.advice import advise
from slotwise.job import MOST_SLOTS
from slotwise.tenant import Scope

CAP: Final = query.Number("max_concurrent", "A cap to look at, beside others.", default=1, most=MOST_SLOTS)


@operation(
    "read_advice",
    "slots",
    "What the cap binds on, and what another one would do",
    scope=Scope.OPERATE,
    query=[CAP],
    answers={200: Answer(sizing.Sizing, "From measured figures.")},
)
async def advice(request: Request) -> Response:
    """With `?max_concurrent=N` the outlook at that cap is among the others."""
    front: Front = request.state.front
    asked = [CAP.of(request)] if request.query_params else []
    demand = await front.steering.demand()
    # a large cap takes long to reckon with
    return Json(sizing.as_dict(await asyncio.to_thread(advise, demand, asked)))
