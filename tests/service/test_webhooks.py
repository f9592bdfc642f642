"""The endpoints of webhooks: what was tried, and telling once more."""

from __future__ import annotations

from typing import Any

from httpx2 import AsyncClient

from slotwise.outbox import Settlement
from slotwise.store import Store

URL = "http://203.0.113.7:8080/hook"
ENTRY = {"algorithm": "Rest", "params": {"seconds": 0}}


async def cancelled(client: AsyncClient, **asked: Any) -> str:
    answer = await client.post("/jobs", json=ENTRY | asked)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    assert (await client.post(f"/jobs/{job_id}/cancel")).status_code == 200
    return job_id


async def tried(store: Store, settlement: Settlement) -> str:
    found, _ = await store.outbox.collect("t", visible_ms=30_000, most=1, most_bytes=1, of_receiver=1, quotas={})
    assert await store.outbox.settle(found[0], "t", settlement) == "ok"
    return found[0].entry


async def test_a_failed_attempt_and_one_more(connect: Any, catalogue: None, store: Store) -> None:
    async with connect(webhook_allow="203.0.113.0/24") as client:
        job_id = await cancelled(client, webhook=URL)
        assert (await client.get(f"/jobs/{job_id}")).json()["webhook"] == URL
        path = f"/jobs/{job_id}/webhooks"
        assert (await client.get(path)).json() == {"attempts": []}
        row = {
            "at": 1_893_456_000_000,
            "event": "job.cancelled",
            "webhook_id": "msg_1",
            "outcome": "failed",
            "status_code": 503,
            "ms": 12,
            "next_at": 1_893_456_005_000,
            "error": "status 503",
        }
        entry = await tried(store, Settlement("again", "failed", row["next_at"], row))  # type: ignore[arg-type]
        shown = (await client.get(path)).json()["attempts"]
        times = {"at": "2030-01-01T00:00:00.000Z", "next_at": "2030-01-01T00:00:05.000Z"}
        assert shown == [row | times]
        answer = await client.post(path + "/redeliver")
        assert (answer.status_code, answer.json()) == (202, {"attempts": shown})
        assert await tried(store, Settlement("done", "delivered")) == entry
        metrics = (await client.get("/metrics")).text
        for outcome in ("failed", "delivered"):
            assert f'webhook_deliveries_total{{outcome="{outcome}"}} 1.0' in metrics


async def test_what_cannot_be_told(client: AsyncClient) -> None:
    silent = await cancelled(client)
    for job_id, code in ((silent, "webhook-not-found"), ("ab12", "job-not-found")):
        answer = await client.post(f"/jobs/{job_id}/webhooks/redeliver")
        assert (answer.status_code, answer.json()["type"]) == (404, f"/problems/{code}")
    assert (await client.get("/jobs/ab12/webhooks")).status_code == 404
    assert (await client.get(f"/jobs/{silent}/webhooks")).json() == {"attempts": []}


async def test_a_job_of_a_batch_is_named(client: AsyncClient) -> None:
    jobs = [ENTRY, ENTRY | {"webhook": "http://169.254.169.254/"}]
    answer = await client.post("/jobs/batch", json={"jobs": jobs})
    assert answer.status_code == 422
    assert [row["pointer"] for row in answer.json()["errors"]] == ["#/jobs/1/webhook"]


async def test_the_description_has_what_webhooks_are_told(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    types = {"job.running", "job.progress", "job.completed", "job.failed", "job.cancelled"}
    assert document["webhooks"].keys() == types
    for type, told in document["webhooks"].items():
        example = told["post"]["requestBody"]["content"]["application/json"]["examples"]["told"]["value"]
        assert example["type"] == type
        assert example["data"]["status"] == type.removeprefix("job.").replace("progress", "running")
        assert {each["name"] for each in told["post"]["parameters"]} >= {"webhook-id", "webhook-signature"}
