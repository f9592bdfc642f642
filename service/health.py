"""Liveness and readiness, for whatever starts and watches this process."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service.answer import Json
from service.front import Front


async def healthz(_: Request) -> Response:
    """GET /healthz: the process serves."""
    return Json({"status": "ok"})


async def readyz(request: Request) -> Response:
    """GET /readyz: the store answers too; else the 503 of `store-unavailable`."""
    front: Front = request.app.state.front
    await front.store.ping()
    return Json({"status": "ready"})
