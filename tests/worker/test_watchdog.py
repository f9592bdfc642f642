"""A body that blocks the event loop is named, with the place, and costs nobody a lease."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess

import pytest

from tests.facts import wait_until
from tests.fleet import Fleet, ended, submit
from tests.witness import Witness


@pytest.mark.slow
def test_who_blocks_the_loop_is_named_and_neighbours_keep_their_leases(fleet: Fleet, witness: Witness) -> None:
    """For longer than the lease of 2 s: the thread that renews it goes on."""
    fleet.settings["ALGORITHMS"] = "tests.zoo,tests.tough"
    front = fleet.front()
    worker = fleet.worker()
    neighbours = [submit(front, "Hold", seconds=4), submit(front, "HoldAsync", seconds=0.1)]
    wait_until(lambda: witness.seen == 2, what="the neighbours run")
    job_id = submit(front, "BlocksLoop", seconds=3)
    assert ended(front, job_id)["status"] == "completed"
    found = [ended(front, each) for each in neighbours]
    assert [(each["status"], each["attempt"]) for each in found] == [("completed", 1)] * 2
    assert witness.seen == 2, "a neighbour ran again"
    lines = [line for line in worker.said().splitlines() if job_id in line and '"loop_' in line]
    assert len(lines) == 2, worker.said()
    assert "tough.py:" in lines[0]
    assert "in BlocksLoop" in lines[0]
    assert '"loop_free"' in lines[1]


@pytest.mark.slow
def test_a_log_that_nobody_reads_costs_no_lease(fleet: Fleet) -> None:
    """It holds up the loop, and whoever wants to say so; the lease goes on."""
    front = fleet.front()
    path = fleet.directory / f"{len(fleet.processes)}-arq.log"
    os.mkfifo(path)
    unread = os.open(path, os.O_RDWR)
    fcntl.fcntl(unread, fcntl.F_SETPIPE_SZ, 4096)
    fleet.worker()
    for _ in range(60):
        submit(front, "Echo", value="x" * 60)
    wait_until(lambda: not select.select([], [unread], [], 0)[1], what="the log is full")
    [incarnation] = fleet.redis.hkeys(fleet.keys.leases)

    def renewals() -> int:
        found = fleet.redis.hget(fleet.keys.leases, incarnation)
        assert found is not None, "the lease is lost"
        return int(found.split()[0])

    before = renewals()
    wait_until(lambda: renewals() >= before + 6, what="it is renewed for longer than it is long")
    with subprocess.Popen(["cat", path], stdout=subprocess.DEVNULL) as reader:
        wait_until(lambda: fleet.running() == 0 and not fleet.redis.zcard(fleet.keys.queue), what="the jobs end")
        fleet.close()
        os.close(unread)
    assert reader.returncode == 0
