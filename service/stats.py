"""GET /stats: what came, what ended and how long jobs waited over time, with the changes of the cap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from service import query
from service.answer import Json
from service.concurrency import audit_object
from service.front import Front
from slotwise.flow import MOST_SAMPLES, STEP_MS, Point, quantile
from slotwise.moment import timestamp

DEFAULT_WINDOW_SECONDS: Final = 3_600
MAX_WINDOW_SECONDS: Final = MOST_SAMPLES * STEP_MS // 1000


async def stats(request: Request) -> Response:
    """GET /stats"""
    front: Front = request.app.state.front
    window = query.number(request, "window", default=DEFAULT_WINDOW_SECONDS, most=MAX_WINDOW_SECONDS)
    points = await front.steering.flow(window)
    since_ms = points[0].first.at_ms if points else None
    changes = [] if since_ms is None else await front.steering.audit()
    totals = Counter[str]()
    for point in points:
        totals.update(point.sums)
    waits = [sum(counts) for counts in zip(*(point.waits for point in points), strict=True)]
    return Json(
        {
            "window_seconds": window,
            "covered_since": timestamp(since_ms),
            "totals": _done(totals, waits),
            "points": [_point(point) for point in points],
            "cap_changes": [audit_object(each) for each in changes if each.at_ms >= (since_ms or 0)],
        }
    )


def _point(point: Point) -> dict[str, Any]:
    last = point.last
    return {
        "at": timestamp(last.at_ms),
        "seconds": point.seconds,
        "waiting": last.waiting,
        "running": last.running,
        "max_concurrent": last.cap,
    } | _done(point.sums, point.waits)


def _done(sums: Mapping[str, int], waits: Sequence[int]) -> dict[str, Any]:
    return {
        "arrivals": sums.get("created", 0),
        "started": sum(waits),
        "completed": sums.get("completed", 0),
        "failed": sums.get("failed", 0),
        "cancelled": sums.get("cancelled", 0),
        "retried": sums.get("retried", 0),
        "wait_p50_seconds": quantile(waits, 0.5),
        "wait_p95_seconds": quantile(waits, 0.95),
        "idle_slot_seconds": sums.get("idle", 0) / 1e6,
    }
