"""The endpoints of the cap: the three numbers, the rich view, and its changes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service import body, query
from service.answer import Json
from service.concurrency import MOST_JOBS, audit_object, effect_object, rich_view
from service.front import Front
from service.resizing import resize_request
from slotwise.steering import AUDIT_ENTRIES, unknown_algorithm


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


async def read(request: Request) -> Response:
    """GET /jobs/concurrency"""
    front: Front = request.app.state.front
    return Json(rich_view(await front.steering.snapshot(MOST_JOBS)))


async def audit(request: Request) -> Response:
    """GET /jobs/concurrency/audit: newest first."""
    front: Front = request.app.state.front
    limit = query.number(request, "limit", default=100, most=AUDIT_ENTRIES)
    return Json({"audit": [audit_object(entry) for entry in await front.steering.audit(limit)]})


async def resize(request: Request) -> Response:
    """PUT /jobs/concurrency, and of one algorithm"""
    front: Front = request.app.state.front
    dry = query.flag(request, "dry_run")
    value, _ = await body.json_object(request, front.settings.max_body_bytes)
    asked = resize_request(value)
    if dry:
        return await _foretold(request, asked.max_concurrent)
    await front.steering.resize(
        asked.max_concurrent,
        algorithm=_algorithm(request),
        by=_client(request),
        reason=asked.reason or "",
        ttl_ms=asked.ttl_ms,
    )
    return await read(request)


async def clear(request: Request) -> Response:
    """DELETE /jobs/concurrency, and of one algorithm: back to what is configured or declared"""
    front: Front = request.app.state.front
    dry = query.flag(request, "dry_run")
    await body.refuse(request)
    if dry:
        return await _foretold(request, None)
    await front.steering.resize(None, algorithm=_algorithm(request), by=_client(request))
    return await read(request)


async def _foretold(request: Request, cap: int | None) -> Response:
    front: Front = request.app.state.front
    snapshot, name = await front.steering.snapshot(), _algorithm(request)
    if not name:
        return Json(effect_object(snapshot.effect(cap)))
    algorithm = snapshot.algorithm(name)
    if algorithm is None:
        raise unknown_algorithm(name)
    return Json(effect_object(snapshot.effect_on(algorithm, cap)))


def _algorithm(request: Request) -> str:
    """The algorithm whose own cap is meant; '' for the fleet's."""
    name: str = request.path_params.get("name", "")
    return name


def _client(request: Request) -> str:
    """Who asks, for the audit: as long as there are no API keys, the address that the request came from."""
    return "http" if request.client is None else f"http {request.client.host}"
