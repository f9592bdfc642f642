"""The cap's endpoint: exactly three fields, true at every moment."""

from __future__ import annotations

from typing import Any

from httpx2 import AsyncClient

from slotwise.store import Store
from tests.service.conftest import Connect
from tests.service.stand_in import StandInWorker


async def status(client: AsyncClient) -> dict[str, Any]:
    answer = await client.get("/jobs/concurrency/status")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    body: dict[str, Any] = answer.json()
    return body


async def test_an_idle_service(client: AsyncClient) -> None:
    assert await status(client) == {"max_concurrent": 10, "available_slots": 10, "running_jobs": 0}


async def test_counts_what_runs(client: AsyncClient, worker: StandInWorker) -> None:
    for _ in range(5):
        await client.post("/jobs", json={"algorithm": "Rest"})
    grants = await worker.claim(3)
    assert await status(client) == {"max_concurrent": 10, "available_slots": 7, "running_jobs": 3}
    await worker.finish(grants[0])
    assert await status(client) == {"max_concurrent": 10, "available_slots": 8, "running_jobs": 2}


async def test_there_are_never_less_than_no_free_slots(
    client: AsyncClient, store: Store, worker: StandInWorker
) -> None:
    for _ in range(3):
        await client.post("/jobs", json={"algorithm": "Rest"})
    await worker.claim(3)
    await store.configure(1, by="a test")
    assert await status(client) == {"max_concurrent": 1, "available_slots": 0, "running_jobs": 3}


async def test_every_front_end_says_the_same(connect: Connect, worker: StandInWorker) -> None:
    async with connect() as one, connect() as other:
        await one.post("/jobs", json={"algorithm": "Rest"})
        await worker.claim()
        assert await status(one) == await status(other)
