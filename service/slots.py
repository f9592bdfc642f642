"""The endpoint of the cap."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service.answer import Json
from service.front import Front


async def status(request: Request) -> Response:
    """GET /jobs/concurrency/status: exactly these three, of one instant, for the whole fleet."""
    front: Front = request.app.state.front
    slots = await front.store.slots()
    return Json(
        {
            "max_concurrent": slots.max_concurrent,
            "available_slots": slots.available,
            "running_jobs": slots.running,
        }
    )
