"""The service as it is run: real workers by the `arq` command, real front ends, a witness outside Redis."""

from __future__ import annotations

import signal
import time

import pytest

from tests.facts import wait_until
from tests.fleet import Fleet, ended, job, submit
from tests.proxy import Proxy
from tests.servers import Server
from tests.witness import Witness


def test_sixty_blocking_jobs_at_cap_sixty_are_alive_at_once(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="60")
    fleet.worker()
    jobs = [submit(front, "Hold", seconds=600) for _ in range(60)]
    wait_until(lambda: witness.alive == 60, within=30, what="60 bodies alive at once")
    assert front.get("/jobs/concurrency/status").json() == {
        "max_concurrent": 60,
        "available_slots": 0,
        "running_jobs": 60,
    }
    for job_id in jobs:
        assert front.post(f"/jobs/{job_id}/cancel").status_code == 202
    wait_until(lambda: witness.alive == 0, what="all killed")
    assert {ended(front, job_id)["status"] for job_id in jobs} == {"cancelled"}


@pytest.mark.slow
def test_the_cap_is_exact_over_two_front_ends_and_three_workers(fleet: Fleet, witness: Witness) -> None:
    fleet.settings["MAX_CONCURRENT_JOBS"] = "5"
    fronts = [fleet.front(), fleet.front()]
    fleet.worker(flags=("--burst",)).wait()  # its algorithms are known from now on
    jobs = [submit(fronts[i % 2], "HoldAsync" if i % 4 else "Hold", seconds=0.25) for i in range(200)]
    for _ in range(3):
        fleet.worker()
    for job_id in jobs:
        assert ended(fronts[0], job_id, within=90)["status"] == "completed"
    assert witness.seen == 200
    assert witness.peak == 5
    spent = [round(witness.seconds_at(alive), 2) for alive in range(1, 6)]
    assert spent[4] > sum(spent[:4]), f"the slots were not full most of the time: {spent}"
    assert [front.get("/jobs/concurrency/status").json()["running_jobs"] for front in fronts] == [0, 0]


@pytest.mark.slow
def test_two_jobs_at_cap_one_follow_each_other(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="1")
    fleet.worker()
    first, second = (submit(front, "Hold", seconds=0.3) for _ in range(2))
    one, two = ended(front, first), ended(front, second)
    assert one["completed_at"] <= two["started_at"]
    assert witness.peak == 1


def test_cancel_kills_the_whole_process_tree(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front()
    fleet.worker()
    job_id = submit(front, "Hostile")
    wait_until(lambda: witness.alive == 3, what="the body, its child and its grandchild")
    assert front.post(f"/jobs/{job_id}/cancel").status_code == 202
    assert ended(front, job_id)["status"] == "cancelled"
    assert witness.alive == 0 or wait_until(lambda: witness.alive == 0, within=1)
    assert fleet.running() == 0


@pytest.mark.slow
def test_a_timeout_kills_the_whole_process_tree(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front()
    fleet.worker()
    answer = front.post("/jobs", json={"algorithm": "Hostile", "timeout": 1.5})
    wait_until(lambda: witness.seen == 3, what="the whole tree is up")
    found = ended(front, answer.json()["job_id"])
    assert (found["status"], found["error"]["type"]) == ("failed", "timeout")
    wait_until(lambda: witness.alive == 0, within=1, what="nothing is left of it")


def test_a_coroutine_that_swallows_its_cancel_is_cancelled_all_the_same(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker()
    job_id = submit(front, "Stubborn")
    wait_until(lambda: job(front, job_id)["status"] == "running", what="it runs")
    assert front.post(f"/jobs/{job_id}/cancel").status_code == 202
    assert ended(front, job_id)["status"] == "cancelled"


OUTCOMES = [
    ("Raises", {"message": "boom"}, "exception", "ValueError: boom"),
    ("RaisesOdd", {}, "exception", "é 漢"),
    ("Exits", {"code": 7}, "crashed", "sys.exit(7)"),
    ("Dies", {"code": 9}, "crashed", "exit code 9"),
    ("Segfaults", {}, "crashed", "SIGSEGV"),
    ("NotJson", {}, "bad_result", "not JSON"),
    ("NotJsonAsync", {}, "bad_result", "unable to serialize"),
    ("NotANumber", {}, "bad_result", "not JSON"),
    ("Large", {"size": 10_000_000}, "bad_result", "MAX_RESULT_BYTES"),
    ("Large", {"size": 1_100_000}, "bad_result", "MAX_RESULT_BYTES"),
]


def test_what_a_body_can_do_is_a_named_outcome(fleet: Fleet) -> None:
    front = fleet.front()
    worker = fleet.worker()
    jobs = [(submit(front, name, **params), kind, text) for name, params, kind, text in OUTCOMES]
    for job_id, kind, text in jobs:
        found = ended(front, job_id)
        assert (found["status"], found["error"]["type"]) == ("failed", kind), found
        assert text in found["error"]["message"]
        assert found["result"] is None
    assert fleet.running() == 0
    assert ended(front, submit(front, "Large", size=1_000_000))["status"] == "completed"
    assert worker.alive


def test_each_job_has_a_process_of_its_own_and_knows_its_job(fleet: Fleet) -> None:
    front = fleet.front()
    worker = fleet.worker()
    found = [ended(front, submit(front, "WhoAmI")) for _ in range(3)]
    assert len({one["result"]["pid"] for one in found}) == 3
    assert worker.popen.pid not in {one["result"]["pid"] for one in found}
    assert all(one["result"]["job_id"] == one["job_id"] and one["result"]["attempt"] == 1 for one in found)
    assert 0 < found[0]["result"]["seconds"] <= 300


@pytest.mark.slow
def test_declared_attempts_and_retry(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker()
    jobs = [submit(front, "FailsTwice"), submit(front, "AsksAgain")]
    assert [ended(front, job_id)["result"] for job_id in jobs] == [3, 2]
    assert [job(front, job_id)["attempt"] for job_id in jobs] == [3, 2]


def test_a_killed_worker(own_fleet: Fleet, witness: Witness) -> None:
    front = own_fleet.front()
    doomed = own_fleet.worker()
    jobs = [submit(front, "Hold", seconds=3, name="sync"), submit(front, "HoldAsync", seconds=3, name="async")]
    wait_until(lambda: witness.alive == 2, what="both bodies")
    own_fleet.worker()
    doomed.kill(signal.SIGKILL)
    wait_until(lambda: witness.alive == 0, within=1, what="its bodies are dead")
    wait_until(lambda: witness.alive == 2, within=12, what="its jobs run again")
    found = [ended(front, job_id) for job_id in jobs]
    assert [one["status"] for one in found] == ["completed", "completed"]
    assert [one["attempt"] for one in found] == [1, 1], "a death burned an attempt"
    assert witness.seen == 4
    assert own_fleet.running() == 0


@pytest.mark.slow
def test_a_worker_stopped_past_its_lease_is_dead_before_its_jobs_run_again(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="2")
    stopped = fleet.worker()
    jobs = [submit(front, "Hold", seconds=4), submit(front, "HoldAsync", seconds=4)]
    wait_until(lambda: witness.alive == 2, what="both bodies")
    for pid in fleet.strays():  # the zygote and the body, too: nothing of it can act
        signal_stop(pid)
    stopped.kill(signal.SIGSTOP)
    fleet.worker()
    wait_until(lambda: witness.seen == 4, within=12, what="its jobs run again")
    assert witness.peak == 2
    assert [ended(front, job_id)["status"] for job_id in jobs] == ["completed", "completed"]
    stopped.wait(5)  # the kernel ended it


def signal_stop(pid: int) -> None:
    import os

    os.kill(pid, signal.SIGSTOP)


@pytest.mark.slow
def test_a_killed_server_loses_nothing_and_ends_nobody(
    own_fleet: Fleet, own_server: Server, witness: Witness
) -> None:
    front = own_fleet.front()
    worker = own_fleet.worker()
    jobs = [submit(front, "Hold", seconds=0.5) for _ in range(30)]
    wait_until(lambda: witness.seen >= 5, what="some have begun")
    own_server.kill()
    answer = front.post("/jobs", json={"algorithm": "Add", "params": {"a": 1, "b": 2}})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert front.get("/healthz").status_code == 200
    own_server.start()
    wait_until(lambda: front.get("/readyz").status_code == 200, what="the front end is back")
    assert {ended(front, job_id, within=30)["status"] for job_id in jobs} == {"completed"}
    assert worker.alive
    assert own_fleet.running() == 0


@pytest.mark.slow
def test_an_outage_longer_than_the_lease_ends_bodies_and_runs_them_again(
    own_fleet: Fleet, own_server: Server, witness: Witness
) -> None:
    front = own_fleet.front()
    worker = own_fleet.worker()
    jobs = [submit(front, "Hold", seconds=4), submit(front, "HoldAsync", seconds=4)]
    wait_until(lambda: witness.alive == 2, what="both bodies")
    own_server.kill()
    wait_until(lambda: witness.alive == 0, within=3, what="the isolated worker has ended its bodies")
    own_server.start()
    found = [ended(front, job_id, within=30) for job_id in jobs]
    assert [one["status"] for one in found] == ["completed", "completed"]
    assert [one["attempt"] for one in found] == [1, 1]
    assert worker.alive


@pytest.mark.slow
def test_lost_replies_make_no_ghost_and_no_double(fleet: Fleet, server: Server, witness: Witness) -> None:
    proxy = Proxy(server.port)
    calls = 0

    def every_third_exchange(request: bytes) -> bool:
        nonlocal calls
        if b"EVALSHA" not in request or b"arq:queue" not in request:
            return False
        calls += 1
        return calls % 3 == 0

    proxy.swallow = every_third_exchange
    front = fleet.front(MAX_CONCURRENT_JOBS="4")
    fleet.worker(REDIS_URL=f"redis://127.0.0.1:{proxy.port}")
    jobs = [submit(front, "HoldAsync" if i % 2 else "Hold", seconds=0.05, name=str(i)) for i in range(60)]
    assert {ended(front, job_id, within=60)["status"] for job_id in jobs} == {"completed"}
    assert proxy.cut >= 10
    assert witness.peak <= 4
    assert sorted(witness.names, key=int) == [str(i) for i in range(60)], "a job ran twice, or not at all"
    wait_until(lambda: fleet.running() == 0, what="no ghost slot")
    proxy.swallow = lambda _: False
    for process in fleet.processes:
        process.kill(signal.SIGTERM)
    for process in fleet.processes:
        process.wait()
    proxy.close()


@pytest.mark.slow
def test_sigterm_lets_jobs_finish_within_the_drain(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front()
    worker = fleet.worker(DRAIN_SECONDS="20")
    jobs = [submit(front, "Hold", seconds=1), submit(front, "HoldAsync", seconds=1)]
    wait_until(lambda: witness.alive == 2, what="both bodies")
    worker.kill(signal.SIGTERM)
    wait_until(lambda: "allow_pick_jobs" in worker.said(), what="it drains")
    late = submit(front, "Add", a=1, b=2)
    assert worker.wait() == 0
    assert {job(front, job_id)["status"] for job_id in jobs} == {"completed"}
    assert job(front, late)["status"] == "pending"
    fleet.worker()
    assert ended(front, late)["result"] == 3


@pytest.mark.parametrize("drain", ["0", "0.5"])
def test_sigterm_hands_back_what_does_not_finish(fleet: Fleet, witness: Witness, drain: str) -> None:
    front = fleet.front()
    worker = fleet.worker(DRAIN_SECONDS=drain)
    jobs = [submit(front, "Hold", seconds=600), submit(front, "HoldAsync", seconds=600)]
    wait_until(lambda: witness.alive == 2, what="both bodies")
    worker.kill(signal.SIGTERM)
    worker.wait()
    assert witness.alive == 0
    found = [job(front, job_id) for job_id in jobs]
    assert [one["status"] for one in found] == ["pending", "pending"]
    assert [one["attempt"] for one in found] == [0, 0], "a deploy burned an attempt"
    assert fleet.running() == 0
    assert fleet.redis.hlen(fleet.keys.leases) == 0
    for job_id in jobs:
        assert front.post(f"/jobs/{job_id}/cancel").status_code == 200


@pytest.mark.slow
def test_the_status_is_the_same_from_every_process(fleet: Fleet, witness: Witness) -> None:
    fronts = [fleet.front(MAX_CONCURRENT_JOBS="3"), fleet.front()]
    fleet.worker()
    fleet.worker()
    jobs = [submit(fronts[0], "Hold", seconds=600) for _ in range(5)]
    wait_until(lambda: witness.alive == 3, what="three bodies")
    expected = {"max_concurrent": 3, "available_slots": 0, "running_jobs": 3}
    assert [front.get("/jobs/concurrency/status").json() for front in fronts] == [expected, expected]
    for job_id in reversed(jobs):
        fronts[1].post(f"/jobs/{job_id}/cancel")
    wait_until(lambda: witness.alive == 0, what="all ended")


@pytest.mark.slow
def test_a_worker_takes_no_more_than_its_own_slots(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="10")
    fleet.worker(WORKER_SLOTS="2")
    jobs = [submit(front, "Hold", seconds=0.3) for _ in range(6)]
    assert {ended(front, job_id)["status"] for job_id in jobs} == {"completed"}
    assert witness.peak == 2


def test_a_raised_cap_reaches_a_running_fleet(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="1")
    fleet.worker()
    jobs = [submit(front, "Hold", seconds=600) for _ in range(3)]
    wait_until(lambda: witness.alive == 1, what="one body")
    fleet.front(MAX_CONCURRENT_JOBS="3")
    wait_until(lambda: witness.alive == 3, what="three bodies")
    for job_id in jobs:
        front.post(f"/jobs/{job_id}/cancel")


def test_started_is_after_submitted_and_times_add_up(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker()
    before = time.time()
    found = ended(front, submit(front, "Add", a=1, b=2))
    assert found["created_at"] <= found["started_at"] <= found["completed_at"]
    assert 0 <= found["wait_seconds"] + found["run_seconds"] <= time.time() - before + 1


@pytest.mark.slow
def test_a_killed_zygote_takes_its_jobs_with_it_and_they_run_again(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front()
    worker = fleet.worker()
    job_id = submit(front, "Hold", seconds=1.5)
    wait_until(lambda: witness.alive == 1, what="its body")
    [zygote] = [pid for pid in fleet.strays() if parent_of(pid) == worker.popen.pid]
    os.kill(zygote, signal.SIGKILL)
    found = ended(front, job_id)
    assert (found["status"], found["attempt"], witness.seen, witness.peak) == ("completed", 1, 2, 1)
    assert worker.alive


def parent_of(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])


def test_a_job_that_kills_its_zygote_every_time_is_lost(fleet: Fleet) -> None:
    front = fleet.front()
    worker = fleet.worker()
    found = ended(front, submit(front, "KillsItsParent"), within=30)
    assert (found["status"], found["error"]["type"]) == ("failed", "lost")
    assert ended(front, submit(front, "Add", a=1, b=2))["result"] == 3
    assert worker.alive
