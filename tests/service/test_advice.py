"""GET /jobs/concurrency/advice, and `slotwise size`, on a real fleet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from tests.facts import wait_until
from tests.fleet import Fleet, ended, submit


def size(fleet: Fleet, *arguments: str) -> str:
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | fleet.settings
    command = [str(Path(sys.executable).with_name("slotwise")), "size", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=True).stdout


def test_measured_figures_of_a_real_fleet(fleet: Fleet) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="2")
    fleet.worker(WORKER_SLOTS="6")
    jobs = [submit(front, "Spin", seconds=0.1) for _ in range(6)]
    jobs += [submit(front, "Allocate", mb=64) for _ in range(2)]
    jobs += [submit(front, "HoldAsync", seconds=0.05)]
    assert {ended(front, job_id)["status"] for job_id in jobs} == {"completed"}
    told = front.get("/jobs/concurrency/advice", params={"max_concurrent": "5"}).json()
    spin, allocate = told["algorithms"]["Spin"], told["algorithms"]["Allocate"]
    assert spin["hold_seconds"] > 0.1
    assert 0 < spin["cpu_share"] < 1.2
    assert 40 < allocate["peak_memory_mb"] < 100  # the pages that it shares with its parent do not count
    assert told["algorithms"]["HoldAsync"]["cpu_share"] is None
    assert told["limits"]["worker_slots"] == 6
    assert told["limits"]["memory"] == told["hosts"][0]["memory_free_mb"] // allocate["peak_memory_mb"]
    assert told["hosts"][0]["cores"] * 1.5 <= told["limits"]["cpu"] <= told["hosts"][0]["cores"] * 10
    assert told["enough"] <= 6
    wait_until(
        lambda: front.get("/jobs/concurrency/advice").json()["algorithms"]["Spin"]["jobs_per_second"],
        within=15,
        what="a rate, once it was kept for long enough",
    )
    told = front.get("/jobs/concurrency/advice", params={"max_concurrent": "5"}).json()
    assert {2, 4, 5, 6} <= {one["max_concurrent"] for one in told["outlook"]}
    printed = json.loads(size(fleet, "--json", "5"))
    assert {name: type(value) for name, value in printed.items()} == {name: type(told[name]) for name in printed}
    for name in ("cap", "worker_slots", "cpu", "memory"):  # the demand falls while nothing comes
        assert printed["limits"][name] == told["limits"][name]
    text = size(fleet)
    assert "gains nothing" in text
    assert " Spin\n" in text


async def test_nothing_is_known_of_a_new_service(client: AsyncClient) -> None:
    told = (await client.get("/jobs/concurrency/advice")).json()
    assert (told["binds"], told["enough"], told["outlook"], told["hosts"]) == ("no_worker", None, [], [])
    assert told["missing"] == [
        "No worker is there: start one.",
        "For how long jobs hold their slots: none has ended yet.",
    ]


@pytest.mark.parametrize("query", ["max_concurrent=0", "max_concurrent=x", "max_concurrent=", "cap=3"])
async def test_a_query_that_is_not_valid(client: AsyncClient, query: str) -> None:
    answer = await client.get(f"/jobs/concurrency/advice?{query}")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
