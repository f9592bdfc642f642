"""Spans, as a collector gets them from real processes; and that whoever wants none has none."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from slotwise.settings import exports_spans
from slotwise.spans import NO_SPANS, opened
from tests.facts import wait_until
from tests.fleet import ROOT, Fleet, Process, ended, submit
from tests.receiver import Receiver, receiving
from tests.servers import free_port

CANARY = "ca9a4y"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CLIENT = "b7ad6b7169203331"
PARENT = f"00-{TRACE_ID}-{CLIENT}-01"
ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
FRONT, WORKER = "slotwise-front-end", "slotwise-worker"


@dataclass(frozen=True)
class Told:
    """A span that was exported, and the service whose it is."""

    service: str
    sent: Sent

    @property
    def attributes(self) -> dict[str, Any]:
        return _attributes(self.sent.attributes)

    @property
    def traceparent(self) -> str:
        return f"00-{self.sent.trace_id.hex()}-{self.sent.span_id.hex()}-01"

    @property
    def above(self) -> str:
        return self.sent.parent_span_id.hex()

    @property
    def failed(self) -> bool:
        return self.sent.status.code == Status.STATUS_CODE_ERROR


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


class Collector:
    """What is sent to a collector of OpenTelemetry, by OTLP over HTTP."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver

    @property
    def spans(self) -> list[Told]:
        found = []
        for told in list(self.receiver.told):
            assert told.path == "/v1/traces"
            for group in ExportTraceServiceRequest.FromString(told.body).resource_spans:
                service = _attributes(group.resource.attributes)["service.name"]
                found += [Told(service, span) for scope in group.scope_spans for span in scope.spans]
        return found

    def one(self, name: str, fits: Callable[[Told], bool] = lambda _: True) -> Told:
        def found() -> list[Told]:
            return [each for each in self.spans if each.sent.name == name and fits(each)]

        wait_until(found, within=20, what=f"the span {name}")
        (only,) = found()
        return only

    def of(self, name: str, job_id: str, outcome: str) -> Told:
        wanted = {"slotwise.job.id": job_id, "slotwise.outcome": outcome}
        return self.one(name, lambda each: wanted.items() <= each.attributes.items())


@pytest.fixture
def collector() -> Iterator[Collector]:
    with receiving(Receiver(body=b"")) as receiver:
        yield Collector(receiver)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def told_fleet(fleet: Fleet, collector: Collector) -> Fleet:
    """Which is to send its spans to the collector."""
    fleet.settings |= {
        "WEBHOOK_ALLOW": "127.0.0.1",
        ENDPOINT: f"http://127.0.0.1:{collector.receiver.port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    return fleet


def post(
    front: httpx2.Client, algorithm: str, parent: str = PARENT, webhook: str | None = None, **params: Any
) -> str:
    told = {"algorithm": algorithm, "params": params, "labels": {CANARY: CANARY}, "webhook": webhook}
    headers = {"traceparent": parent, "X-Request-Id": "req-1", "Cookie": CANARY, "User-Agent": CANARY}
    answer = front.post("/jobs", json=told, headers=headers)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


@pytest.mark.slow
def test_spans_lead_from_the_client_to_the_receiver(
    told_fleet: Fleet, collector: Collector, receiver: Receiver
) -> None:
    told_fleet.worker()
    front = told_fleet.front()
    job_id = post(front, "Traced", webhook=receiver.url(f"/{CANARY}?{CANARY}"), text=CANARY)
    passed = ended(front, job_id)["result"]
    request = collector.one("POST /jobs")
    attempt = collector.of("process Traced", job_id, "completed")
    delivery = collector.of("POST", job_id, "delivered")

    assert {each.sent.trace_id.hex() for each in (request, attempt, delivery)} == {TRACE_ID}
    assert request.above == CLIENT
    assert attempt.above == delivery.above == request.sent.span_id.hex()
    assert passed == ["req-1", attempt.traceparent, attempt.traceparent, CANARY]
    assert receiver.first(job_id).headers["traceparent"] == delivery.traceparent
    assert [each.service for each in (request, attempt, delivery)] == [FRONT, WORKER, WORKER]
    kinds = (Sent.SPAN_KIND_SERVER, Sent.SPAN_KIND_CONSUMER, Sent.SPAN_KIND_CLIENT)
    assert tuple(each.sent.kind for each in (request, attempt, delivery)) == kinds
    assert not any(each.failed for each in (request, attempt, delivery))
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/jobs",
        "http.response.status_code": 202,
        "url.path": "/jobs",
        "url.scheme": "http",
        "slotwise.request.id": "req-1",
    }
    assert attempt.attributes == {
        "messaging.system": "slotwise",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": told_fleet.keys.queue,
        "messaging.message.id": job_id,
        "slotwise.job.id": job_id,
        "slotwise.algorithm": "Traced",
        "slotwise.attempt": 1,
        "slotwise.request.id": "req-1",
        "slotwise.outcome": "completed",
    }
    assert delivery.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": receiver.port,
        "slotwise.job.id": job_id,
        "slotwise.request.id": "req-1",
        "slotwise.outcome": "delivered",
    }
    failures(front, collector, receiver)
    unsampled = post(front, "Traced", parent=f"{PARENT[:-2]}00", text=CANARY)
    assert ended(front, unsampled)["result"][1].rpartition("-")[2] == "00"
    told_fleet.close()
    assert not any(each.attributes.get("slotwise.job.id") == unsampled for each in collector.spans)
    assert all(CANARY.encode() not in told.body for told in collector.receiver.told)
    assert not any(each.sent.name.startswith(("GET", "HEAD")) for each in collector.spans)


def failures(front: httpx2.Client, collector: Collector, receiver: Receiver) -> None:
    """What goes wrong, is refused, is tried again, or was sent without a trace."""
    receiver.answer = 410
    odd = post(front, "Raises", webhook=receiver.url(), message=CANARY)
    ended(front, odd)
    attempt = collector.of("process Raises", odd, "failed")
    assert attempt.failed
    assert (attempt.attributes["error.type"], attempt.sent.status.message) == ("exception", "")
    given_up = collector.of("POST", odd, "given_up")
    assert given_up.failed
    assert given_up.attributes["error.type"] == "410"

    assert front.post(f"/jobs/{odd}/retry").status_code == 202
    wait_until(
        lambda: len([each for each in collector.spans if each.sent.name == "process Raises"]) == 2,
        within=20,
        what="the span of the retry",
    )
    again = [each for each in collector.spans if each.sent.name == "process Raises"]
    assert {each.above for each in again} == {attempt.above}
    assert collector.one("POST /jobs/{job_id}/retry").attributes["url.path"] == f"/jobs/{odd}/retry"

    within = submit(front, "RaisesOn", message=CANARY)
    ended(front, within)
    alone = collector.of("process RaisesOn", within, "failed")
    assert alone.attributes["error.type"] == "ValueError"
    assert alone.above
    loaded = submit(front, "Loaded", package="opentelemetry")
    assert ended(front, loaded)["result"] == []

    assert front.post("/jobs", json={"algorithm": CANARY, "params": {}}).status_code == 404
    refused = collector.one("POST /jobs", lambda each: each.attributes["http.response.status_code"] == 404)
    assert not refused.failed
    assert refused.above == ""


@pytest.mark.slow
def test_a_collector_that_hangs_or_is_away_holds_nobody_up(
    told_fleet: Fleet, collector: Collector, receiver: Receiver
) -> None:
    collector.receiver.open.clear()
    told_fleet.settings |= {
        "OTEL_BSP_MAX_QUEUE_SIZE": "4",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "600",
    }
    worker = told_fleet.worker()
    front = told_fleet.front(**{ENDPOINT: f"http://127.0.0.1:{free_port()}"})
    for job_id in [submit(front, "Echo", value=each) for each in range(20)]:
        assert ended(front, job_id)["status"] == "completed"
    wait_until(lambda: collector.receiver.told, within=20, what="the collector is asked")
    for process in (worker, told_fleet.processes[-1]):
        process.kill(signal.SIGTERM)
    for process in (worker, told_fleet.processes[-1]):
        process.wait(20)  # of 600
        assert all(line.startswith("{") for line in process.said().splitlines()), process.said()


@pytest.mark.slow
def test_nothing_is_imported_for_who_wants_no_spans(
    told_fleet: Fleet, collector: Collector, receiver: Receiver, tmp_path: Path
) -> None:
    imports = {"PYTHONPROFILEIMPORTTIME": "1"}
    worker = told_fleet.worker(OTEL_SDK_DISABLED="true", **imports)
    front = told_fleet.front(**{ENDPOINT: ""}, OTEL_SERVICE_NAME="x", **imports)
    unset = told_fleet.processes[-1]
    job_id = post(front, "Traced", webhook=receiver.url(), text="")
    assert ended(front, job_id)["result"][1] == PARENT
    assert "traceparent" not in receiver.first(job_id).headers

    without = tmp_path / "without"
    without.mkdir()
    (without / "opentelemetry.py").write_text("raise ModuleNotFoundError(__name__)\n")
    front = told_fleet.front(PYTHONPATH=f"{without}:{ROOT}", **imports)
    assert ended(front, post(front, "Traced", text=""))["result"][1] == PARENT
    assert "slotwise[otel] is not installed" in told_fleet.processes[-1].said()

    told_fleet.close()
    for process in (worker, unset, told_fleet.processes[-1]):
        assert "slotwise.spans" in imported(process)
        assert not any(name.startswith(("opentelemetry.", "google.", "requests")) for name in imported(process))
    assert collector.spans == []


def imported(process: Process) -> set[str]:
    """By the interpreter's own word, PYTHONPROFILEIMPORTTIME."""
    lines = (line for line in process.said().splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({ENDPOINT: "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({ENDPOINT: " "}, False),
        ({ENDPOINT: "http://x", "OTEL_SDK_DISABLED": "True"}, False),
        ({ENDPOINT: "http://x", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
    ],
)
def test_spans_are_exported_where_the_environment_says_whither(
    environ: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert exports_spans() is wanted


def test_what_the_sdk_refuses_is_said_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")  # less than a batch
    assert opened("slotwise-worker") is NO_SPANS
    (said,) = caplog.records
    assert said.exc_info is not None
    assert isinstance(said.exc_info[1], ValueError)
