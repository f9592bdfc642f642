"""GET /stats: what came, what ended and how long jobs waited over time, with the changes of the cap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from service import query
from service.answer import Json
from service.concurrency import CapChange, audit_object
from service.front import Front
from service.operation import Answer, operation
from slotwise.counts import Histogram
from slotwise.flow import MOST_SAMPLES, STEP_MS, Point, quantile
from slotwise.moment import timestamp
from slotwise.pace import AlgorithmPace
from slotwise.tenant import Scope
from slotwise.view import Seconds, Timestamp

DEFAULT_WINDOW_SECONDS: Final = 3_600
MAX_WINDOW_SECONDS: Final = MOST_SAMPLES * STEP_MS // 1000
NOTHING: Final = AlgorithmPace()


WINDOW: Final = query.Number(
    "window", "Seconds to look back.", default=DEFAULT_WINDOW_SECONDS, most=MAX_WINDOW_SECONDS
)


class Happened(TypedDict):
    """What happened in a time."""

    arrivals: int
    started: int
    completed: int
    failed: int
    cancelled: int
    retried: int
    wait_p50_seconds: Seconds | None
    wait_p95_seconds: Seconds | None
    idle_slot_seconds: float


class StatsPoint(Happened):
    """In the `seconds` up to `at`; `waiting` and what follows it are of that instant."""

    at: Timestamp
    seconds: Seconds
    waiting: int
    running: int
    max_concurrent: int
    oldest_pending_seconds: Seconds


class Usual(TypedDict):
    """What an algorithm's jobs usually take, over all that was ever counted; memory is the most of late."""

    ended: int
    run_p50_seconds: Seconds | None
    run_p95_seconds: Seconds | None
    peak_memory_mb: float | None


class Stats(TypedDict):
    """The fleet's course. `covered_since` null: nothing was sampled yet."""

    window_seconds: int
    covered_since: Timestamp | None
    totals: Happened
    points: Annotated[list[StatsPoint], Field(description="Oldest first.")]
    cap_changes: list[CapChange]
    algorithms: Annotated[dict[str, Usual], Field(description="Of which a job has ended.")]


@operation(
    "read_stats",
    "slots",
    "What came, what ended and how long jobs waited, over time",
    scope=Scope.ADMIN,  # sums over all tenants: nothing was counted by tenant
    query=[WINDOW],
    answers={200: Answer(Stats, "With the changes of the cap.")},
)
async def stats(request: Request) -> Response:
    """GET /stats"""
    front: Front = request.state.front
    window = WINDOW.of(request)
    points = await front.steering.flow(window)
    since_ms = points[0].first.at_ms if points else None
    changes = [] if since_ms is None else await front.steering.audit()
    totals = Counter[str]()
    for point in points:
        totals.update(point.sums)
    waits = [sum(counts) for counts in zip(*(point.waits for point in points), strict=True)]
    told: Stats = {
        "window_seconds": window,
        "covered_since": timestamp(since_ms),
        "totals": _done(totals, waits),
        "points": [point_object(point) for point in points],
        "cap_changes": [audit_object(each) for each in changes if each.at_ms >= (since_ms or 0)],
        "algorithms": await _usual(front),
    }
    return Json(told)


async def _usual(front: Front) -> dict[str, Usual]:
    ran, pace = (await front.store.counts()).histograms("ran"), await front.steering.pace()
    return {name: _usually(each, pace.algorithms.get(name, NOTHING)) for name, each in sorted(ran.items()) if name}


def _usually(ran: Histogram, pace: AlgorithmPace) -> Usual:
    return {
        "ended": ran.cumulative[-1],
        "run_p50_seconds": quantile(ran.counts, 0.5),
        "run_p95_seconds": quantile(ran.counts, 0.95),
        "peak_memory_mb": pace.peak_memory_mb,
    }


def point_object(point: Point) -> StatsPoint:
    """A step of the course."""
    last = point.last
    return {
        **_done(point.sums, point.waits),
        "at": timestamp(last.at_ms),
        "seconds": point.seconds,
        "waiting": last.waiting,
        "running": last.running,
        "max_concurrent": last.cap,
        "oldest_pending_seconds": last.oldest_ms / 1000,
    }


def _done(sums: Mapping[str, int], waits: Sequence[int]) -> Happened:
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
