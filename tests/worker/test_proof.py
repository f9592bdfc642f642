"""The proof of a real fleet, held against the witness outside Redis."""

from __future__ import annotations

import asyncio
import signal

import pytest

from slotwise.admissions import prove
from slotwise.store import Store
from slotwise.verdict import Verdict
from tests.facts import wait_until
from tests.fleet import Fleet, ended, submit
from tests.witness import Witness


def proved(url: str) -> Verdict:
    async def ask() -> Verdict:
        store = await Store.connect(url)
        try:
            return await prove(store, 600)
        finally:
            await store.close()

    return asyncio.run(ask())


def configured(url: str, cap: int) -> None:
    async def tell() -> None:
        store = await Store.connect(url)
        try:
            await store.configure(cap, by="test")
        finally:
            await store.close()

    asyncio.run(tell())


@pytest.mark.slow
def test_the_proof_and_the_witness_agree_on_a_fleet_that_loses_a_worker(fleet: Fleet, witness: Witness) -> None:
    configured(fleet.url, 3)
    front = fleet.front()
    doomed = fleet.worker()
    [lease] = wait_until(lambda: fleet.redis.hkeys(fleet.keys.leases), what="its lease")
    held = fleet.keys.held(lease.decode())
    fleet.worker()
    jobs = [submit(front, "HoldAsync" if i % 3 else "Hold", seconds=0.3) for i in range(30)]
    wait_until(lambda: witness.seen >= 9, what="some jobs have begun")
    assert proved(fleet.url).holds, "in the middle of it"

    def stopped_with_a_job() -> bool:
        doomed.kill(signal.SIGSTOP)
        if fleet.redis.hlen(held):
            return True
        doomed.kill(signal.SIGCONT)
        return False

    wait_until(stopped_with_a_job, what="it is stopped while it holds a job")
    doomed.kill(signal.SIGKILL)
    for job_id in jobs:
        assert ended(front, job_id, within=30)["status"] == "completed"
    moves = [fields[b"move"] for _, fields in fleet.redis.xrange(fleet.keys.log)]
    assert moves.count(b"reap") == 1
    found = proved(fleet.url)
    assert (found.violations.first, found.notes.first) == ([], [])
    assert found.max_running == witness.peak == 3
    assert [cap for _, cap in found.caps] == [3]
    assert found.entries == len(moves)
    assert found.admitted == found.released > 30
    assert found.admitted >= witness.seen  # a body may have died before it was seen
    assert found.running == 0
    assert front.get("/jobs/concurrency/proof").json()["admitted"] == found.admitted
