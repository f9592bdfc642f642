"""The endpoints of the cap: the three numbers, the rich view, and its changes."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from service import body, query
from service.answer import Json
from service.concurrency import (
    MOST_JOBS,
    Audit,
    Concurrency,
    Effects,
    SlotCounts,
    audit_object,
    by_key,
    effect_object,
    rich_view,
    slot_counts,
)
from service.front import Front
from service.operation import Answer, operation
from service.resizing import Resize, resize_request
from slotwise.steering import AUDIT_ENTRIES, unknown_algorithm
from slotwise.tenant import Scope

LIMIT: Final = query.Number("limit", "So many, the newest.", default=100, most=AUDIT_ENTRIES)
DRY_RUN: Final = query.Flag("dry_run", "Change nothing: say what it would do.")


@operation(
    "read_slots",
    "slots",
    "The three numbers",
    scope=Scope.READ,
    answers={200: Answer(SlotCounts, "True for the whole fleet, of one instant.")},
)
async def status(request: Request) -> Response:
    """GET /jobs/concurrency/status: exactly these three, of one instant, for the whole fleet."""
    front: Front = request.state.front
    return Json(slot_counts(await front.store.slots()))


@operation(
    "read_concurrency",
    "slots",
    "The slots in full",
    scope=Scope.OPERATE,
    answers={200: Answer(Concurrency, "Of one instant.")},
)
async def read(request: Request) -> Response:
    """GET /jobs/concurrency"""
    return await _now(request)


@operation(
    "read_audit",
    "slots",
    "Who changed which cap, when and why",
    scope=Scope.OPERATE,
    query=[LIMIT],
    answers={200: Answer(Audit, "The newest first.")},
)
async def audit(request: Request) -> Response:
    """GET /jobs/concurrency/audit: newest first."""
    front: Front = request.state.front
    entries = await front.steering.audit(LIMIT.of(request))
    return Json({"audit": [audit_object(entry, front.caller.whose) for entry in entries]})


async def _resize(request: Request) -> Response:
    """PUT /jobs/concurrency, and of one algorithm"""
    front: Front = request.state.front
    dry = DRY_RUN.of(request)
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
    return await _now(request)


async def _clear(request: Request) -> Response:
    """DELETE /jobs/concurrency, and of one algorithm: back to what is configured or declared"""
    front: Front = request.state.front
    dry = DRY_RUN.of(request)
    await body.refuse(request)
    if dry:
        return await _foretold(request, None)
    await front.steering.resize(None, algorithm=_algorithm(request), by=_client(request))
    return await _now(request)


CHANGED: Final = {
    200: Answer(Concurrency | Effects, "The slots as they are now; with `dry_run`, what it would do.")
}

resize = operation(
    "resize",
    "slots",
    "Change the cap while the service runs",
    scope=Scope.OPERATE,
    body=Resize,
    query=[DRY_RUN],
    answers=CHANGED,
    text="0 pauses. Raising it fills the new slots at once; lowering it lets run what runs.",
)(_resize)
clear = operation(
    "clear_cap", "slots", "Back to the configured cap", scope=Scope.OPERATE, query=[DRY_RUN], answers=CHANGED
)(_clear)
resize_algorithm = operation(
    "resize_algorithm",
    "slots",
    "Change an algorithm's own cap",
    scope=Scope.OPERATE,
    body=Resize,
    query=[DRY_RUN],
    answers=CHANGED,
    problems=["algorithm-not-found"],
)(_resize)
clear_algorithm = operation(
    "clear_algorithm_cap",
    "slots",
    "Back to the cap that the algorithm declares",
    scope=Scope.OPERATE,
    query=[DRY_RUN],
    answers=CHANGED,
    problems=["algorithm-not-found"],
)(_clear)


async def _now(request: Request) -> Response:
    front: Front = request.state.front
    return Json(rich_view(await front.steering.snapshot(MOST_JOBS), front.caller.whose))


async def _foretold(request: Request, cap: int | None) -> Response:
    front: Front = request.state.front
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
    """Who asks, for the audit: the API key's name, or without one the address that the request came from."""
    front: Front = request.state.front
    if front.caller.name:
        return by_key(front.caller.name)
    return "http" if request.client is None else f"http {request.client.host}"
