"""Workers over HTTP: who is there, drain and resume."""

from __future__ import annotations

import pytest
from httpx2 import AsyncClient

from slotwise.store import Store
from tests.service.stand_in import StandInWorker


async def test_nobody_is_there(client: AsyncClient) -> None:
    answer = await client.get("/workers")
    assert (answer.status_code, answer.json()) == (200, {"workers": []})


async def test_drain_and_resume(client: AsyncClient, worker: StandInWorker) -> None:
    await client.post("/jobs", json={"algorithm": "Rest"})
    answer = await client.post("/workers/stand-in/drain")
    assert (answer.status_code, answer.json()["name"], answer.json()["draining"]) == (200, "stand-in", True)
    (row,) = (await client.get("/workers")).json()["workers"]
    assert (row["draining"], row["running"], row["algorithms"]) == (True, 0, ["PrimeChecker", "Rest"])
    assert await worker.claim() == []
    assert (await client.post("/workers/stand-in/drain")).status_code == 200, "twice is once"
    answer = await client.post("/workers/stand-in/resume", json={})
    assert answer.json()["draining"] is False
    (grant,) = await worker.claim()
    await worker.finish(grant)


@pytest.mark.parametrize("move", ["drain", "resume"])
async def test_an_unknown_worker_is_a_404(client: AsyncClient, store: Store, move: str) -> None:
    answer = await client.post(f"/workers/host%3A1/{move}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/worker-not-found")
    assert "'host:1'" in answer.json()["detail"]
    assert await store.redis.exists(store.keys.drained) == 0


async def test_a_drain_takes_no_body_and_no_query(client: AsyncClient, worker: StandInWorker) -> None:
    assert (await client.post("/workers/stand-in/drain", json={"now": True})).status_code == 422
    assert (await client.post("/workers/stand-in/drain?now=true")).status_code == 422
    assert (await client.get("/workers")).json()["workers"][0]["draining"] is False
