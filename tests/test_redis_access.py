"""The users of deploy/redis/users.acl can do all that their parts do, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from arq.connections import RedisSettings, create_pool

from slotwise import scripts, wire
from slotwise.keys import Keys
from tests.facts import wait_until
from tests.fleet import Fleet, ended, job, submit
from tests.servers import USERS, Server, as_user
from tests.service.listener import Listener
from tests.witness import ADDRESS, Witness

NAMES = ("frontend", "worker", "metrics")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    """A server of this test alone: every one has these users, and the tests' own may do everything."""
    assert all(f">CHANGE-{name} " in USERS.read_text() for name in NAMES)
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.mark.slow
async def test_a_fleet_runs_with_the_rights_of_its_users(
    guarded: Server, witness: Witness, tmp_path: Path
) -> None:
    fleet = Fleet(guarded.url, tmp_path)
    fleet.settings[ADDRESS] = witness.address
    fleet.as_users = True
    try:
        worker = fleet.worker()
        front = fleet.front(MAX_CONCURRENT_JOBS="4")
        done = submit(front, "Add", a=1, b=2)
        listener = Listener(front, done)
        assert ended(front, done)["status"] == "completed"
        assert listener.end()
        running = submit(front, "Hold", seconds=60)
        wait_until(lambda: job(front, running)["status"] == "running", within=20, what="it runs")
        waiting = front.post(
            "/jobs", json={"algorithm": "Hold", "params": {"seconds": 1}, "delay": 600, "labels": {"a": "b"}}
        ).json()["job_id"]
        for path in ("/jobs", "/jobs?label=a:b", "/failures", "/workers", "/stats", "/metrics", "/algorithms"):
            assert front.get(path).status_code == 200, path
        for path in ("explain", "logs", "events"):
            assert front.get(f"/jobs/{done}/{path}", timeout=30).status_code == 200, path
        assert front.get(f"/jobs/{waiting}/explain").status_code == 200
        for path in ("status", "proof", "audit", "advice"):
            assert front.get(f"/jobs/concurrency/{path}").status_code == 200, path
        assert front.put("/jobs/concurrency", json={"max_concurrent": 3, "ttl": 60}).status_code == 200
        assert front.delete("/jobs/concurrency").status_code == 200
        assert front.put("/jobs/concurrency/algorithms/Hold", json={"max_concurrent": 2}).status_code == 200
        assert front.post(f"/jobs/{running}/cancel").status_code in (200, 202)
        assert ended(front, running)["status"] == "cancelled"
        assert front.post("/jobs/cancel", json={"filter": {"algorithm": "Hold"}, "expected": 1}).status_code == 200
        batch = front.post("/jobs/batch", json={"jobs": [{"algorithm": "Add", "params": {"a": 1, "b": 1}}] * 3})
        for each in batch.json()["jobs"]:
            assert ended(front, each["job_id"])["status"] == "completed"
        assert (
            front.post("/jobs/retry", json={"filter": {"algorithm": "Hold"}, "dry_run": True}).status_code == 200
        )
        assert front.delete(f"/jobs/{done}").status_code == 204
        name = front.get("/workers").json()["workers"][0]["name"]
        assert front.post(f"/workers/{name}/drain").status_code in (200, 202)
        assert front.post(f"/workers/{name}/resume").status_code in (200, 202)
        await stock_client(as_user(guarded.url, "worker"))
        assert fleet.worker(flags=("--check",)).wait() == 0
        assert fleet.worker(flags=("--burst",)).wait() == 0
        assert '"wake_refused"' not in worker.said(), "it finds jobs by polling only"
    finally:
        fleet.close()
    assert guarded.client.acl_log() == []


async def stock_client(url: str) -> None:
    """An arq client with the serializer enqueues, waits for a result and aborts."""
    pool = await create_pool(RedisSettings.from_dsn(url))
    pool.job_serializer, pool.job_deserializer = wire.serialize, wire.deserialize
    made = await pool.enqueue_job("Add", a=2, b=3)
    assert made is not None
    assert await made.result(timeout=20) == 5
    await pool.aclose()


def test_metrics_reads_and_changes_nothing(guarded: Server) -> None:
    keys = Keys()
    guarded.client.hset(keys.counts, "submitted", 1)
    with redis.Redis.from_url(as_user(guarded.url, "metrics")) as looker:
        assert looker.hgetall(keys.counts) == {b"submitted": b"1"}
        assert looker.zcard(keys.running) == looker.zcard(keys.queue) == 0
        slots = scripts.SLOTS.source
        assert looker.execute_command("EVAL_RO", slots, 2, keys.cap, keys.running, "")[1] == 0
        for command in (("SET", keys.cap, "1"), ("DEL", keys.queue), ("GET", "other"), ("FLUSHALL",)):
            with pytest.raises(redis.ResponseError):
                looker.execute_command(*command)
        with pytest.raises(redis.ResponseError):
            looker.execute_command("EVAL_RO", "return redis.call('SET', KEYS[1], '1')", 1, keys.cap)


@pytest.mark.parametrize("user", ["frontend", "worker"])
def test_nobody_rules_the_server(guarded: Server, user: str) -> None:
    with redis.Redis.from_url(as_user(guarded.url, user)) as client:
        for command in (
            *(("FLUSHALL",), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("SCAN", "0"), ("ACL", "LIST")),
            *(("SHUTDOWN",), ("SCRIPT", "FLUSH"), ("FUNCTION", "LIST"), ("CLIENT", "KILL", "ID", "1")),
            *(("GET", "other"), ("SET", "other", "1"), ("PUBLISH", "other", "1"), ("DEBUG", "SLEEP", "0")),
        ):
            with pytest.raises(redis.ResponseError):
                client.execute_command(*command)
    assert guarded.client.dbsize() == 0
