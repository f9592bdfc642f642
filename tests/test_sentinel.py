"""Three servers and three sentinels as deploy/sentinel has them, and one failover under a fleet."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from slotwise import binary
from tests.facts import wait_until
from tests.fleet import ROOT, TERMINAL, Fleet
from tests.servers import Server, free_port
from tests.witness import ADDRESS, Witness

EXAMPLE = ROOT / "deploy" / "sentinel"
PASSWORD = "CHANGE-ME"
PRIMARY = "10.77.0.11 6379"  # as the example calls it


def written(directory: Path, name: str, **changes: str) -> Path:
    """One of the example's files in a place of its own; each change must find what it changes."""
    text = (EXAMPLE / name).read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    directory.mkdir()
    (directory / name).write_text(text)
    return directory / name


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    """A primary and its replicas."""
    made: list[Server] = []
    try:
        for name in ("first", "second", "third"):
            of = ("--replicaof", f"127.0.0.1 {made[0].port}") if made else ()
            conf = written(tmp_path / name, "valkey.conf")
            made.append(Server(conf.parent, conf=conf, password=PASSWORD, options=of))
            made[-1].start()
        for replica in made[1:]:
            wait_until(lambda replica=replica: follows(replica), within=60, what="it follows")
        yield made
    finally:
        for each in made:
            each.stop()


@pytest.fixture
def sentinels(servers: list[Server], tmp_path: Path) -> Iterator[list[int]]:
    """Their ports."""
    ports, processes = [free_port() for _ in range(3)], []
    try:
        for port in ports:
            changes = {"port 26379": f"port {port}", PRIMARY: f"127.0.0.1 {servers[0].port}"}
            conf = written(tmp_path / f"sentinel-{port}", "sentinel.conf", **changes)
            command = [str(binary.find_binary()), str(conf), "--sentinel"]
            processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=conf.parent))
        wait_until(lambda: all(map(knows_the_others, ports)), within=60, what="the sentinels know each other")
        yield ports
    finally:
        for process in processes:
            process.kill()
            process.wait()


def knows_the_others(port: int) -> bool:
    try:
        with redis.Redis(port=port) as sentinel:
            state = sentinel.sentinel_master("slotwise")
            return int(state["num-other-sentinels"]) == 2 and int(state["num-slaves"]) == 2
    except redis.RedisError:
        return False


def replication(server: Server) -> dict[str, Any]:
    """What it says of its part; empty while it says nothing."""
    try:
        told: dict[str, Any] = server.client.info("replication")
        return told
    except redis.RedisError:
        return {}


def follows(server: Server) -> bool:
    return replication(server).get("master_link_status") == "up"


def has_all(replica: Server, primary: Server) -> bool:
    """Whether the replica has what the primary had written when this was asked."""
    wanted = primary.client.info("replication")["master_repl_offset"]
    return bool(replication(replica).get("slave_repl_offset", -1) >= wanted)


def leader(servers: list[Server]) -> Server | None:
    """The one that says so of itself, if another one already follows it."""
    led = [each for each in servers if replication(each).get("connected_slaves")]
    return led[0] if len(led) == 1 and replication(led[0])["role"] == "master" else None


def told(answer: httpx2.Response) -> Any:
    """What was answered; None for what an outage looks like."""
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) >= 1
        return None
    assert answer.is_success, answer.text
    return answer.json()


def accepted(front: httpx2.Client, algorithm: str, /, **params: Any) -> str:
    """Submits one job until it is taken, as a client in an outage does: its id."""
    key = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"algorithm": algorithm, "params": params}
    answer = wait_until(
        lambda: told(front.post("/jobs", json=body, headers=key)), within=60, what="the job is taken"
    )
    job_id: str = answer["job_id"]
    return job_id


def done(front: httpx2.Client, job_id: str) -> dict[str, Any]:
    """The job once it has ended, through whatever outage."""

    def job() -> dict[str, Any] | None:
        found: dict[str, Any] | None = told(front.get(f"/jobs/{job_id}"))
        return found if found and found["status"] in TERMINAL else None

    found = wait_until(job, within=60, what=f"job {job_id} ends")
    assert found is not None
    return found


@pytest.mark.slow
def test_a_fleet_follows_a_failover(
    servers: list[Server], sentinels: list[int], witness: Witness, tmp_path: Path
) -> None:
    hosts = ",".join(f"127.0.0.1:{port}" for port in sentinels)
    fleet = Fleet(servers[0].url, tmp_path)
    fleet.settings[ADDRESS] = witness.address
    fleet.settings["LEASE_SECONDS"] = "10"  # the default, which the example's times go with
    try:
        fleet.settings["REDIS_URL"] = f"redis+sentinel://:{PASSWORD}@{hosts}/slotwise"
        worker = fleet.worker()
        front = fleet.front()
        assert done(front, accepted(front, "Add", a=1, b=2))["result"] == 3
        running = accepted(front, "Hold", seconds=1)
        for replica in servers[1:]:
            wait_until(lambda replica=replica: has_all(replica, servers[0]), within=60, what="it has it all")
        servers[0].kill()
        led = wait_until(lambda: leader(servers[1:]), within=120, what="a replica leads the other")
        servers[0].start()  # as its supervisor does
        fleet.redis.close()
        fleet.redis = redis.Redis.from_url(led.url)
        assert done(front, accepted(front, "Add", a=3, b=4))["result"] == 7
        assert done(front, running)["status"] == "completed"
        wait_until(lambda: fleet.worker(flags=("--check",)).wait(60) == 0, within=60, what="the check is content")
        wait_until(lambda: follows(servers[0]), within=60, what="the old primary follows the new one")
        alone_it_takes_nothing(servers, led, front)
        assert done(front, accepted(front, "Add", a=5, b=6))["result"] == 11
        assert worker.alive
        wait_until(lambda: fleet.running() == 0, within=20, what="no slot is taken")
    finally:
        fleet.close()


def alone_it_takes_nothing(servers: list[Server], led: Server, front: httpx2.Client) -> None:
    """The price of min-replicas-to-write: without replicas the primary refuses, and with one it goes on."""
    replicas = [each for each in servers if each is not led]
    for each in replicas:
        each.kill()
    body = {"algorithm": "Add", "params": {"a": 1, "b": 1}}
    wait_until(lambda: told(front.post("/jobs", json=body)) is None, within=60, what="it refuses")
    replicas[0].start()
    wait_until(lambda: follows(replicas[0]), within=60, what="a replica is back")
