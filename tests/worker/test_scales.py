"""What jobs hold in RAM while they run, as the service tells it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.facts import wait_until
from tests.fleet import Fleet, submit
from worker import kernel

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not kernel.LINUX, reason="asks /proc")]

DAMAGED = [b"[1]", b"{", b'{"a": "1"}', b'{"a": -1}', b'{"a": 1e400}', b"\xff"]


def test_a_running_jobs_memory_is_that_of_all_its_processes(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker()
    weighed = submit(front, "HoldMemory", mb=60, below=40, seconds=600)
    on_the_loop = submit(front, "HoldAsync", seconds=600)

    def told() -> dict[str, Any]:
        return {job["job_id"]: job["memory_mb"] for job in front.get("/jobs/concurrency").json()["jobs"]}

    wait_until(lambda: (told().get(weighed) or 0) >= 100, within=20, what="both processes are weighed")
    assert told()[weighed] < 140
    assert told()[on_the_loop] is None

    [incarnation] = fleet.redis.hkeys(fleet.keys.leases)
    row = fleet.keys.worker(incarnation.decode())
    for damaged in DAMAGED:
        fleet.redis.hset(row, "weights", damaged)
        assert front.get("/jobs/concurrency").status_code == 200
    for job_id in (weighed, on_the_loop):
        front.post(f"/jobs/{job_id}/cancel")
    wait_until(lambda: fleet.redis.hget(row, "weights") == b"{}", within=20, what="nothing is weighed any more")
