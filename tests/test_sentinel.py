"""Two servers, three sentinels, and one failover under a fleet that reaches them by redis+sentinel://."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import redis

from slotwise import binary
from tests.facts import wait_until
from tests.fleet import Fleet, ended, submit
from tests.servers import Server, free_port
from tests.witness import ADDRESS, Witness

QUORUM = 2


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    """A master and its replica."""
    made: list[Server] = []
    try:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            of = ("--replicaof", f"127.0.0.1 {made[0].port}") if made else ()
            made.append(Server(tmp_path / name, options=("--repl-diskless-sync-delay", "0", *of)))
            made[-1].start()
        wait_until(
            lambda: made[1].client.info("replication")["master_link_status"] == "up", within=30, what="it follows"
        )
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
            directory = tmp_path / f"sentinel-{port}"
            directory.mkdir()
            conf = directory / "sentinel.conf"
            conf.write_text(
                f"port {port}\nbind 127.0.0.1\n"
                f"sentinel monitor jobs 127.0.0.1 {servers[0].port} {QUORUM}\n"
                "sentinel down-after-milliseconds jobs 1000\nsentinel failover-timeout jobs 5000\n"
            )
            processes.append(
                subprocess.Popen(
                    [str(binary.find_binary()), str(conf), "--sentinel"], stdout=subprocess.DEVNULL, cwd=directory
                )
            )
        wait_until(lambda: all(map(knows_the_others, ports)), within=30, what="the sentinels know each other")
        yield ports
    finally:
        for process in processes:
            process.kill()
            process.wait()


def knows_the_others(port: int) -> bool:
    try:
        with redis.Redis(port=port) as sentinel:
            state = sentinel.sentinel_master("jobs")
            return int(state["num-other-sentinels"]) == 2 and int(state["num-slaves"]) == 1
    except redis.RedisError:
        return False


@pytest.mark.slow
def test_a_fleet_follows_a_failover(
    servers: list[Server], sentinels: list[int], witness: Witness, tmp_path: Path
) -> None:
    hosts = ",".join(f"127.0.0.1:{port}" for port in sentinels)
    fleet = Fleet(servers[0].url, tmp_path)
    fleet.settings[ADDRESS] = witness.address
    try:
        fleet.settings["REDIS_URL"] = f"redis+sentinel://{hosts}/jobs/0"
        worker = fleet.worker()
        wait_until(
            lambda: fleet.worker(flags=("--check",)).wait() == 0, within=30, what="arq's own check is content"
        )
        front = fleet.front()
        assert ended(front, submit(front, "Add", a=1, b=2))["result"] == 3
        running = submit(front, "Hold", seconds=1)
        assert servers[0].client.wait(1, 5_000) == 1, "the replica has it all"
        servers[0].kill()
        wait_until(
            lambda: servers[1].client.info("replication")["role"] == "master", within=60, what="the replica leads"
        )
        fleet.redis.close()
        fleet.redis = redis.Redis.from_url(servers[1].url)
        wait_until(lambda: front.get("/readyz").status_code == 200, within=60, what="the front end is back")
        wait_until(lambda: takes(front), within=60, what="it takes jobs")
        assert ended(front, submit(front, "Add", a=3, b=4), within=60)["result"] == 7
        assert ended(front, running, within=60)["status"] == "completed"
        assert worker.alive
        assert fleet.running() == 0
    finally:
        fleet.close()


def takes(front: httpx2.Client) -> bool:
    return bool(front.post("/jobs", json={"algorithm": "Add", "params": {"a": 1, "b": 1}}).status_code == 202)
