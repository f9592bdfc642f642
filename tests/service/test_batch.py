"""`POST /jobs/batch`: all or none, in order, once for a key."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from httpx2 import AsyncClient

from slotwise.store import Store
from tests.service.conftest import Connect
from tests.service.stand_in import StandInWorker

REST = {"algorithm": "Rest"}
PRIME = {"algorithm": "PrimeChecker", "params": {"number": 7}}


async def queued(store: Store) -> list[str]:
    return [member.decode() for member in await store.redis.zrange(store.keys.queue, 0, -1)]


async def test_a_batch_waits_in_its_order(client: AsyncClient, store: Store) -> None:
    jobs = [REST | {"params": {"seconds": number}, "labels": {"number": str(number)}} for number in range(100)]
    answer = await client.post("/jobs/batch", json={"jobs": jobs})
    assert answer.status_code == 202
    assert "Idempotent-Replayed" not in answer.headers
    made = answer.json()["jobs"]
    assert [each["params"]["seconds"] for each in made] == list(range(100))
    assert await queued(store) == [each["job_id"] for each in made]
    assert (await client.get(made[17]["urls"]["self"])).json() == made[17]


@pytest.mark.parametrize(
    ("bad", "status", "code", "where"),
    [
        (PRIME | {"params": {"number": []}}, 422, "invalid-request", "#/jobs/2/params/number"),
        (PRIME | {"params": {}}, 422, "invalid-request", "#/jobs/2/params/number"),
        (PRIME | {"priority": 10}, 422, "invalid-request", "#/jobs/2/priority"),
        (REST | {"memory_mb": 513}, 422, "invalid-request", "#/jobs/2/memory_mb"),
        (REST | {"run_at": "2090-01-01T00:00:00Z", "delay": 1}, 422, "invalid-request", "#/jobs/2/delay"),
        ({"algorithm": "Nobody"}, 404, "algorithm-not-found", "#/jobs/2"),
        ({}, 422, "invalid-request", "#/jobs/2/algorithm"),
        (7, 422, "invalid-request", "#/jobs/2"),
    ],
)
async def test_one_bad_job_and_none_is_queued(
    client: AsyncClient, store: Store, bad: Any, status: int, code: str, where: str
) -> None:
    answer = await client.post("/jobs/batch", json={"jobs": [REST, PRIME, bad, bad]})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"/problems/{code}")
    assert problem["errors"][0]["pointer"] == where
    assert await queued(store) == []


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"jobs": []}, "#/jobs"),
        ({"jobs": [REST] * 101}, "#/jobs"),
        ({"jobs": REST}, "#/jobs"),
        ({}, "#/jobs"),
        ({"jobs": [REST], "more": 1}, "#/more"),
    ],
)
async def test_what_is_no_batch(client: AsyncClient, body: Any, where: str) -> None:
    answer = await client.post("/jobs/batch", json=body)
    assert answer.status_code == 422
    assert [row["pointer"] for row in answer.json()["errors"]] == [where]


async def test_a_batch_that_does_not_fit_is_refused_whole(connect: Connect, store: Store, catalogue: None) -> None:
    async with connect(max_pending_jobs=3) as client:
        assert (await client.post("/jobs/batch", json={"jobs": [REST] * 4})).status_code == 429
        assert (await client.post("/jobs/batch", json={"jobs": [REST] * 3})).status_code == 202
        full = await client.post("/jobs/batch", json={"jobs": [REST]})
        assert (full.status_code, full.json()["type"]) == (429, "/problems/queue-full")
        assert int(full.headers["Retry-After"]) > 0
    assert len(await queued(store)) == 3


async def test_a_key_makes_one_batch_however_often(client: AsyncClient, store: Store) -> None:
    sent = {"json": {"jobs": [REST, PRIME, REST]}, "headers": {"Idempotency-Key": "monday"}}
    answers = await asyncio.gather(*(client.post("/jobs/batch", **sent) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {202}
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    ids = {tuple(job["job_id"] for job in answer.json()["jobs"]) for answer in answers}
    assert len(ids) == 1
    assert sorted(await queued(store)) == sorted(ids.pop())


@pytest.mark.parametrize("other", [[REST, PRIME], [REST, PRIME, REST, REST], [PRIME, REST, REST], [PRIME]])
async def test_a_key_belongs_to_one_batch(client: AsyncClient, store: Store, other: list[Any]) -> None:
    headers = {"Idempotency-Key": "monday"}
    assert (await client.post("/jobs/batch", json={"jobs": [REST, PRIME, REST]}, headers=headers)).is_success
    answer = await client.post("/jobs/batch", json={"jobs": other}, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert len(await queued(store)) == 3


async def test_what_is_left_of_a_batch_is_not_run_again(
    client: AsyncClient, store: Store, worker: StandInWorker
) -> None:
    sent: dict[str, Any] = {"json": {"jobs": [REST, REST]}, "headers": {"Idempotency-Key": "monday"}}
    first, _ = (await client.post("/jobs/batch", **sent)).json()["jobs"]
    [grant] = await worker.claim()
    await worker.finish(grant)
    assert (await client.delete(first["urls"]["self"])).status_code == 204
    again = await client.post("/jobs/batch", **sent)
    assert (again.status_code, again.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert len(await queued(store)) == 1


async def test_a_batch_has_a_key_of_its_own(client: AsyncClient, store: Store) -> None:
    headers = {"Idempotency-Key": "monday"}
    assert (await client.post("/jobs", json=REST, headers=headers)).status_code == 202
    assert (await client.post("/jobs/batch", json={"jobs": [REST]}, headers=headers)).status_code == 202
    assert len(await queued(store)) == 2
