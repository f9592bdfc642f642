"""GET /metrics: Prometheus's text of what the scripts count in Redis; the same from every front end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import Response

from service.front import Front
from service.operation import Answer, operation
from slotwise.counts import BUCKETS, Counts, Histogram
from slotwise.errors import SlotwiseError
from slotwise.snapshot import Snapshot
from slotwise.tenant import Scope

BOUNDS: Final = (*(f"{bound:g}" for bound in BUCKETS), "+Inf")
# name -> (what it measures, name in Redis, whether algorithms are told apart)
HISTOGRAMS: Final = {
    "job_execution_duration_seconds": ("For how long jobs held their slots.", "ran", True),
    "job_queue_wait_seconds": ("From when a job was due to its start.", "wait", False),
    "job_pickup_latency_seconds": ("From when a job was due, and a slot free, to its start.", "pickup", False),
}
# name without `_total` -> (what it counts, name in Redis, labels)
COUNTERS: Final = {
    "jobs_created": ("Jobs that were accepted.", "created", ("algorithm",)),
    "jobs_completed": ("Jobs that have ended, by how.", "completed", ("status", "algorithm")),
    "jobs_retried": (
        "Attempts after which the job was to run again.",
        "retried",
        ("algorithm",),
    ),
    "job_leases_expired": (
        "Workers whose lease stood still: their slots were taken back.",
        "leases_expired",
        (),
    ),
    "webhook_deliveries": (
        "Attempts to tell a webhook, by what came of them: delivered, failed (tried again), refused, given_up.",
        "webhooks",
        ("outcome",),
    ),
    "stale_finishes": ("Finishes that were refused, because the job was no longer the worker's.", "stale", ()),
}


@operation(
    "read_metrics",
    "service",
    "Figures for Prometheus",
    scope=Scope.OPERATE,
    public="metrics_public",
    answers={200: Answer(None, "While the store is away, only `store_up 0`.", media_type="text/plain")},
    problems=["store-damaged"],
    needs_store=False,
)
async def metrics(request: Request) -> Response:
    """GET /metrics. While the store is away: `store_up 0`, and nothing else is told."""
    front: Front = request.state.front
    registry = CollectorRegistry()
    try:
        registry.register(Told(await front.steering.snapshot(), await front.store.counts()))
    except SlotwiseError as error:
        if error.code != "store-unavailable":
            raise
        registry.register(Away())
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class Away:
    """What is known while the store is away."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("store_up", "Whether the store answers.", value=0)


class Told:
    """What the store told."""

    def __init__(self, snapshot: Snapshot, counts: Counts) -> None:
        self._snapshot = snapshot
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("store_up", "Whether the store answers.", value=1)
        yield from self._gauges()
        for name, (text, own, labels) in COUNTERS.items():
            yield self._counter(name, text, own, labels)
        meter = self._snapshot.meter
        idle = 0.0 if meter is None else meter.idle_seconds
        text = "Over all jobs: the time for which the job was due and a slot free before it started."
        yield CounterMetricFamily("idle_slot_seconds", text, value=idle)
        for name, (text, own, apart) in HISTOGRAMS.items():
            yield self._histogram(name, text, own, apart)

    def _gauges(self) -> Iterator[Metric]:
        snapshot = self._snapshot
        oldest_ms = snapshot.oldest_due_ms
        waited = 0.0 if oldest_ms is None else max(0, snapshot.now_ms - oldest_ms) / 1000
        for name, text, value in (
            ("jobs_max_concurrent", "The cap in force.", snapshot.slots.max_concurrent),
            ("jobs_available_slots", "Slots that are free.", snapshot.slots.available),
            ("jobs_running", "Jobs that run.", snapshot.slots.running),
            ("jobs_pending", "Jobs that wait.", snapshot.pending),
            ("jobs_scheduled", "Jobs that are not due yet.", snapshot.scheduled),
            ("jobs_oldest_pending_seconds", "For how long the job that has waited longest was due.", waited),
            ("workers_alive", "Workers that hold a lease.", len(snapshot.workers)),
        ):
            yield GaugeMetricFamily(name, text, value=value)

    def _counter(self, name: str, text: str, own: str, labels: tuple[str, ...]) -> Metric:
        if not labels:
            return CounterMetricFamily(name, text, value=self._counts.total(own))
        family = CounterMetricFamily(name, text, labels=labels)
        for values, count in self._counts.labelled(own, len(labels)):
            family.add_metric(values, count)
        return family

    def _histogram(self, name: str, text: str, own: str, apart: bool) -> Metric:
        family = HistogramMetricFamily(name, text, labels=("algorithm",) if apart else ())
        found = self._counts.histograms(own)
        if not apart:
            found = {"": found.get("", Histogram((0,) * len(BOUNDS), 0.0))}
        for algorithm, histogram in found.items():
            buckets = list(zip(BOUNDS, map(float, histogram.cumulative), strict=True))
            family.add_metric([algorithm] if apart else [], buckets, histogram.sum_seconds)
        return family
