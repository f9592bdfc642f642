"""Liveness and readiness, for whatever starts and watches this process."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from service.answer import Json
from service.front import Front
from service.operation import Answer, operation
from slotwise.tenant import Scope


class Health(TypedDict):
    status: Literal["ok", "ready"]


@operation(
    "read_health",
    "service",
    "Whether the process serves",
    scope=Scope.READ,
    public="health_public",
    answers={200: Answer(Health, "It does.")},
    needs_store=False,
)
async def healthz(_: Request) -> Response:
    """GET /healthz: the process serves."""
    return Json({"status": "ok"})


@operation(
    "read_readiness",
    "service",
    "Whether the store answers too",
    scope=Scope.READ,
    public="health_public",
    answers={200: Answer(Health, "It does.")},
)
async def readyz(request: Request) -> Response:
    """GET /readyz: the store answers too; else the 503 of `store-unavailable`."""
    front: Front = request.state.front
    await front.store.ping()
    return Json({"status": "ready"})
