"""Jobs in threads: asked to end, and waited for; and what is said of one that does not."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from pathlib import Path

import httpx2
import pytest

from slotwise.errors import Cancelled
from tests.facts import wait_for, wait_until
from tests.fleet import Fleet, ended, job, submit
from tests.witness import Witness
from worker import thread
from worker.shortage import NoProcess


@pytest.fixture
def front(fleet: Fleet) -> httpx2.Client:
    fleet.settings |= {"ALGORITHMS": "tests.zoo,tests.tough", "MAX_CONCURRENT_JOBS": "1"}
    return fleet.front()


def test_a_thread_that_goes_on_keeps_its_slot_and_explain_says_so(
    fleet: Fleet, front: httpx2.Client, witness: Witness, tmp_path: Path
) -> None:
    fleet.worker()
    job_id = submit(front, "Thread", name=str(tmp_path / "end"), stubborn=True)
    wait_until(lambda: witness.alive == 1, what="it runs")
    told = front.get(f"/jobs/{job_id}/explain").json()
    assert (told["executor"], told["can_be_killed"]) == ("thread", False)
    assert "told to end" not in told["text"]
    following = submit(front, "Add", a=1, b=2)
    front.post(f"/jobs/{job_id}/cancel")
    wait_until(
        lambda: "keeps its slot until it ends" in front.get(f"/jobs/{job_id}/explain").json()["text"],
        what="explain says so",
    )
    assert (fleet.running(), witness.alive) == (1, 1)
    assert job(front, following)["status"] == "pending"
    (tmp_path / "end").touch()
    found = ended(front, job_id)
    assert (found["status"], found["result"]) == ("cancelled", None)
    steps = front.get(f"/jobs/{job_id}/explain").json()["attempts"][-1]["kill_steps"]
    assert [each["step"] for each in steps] == ["cancel", "gone"]
    assert ended(front, following)["result"] == 3


class Swallows:
    """Its finalizer meets what is raised in it, and nobody else does."""

    def __del__(self) -> None:
        in_finalizer.set()
        while not let_go.is_set():
            pass


in_finalizer, let_go = threading.Event(), threading.Event()


async def test_a_cancel_that_a_finalizer_swallows_is_raised_again() -> None:
    met = []

    def body() -> None:
        try:
            Swallows()
            while not let_go.is_set():
                pass
        except Cancelled:
            met.append(True)
            raise

    running = asyncio.create_task(thread.run(body))
    await wait_for(in_finalizer.is_set, what="it is in the finalizer")
    running.cancel()
    try:
        await wait_for(lambda: met, what="it is raised in the body", within=20)
    finally:
        let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_results_and_failures_of_threads(fleet: Fleet, front: httpx2.Client, tmp_path: Path) -> None:
    fleet.worker()
    (tmp_path / "end").touch()
    assert ended(front, submit(front, "Thread", name=str(tmp_path / "end"), stubborn=True))["result"] == "done"
    spun = ended(front, submit(front, "ThreadSpins", seconds=0.2))
    assert 0.15 < spun["usage"]["cpu_seconds"] < 2, "its own CPU time"
    assert spun["usage"]["peak_memory_mb"] is None
    failed = ended(front, submit(front, "ThreadRaises", message="boom"))
    assert failed["usage"]["cpu_seconds"] < 0.2, "of those that fail too"
    assert (failed["error"]["type"], failed["error"]["message"]) == ("exception", "ValueError: boom")
    late = front.post("/jobs", json={"algorithm": "Thread", "params": {"name": "late"}, "timeout": 0.2}).json()
    assert ended(front, late["job_id"])["error"]["type"] == "timeout"


@pytest.mark.slow
def test_a_worker_that_is_told_to_stop_ends_beside_a_thread_that_does_not(
    fleet: Fleet, front: httpx2.Client, witness: Witness
) -> None:
    """Its lease lapses with the process, and only then does the job run again."""
    worker = fleet.worker(DRAIN_SECONDS="0")
    submit(front, "Thread", name="never", stubborn=True)
    wait_until(lambda: witness.alive == 1, what="it runs")
    fleet.worker()
    worker.kill(signal.SIGTERM)
    wait_until(lambda: witness.seen == 2, within=25, what="it runs again")
    assert witness.peak == 1
    (fleet.directory / "never").touch()
    wait_until(lambda: fleet.running() == 0, what="it has ended")


async def test_a_thread_that_cannot_be_had_is_no_failure_of_the_job() -> None:
    before = threading.stack_size(1 << 46)
    try:
        with pytest.raises(NoProcess):
            await thread.run(lambda: None)
    finally:
        threading.stack_size(before)
    assert await thread.run(lambda: 3) == 3


async def test_a_thread_is_asked_once() -> None:
    swallowed, go_on = threading.Event(), threading.Event()

    def body() -> str:
        try:
            while True:
                time.sleep(0.001)
        except Cancelled:
            swallowed.set()
        while not go_on.is_set():
            time.sleep(0.001)
        return "done"

    asked = thread.Body(body)
    asked.ask()
    await wait_for(swallowed.is_set, what="it is asked")
    asked.ask()
    go_on.set()
    assert await asyncio.wait_for(asked.ended, 10) == "done"
