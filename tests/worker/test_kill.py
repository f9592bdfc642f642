"""How bodies are brought to their end: asked, told, killed; nothing of them is left, whoever else dies."""

from __future__ import annotations

import os
import signal

import httpx2
import pytest

from tests.facts import wait_until
from tests.fleet import Fleet, ended, submit
from tests.witness import Witness
from tests.worker.test_fleet import zygote_below
from worker import tree


@pytest.fixture
def front(fleet: Fleet) -> httpx2.Client:
    fleet.settings["ALGORITHMS"] = "tests.zoo,tests.tough"
    return fleet.front()


def begun(front: httpx2.Client, witness: Witness, algorithm: str, alive: int) -> str:
    """The id of a job whose processes are all up."""
    job_id = submit(front, algorithm, name=algorithm)
    wait_until(lambda: witness.alive == alive, what=f"{algorithm} is up")
    return job_id


def steps(front: httpx2.Client, job_id: str) -> list[str]:
    """Of the job's last attempt; their times must be in order."""
    told = front.get(f"/jobs/{job_id}/explain").json()["attempts"][-1]["kill_steps"]
    assert [each["at"] for each in told] == sorted(each["at"] for each in told)
    return [each["step"] for each in told]


WAYS = [
    ("Tidies", 1, ["cancel", "gone"]),
    ("Swallows", 1, ["cancel", "gone"]),
    ("SwallowsAsync", 1, ["cancel", "gone"]),
    ("Thread", 1, ["cancel", "gone"]),
    ("HeedsSigterm", 2, ["cancel", "SIGTERM", "gone"]),
    ("Deaf", 3, ["cancel", "SIGTERM", "SIGKILL", "gone"]),
    ("NoGrace", 3, ["SIGKILL", "gone"]),
]


def test_each_is_gone_after_the_steps_that_it_takes(fleet: Fleet, front: httpx2.Client, witness: Witness) -> None:
    worker = fleet.worker()
    for algorithm, alive, expected in WAYS:
        job_id = begun(front, witness, algorithm, alive)
        assert front.post(f"/jobs/{job_id}/cancel").status_code == 202
        found = ended(front, job_id)
        assert (found["status"], found["result"]) == ("cancelled", None), algorithm
        wait_until(lambda: witness.alive == 0, within=1, what=f"nothing of {algorithm} is alive")
        assert steps(front, job_id) == expected, algorithm
    assert {"tidied", "child tidied"} <= set(witness.names), "who had time to tidy up did"
    assert worker.alive
    assert fleet.running() == 0


def test_a_timeout_takes_the_same_steps(fleet: Fleet, front: httpx2.Client) -> None:
    fleet.worker()
    answer = front.post("/jobs", json={"algorithm": "Swallows", "params": {"name": "late"}, "timeout": 0.3})
    found = ended(front, answer.json()["job_id"])
    assert (found["status"], found["error"]["type"]) == ("failed", "timeout")
    assert steps(front, found["job_id"]) == ["cancel", "gone"]


def test_the_service_may_give_no_grace(fleet: Fleet, front: httpx2.Client, witness: Witness) -> None:
    fleet.worker(CANCEL_GRACE_SECONDS="0", KILL_GRACE_SECONDS="0")
    job_id = begun(front, witness, "Tidies", 1)
    front.post(f"/jobs/{job_id}/cancel")
    assert ended(front, job_id)["status"] == "cancelled"
    assert steps(front, job_id) == ["SIGKILL", "gone"]


@pytest.mark.slow
@pytest.mark.parametrize("drain", ["0", "0.1"])
def test_a_body_that_its_worker_leaves_knows_it(
    fleet: Fleet, front: httpx2.Client, witness: Witness, drain: str
) -> None:
    worker = fleet.worker(DRAIN_SECONDS=drain)
    begun(front, witness, "ThreadSees", 1)
    begun(front, witness, "LoopSees", 2)
    worker.kill(signal.SIGTERM)
    worker.wait()
    assert {"thread True", "loop True"} <= set(witness.names)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "guardian", "zygote"])
def test_whoever_is_killed_nothing_of_a_job_is_left(
    fleet: Fleet, front: httpx2.Client, witness: Witness, victim: str
) -> None:
    """Whatever it carries, and in whatever session it is."""
    worker = fleet.worker().popen.pid
    job_id = begun(front, witness, "Deaf", 3)
    fleet.worker()
    zygote = zygote_below(worker)
    [guardian] = tree.children(worker)
    front.post(f"/jobs/{job_id}/cancel")  # so that nobody runs it again
    os.kill({"worker": worker, "guardian": guardian, "zygote": zygote}[victim], signal.SIGKILL)
    wait_until(lambda: witness.alive == 0, within=3, what="nothing of the job is alive")
    assert ended(front, job_id)["status"] == "cancelled"


@pytest.mark.slow
def test_all_stopped_past_the_lease_nothing_of_a_job_is_left(
    fleet: Fleet, front: httpx2.Client, witness: Witness
) -> None:
    worker = fleet.worker()
    first = begun(front, witness, "Deaf", 3)
    stopped = fleet.strays()
    fleet.worker()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    worker.kill(signal.SIGSTOP)
    wait_until(lambda: witness.seen >= 4, within=10, what="it runs again")
    assert witness.company["Deaf"] <= {1, 2, 3}
    wait_until(lambda: witness.alive == 3, what="the second is up")
    assert witness.peak == 3, "something of the first was alive beside the second"
    worker.kill(signal.SIGCONT)
    front.post(f"/jobs/{first}/cancel")
    assert ended(front, first)["status"] == "cancelled"
