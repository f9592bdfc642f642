"""A job's limits in real processes: what passes them is a named outcome, and nobody else notices."""

from __future__ import annotations

import re
import resource
from pathlib import Path
from typing import Any

import httpx2
import pytest

from slotwise.keys import RECORD
from tests.facts import wait_until
from tests.fleet import ROOT, Fleet, ended, submit
from tests.witness import Witness

pytestmark = pytest.mark.slow  # each with a fleet of its own


def bounded(client: httpx2.Client, algorithm: str, /, *, asked: dict[str, Any], **params: Any) -> str:
    """Submit a job with further fields: its id."""
    answer = client.post("/jobs", json={"algorithm": algorithm, "params": params} | asked)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


MEMORY = {"memory_mb": 64, "max_attempts": 3}
CPU = {"cpu_seconds": 0.3, "max_attempts": 3}

PAST_A_LIMIT = [
    ("Allocate", MEMORY, {"mb": 1000}, "memory_limit"),
    ("Allocate", MEMORY, {"mb": 1000, "each": 500}, "memory_limit"),  # small pieces leave no room for the telling
    ("AllocateBounded", {}, {"mb": 300}, "memory_limit"),
    ("AllocateBounded", MEMORY, {"mb": 100}, "memory_limit"),
    ("AllocateInC", MEMORY, {"mb": 1000}, "memory_limit"),
    ("AllocateInC", MEMORY, {"mb": 1000, "heed": False}, "memory_limit"),  # ended by SIGSEGV
    ("MapPrivate", MEMORY, {"mb": 1000}, "memory_limit"),  # an OSError
    ("Large", {"memory_mb": 16}, {"size": 10_000_000}, "memory_limit"),  # the result has no room as a message
    ("Spin", CPU, {"seconds": 60}, "cpu_limit"),
    ("SpinStubbornly", CPU, {"seconds": 60}, "cpu_limit"),  # ended by SIGKILL
    ("SpinStubbornly", CPU, {"seconds": 0.5}, "cpu_limit"),  # it came to an end, past its limit
    ("SpinStubbornly", CPU, {"seconds": 60, "heed": True}, "cpu_limit"),
]

WITHIN = [
    ("Allocate", MEMORY, {"mb": 40}),
    ("Allocate", {}, {"mb": 300}),
    ("AllocateBounded", {}, {"mb": 200}),
    ("AllocateInC", MEMORY, {"mb": 40}),
    ("MapPrivate", MEMORY, {"mb": 40}),
    ("Spin", {"cpu_seconds": 30}, {"seconds": 0.3}),
    ("Hold", {"cpu_seconds": 0.5}, {"seconds": 1.0}),  # waiting uses no CPU
]


def test_a_job_past_its_limit_fails_by_name_and_its_neighbours_do_not_notice(
    fleet: Fleet, witness: Witness
) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="4")
    worker = fleet.worker()
    neighbours = [submit(front, "Hold", seconds=3), submit(front, "HoldAsync", seconds=3)]
    wait_until(lambda: witness.alive == 2, what="the neighbours")
    past = [
        (bounded(front, name, asked=asked, **params), kind, name, params)
        for name, asked, params, kind in PAST_A_LIMIT
    ]
    for job_id, kind, *case in past:
        found = ended(front, job_id, within=40)
        assert (found["status"], (found["error"] or {}).get("type")) == ("failed", kind), (case, found)
        assert found["attempt"] == 1, "it was tried again"
        assert found["error"]["detail"].startswith("limit ")
    assert [ended(front, job_id)["status"] for job_id in neighbours] == ["completed", "completed"]
    assert witness.seen == 2, "a neighbour ran again"
    assert worker.alive


def test_a_job_within_its_limit_completes(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker()
    jobs = [(bounded(front, name, asked=asked, **params), name) for name, asked, params in WITHIN]
    for job_id, name in jobs:
        found = ended(front, job_id)
        assert found["status"] == "completed", (name, found)


def test_cpu_time_is_counted_in_fractions_of_a_second(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker()
    found = ended(front, bounded(front, "Spin", asked={"cpu_seconds": 0.25}, seconds=60))
    used = re.fullmatch(r"limit 0\.25 s; it had used ([0-9.]+) s", found["error"]["detail"])
    assert used is not None, found
    assert 0.2 < float(used[1]) < 0.9, "RLIMIT_CPU alone would have let it have a second"


def test_what_it_had_is_told(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker()
    found = ended(front, bounded(front, "Allocate", asked={"memory_mb": 64}, mb=100))
    told = re.match(r"limit 64 MB; it had (\d+) MB and asked for more\n\nTraceback", found["error"]["detail"])
    assert told is not None, found
    assert 48 <= int(told[1]) <= 80


def test_a_request_without_limits_has_those_that_are_declared(fleet: Fleet) -> None:
    """The record of a job from before they were declared, or of a stock client's, has none."""
    front = fleet.front()
    fleet.worker(flags=("--burst",)).wait()
    job_id = submit(front, "AllocateBounded", mb=300)
    fleet.redis.hdel(RECORD + job_id, "memory_mb", "cpu_seconds")
    fleet.worker()
    assert ended(front, job_id)["error"]["type"] == "memory_limit"


def test_a_system_that_cannot_limit_memory_says_so_once(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text(
        "import worker.kernel\n\nworker.kernel.LINUX = False\nfrom worker.settings import WorkerSettings\n"
    )
    line = '"memory_unbounded"'
    here = fleet.worker()
    there = fleet.worker(target="elsewhere.WorkerSettings", PYTHONPATH=f"{ROOT}:{tmp_path}")
    wait_until(lambda: line in there.said(), what="the line")
    assert (here.said().count(line), there.said().count(line)) == (0, 1)


def test_limits_without_a_process_of_their_own_are_refused(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker()
    answer = front.post("/jobs", json={"algorithm": "Nested", "params": {"depth": 1}, "cpu_seconds": 1})
    assert (answer.status_code, [row["pointer"] for row in answer.json()["errors"]]) == (422, ["#/cpu_seconds"])
    assert "Nested runs inside the worker (loop)" in answer.json()["errors"][0]["detail"]


def test_no_job_dumps_core_and_only_a_limited_one_is_bound(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker()
    free = ended(front, submit(front, "SoftLimits"))["result"]
    bound = ended(front, bounded(front, "SoftLimits", asked={"memory_mb": 64, "cpu_seconds": 1.5}))["result"]
    assert free == [0, *(resource.getrlimit(what)[0] for what in (resource.RLIMIT_DATA, resource.RLIMIT_CPU))]
    assert bound[0] == 0
    assert 64 << 20 < bound[1] < 1 << 30
    assert bound[2] == 2


def test_an_algorithm_that_cannot_have_its_limit_ends_the_worker_with_one_line(
    fleet: Fleet, tmp_path: Path
) -> None:
    (tmp_path / "wrong.py").write_text(
        "from slotwise import algorithm\n\n\n@algorithm(memory_mb=64)\nasync def Wrong() -> None: ...\n"
    )
    worker = fleet.worker(flags=("--burst",), ALGORITHMS="wrong", PYTHONPATH=f"{ROOT}:{tmp_path}")
    assert worker.wait() == 2
    [line] = worker.said().splitlines()
    assert line.startswith("slotwise: algorithm 'Wrong' cannot be used: memory_mb can limit a process of its own")


def test_what_the_service_allows_binds_every_job_wherever_it_came_from(fleet: Fleet) -> None:
    """The worker has the last word: the front end is told nothing here."""
    front = fleet.front()
    fleet.worker(MAX_MEMORY_MB="64", MAX_CPU_SECONDS="1.5", MAX_TIMEOUT="1", MAX_OPEN_FILES="99")
    jobs = [
        (submit(front, "Allocate", mb=300), "memory_limit"),
        (bounded(front, "Allocate", asked={"memory_mb": 1024}, mb=300), "memory_limit"),
        (bounded(front, "Hold", asked={"timeout": 60}, seconds=60), "timeout"),
        (submit(front, "HoldAsync", seconds=60), "timeout"),
    ]
    for job_id, kind in jobs:
        assert ended(front, job_id)["error"]["type"] == kind
    assert ended(front, submit(front, "OpenFiles"))["result"] == 99
    assert ended(front, submit(front, "SoftLimits"))["result"][2] == 2


@pytest.mark.parametrize("broken", [{"memory_mb": 257}, {"cpu_seconds": 60.5}])
def test_a_request_never_widens_what_the_algorithm_declares(fleet: Fleet, broken: dict[str, Any]) -> None:
    front = fleet.front()
    fleet.worker(flags=("--burst",)).wait()
    answer = front.post("/jobs", json={"algorithm": "AllocateBounded", "params": {"mb": 1}} | broken)
    [row] = answer.json()["errors"]
    assert (answer.status_code, row["pointer"]) == (422, f"#/{next(iter(broken))}")
    assert "the maximum that AllocateBounded declares" in row["detail"]
