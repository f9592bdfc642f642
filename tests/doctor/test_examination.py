"""Each illness put into a real server is found, and named; a healthy one has none, whatever it is doing."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from arq.connections import RedisSettings, create_pool

from slotwise.doctor import Report, examine
from slotwise.doctor.looks import AT_A_TIME
from slotwise.doctor.report import ILLNESSES
from slotwise.errors import SlotwiseError
from slotwise.keys import ABORT, HIDDEN, IN_PROGRESS, PAYLOAD, RECORD, SAID, Keys
from slotwise.store import Store
from tests.facts import wait_until
from tests.fleet import Fleet, ended, submit
from tests.hand import Hand, submitted
from tests.servers import Server, free_port

KEYS = Keys()
CALL = json.dumps({"t": None, "f": "Add", "a": [], "k": {}, "et": 1}).encode()
Ill = Callable[[redis.Redis], object]


@pytest.fixture
def ill(server: Server, redis_url: str) -> Iterator[redis.Redis]:
    """A server that a test makes ill; well again afterwards."""
    yield server.client
    server.client.flushall()


def codes(report: Report) -> dict[str, int]:
    """What is wrong with the jobs (the server of the session keeps no append-only file)."""
    return {each.code: each.count for each in report.findings if each.code != "no-aof"}


def now_ms() -> int:
    return round(time.time() * 1000)


def waiting(client: redis.Redis, payload: bytes = CALL, job_id: str = "a") -> None:
    client.set(PAYLOAD + job_id, payload, ex=60)
    client.zadd(KEYS.queue, {job_id: now_ms()})


def ours(client: redis.Redis, *, alive: bool = True, serves: str = "Add") -> None:
    """A worker of ours with a lease of 10 s."""
    client.hset(KEYS.leases, "w", "7 10000")
    client.hset(KEYS.worker("w"), mapping={"name": "w", "seen": now_ms() if alive else 1})
    client.hset(KEYS.served, serves, 1)


STOCK: dict[str, tuple[Ill, dict[str, int]]] = {
    "nothing": (lambda client: None, {}),
    "stuck, in the queue": (
        lambda client: (waiting(client), client.set(IN_PROGRESS + "a", 1, ex=300)),
        {"stuck-in-progress": 1},
    ),
    "may run": (
        lambda client: (
            waiting(client),
            client.set(IN_PROGRESS + "a", 1, ex=300),
            client.set(KEYS.queue + ":health-check", "x", ex=60),
        ),
        {},
    ),
    "stuck for ever": (
        lambda client: (
            waiting(client),
            client.set(IN_PROGRESS + "a", 1),
            client.set(KEYS.queue + ":health-check", "x", ex=60),
        ),
        {"stuck-in-progress": 1},
    ),
    "stuck, in no queue": (lambda client: client.set(IN_PROGRESS + "a", 1, ex=300), {"stuck-in-progress": 1}),
    "a cron job that ended": (lambda client: client.set(IN_PROGRESS + "a", 1, ex=59), {}),
    "of another queue": (
        lambda client: (
            client.zadd("other", {"a": 1}),
            client.set(PAYLOAD + "a", CALL),
            client.set(IN_PROGRESS + "a", 1, ex=300),
            client.set("other:health-check", "x", ex=60),
        ),
        {},
    ),
    "nobody is there": (waiting, {"no-worker": 1}),
    "not due": (
        lambda client: (client.set(PAYLOAD + "a", CALL, ex=60), client.zadd(KEYS.queue, {"a": now_ms() + 60_000})),
        {},
    ),
    "leftover abort": (lambda client: client.zadd(ABORT, {"a": now_ms() - 70_000}), {"leftover-abort": 1}),
    "fresh abort": (lambda client: client.zadd(ABORT, {"a": now_ms()}), {}),
    "abort ahead": (lambda client: client.zadd(ABORT, {"a": now_ms() + 3_600_000}), {"abort-ahead-of-time": 1}),
    "lost payload": (
        lambda client: client.zadd(KEYS.queue, {"a": now_ms()}),
        {"lost-payload": 1, "no-worker": 1},
    ),
    "unreadable": (lambda client: waiting(client, b"\xff\x00"), {"unreadable-payload": 1, "no-worker": 1}),
    "a list": (lambda client: waiting(client, b"[]"), {"unreadable-payload": 1, "no-worker": 1}),
    "a pickle": (lambda client: waiting(client, pickle.dumps({"f": "Add"})), {"no-worker": 1}),
    "a payload that nobody calls": (lambda client: client.set(PAYLOAD + "a", CALL), {"kept-for-ever": 1}),
    "the queue is a string": (lambda client: client.set(KEYS.queue, "x"), {"damaged-key": 1}),
    "aborts are a hash": (lambda client: client.hset(ABORT, "a", "1"), {"damaged-key": 1}),
    "a payload is a hash": (
        lambda client: (client.zadd(KEYS.queue, {"a": now_ms()}), client.hset(PAYLOAD + "a", "a", "b")),
        {"damaged-key": 1, "no-worker": 1},
    ),
}

OURS: dict[str, tuple[Ill, dict[str, int]]] = {
    "nothing": (ours, {}),
    "a job": (lambda client: (ours(client), waiting(client)), {}),
    "dead": (lambda client: ours(client, alive=False), {"dead-worker": 1}),
    "a slot without a holder": (
        lambda client: (ours(client), waiting(client), client.zadd(KEYS.running, {"a": 1})),
        {"slot-without-holder": 1},
    ),
    "a running job": (
        lambda client: (
            ours(client),
            client.set(PAYLOAD + "a", CALL),
            client.zadd(KEYS.queue, {"a": HIDDEN}),
            client.zadd(KEYS.running, {"a": 1}),
            client.hset(KEYS.held("w"), "a", "1-token Add"),
            client.set(IN_PROGRESS + "a", 1),
            client.hset(RECORD + "a", "state", "running"),
        ),
        {},
    ),
    "stuck": (
        lambda client: (ours(client), waiting(client), client.set(IN_PROGRESS + "a", 1)),
        {"stuck-in-progress": 1},
    ),
    "an abort of before": (lambda client: (ours(client), client.zadd(ABORT, {"a": now_ms() - 70_000})), {}),
    "a pickle": (
        lambda client: (ours(client), waiting(client, pickle.dumps({"t": 1, "f": "Add", "a": ("f",)}))),
        {"pickled-payload": 1},
    ),
    "unserved": (lambda client: (ours(client, serves="Other"), waiting(client)), {"unserved-function": 1}),
    "an unserved pickle": (
        lambda client: (ours(client, serves="Other"), waiting(client, pickle.dumps({"t": 1, "f": "Add"}))),
        {"pickled-payload": 1, "unserved-function": 1},
    ),
    "hidden": (
        lambda client: (ours(client), client.set(PAYLOAD + "a", CALL), client.zadd(KEYS.queue, {"a": HIDDEN})),
        {"hidden-job": 1},
    ),
    "aside": (
        lambda client: (
            ours(client),
            client.set(PAYLOAD + "a", CALL),
            client.zadd(KEYS.queue, {"a": HIDDEN}),
            client.sadd(KEYS.parked, "Add"),
            client.zadd(KEYS.parked_of + "Add", {"a": 1}),
        ),
        {},
    ),
    "lost": (
        lambda client: (
            ours(client),
            client.hset(RECORD + "a", "state", "pending"),
            client.hset(RECORD + "b", "state", "running"),
            client.hset(RECORD + "c", "state", "pending"),
            client.expire(RECORD + "c", 60),
        ),
        {"lost-job": 2},
    ),
    "kept": (
        lambda client: (
            ours(client),
            client.hset(RECORD + "a", "state", "failed"),
            client.xadd(SAID + "b", {"x": "y"}),
        ),
        {"kept-for-ever": 2},
    ),
    "leases are a list": (
        lambda client: (client.hset(KEYS.cap, "configured", 1), client.rpush(KEYS.leases, "x")),
        {"damaged-key": 1},
    ),
}


@pytest.mark.parametrize("what", STOCK)
def test_what_a_stock_arq_suffers_from(what: str, ill: redis.Redis, server: Server) -> None:
    make, found = STOCK[what]
    make(ill)
    before = ill.dbsize()
    report = examine(server.url)
    assert (codes(report), report.ours, ill.dbsize()) == (found, False, before)


@pytest.mark.parametrize("what", OURS)
def test_what_a_queue_of_ours_suffers_from(what: str, ill: redis.Redis, server: Server) -> None:
    make, found = OURS[what]
    make(ill)
    report = examine(server.url)
    assert (codes(report), report.ours) == (found, True)


def test_every_illness_is_tried() -> None:
    tried = {code for _, found in [*STOCK.values(), *OURS.values()] for code in found}
    assert tried | {"no-aof", "evicts", "old-server"} == set(ILLNESSES)


def test_many_are_counted_and_named_harmlessly(ill: redis.Redis, server: Server) -> None:
    names = [f"\x1b[31m{number:03}" for number in range(2 * AT_A_TIME + 1)]
    ill.zadd(KEYS.queue, dict.fromkeys(names, 1))
    ill.zadd(KEYS.queue, {b"\xff": 1})  # type: ignore[dict-item]
    report = examine(server.url)
    lost = next(each for each in report.findings if each.code == "lost-payload")
    assert (lost.count, lost.examples[0], len(lost.examples)) == (len(names) + 1, "\\x1b[31m000", 5)
    text = report.as_text()
    assert "\x1b" not in text and "102 x job in the queue whose payload is gone (lost-payload)" in text
    assert report.as_dict()["findings"] and not report.as_dict()["healthy"]


def test_it_stops_where_it_was_told(ill: redis.Redis, server: Server) -> None:
    pipe = ill.pipeline()
    for number in range(5_000):
        pipe.set(PAYLOAD + str(number), CALL)
    pipe.execute()
    report = examine(server.url, most=1_000)
    assert report.keys == 5_000 and 1_000 <= report.looked_at < 3_000
    assert any("--limit takes more" in note for note in report.notes)
    assert examine(server.url).looked_at == 5_000


def test_another_queue(ill: redis.Redis, server: Server) -> None:
    ill.zadd("other", {"a": 1})
    assert codes(examine(server.url)) == {}
    report = examine(server.url, "other")
    assert (report.queue, codes(report)) == ("other", {"lost-payload": 1, "no-worker": 1})


async def test_what_waits_to_run_alone_is_not_hidden(store: Store, hand: Any, server: Server) -> None:
    worker: Hand = hand(serves=["Add"])
    (job_id,) = await submitted(store)
    await store.redis.zadd(KEYS.queue, {job_id: HIDDEN})
    assert codes(examine(server.url)) == {"hidden-job": 1}
    await store.redis.hset(KEYS.worker(worker.incarnation), "reserved", job_id)
    assert codes(examine(server.url)) == {}
    await store.redis.zadd(KEYS.queue, {job_id: 1})


def test_a_dangerous_server(tmp_path: Path) -> None:
    server = Server(tmp_path, options=("--maxmemory-policy", "allkeys-lru", "--maxmemory", "100mb"))
    server.start()
    try:
        report = examine(server.url)
        assert [each.code for each in report.findings] == ["evicts", "no-aof"]
        assert report.findings[0].detail == "maxmemory-policy allkeys-lru, maxmemory 104857600 bytes"
        assert report.findings[1].detail == "appendonly no, and no snapshots either"
        server.client.config_set("save", "60 1")
        assert examine(server.url).findings[1].detail == 'appendonly no, save "60 1"'
        server.client.execute_command("ACL", "SETUSER", "looker", "on", "nopass", "~*", "+@all", "-config")
        forbidden = examine(server.url.replace("//", "//looker@"))
        assert [each.code for each in forbidden.findings] == ["evicts", "no-aof"], "INFO tells as much"
        assert forbidden.notes[0].startswith("CONFIG is forbidden")
    finally:
        server.stop()


def test_no_server_and_no_url() -> None:
    with pytest.raises(SlotwiseError) as away:
        examine(f"redis://127.0.0.1:{free_port()}")
    assert away.value.code == "store-unavailable"
    with pytest.raises(SlotwiseError) as wrong:
        examine("http://x")
    assert wrong.value.code == "invalid-settings"


@pytest.mark.slow
def test_a_fleet_at_work_is_healthy(own_fleet: Fleet, own_server: Server) -> None:
    assert examine(own_server.url).healthy, "an empty server"
    worker = own_fleet.worker()
    front = own_fleet.front(MAX_CONCURRENT_JOBS="2")

    def healthy() -> None:
        report = examine(own_server.url)
        assert report.healthy, report.as_text()

    ended(front, submit(front, "Add", a=1, b=2))
    ended(front, submit(front, "Raises"))
    scheduled = front.post(
        "/jobs",
        json={"algorithm": "Add", "params": {"a": 1, "b": 2}, "priority": 5, "delay": 60, "expires_in": 90},
    ).json()
    for _ in range(3):  # one runs, the others stand aside
        submit(front, "HoldAlone", seconds=60)
    held = [submit(front, "Hold", seconds=60) for _ in range(3)]
    wait_until(lambda: own_fleet.running() == 2, what="the slots are taken")
    healthy()
    front.post(f"/jobs/{scheduled['job_id']}/cancel")
    front.post(f"/jobs/{held[2]}/cancel")
    for _ in range(20):  # while jobs come and go
        submit(front, "Add", a=1, b=2)
        healthy()
    front.put("/jobs/concurrency", json={"max_concurrent": 0})
    healthy()

    own_fleet.processes[-1].kill()  # the front end: nobody observes the worker now
    worker.kill()
    wait_until(lambda: not examine(own_server.url).healthy, within=20, what="the lease is long overdue")
    found = {each.code: each.count for each in examine(own_server.url).findings}
    assert found["dead-worker"] == 1 and set(found) == {"dead-worker", "no-worker"}


PROJECT = """
import asyncio
import os
from arq.connections import RedisSettings

async def rest(ctx, seconds):
    await asyncio.sleep(seconds)

class WorkerSettings:
    functions = [rest]
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])
    poll_delay = 0.05
"""


@pytest.mark.slow
async def test_a_stock_arq_at_work_and_killed(own_fleet: Fleet, own_server: Server, tmp_path: Path) -> None:
    (tmp_path / "a_stock_project.py").write_text(PROJECT)
    pool = await create_pool(RedisSettings.from_dsn(own_server.url))
    for seconds in (0.01, 60):
        await pool.enqueue_job("rest", seconds)
    worker = own_fleet.worker(target="a_stock_project.WorkerSettings", flags=("--verbose",))
    client = own_server.client
    wait_until(
        lambda: client.keys("arq:result:*") and client.keys("arq:in-progress:*"), within=20, what="both ran"
    )
    report = examine(own_server.url)
    assert report.healthy and not report.ours, report.as_text()
    worker.kill()
    worker.wait()
    assert examine(own_server.url).healthy, "nothing in Redis tells it from a worker that is alive"
    client.delete(KEYS.queue + ":health-check")
    assert {each.code for each in examine(own_server.url).findings} == {"stuck-in-progress"}
    await pool.aclose()


def test_what_the_server_may_lose_is_noted(own_server: Server, tmp_path: Path) -> None:
    assert examine(own_server.url).notes[:-1] == ()
    own_server.client.config_set("appendfsync", "everysec")
    [note] = examine(own_server.url).notes[:-1]
    assert note.startswith("appendfsync everysec: a power cut takes the last second or two")
    replica = Server(tmp_path, options=("--replicaof", f"127.0.0.1 {own_server.port}"))
    replica.start()
    wait_until(lambda: own_server.client.info()["connected_slaves"] == 1, what="the replica is there")
    own_server.client.config_set("appendfsync", "always")
    assert examine(own_server.url).notes[0].startswith("1 replicas, and min-replicas-to-write 0")
    own_server.client.config_set("min-replicas-to-write", "1")
    assert examine(own_server.url).notes[:-1] == ()
    replica.stop()
