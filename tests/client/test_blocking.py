"""`Client` against a real front end: every call, connections kept, lost answers, a store that is away."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx2
import pytest

from slotwise import ApiError, Client, JobError
from slotwise.client import FleetEvent
from slotwise.client.problems import (
    AlreadyFinished,
    InvalidRequest,
    JobNotFound,
    StoreUnavailable,
    UnexpectedAnswer,
    Unreachable,
    WorkerNotFound,
)
from slotwise.client.requests import JobRequest
from slotwise.job import State
from tests.client.stranger import stranger
from tests.facts import wait_until
from tests.fleet import ROOT, Fleet
from tests.proxy import Proxy
from tests.servers import Server, free_port


def port_of(front: httpx2.Client) -> int:
    port = front.base_url.port
    assert port is not None
    return port


@pytest.fixture
def proxy(fleet: Fleet) -> Iterator[Proxy]:
    """A link to a front end of a fleet with a worker."""
    fleet.worker()
    proxy = Proxy(port_of(fleet.front()))
    yield proxy
    proxy.close()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{proxy.port}", retries=2) as client:
        yield client


@pytest.mark.slow
def test_every_call(client: Client, proxy: Proxy) -> None:
    job = client.submit("Add", {"a": 1, "b": 2}, wait=20, labels={"team": "blue"}, priority=3)
    assert (job.status, job.result, job.params, job.labels) == (
        State.COMPLETED,
        3,
        {"a": 1, "b": 2},
        {"team": "blue"},
    )
    assert job.created_at is not None and abs((datetime.now(UTC) - job.created_at).total_seconds()) < 60
    assert client.get(job.job_id) == client.wait(job.job_id, timeout=5) == job
    assert job.as_dict()["urls"]["self"] == f"/jobs/{job.job_id}"
    assert client.result(job.job_id) == 3
    names = [event.name for event in client.events(job.job_id)]
    assert names == ["status"] * 3 + ["end"]
    assert client.logs(job.job_id, tail=1) == ""
    assert len(client.explain(job.job_id).attempts) == 1
    with pytest.raises(AlreadyFinished):
        client.cancel(job.job_id)
    client.erase(job.job_id)
    with pytest.raises(JobNotFound) as unknown:
        client.get(job.job_id)
    assert unknown.value.status == 404 and unknown.value.request_id
    assert isinstance(unknown.value, ApiError)
    for odd in ("concurrency", "..", "a/b", "é %"):
        with pytest.raises(JobNotFound, match=f"{odd!r}"):
            client.get(odd)

    failed = client.submit("Raises", {"message": "no such luck"})
    with pytest.raises(JobError, match="no such luck"):
        client.result(failed.job_id, timeout=20)
    again = client.retry(failed.job_id)
    assert (again.job_id, again.status) == (failed.job_id, State.PENDING)
    assert client.wait(failed.job_id, timeout=20).error is not None

    held = client.submit("Hold", {"seconds": 60})
    with pytest.raises(TimeoutError):
        client.wait(held.job_id, timeout=0.2)
    assert client.get(held.job_id, wait=0).ended is False
    client.cancel(held.job_id)
    with pytest.raises(JobError, match="cancelled"):
        client.result(held.job_id, timeout=20)

    with pytest.raises(InvalidRequest) as invalid:
        client.submit("Add", {"a": "x", "b": 1})
    assert invalid.value.errors == [{"pointer": "#/params/a", "detail": "must be an integer"}]

    assert client.foretell_concurrency(3).after == 3
    assert client.set_concurrency(3, reason="test", ttl=60).override is not None
    assert client.concurrency().max_concurrent == 3
    assert client.foretell_concurrency(None).after == 10
    assert client.clear_concurrency().override is None
    assert client.set_concurrency(1, algorithm="Add").algorithms["Add"].max_concurrent == 1
    assert client.foretell_concurrency(2, algorithm="Add").before == 1
    assert client.clear_concurrency(algorithm="Add").algorithms["Add"].max_concurrent is None

    (worker,) = client.workers()
    assert client.drain(worker.name).draining is True
    assert client.resume(worker.name).draining is False
    with pytest.raises(WorkerNotFound):
        client.drain("no/body")
    assert proxy.links <= 2, "connections are kept: one for requests, one for the stream"


@pytest.mark.slow
def test_lost_answers(client: Client, proxy: Proxy, fleet: Fleet) -> None:
    cut = threading.Event()

    def once(data: bytes) -> bool:
        return data.startswith((b"POST /jobs", b"GET ")) and not cut.is_set() and not cut.set()

    proxy.swallow = once
    job = client.submit("Add", {"a": 1, "b": 2})
    assert proxy.cut == 1
    assert client.result(job.job_id, timeout=20) == 3
    assert fleet.redis.hget(fleet.keys.counts, "created:Add") == b"1", "sent twice, one job"

    cut.clear()
    assert client.get(job.job_id).ended
    assert proxy.cut == 2

    cut.clear()
    many: list[JobRequest] = [{"algorithm": "Add", "params": {"a": n, "b": 0}} for n in range(150)]
    jobs = client.submit_many(iter(many), idempotency_key="k")
    assert proxy.cut == 3
    assert [client.result(job.job_id, timeout=20) for job in jobs[95:105]] == list(range(95, 105))
    assert [job.job_id for job in client.submit_many(many, idempotency_key="k")] == [job.job_id for job in jobs]
    assert fleet.redis.hget(fleet.keys.counts, "created:Add") == b"151", "sent three times, once each"
    many[117] = {"algorithm": "Add", "params": {"a": "x", "b": 0}}
    with pytest.raises(InvalidRequest) as invalid:
        client.submit_many(many)
    assert (invalid.value.errors[0]["pointer"], len(invalid.value.submitted)) == ("#/jobs/117/params/a", 100)
    with Client(str(fleet.front(MAX_BODY_BYTES="2000").base_url)) as narrow:
        assert [job.params["a"] for job in narrow.submit_many(many[:100])] == list(range(100))

    held = client.submit("Hold", {"seconds": 60})
    wait_until(lambda: client.get(held.job_id).status == "running", within=20, what="it runs")
    proxy.swallow = lambda data: b"/cancel" in data
    with pytest.raises(Unreachable, match="/cancel"):
        client.cancel(held.job_id)
    assert proxy.cut == 4, "a cancel is sent once"
    assert client.wait(held.job_id, timeout=20).status == "cancelled"


@pytest.mark.slow
def test_a_stream_goes_on_at_another_front_end(client: Client, proxy: Proxy, fleet: Fleet) -> None:
    job = client.submit("Hold", {"seconds": 60})
    events = client.events(job.job_id)
    assert [next(events).data["status"] for _ in range(2)] == ["pending", "running"]
    proxy.target = port_of(fleet.front())  # another front end, at the same address
    proxy.drop()
    wait_until(lambda: client.get(job.job_id).worker, what="the new link")
    client.cancel(job.job_id)
    rest = [(event.name, event.data["status"]) for event in events]
    assert rest == [("status", "cancelled"), ("end", "cancelled")]


@pytest.mark.slow
def test_the_stream_of_all_goes_on_at_another_front_end(client: Client, proxy: Proxy, fleet: Fleet) -> None:
    events = client.events()
    first = next(events)
    assert (first.name, first.slots and first.slots.max_concurrent, first.job) == ("slots", 10, None)
    job = client.submit("Hold", {"seconds": 60})
    heard = [event.job for event in takewhile_running(events) if event.job]
    assert [(move.job_id, move.status, move.attempt) for move in heard] == [
        (job.job_id, "pending", 0),
        (job.job_id, "running", 1),
    ]
    proxy.target = port_of(fleet.front())  # another front end, at the same address
    proxy.drop()
    wait_until(lambda: client.get(job.job_id).worker, what="the new link")
    client.cancel(job.job_id)
    last = next(event for event in events if event.name != "slots")
    assert last.job and (last.job.status, last.job.algorithm) == ("cancelled", "Hold")
    again = next(client.events(last_event_id=first.id))
    assert again.job and again.job == heard[0], "also for another who goes on from there"


def takewhile_running(events: Iterator[FleetEvent]) -> Iterator[FleetEvent]:
    """To the first job that runs."""
    for event in events:
        yield event
        if event.job and event.job.status == "running":
            return


@pytest.mark.slow
def test_a_submit_waits_for_a_store_that_was_away(own_fleet: Fleet, own_server: Server) -> None:
    own_fleet.worker()
    with Client(str(own_fleet.front().base_url)) as client:
        own_server.kill()
        with (
            pytest.raises(StoreUnavailable) as away,
            Client(str(own_fleet.fronts[0].base_url), retries=0) as hasty,
        ):
            hasty.submit("Add", {"a": 1, "b": 2})
        assert away.value.retry_after is not None
        with ThreadPoolExecutor(1) as thread:
            submitted = thread.submit(client.submit, "Add", {"a": 2, "b": 2}, wait=20)
            own_server.start()
            assert submitted.result(30).result == 4


def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(f"http://127.0.0.1:{free_port()}", retries=1) as client:
        with pytest.raises(Unreachable) as error:
            client.concurrency()
        assert (error.value.status, error.value.type) == (None, "unreachable")
    for wrong in ("localhost:8000", "ftp://x", "http://x:y"):
        with pytest.raises(ValueError, match=r"must begin with http|is no URL"):
            Client(wrong)
    monkeypatch.setenv("SLOTWISE_URL", f"http://127.0.0.1:{free_port()}")
    with Client(retries=0) as client, pytest.raises(Unreachable):
        client.workers()


def test_the_key_is_shown_and_nobody_else_is_taken_for_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer is no part of ours here: a server that answers whatever it is asked."""
    asked: list[str] = []
    monkeypatch.setenv("SLOTWISE_KEY", "from-environment")
    with stranger(asked) as url:
        for key in ("given", None):
            with Client(url, key) as client, pytest.raises(UnexpectedAnswer, match="not JSON"):
                client.concurrency()
    told = [line for text in asked for line in text.splitlines() if line.lower().startswith("authorization")]
    assert [line.split(": ")[1] for line in told] == ["Bearer given", "Bearer from-environment"]


def test_importing_slotwise_loads_no_http_library() -> None:
    code = (
        "import slotwise, sys; print('httpx2' in sys.modules, slotwise.Client.__name__, 'httpx2' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["False", "Client", "True"]
    with pytest.raises(ImportError):
        from slotwise import Nobody  # type: ignore[attr-defined]  # noqa: F401
