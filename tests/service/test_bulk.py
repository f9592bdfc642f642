"""POST /jobs/cancel and POST /jobs/retry."""

from __future__ import annotations

from typing import Any

import pytest
from httpx2 import AsyncClient

from slotwise.store import Store
from tests.hand import submitted
from tests.service.conftest import Connect
from tests.service.stand_in import StandInWorker

REST = {"algorithm": "Rest"}
PRIME = {"algorithm": "PrimeChecker", "params": {"number": 7}}
FAILURE = {"type": "timeout", "message": "too long", "detail": None}


async def count(client: AsyncClient, status: str) -> int:
    return len((await client.get(f"/jobs?status={status}&limit=500")).json()["jobs"])


async def test_all_that_match_are_cancelled(client: AsyncClient, worker: StandInWorker) -> None:
    for body in (PRIME, REST, REST, PRIME):
        await client.post("/jobs", json=body)
    grants = await worker.claim(2)
    body: dict[str, Any] = {"filter": {"algorithm": "Rest"}}
    assert (await client.post("/jobs/cancel", json=body | {"dry_run": True})).json() == {"matched": 2, "done": 0}
    assert (await count(client, "pending"), await count(client, "running")) == (2, 2)
    answer = await client.post("/jobs/cancel", json=body | {"expected": 2})
    assert (answer.status_code, answer.json()) == (200, {"matched": 2, "done": 2})
    assert (await count(client, "pending"), await count(client, "cancelled")) == (1, 1)
    [runs] = (await client.get("/jobs?status=running&algorithm=Rest")).json()["jobs"]
    assert runs["cancel_requested"] is True
    for grant in grants:
        await worker.finish(grant)
    assert (await client.post("/jobs/cancel", json=body | {"expected": 0})).json() == {"matched": 0, "done": 0}


@pytest.mark.parametrize("action", ["cancel", "retry"])
async def test_nothing_is_done_to_another_number(client: AsyncClient, action: str) -> None:
    for _ in range(3):
        await client.post("/jobs", json=REST)
    if action == "retry":
        await client.post("/jobs/cancel", json={"filter": {}, "expected": 3})
    state = "pending" if action == "cancel" else "cancelled"
    for expected in (0, 2, 4):
        answer = await client.post(f"/jobs/{action}", json={"filter": {}, "expected": expected})
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/count-differs")
        assert f"3 jobs match, not {expected}" in answer.json()["detail"]
    answer = await client.post(f"/jobs/{action}", json={"filter": {}, "expected": 2, "dry_run": True})
    assert answer.status_code == 409
    assert await count(client, state) == 3


async def test_all_that_match_are_retried(client: AsyncClient, worker: StandInWorker) -> None:
    for body in (PRIME, REST, PRIME):
        await client.post("/jobs", json=body)
    first, second, third = await worker.claim(3)
    await worker.finish(first, error=FAILURE)
    await worker.finish(second, error=FAILURE)
    await worker.finish(third)
    body = {"filter": {"error_type": "timeout"}, "expected": 2}
    assert (await client.post("/jobs/retry", json=body)).json() == {"matched": 2, "done": 2}
    assert (await count(client, "pending"), await count(client, "failed"), await count(client, "completed")) == (
        2,
        0,
        1,
    )
    await client.post("/jobs/cancel", json={"filter": {"status": "pending"}, "expected": 2})
    body = {"filter": {"status": "cancelled", "algorithm": "Rest"}, "expected": 1}
    assert (await client.post("/jobs/retry", json=body)).json() == {"matched": 1, "done": 1}
    await client.post("/jobs/cancel", json={"filter": {}, "expected": 1})


async def test_what_is_not_kept_is_not_done(client: AsyncClient, worker: StandInWorker, store: Store) -> None:
    await client.post("/jobs", json=REST)
    [grant] = await worker.claim()
    await worker.finish(grant, error=FAILURE)
    await store.redis.delete("arq:result:" + grant.id)
    answer = await client.post("/jobs/retry", json={"filter": {}, "expected": 1})
    assert answer.json() == {"matched": 1, "done": 0}


async def test_a_full_queue_takes_as_many_as_it_can(connect: Connect, catalogue: None) -> None:
    async with connect(max_pending_jobs=30) as client:
        for _ in range(30):
            await client.post("/jobs", json=REST)
        await client.post("/jobs/cancel", json={"filter": {}, "expected": 30})
        for _ in range(5):
            await client.post("/jobs", json=REST)
        body = {"filter": {"status": "cancelled"}, "expected": 30}
        assert (await client.post("/jobs/retry", json=body)).json() == {"matched": 30, "done": 25}
        body = {"filter": {"status": "cancelled"}, "expected": 5}
        full = await client.post("/jobs/retry", json=body)
        assert (full.status_code, full.json()["type"]) == (429, "/problems/queue-full")
        await client.post("/jobs/cancel", json={"filter": {}, "expected": 30})


async def test_thousands_are_cancelled_in_small_steps(client: AsyncClient, store: Store) -> None:
    for _ in range(25):
        await submitted(store, 100)
    await store.redis.script_flush()
    answer = await client.post("/jobs/cancel", json={"filter": {"algorithm": "Add"}, "expected": 2_500})
    assert answer.json() == {"matched": 2_500, "done": 2_500}
    assert await store.redis.zcard(store.keys.queue) == 0


REQUIRED = "is required"
UNKNOWN = "is not a field of this request"


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ({"expected": 1}, "#/filter", REQUIRED),
        ({"filter": {}}, "#/expected", "is required, unless dry_run is true"),
        ({"filter": {}, "dry_run": False}, "#/expected", "is required, unless dry_run is true"),
        ({"filter": {}, "expected": -1}, "#/expected", None),
        ({"filter": {}, "expected": 100_001}, "#/expected", None),
        ({"filter": {}, "expected": "1"}, "#/expected", None),
        ({"filter": {}, "dry_run": 1}, "#/dry_run", None),
        ({"filter": {}, "expected": 1, "force": True}, "#/force", UNKNOWN),
        ({"filter": {"state": "failed"}, "expected": 1}, "#/filter/state", UNKNOWN),
        ({"filter": {"limit": 1}, "expected": 1}, "#/filter/limit", UNKNOWN),
        ({"filter": {"status": "completed"}, "expected": 1}, "#/filter/status", None),
        ({"filter": {"label": "a"}, "expected": 1}, "#/filter/label", None),
        ({"filter": {"created_after": 3}, "expected": 1}, "#/filter/created_after", None),
        ({"filter": {"min_running_seconds": -1}, "expected": 1}, "#/filter/min_running_seconds", None),
        ({"filter": [], "expected": 1}, "#/filter", None),
    ],
)
@pytest.mark.parametrize("action", ["cancel", "retry"])
async def test_what_is_malformed_is_refused(
    client: AsyncClient, action: str, body: dict[str, Any], pointer: str, detail: str | None
) -> None:
    answer = await client.post(f"/jobs/{action}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    [row] = answer.json()["errors"]
    assert row["pointer"] == pointer
    assert detail is None or row["detail"] == detail


async def test_only_what_can_be_cancelled_or_retried_is_asked_for(client: AsyncClient) -> None:
    for action, status, which in (
        ("cancel", "failed", "'pending' or 'running'"),
        ("retry", "running", "'failed' or 'cancelled'"),
    ):
        answer = await client.post(f"/jobs/{action}", json={"filter": {"status": status}, "expected": 0})
        assert answer.json()["errors"] == [{"pointer": "#/filter/status", "detail": f"Input should be {which}"}]


async def test_a_job_may_be_called_cancel(client: AsyncClient) -> None:
    assert (await client.get("/jobs/cancel")).json()["type"] == "/problems/job-not-found"
    assert (await client.post("/jobs/cancel", content=b"")).status_code == 415
    assert (await client.post("/jobs/cancel?dry_run=true", json={})).status_code == 422
