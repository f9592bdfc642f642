"""GET /failures: what failed the same way is one group."""

from __future__ import annotations

from typing import Any

from httpx2 import AsyncClient

from slotwise.store import Store
from tests.facts import wait_for
from tests.service.stand_in import StandInWorker

FIELDS = [
    "fingerprint",
    "algorithm",
    "error_type",
    "origin",
    "message",
    "count",
    "first_seen",
    "last_seen",
    "job_ids",
]


def raised(line: int, name: str = "KeyError") -> dict[str, Any]:
    trace = f'Traceback …\n  File "/srv/steps.py", line {line}, in step\n    x\n{name}: {line}\n'
    return {"type": "exception", "message": f"{name}: {line}", "detail": trace}


async def failed(
    client: AsyncClient, worker: StandInWorker, error: dict[str, Any], algorithm: str = "Rest"
) -> str:
    params = {"number": 7} if algorithm == "PrimeChecker" else {}
    await client.post("/jobs", json={"algorithm": algorithm, "params": params})
    [grant] = await worker.claim()
    await worker.finish(grant, error=error)
    return grant.id


async def groups(client: AsyncClient, query: str = "") -> list[dict[str, Any]]:
    answer = await client.get("/failures" + query)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["failures"]
    return found


async def test_failures_are_grouped_by_what_is_the_same(client: AsyncClient, worker: StandInWorker) -> None:
    assert await groups(client) == []
    ids = [await failed(client, worker, raised(line)) for line in (1, 2, 3)]
    (group,) = await groups(client)
    assert list(group) == FIELDS
    assert (group["algorithm"], group["error_type"], group["origin"]) == (
        "Rest",
        "exception",
        "KeyError in steps.py:step",
    )
    assert (group["message"], group["count"], group["job_ids"]) == ("KeyError: 3", 3, ids[::-1])
    assert group["first_seen"] < group["last_seen"]
    await failed(client, worker, raised(1, "ValueError"))
    await failed(client, worker, raised(1), "PrimeChecker")
    await failed(client, worker, {"type": "timeout", "message": "3 s", "detail": None})
    await failed(client, worker, {"type": "timeout", "message": "4 s", "detail": None})
    found = await groups(client)
    assert [(g["algorithm"], g["error_type"], g["origin"], g["count"]) for g in found] == [
        ("Rest", "timeout", None, 2),
        ("PrimeChecker", "exception", "KeyError in steps.py:step", 1),
        ("Rest", "exception", "ValueError in steps.py:step", 1),
        ("Rest", "exception", "KeyError in steps.py:step", 3),
    ]
    assert len({g["fingerprint"] for g in found}) == 4
    assert len(await groups(client, "?limit=2")) == 2


async def test_the_latest_five_are_named_while_they_are_failed(client: AsyncClient, worker: StandInWorker) -> None:
    ids = [await failed(client, worker, raised(line)) for line in range(7)]
    assert (await groups(client))[0]["job_ids"] == ids[:1:-1]
    await client.post(f"/jobs/{ids[-1]}/retry")
    await client.delete(f"/jobs/{ids[-2]}")
    (group,) = await groups(client)
    assert (group["job_ids"], group["count"]) == ([ids[4], ids[3], ids[2]], 7)
    await client.post(f"/jobs/{ids[-1]}/cancel")


async def test_a_job_that_never_started_in_time_is_a_failure_too(
    client: AsyncClient, worker: StandInWorker, store: Store
) -> None:
    made = await client.post("/jobs", json={"algorithm": "Rest", "expires_in": 0.001})
    (group,) = await wait_for(lambda: groups(client), what="the front end's observer ends it")
    assert (group["error_type"], group["job_ids"]) == ("expired", [made.json()["job_id"]])
    assert (await client.get("/jobs?error_type=expired")).json()["jobs"][0]["status"] == "failed"


async def test_the_groups_are_bounded(client: AsyncClient, worker: StandInWorker, store: Store) -> None:
    first = await failed(client, worker, raised(1, "First"))
    rows = {f"{number:016x}": 2e12 + number for number in range(999)}
    await store.redis.zadd(store.keys.failures, rows)
    await failed(client, worker, raised(1, "Second"))
    assert await store.redis.zcard(store.keys.failures) == 1_000
    assert first not in str(await groups(client))
    assert len([key async for key in store.redis.scan_iter(store.keys.failure_of + "*")]) == 1


async def test_what_is_malformed_is_refused(client: AsyncClient) -> None:
    for query, name in (("limit=501", "?limit"), ("algorithm=A", "?algorithm")):
        answer = await client.get(f"/failures?{query}")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, name)
