"""A body that blocks the event loop is named, with the place, and costs nobody a lease."""

from __future__ import annotations

from tests.facts import wait_until
from tests.fleet import Fleet, ended, submit
from tests.witness import Witness


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
    lines = [line for line in worker.said().splitlines() if f"{job_id}:BlocksLoop block" in line]
    assert len(lines) == 2, worker.said()
    assert "tough.py:" in lines[0]
    assert "in BlocksLoop" in lines[0]
    assert "blocked the event loop for" in lines[1]
