"""The idle-slot seconds that the service tells, against what is seen from outside."""

from __future__ import annotations

import signal
import time

from tests.facts import wait_until
from tests.fleet import Fleet, submit
from tests.witness import Witness

HOLD_BACK = 0.3  # seconds in which both slots stand empty while both jobs wait


def test_a_slot_that_stands_empty_while_a_job_waits_is_counted(fleet: Fleet, witness: Witness) -> None:
    """The count lies between what must have been idle and what can have been, by a clock of our own."""
    front = fleet.front(MAX_CONCURRENT_JOBS="2")
    worker = fleet.worker()
    worker.kill(signal.SIGSTOP)
    sent = [(time.time(), submit(front, "HoldAsync", seconds=60))[0] for _ in range(2)]
    accepted = time.time()
    wait_until(lambda: time.time() >= accepted + HOLD_BACK, what="the slots stood empty for a while")
    resumed = time.time()
    worker.kill(signal.SIGCONT)
    wait_until(lambda: witness.seen == 2, what="both bodies are seen")
    seen = time.time()
    counted = front.get("/jobs/concurrency").json()["idle_slot_seconds_total"]
    assert 2 * (resumed - accepted) <= counted <= sum(seen - each for each in sent)
    assert f"idle_slot_seconds_total {counted}" in front.get("/metrics").text
    for job_id in fleet.redis.zrange(fleet.keys.running, 0, -1):
        front.post(f"/jobs/{job_id.decode()}/cancel")
    wait_until(lambda: witness.alive == 0, what="nothing runs")


def test_a_slot_for_which_no_worker_has_room_is_not_idle(fleet: Fleet, witness: Witness) -> None:
    """A cap of 2 over one worker with one slot: the second job waits for that slot, not for the other."""
    front = fleet.front(MAX_CONCURRENT_JOBS="2")
    fleet.worker(WORKER_SLOTS="1")
    began = time.time()
    for _ in range(2):
        submit(front, "HoldAsync", seconds=0.5)
    wait_until(lambda: witness.seen == 2 and witness.alive == 0, what="one ran after the other")
    assert time.time() - began >= 1
    assert front.get("/jobs/concurrency").json()["idle_slot_seconds_total"] < 0.5
