"""The service as it is run: real workers by the `arq` command, real front ends, a witness outside Redis."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.facts import wait_until
from tests.fleet import Fleet, ended, job, submit
from tests.proxy import Proxy
from tests.servers import Server
from tests.witness import Witness
from worker import tree


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
    held = [submit(fronts[i % 2], "HoldAsync" if i % 4 else "Hold", seconds=600) for i in range(10)]
    for _ in range(3):
        fleet.worker()
    for job_id in jobs:
        assert ended(fronts[0], job_id, within=90)["status"] == "completed"
    for left in (10, 5):
        wait_until(lambda: witness.alive == 5, what="no slot idles while work waits")
        for job_id in [job_id for job_id in held if job(fronts[1], job_id)["status"] == "running"]:
            fronts[0].post(f"/jobs/{job_id}/cancel")
            assert ended(fronts[0], job_id)["status"] == "cancelled"
        assert len([1 for job_id in held if job(fronts[1], job_id)["status"] != "cancelled"]) == left - 5
    assert witness.seen == 210
    assert witness.peak == 5
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
    ("RaisesUnprintable", {}, "exception", "its message raised RuntimeError"),
    ("RaisesBeyond", {}, "exception", "BeyondException: not an Exception"),
    ("ExitsAsync", {}, "crashed", "sys.exit(5)"),
    ("Nested", {"depth": 201}, "bad_result", "recursion limit"),
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


@pytest.mark.slow
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


def test_a_failed_job_is_retried_and_completes(fleet: Fleet, tmp_path: Path) -> None:
    front = fleet.front()
    fleet.worker()
    job_id = submit(front, "ReadsFile", path=str(tmp_path / "later"))
    first = ended(front, job_id)
    assert (first["status"], first["error"]["type"], first["attempt"]) == ("failed", "exception", 1)
    (tmp_path / "later").write_text("here")
    assert front.post(f"/jobs/{job_id}/retry").status_code == 202
    found = ended(front, job_id)
    assert (found["status"], found["result"], found["error"]) == ("completed", "here", None)
    assert (found["attempt"], found["params"], found["created_at"]) == (1, first["params"], first["created_at"])
    assert found["started_at"] > first["completed_at"]
    assert front.delete(f"/jobs/{job_id}").status_code == 204
    assert front.get(f"/jobs/{job_id}").status_code == 404


def test_a_killed_worker(own_fleet: Fleet, witness: Witness) -> None:
    front = own_fleet.front()
    doomed = own_fleet.worker()
    jobs = [submit(front, "Hold", seconds=60, name="sync"), submit(front, "HoldAsync", seconds=60, name="async")]
    wait_until(lambda: witness.alive == 2, what="both bodies")
    own_fleet.worker()
    doomed.kill(signal.SIGKILL)
    wait_until(lambda: witness.alive == 0, within=1, what="its bodies are dead")
    wait_until(lambda: witness.alive == 2, what="its jobs run again")
    witness.let_go()
    found = [ended(front, job_id) for job_id in jobs]
    assert [one["status"] for one in found] == ["completed", "completed"]
    assert [one["attempt"] for one in found] == [1, 1], "a death burned an attempt"
    assert witness.seen == 4
    assert own_fleet.running() == 0


@pytest.mark.slow
def test_a_worker_stopped_past_its_lease_is_dead_before_its_jobs_run_again(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="2")
    stopped = fleet.worker()
    jobs = [submit(front, "Hold", seconds=60), submit(front, "HoldAsync", seconds=60)]
    wait_until(lambda: witness.alive == 2, what="both bodies")
    for pid in fleet.strays():  # the zygote and the body, too: nothing of it can act
        signal_stop(pid)
    stopped.kill(signal.SIGSTOP)
    fleet.worker()
    wait_until(lambda: witness.seen == 4, what="its jobs run again")
    assert witness.peak == 2
    witness.let_go()
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
    jobs = [submit(front, "Hold", seconds=60), submit(front, "HoldAsync", seconds=60)]
    wait_until(lambda: witness.alive == 2, what="both bodies")
    own_server.kill()
    wait_until(lambda: witness.alive == 0, within=3, what="the isolated worker has ended its bodies")
    own_server.start()
    wait_until(lambda: witness.alive == 2, what="its jobs run again")
    witness.let_go()
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
@pytest.mark.slow
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
    job_id = submit(front, "Hold", seconds=60)
    wait_until(lambda: witness.alive == 1, what="its body")
    os.kill(zygote_below(worker.popen.pid), signal.SIGKILL)
    wait_until(lambda: witness.seen == 2, what="it runs again")
    witness.let_go()
    found = ended(front, job_id)
    assert (found["status"], found["attempt"], witness.seen, witness.peak) == ("completed", 1, 2, 1)
    assert worker.alive


def zygote_below(worker: int) -> int:
    """A worker's only child is the guardian, whose only child is the zygote."""
    [guardian] = tree.children(worker)
    [zygote] = tree.children(guardian)
    return zygote


@pytest.mark.slow
def test_a_job_that_kills_its_zygote_every_time_is_lost_without_its_neighbours(
    fleet: Fleet, witness: Witness
) -> None:
    front = fleet.front()
    worker = fleet.worker()
    neighbours = [submit(front, "Hold", seconds=1) for _ in range(5)]
    wait_until(lambda: witness.alive == 5, what="the neighbours run")
    found = ended(front, submit(front, "KillsItsParent"), within=30)
    assert (found["status"], found["error"]["type"]) == ("failed", "lost")
    assert {ended(front, job_id, within=30)["status"] for job_id in neighbours} == {"completed"}
    assert ended(front, submit(front, "Add", a=1, b=2))["result"] == 3
    assert worker.alive


@pytest.mark.slow
def test_hundreds_of_jobs_started_at_once_are_no_dead_zygote(fleet: Fleet) -> None:
    fleet.settings["MAX_CONCURRENT_JOBS"] = "450"
    front = fleet.front()
    fleet.worker(flags=("--burst",)).wait()
    jobs = [submit(front, "Add", a=i, b=0) for i in range(450)]
    worker = fleet.worker()
    assert [ended(front, job_id, within=60)["result"] for job_id in jobs] == list(range(450))
    assert {job(front, job_id)["attempt"] for job_id in jobs} == {1}
    assert fleet.redis.hvals(fleet.keys.leases)
    assert worker.alive
    assert fleet.running() == 0


POISON = {
    "no object": b"[]",
    "no json": b"{",
    "pickle": b"\x80\x04N.",
    "empty object": b"{}",
    "try of a wrong type": b'{"t":"x","f":"Add","a":[1,2],"k":{},"et":1}',
    "time of a wrong type": b'{"t":null,"f":"Add","a":[1,2],"k":{},"et":"soon"}',
    "time beyond all bounds": b'{"t":null,"f":"Add","a":[1,2],"k":{},"et":1e300}',
    "arguments of a wrong type": b'{"t":null,"f":"Add","a":7,"k":{},"et":1}',
    "parameters of a wrong type": b'{"t":null,"f":"Add","a":[],"k":[1],"et":1}',
    "function of a wrong type": b'{"t":null,"f":{"x":1},"a":[],"k":{},"et":1}',
    "nothing": b"",
    "infinite": b'{"t":null,"f":"Add","a":[1e999,2],"k":{},"et":1}',
}


@pytest.mark.slow
def test_poisoned_payloads_and_ids_cost_their_own_job_only(fleet: Fleet) -> None:
    front = fleet.front()
    for name, payload in POISON.items():
        fleet.redis.set(f"arq:job:{name}", payload, ex=600)
        fleet.redis.zadd(fleet.keys.queue, {name: 1})
    for odd in (b"\xff\xfe", b"new\nline", b"x" * 2000, "漢/字 %2F".encode()):
        fleet.redis.set(b"arq:job:" + odd, b'{"t":null,"f":"Add","a":[1,2],"k":{},"et":1}', ex=600)
        fleet.redis.zadd(fleet.keys.queue, {odd: 2})
    worker = fleet.worker()
    assert ended(front, submit(front, "Add", a=20, b=22))["result"] == 42
    wait_until(lambda: fleet.redis.zcard(fleet.keys.queue) == 0, what="every poisoned job has ended")
    assert worker.alive
    for name in POISON:
        assert front.get(f"/jobs/{name}").json()["status"] == "failed", name
    assert front.get("/jobs/%E6%BC%A2%2F%E5%AD%97%20%252F").json()["result"] == 3
    assert fleet.running() == 0


@pytest.mark.slow
def test_declared_attempts_are_not_cut_short_by_arqs_own_limit(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker()
    answer = front.post("/jobs", json={"algorithm": "AsksSevenTimes", "max_attempts": 8})
    assert ended(front, answer.json()["job_id"])["result"] == 7


@pytest.mark.slow
def test_a_silent_link_is_given_up_on(fleet: Fleet, server: Server) -> None:
    proxy = Proxy(server.port)
    front = fleet.front()
    worker = fleet.worker(REDIS_URL=f"redis://127.0.0.1:{proxy.port}")
    proxy.silence()  # the links that are there say nothing any more; new ones work
    assert ended(front, submit(front, "Add", a=1, b=2), within=15)["result"] == 3
    worker.kill(signal.SIGTERM)
    worker.wait()
    proxy.close()


def test_a_lost_reply_to_a_submit_is_no_other_request(fleet: Fleet, server: Server) -> None:
    proxy = Proxy(server.port)
    front = fleet.front(REDIS_URL=f"redis://127.0.0.1:{proxy.port}")
    fleet.worker()
    submit(
        front, "Add", a=0, b=0
    )  # the server knows the script now: what is lost below is the reply to a real submit
    cut_before = proxy.cut
    proxy.swallow = lambda request: b"EVALSHA" in request and proxy.cut == cut_before
    answer = front.post("/jobs", json={"algorithm": "Add", "params": {"a": 1, "b": 2}})
    assert proxy.cut == cut_before + 1
    assert (answer.status_code, answer.headers.get("Idempotent-Replayed")) == (202, None)
    assert ended(front, answer.json()["job_id"])["result"] == 3
    fleet.close()
    proxy.close()


@pytest.mark.slow
def test_a_killed_jobs_slot_is_given_back_only_when_its_tree_is_gone(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="1")
    fleet.worker()
    for _ in range(3):
        seen = witness.seen
        first = submit(front, "Hostile")
        wait_until(lambda seen=seen: witness.seen == seen + 3, what="the whole tree is up")
        second = submit(front, "Hold", seconds=0.01, name="next")
        front.post(f"/jobs/{first}/cancel")
        assert ended(front, second)["status"] == "completed"
    assert witness.company["next"] == {1}, "a body began while the killed one's tree was alive"


@pytest.mark.slow
def test_the_default_lease(fleet: Fleet, witness: Witness) -> None:
    fleet.settings["LEASE_SECONDS"] = "10"
    front = fleet.front()
    doomed = fleet.worker()
    job_id = submit(front, "Hold", seconds=60)
    wait_until(lambda: witness.alive == 1, what="its body")
    fleet.worker()
    doomed.kill(signal.SIGKILL)
    wait_until(lambda: witness.seen == 2, within=12, what="it runs again within 12 s")
    witness.let_go()
    assert ended(front, job_id)["status"] == "completed"


@pytest.mark.slow
def test_a_coroutine_is_cancelled_once_and_may_clean_up(fleet: Fleet, witness: Witness) -> None:
    front = fleet.front()
    fleet.worker()
    job_id = submit(front, "CleansUp", key="done")
    wait_until(lambda: "body" in witness.names, what="it runs")
    front.post(f"/jobs/{job_id}/cancel")
    assert ended(front, job_id)["status"] == "cancelled"
    assert "done" in witness.names


def test_a_job_does_not_see_where_redis_is(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker()
    names = ended(front, submit(front, "Environment"))["result"]
    assert "PATH" in names
    assert "REDIS_URL" not in names


@pytest.mark.slow
def test_a_server_that_comes_back_empty_is_told_everything_again(own_fleet: Fleet, own_server: Server) -> None:
    front = own_fleet.front(MAX_CONCURRENT_JOBS="12")
    own_fleet.worker()
    assert ended(front, submit(front, "Add", a=1, b=2))["result"] == 3
    own_server.client.flushall()
    wait_until(lambda: "Add" in front.get("/algorithms").text, within=15, what="the algorithms are known again")
    wait_until(
        lambda: front.get("/jobs/concurrency/status").json()["max_concurrent"] == 12, within=15, what="the cap"
    )
    assert ended(front, submit(front, "Add", a=2, b=2))["result"] == 4


@pytest.mark.slow
def test_a_full_server_refuses_submits_and_is_drained_by_a_worker_that_comes(
    own_fleet: Fleet, own_server: Server
) -> None:
    front = own_fleet.front()
    own_fleet.worker(flags=("--burst",)).wait()
    jobs = [submit(front, "Add", a=i, b=0) for i in range(5)]
    own_server.client.config_set("maxmemory-policy", "noeviction")
    own_server.client.config_set("maxmemory", "1")
    refused = front.post("/jobs", json={"algorithm": "Add", "params": {"a": 1, "b": 1}})
    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/store-unavailable")
    worker = own_fleet.worker()
    assert [ended(front, job_id)["result"] for job_id in jobs] == list(range(5))
    own_server.client.config_set("maxmemory", "0")
    assert ended(front, submit(front, "Add", a=1, b=1))["result"] == 2
    assert worker.alive


@pytest.mark.slow
def test_the_log_level_holds_for_workers(fleet: Fleet) -> None:
    front = fleet.front()
    loud, quiet = fleet.worker(LOG_LEVEL="INFO"), fleet.worker(LOG_LEVEL="ERROR")
    ended(front, submit(front, "Raises"))
    assert "Starting worker" in loud.said()
    assert "Starting worker" not in quiet.said()
