"""Webhooks told by real workers to real receivers, over whatever goes wrong between them."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
import redis
from standardwebhooks import Webhook

from slotwise import Client
from tests.facts import wait_until
from tests.fleet import Fleet, Process, ended, job
from tests.receiver import Receiver, receiving
from tests.servers import Server, free_port

pytestmark = pytest.mark.slow

OLD, NEW = (f"whsec_{letter * 32}" for letter in "ab")
EVERY = ["job.running", "job.progress", "job.completed", "job.failed", "job.cancelled"]


@pytest.fixture
def hooked(fleet: Fleet) -> Fleet:
    """Whose receivers are on this machine; two secrets are in use. Its parts are users of least rights."""
    fleet.as_users = True
    fleet.settings |= {"WEBHOOK_ALLOW": "127.0.0.1", "WEBHOOK_SECRET": f"{NEW},{OLD}"}
    return fleet


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def submit(front: httpx2.Client, url: str, algorithm: str = "Echo", **asked: Any) -> str:
    params = asked.pop("params", {"value": 1} if algorithm == "Echo" else {})
    answer = front.post("/jobs", json={"algorithm": algorithm, "params": params, "webhook": url, **asked})
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def attempts(front: httpx2.Client, job_id: str, count: int = 1, within: float = 60) -> list[dict[str, Any]]:
    """What came of it, once there are so many."""

    def found() -> list[dict[str, Any]]:
        answer = front.get(f"/jobs/{job_id}/webhooks")
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["attempts"]
        return rows if len(rows) >= count else []

    return wait_until(found, within=within, what=f"{count} attempts")


def all_told(fleet: Fleet) -> None:
    keys = (fleet.keys.receivers, fleet.keys.of_outbox[-1])
    wait_until(lambda: not fleet.redis.exists(*keys), within=15, what="nothing is left to tell")


def due_now(fleet: Fleet) -> None:
    """As if the time had come for all that waits: for its next attempt, or because its worker is silent."""
    client = fleet.redis
    for key in client.scan_iter(match=fleet.keys.due_of + "*"):
        for member in client.zrange(key, 0, -1):
            client.zadd(key, {member: 0})
        client.zadd(fleet.keys.receivers, {key.decode().removeprefix(fleet.keys.due_of): 0})


def test_what_receivers_are_told(hooked: Fleet, receiver: Receiver) -> None:
    front = hooked.front()
    worker = hooked.worker(ALGORITHMS="tests.zoo,tests.talkers")
    done = submit(front, receiver.url("/a?b=c"), webhook_events=EVERY, labels={"x": "\u00e4"}, priority=2)
    failed = submit(front, receiver.url(), "Raises")
    large = submit(front, receiver.url(), params={"value": "x" * 50_000})
    quiet = submit(front, receiver.url(), webhook_events=["job.failed"])
    held = submit(front, receiver.url(), "Sleep", params={"seconds": 600}, webhook_events=EVERY)
    receiver.first(held)
    front.post(f"/jobs/{held}/cancel")
    waits = submit(front, receiver.url(), delay=600)
    front.post(f"/jobs/{waits}/cancel")
    ends = {done: "completed", failed: "failed", large: "completed", held: "cancelled", waits: "cancelled"}
    for job_id, state in ends.items():
        wait_until(lambda: receiver.types(job_id)[-1:] == [f"job.{state}"], within=20, what=state)  # noqa: B023
        told = receiver.of(job_id)[-1]
        assert told.json["data"] | {"result": 0} == job(front, job_id) | {"result": 0}
        assert told.json["timestamp"] == told.json["data"]["completed_at"]
        for secret in (OLD, NEW):
            Webhook(secret).verify(told.body, told.headers)
    assert receiver.types(done) == ["job.running", "job.completed"]
    assert receiver.types(held) == ["job.running", "job.cancelled"]
    assert receiver.of(done)[0].path == "/a?b=c"
    data = receiver.of(large)[0].json["data"]
    assert (data["result"], front.get(data["urls"]["result"]).json()) == (None, "x" * 50_000)
    assert (ended(front, quiet)["webhook"], receiver.of(quiet)) == (receiver.url(), [])

    row = attempts(front, failed)[0]
    told = receiver.of(failed)[0]
    assert (row["event"], row["outcome"], row["status_code"], row["webhook_id"]) == (
        *("job.failed", "delivered", 200),
        told.id,
    )
    assert (row["next_at"], row["error"]) == (None, None) and row["ms"] >= 0
    assert front.post(f"/jobs/{failed}/webhooks/redeliver").status_code == 202
    wait_until(lambda: len(receiver.of(failed)) == 2, what="it is told once more")
    assert (receiver.of(failed)[1].id, receiver.of(failed)[1].body) == (told.id, told.body)
    attempts(front, failed, 2)
    all_told(hooked)
    assert OLD not in worker.said() and NEW not in worker.said()
    delivered = len(receiver.told)
    assert f'webhook_deliveries_total{{outcome="delivered"}} {delivered}.0' in front.get("/metrics").text


def test_by_the_sdk_and_the_words_of_a_job(hooked: Fleet, receiver: Receiver) -> None:
    front = hooked.front(ALGORITHMS="tests.talkers")
    hooked.worker(ALGORITHMS="tests.talkers")
    with Client(str(front.base_url)) as client:
        end = hooked.directory / "end"
        params = {"name": "one", "until": str(end)}
        made = client.submit("SayAsync", params, webhook=receiver.url(), webhook_events=EVERY)
        assert made.webhook == receiver.url()
        wait_until(lambda: "job.progress" in receiver.types(made.job_id), what="its progress")
        end.touch()
        client.wait(made.job_id, timeout=20)
        wait_until(lambda: receiver.types(made.job_id)[-1:] == ["job.completed"], what="its end")
        types = receiver.types(made.job_id)
        assert types[0] == "job.running" and set(types[1:-1]) == {"job.progress"}
        assert receiver.of(made.job_id)[1].json["data"]["progress"] is not None
        wait_until(lambda: len(client.webhook_attempts(made.job_id)) == len(types), what="each attempt is noted")
        client.redeliver(made.job_id)
        wait_until(lambda: len(receiver.of(made.job_id)) == len(types) + 1, what="it is told once more")
    all_told(hooked)


def test_what_receivers_answer(hooked: Fleet) -> None:
    with ExitStack() as stack:
        other, moves, busy, gone = (stack.enter_context(receiving()) for _ in range(4))
        moves.answer, moves.location, busy.answer, gone.answer = 307, other.url(), 503, 410
        ports = ",".join(f"127.0.0.1:{each.port}" for each in (moves, busy, gone))
        front = hooked.front()
        worker = hooked.worker(WEBHOOK_ALLOW=ports)
        jobs = {each.port: submit(front, each.url()) for each in (moves, busy, gone)}
        name = submit(front, f"http://{socket.gethostname()}:{other.port}/")
        for each, status in ((moves, 307), (busy, 503)):
            row = attempts(front, jobs[each.port])[0]
            assert (row["outcome"], row["status_code"], row["error"]) == ("failed", status, f"status {status}")
            assert row["next_at"] > row["at"]
        row = attempts(front, jobs[gone.port])[0]
        assert (row["outcome"], row["status_code"], row["next_at"]) == ("given_up", 410, None)
        busy.answer = 200
        assert attempts(front, jobs[busy.port], 2, within=12)[1]["outcome"] == "delivered"
        assert busy.told[0].id == busy.told[1].id and busy.told[0].body == busy.told[1].body
        assert hooked.redis.zcard(hooked.keys.due_of + gone.url("")) == 0
        if _is_loopback(socket.gethostname()):
            row = attempts(front, name)[0]
            assert (row["outcome"], row["status_code"], row["next_at"]) == ("refused", None, None)
            assert logged(worker, "webhook_refused") == [f"http://{socket.gethostname()}:{other.port}"]
        moves.answer = 200
        front.post(f"/jobs/{jobs[moves.port]}/webhooks/redeliver")
        all_told(hooked)
        assert logged(worker, "webhook_given_up") == [gone.url("")]
        assert other.told == []


def logged(worker: Process, message: str) -> list[str]:
    """The receivers of which the worker's log says so."""
    lines = [json.loads(line) for line in worker.said().splitlines() if line.startswith("{")]
    return [line["receiver"] for line in lines if line["message"] == message]


def _is_loopback(name: str) -> bool:
    try:
        return {str(row[4][0])[:4] for row in socket.getaddrinfo(name, 80)} == {"127."}
    except OSError:
        return False


def test_a_dead_receiver_and_a_slow_one_delay_nobody(hooked: Fleet) -> None:
    """All holds, by facts and not by time, while the dead one has not answered its first request."""
    with receiving() as dead, receiving() as good:
        dead.open.clear()
        front = hooked.front()
        hooked.worker()
        entries = [
            {"algorithm": "HoldAsync", "params": {"seconds": 0}, "webhook": dead.url(), "webhook_events": EVERY}
            for _ in range(100)
        ]
        answer = front.post("/jobs/batch", json={"jobs": entries})
        jobs = [each["job_id"] for each in answer.json()["jobs"]]
        wait_until(
            lambda: front.get("/jobs", params={"status": "completed", "limit": 500}).json()["jobs"][99:],
            within=40,
            what="all jobs are done",
        )
        told = submit(front, good.url())
        good.first(told)
        assert attempts(front, told)[0]["outcome"] == "delivered"
        assert dead.told and front.get(f"/jobs/{jobs[0]}/webhooks").json() == {"attempts": []}
        assert len(dead.told) <= 8, "at once, of one receiver"
        dead.open.set()
        wait_until(lambda: len([one for one in dead.told if one.type == "job.completed"]) >= 100, within=60)
        all_told(hooked)
        for job_id in jobs:
            types = dead.types(job_id)
            assert types[-1] == "job.completed" and types == sorted(types, reverse=True), "in their order"


def test_a_worker_that_tells_stops_and_another_is_killed(hooked: Fleet, receiver: Receiver) -> None:
    receiver.open.clear()
    front = hooked.front()
    stops = hooked.worker()
    job_id = submit(front, receiver.url())
    first = receiver.first(job_id)
    killed = hooked.worker()
    stops.kill(signal.SIGTERM)
    stops.wait()
    wait_until(lambda: len(receiver.of(job_id)) == 2, what="it was handed back, and another tells it at once")
    hooked.worker()
    killed.kill()
    killed.wait()
    receiver.open.set()
    due_now(hooked)
    wait_until(lambda: len(receiver.of(job_id)) == 3, what="a third one tells it")
    assert {(told.id, told.body) for told in receiver.of(job_id)} == {(first.id, first.body)}
    assert [row["outcome"] for row in attempts(front, job_id)] == ["delivered"]
    all_told(hooked)
    wait_until(lambda: hooked.redis.hlen(hooked.keys.leases) == 1, what="the killed one is forgotten")


def test_redis_restarts_while_receivers_are_told(own_fleet: Fleet, own_server: Server) -> None:
    own_fleet.settings |= {"WEBHOOK_ALLOW": "127.0.0.1"}
    with receiving() as receiver:
        receiver.open.clear()
        front = own_fleet.front()
        worker = own_fleet.worker()
        jobs = [submit(front, receiver.url()) for _ in range(20)]
        for job_id in jobs:
            ended(front, job_id)
        wait_until(lambda: receiver.told, what="one is being told")
        own_server.kill()
        receiver.open.set()
        own_server.start()

        def told() -> bool:
            try:
                return not own_fleet.redis.exists(own_fleet.keys.receivers)
            except redis.RedisError:
                return False

        wait_until(told, within=40, what="all is told")
        assert {each.job_id for each in receiver.told} == set(jobs)
        assert "unsigned" in worker.said() and "webhook-signature" not in receiver.told[0].headers
        for job_id in jobs:
            assert [row["outcome"] for row in attempts(front, job_id)] == ["delivered"]


def test_a_receiver_that_is_away_for_a_while(hooked: Fleet) -> None:
    front = hooked.front()
    hooked.worker()
    away = Receiver(port=free_port())
    job_id = submit(front, away.url(), webhook_events=["job.running", "job.completed"])
    ended(front, job_id)
    rows = attempts(front, job_id, 2)
    assert [row["event"] for row in rows] == ["job.running", "job.completed"], "the end is told in its place"
    assert all(row["status_code"] is None and row["error"].startswith("no connection") for row in rows)
    with receiving(away):
        assert away.first(job_id).type == "job.completed", "after 5 s"
        all_told(hooked)
    assert [json.loads(told.body)["data"]["result"] for told in away.told] == [1]
