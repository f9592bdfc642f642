"""The cap steered while real workers run: what an operator does over HTTP, as the witness sees it."""

from __future__ import annotations

import signal
import time
from datetime import datetime
from typing import Any

import httpx2
import pytest

from tests.facts import wait_until
from tests.fleet import Fleet, ended, job, submit
from tests.servers import Server
from tests.witness import Witness

CAP = "/jobs/concurrency"
# Claims follow a change at once, by the server's clock; without a wake a worker would look after 500 ms.
AT_ONCE_SECONDS = 0.3


def put(front: httpx2.Client, cap: int, path: str = CAP, **fields: Any) -> dict[str, Any]:
    answer = front.put(path, json={"max_concurrent": cap, **fields})
    assert answer.status_code == 200, answer.text
    view: dict[str, Any] = answer.json()
    return view


def cancel(front: httpx2.Client, jobs: list[str]) -> None:
    for job_id in reversed(jobs):
        front.post(f"/jobs/{job_id}/cancel")


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def starts(front: httpx2.Client, jobs: list[str]) -> list[float]:
    """When those that have started did, by the server's clock."""
    found = (job(front, job_id)["started_at"] for job_id in jobs)
    return sorted(moment(text) for text in found if text is not None)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_raised_cap_is_filled_at_once_over_all_workers(fleet: Fleet, witness: Witness, workers: int) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="2")
    for _ in range(workers):
        fleet.worker()
    jobs = [submit(front, "Hold", seconds=600) for _ in range(20)]
    wait_until(lambda: witness.alive == 2, what="the first two")
    at = moment(put(front, 8)["override"]["at"])
    wait_until(lambda: witness.alive == 8, what="eight bodies")
    late = [began - at for began in starts(front, jobs)[2:]]
    assert len(late) == 6
    assert max(late) < AT_ONCE_SECONDS, late
    view = front.get(CAP).json()
    assert (view["running_jobs"], view["available_slots"], view["pending_jobs"]) == (8, 0, 12)
    assert sum(worker["running"] for worker in view["workers"]) == 8
    assert view["algorithms"]["Hold"]["running"] == 8
    cancel(front, jobs)
    wait_until(lambda: witness.alive == 0, what="all ended")
    assert witness.peak == 8


@pytest.mark.slow
def test_a_lowered_cap_lets_run_what_runs_and_starts_nothing_until_below(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="4")
    fleet.worker()
    jobs = [submit(front, "Hold", seconds=600) for _ in range(6)]
    wait_until(lambda: witness.alive == 4, what="four bodies")
    view = put(front, 2)
    assert (view["running_jobs"], view["available_slots"], view["max_concurrent"]) == (4, 0, 2)
    running = [job_id for job_id in jobs if job(front, job_id)["status"] == "running"]
    for left, job_id in [(3, running[0]), (2, running[1])]:
        cancel(front, [job_id])
        wait_until(lambda left=left: fleet.running() == left, what="one less")
    submit_time = time.monotonic()
    wait_until(lambda: time.monotonic() > submit_time + 0.7, what="longer than a worker's slowest look")
    assert (witness.seen, witness.alive) == (4, 2), "one was started, or killed"
    cancel(front, [running[2]])
    wait_until(lambda: witness.seen == 5, what="the next starts below the cap")
    assert witness.alive == 2
    cancel(front, jobs)
    wait_until(lambda: witness.alive == 0, what="all ended")


@pytest.mark.slow
def test_pause_and_resume(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front()
    fleet.worker()
    put(front, 0, reason="maintenance")
    job_id = submit(front, "Hold", seconds=0)
    began = time.monotonic()
    wait_until(lambda: time.monotonic() > began + 0.7, what="longer than a worker's slowest look")
    assert (job(front, job_id)["status"], witness.seen) == ("pending", 0)
    answer = front.delete(CAP)
    assert (answer.json()["max_concurrent"], answer.json()["override"]) == (10, None)
    at = moment(front.get(CAP + "/audit").json()["audit"][0]["at"])
    assert ended(front, job_id)["status"] == "completed"
    assert starts(front, [job_id])[0] - at < AT_ONCE_SECONDS


@pytest.mark.slow
def test_a_pause_with_a_ttl_ends_by_itself_and_the_slots_fill(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="3")
    fleet.worker()
    override = put(front, 0, ttl=1.5)["override"]
    jobs = [submit(front, "Hold", seconds=600) for _ in range(5)]
    over = moment(override["expires_at"])
    wait_until(lambda: witness.alive == 3, what="the slots fill, nobody having done anything")
    began = starts(front, jobs)
    assert over <= began[0] <= began[-1] < over + AT_ONCE_SECONDS, [one - over for one in began]
    wait_until(lambda: front.get(CAP + "/audit").json()["audit"][0]["change"] == "expired", what="it is told")
    cancel(front, jobs)
    wait_until(lambda: witness.alive == 0, what="all ended")


@pytest.mark.slow
def test_workers_told_another_cap_leave_an_override_alone(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="3")
    wait_until(lambda: front.get(CAP).json()["configured"] == 3, what="the front end has told its cap")
    put(front, 2, reason="steady")
    fleet.worker(MAX_CONCURRENT_JOBS="5")
    view = front.get(CAP).json()
    assert (view["max_concurrent"], view["configured"], view["override"]["value"]) == (2, 5, 2)
    jobs = [submit(front, "Hold", seconds=600) for _ in range(8)]
    fleet.worker(MAX_CONCURRENT_JOBS="7")
    fleet.worker()
    wait_until(lambda: witness.alive == 2, what="two bodies")
    view = front.get(CAP).json()
    assert (view["max_concurrent"], view["configured"], view["running_jobs"]) == (2, 7, 2)
    told = [worker["configured"] for worker in view["workers"]]
    assert sorted(told, key=str) == [5, 7, None], "who was told another cap is not shown"
    changes = [
        (entry["change"], entry["from"], entry["to"]) for entry in front.get(CAP + "/audit").json()["audit"]
    ]
    assert changes == [("configured", 5, 7), ("configured", 3, 5), ("set", 3, 2), ("configured", None, 3)]
    front.delete(CAP)
    wait_until(lambda: witness.alive == 7, what="what was configured last is in force")
    cancel(front, jobs)
    wait_until(lambda: witness.alive == 0, what="all ended")
    assert witness.peak == 7


def test_an_algorithm_at_its_cap_blocks_nobody_behind_it(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front()
    fleet.worker()
    put(front, 1, CAP + "/algorithms/Hold")
    blocked = [submit(front, "Hold", seconds=600) for _ in range(20)]
    wait_until(lambda: witness.alive == 1, what="one body")
    other = ended(front, submit(front, "Add", a=1, b=2))
    assert other["wait_seconds"] < AT_ONCE_SECONDS
    assert witness.alive == 1
    raised = put(front, 3, CAP + "/algorithms/Hold")["algorithms"]["Hold"]["override"]
    wait_until(lambda: witness.alive == 3, what="the raised cap of its own is filled")
    late = [began - moment(raised["at"]) for began in starts(front, blocked)[1:]]
    assert max(late) < AT_ONCE_SECONDS, late
    front.delete(CAP + "/algorithms/Hold")
    wait_until(lambda: witness.alive == 10, what="the fleet's cap is all that is left")
    cancel(front, blocked)
    wait_until(lambda: witness.alive == 0, what="all ended")


@pytest.mark.slow
def test_a_drained_worker_takes_none_while_another_takes_all(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front()
    for _ in range(2):
        fleet.worker()
    drained, other = (worker["name"] for worker in front.get("/workers").json()["workers"])
    held = submit(front, "Hold", seconds=600)
    wait_until(lambda: job(front, held)["status"] == "running", what="it runs")
    if job(front, held)["worker"] != drained:
        drained, other = other, drained
    assert front.post(f"/workers/{drained}/drain").json()["draining"] is True
    done = [ended(front, submit(front, "Add", a=number, b=1)) for number in range(10)]
    assert {one["worker"] for one in done} == {other}
    assert job(front, held)["status"] == "running", "what it had was taken from it"
    front.post(f"/workers/{other}/drain")
    waiting = submit(front, "Add", a=1, b=1)
    began = time.monotonic()
    wait_until(lambda: time.monotonic() > began + 0.7, what="longer than a worker's slowest look")
    assert job(front, waiting)["status"] == "pending"
    last = submit(front, "Add", a=1, b=1)  # it woke them: their slow look is half a second away
    before = fleet.redis.time()
    front.post(f"/workers/{drained}/resume")
    assert ended(front, waiting)["worker"] == drained
    assert ended(front, last)["worker"] == drained
    assert starts(front, [waiting])[0] - (before[0] + before[1] / 1e6) < AT_ONCE_SECONDS
    cancel(front, [held])
    wait_until(lambda: witness.alive == 0, what="all ended")


@pytest.mark.slow
def test_a_drain_outlasts_an_outage(own_fleet: Fleet, own_server: Server) -> None:
    front = own_fleet.front()
    worker = own_fleet.worker()
    (row,) = front.get("/workers").json()["workers"]
    front.post(f"/workers/{row['name']}/drain")
    (before,) = own_fleet.redis.hkeys(own_fleet.keys.leases)
    worker.kill(signal.SIGSTOP)
    wait_until(lambda: not own_fleet.redis.hlen(own_fleet.keys.leases), what="its lease is given away")
    worker.kill(signal.SIGCONT)
    (after,) = wait_until(lambda: own_fleet.redis.hkeys(own_fleet.keys.leases), what="it begins another")
    assert after != before
    waiting = submit(front, "Add", a=1, b=1)
    began = time.monotonic()
    wait_until(lambda: time.monotonic() > began + 0.7, what="longer than a worker's slowest look")
    assert job(front, waiting)["status"] == "pending"
    assert [one["draining"] for one in front.get("/workers").json()["workers"]] == [True]
    front.post(f"/workers/{row['name']}/resume")
    assert ended(front, waiting)["status"] == "completed"


@pytest.mark.slow
def test_a_declared_cap_of_one_runs_one_at_a_time_and_blocks_nobody(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front()
    for _ in range(2):
        fleet.worker()
    entry = front.get("/algorithms/HoldAlone").json()
    assert (entry["max_concurrent"], entry["rate"]) == (1, None)
    blocked = [submit(front, "HoldAlone", seconds=600) for _ in range(20)]
    wait_until(lambda: witness.alive == 1, what="one body")
    assert ended(front, submit(front, "Add", a=1, b=2))["wait_seconds"] < AT_ONCE_SECONDS
    own = front.get(CAP).json()["algorithms"]["HoldAlone"]
    assert (own["running"], own["max_concurrent"], own["declared"]) == (1, 1, 1)
    cancel(front, blocked)
    wait_until(lambda: witness.alive == 0, what="all ended")
    assert witness.peak == 1


@pytest.mark.slow
def test_a_rate_holds_in_every_window_over_all_workers(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front()
    for _ in range(2):
        fleet.worker()
    jobs = [submit(front, "Seldom") for _ in range(10)]
    assert front.get(CAP).json()["algorithms"]["Seldom"]["rate"] == "3/second"
    assert {ended(front, job_id)["status"] for job_id in jobs} == {"completed"}
    began = starts(front, jobs)
    gaps = [later - earlier for earlier, later in zip(began, began[3:], strict=False)]
    assert min(gaps) >= 0.999, "four started within a second"  # starts are told in whole milliseconds
    assert max(gaps) < 1 + AT_ONCE_SECONDS, "a start that was free was not taken"
    assert witness.seen == 10
