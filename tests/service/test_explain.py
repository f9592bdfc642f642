"""GET /jobs/{id}/explain, before, during and after."""

from __future__ import annotations

from httpx2 import AsyncClient

from slotwise.attempt import Account, KillStep
from slotwise.store import Store
from tests.service.stand_in import StandInWorker


async def explained(client: AsyncClient, job_id: str) -> dict[str, object]:
    answer = await client.get(f"/jobs/{job_id}/explain")
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    assert found["job_id"] == job_id
    return found


async def submit(client: AsyncClient, **fields: object) -> str:
    answer = await client.post("/jobs", json={"algorithm": "Rest", **fields})
    job_id: str = answer.json()["job_id"]
    return job_id


async def test_a_job_from_waiting_to_its_end(client: AsyncClient, store: Store, worker: StandInWorker) -> None:
    await store.configure(1, by="test")
    first, second = await submit(client), await submit(client)
    (grant,) = await worker.claim()
    waiting = await explained(client, second)
    assert (waiting["blocking"], waiting["position"], waiting["holders"]) == ("cap", 1, [first])
    assert waiting["estimates"] == ["position", "eta_seconds"]
    assert waiting["eta_seconds"] is None
    running = await explained(client, first)
    assert (running["status"], running["worker"], running["attempts"]) == ("running", "stand-in", [])
    await worker.finish(grant)
    past = await explained(client, first)
    assert past["status"] == "completed"
    assert [attempt["outcome"] for attempt in past["attempts"]] == ["completed"]  # type: ignore[attr-defined]
    (grant,) = await worker.claim()
    await worker.finish(grant, error={"type": "exception", "message": "no", "detail": None})
    past = await explained(client, second)
    assert [attempt["outcome"] for attempt in past["attempts"]] == ["exception"]  # type: ignore[attr-defined]


async def test_what_it_used_and_how_it_was_ended(client: AsyncClient, store: Store, worker: StandInWorker) -> None:
    job_id = await submit(client)
    (grant,) = await worker.claim()
    account = Account(1.5, 20.25, (KillStep(1_700_000_000_000, "SIGTERM"),))
    await worker.finish(grant, error={"type": "timeout", "message": "no", "detail": None}, account=account)
    used = {"cpu_seconds": 1.5, "peak_memory_mb": 20.25}
    (attempt,) = (await explained(client, job_id))["attempts"]  # type: ignore[misc]
    assert attempt["kill_steps"] == [{"at": "2023-11-14T22:13:20.000Z", "step": "SIGTERM"}]
    assert attempt["usage"] == used == (await client.get(f"/jobs/{job_id}")).json()["usage"]


async def test_an_attempt_that_was_taken_back_is_told(
    client: AsyncClient, store: Store, worker: StandInWorker
) -> None:
    job_id = await submit(client)
    await worker.claim()
    worker.leave()
    waiting = await explained(client, job_id)
    (attempt,) = waiting["attempts"]  # type: ignore[misc]
    assert (attempt["outcome"], attempt["worker"]) == ("release", "stand-in")
    assert waiting["blocking"] == "no_worker"
    await store.cancel(job_id, keep_ms=60_000)
    past = await explained(client, job_id)
    assert past["queued_seconds"] >= 0  # type: ignore[operator]


async def test_a_scheduled_job(client: AsyncClient) -> None:
    found = await explained(client, await submit(client, delay=60))
    assert (found["blocking"], found["reason"], found["position"]) == ("scheduled", "scheduled", None)
    assert 55 < found["eta_seconds"]["p50"] <= 60  # type: ignore[index]


async def test_an_unknown_job(client: AsyncClient) -> None:
    answer = await client.get("/jobs/nobody/explain")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/job-not-found")
