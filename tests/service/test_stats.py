"""GET /stats, over a front end and a worker by hand."""

from __future__ import annotations

import pytest
from httpx2 import AsyncClient

from slotwise.store import Store
from tests.facts import wait_for
from tests.service.stand_in import StandInWorker

REST = {"algorithm": "Rest"}


async def test_what_came_and_ended_up_to_now(client: AsyncClient, store: Store, worker: StandInWorker) -> None:
    await wait_for(lambda: store.redis.xlen(store.keys.samples), what="the front end's own sample")
    await client.put("/jobs/concurrency", json={"max_concurrent": 7, "reason": "for the test"})
    jobs = [(await client.post("/jobs", json=REST)).json() for _ in range(5)]
    done, failed, running = await worker.claim(3)
    await worker.finish(done)
    await worker.finish(failed, error={"type": "exception", "message": "boom", "detail": None})
    await client.post(f"/jobs/{jobs[3]['job_id']}/cancel")
    told = (await client.get("/stats")).json()
    assert told["window_seconds"] == 3_600
    totals = told["totals"]
    names = ("arrivals", "started", "completed", "failed", "cancelled", "retried")
    assert [totals[name] for name in names] == [5, 3, 1, 1, 1, 0]
    assert 0 < totals["wait_p50_seconds"] <= totals["wait_p95_seconds"] < 60
    last = told["points"][-1]
    assert (last["running"], last["waiting"], last["max_concurrent"]) == (1, 1, 7)
    assert sum(point["arrivals"] for point in told["points"]) == 5
    assert [change["reason"] for change in told["cap_changes"]] == ["for the test"]
    assert told["covered_since"] < told["points"][0]["at"] <= last["at"]
    assert 0 < last["oldest_pending_seconds"] < 60
    usual = told["algorithms"]["Rest"]
    assert usual["ended"] == 2 and 0 < usual["run_p50_seconds"] <= usual["run_p95_seconds"] < 60
    await worker.finish(running)


async def test_before_anything_was_sampled(client: AsyncClient, store: Store) -> None:
    await store.redis.delete(store.keys.samples)
    told = (await client.get("/stats?window=60")).json()
    assert (told["covered_since"], told["points"], told["cap_changes"]) == (None, [], [])
    assert (told["totals"]["arrivals"], told["totals"]["wait_p50_seconds"]) == (0, None)


@pytest.mark.parametrize(
    "query", ["window=0", "window=86401", "window=1h", "window=", "window=60&window=60", "x=1"]
)
async def test_a_window_that_is_none(client: AsyncClient, query: str) -> None:
    answer = await client.get(f"/stats?{query}")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
