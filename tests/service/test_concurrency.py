"""The cap as an operator steers it over HTTP: set, cleared, foretold, looked at, and what is refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from httpx2 import AsyncClient, Response

from slotwise.store import Store
from tests.facts import wait_for
from tests.service.conftest import Connect
from tests.service.stand_in import StandInWorker

CAP = "/jobs/concurrency"
OWN = "/jobs/concurrency/algorithms/Rest"


async def status(client: AsyncClient) -> dict[str, Any]:
    body: dict[str, Any] = (await client.get(CAP + "/status")).json()
    return body


async def audit(client: AsyncClient) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = (await client.get(CAP + "/audit")).json()["audit"]
    return entries


def pointers(answer: Response) -> list[str]:
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request"), answer.text
    return [row["pointer"] for row in answer.json()["errors"]]


async def test_an_idle_service(client: AsyncClient) -> None:
    answer = await client.get(CAP)
    assert answer.status_code == 200
    own = {"running": 0, "pending": 0, "max_concurrent": None, "declared": None, "override": None, "rate": None}
    assert answer.json() == {
        "max_concurrent": 10,
        "available_slots": 10,
        "running_jobs": 0,
        "pending_jobs": 0,
        "scheduled_jobs": 0,
        "oldest_pending_seconds": None,
        "configured": 10,
        "override": None,
        "saturated_since": None,
        "utilisation": {"1m": None, "15m": None},
        "idle_slot_seconds_total": 0.0,
        "workers": [],
        "algorithms": {"PrimeChecker": own, "Rest": own},
        "jobs": [],
        "jobs_left_out": 0,
    }


async def test_set_and_cleared(client: AsyncClient, worker: StandInWorker) -> None:
    answer = await client.put(CAP, json={"max_concurrent": 3, "reason": "less noise", "ttl": 60})
    assert answer.status_code == 200
    view = answer.json()
    standing = view["override"]
    assert (view["max_concurrent"], view["available_slots"], view["configured"]) == (3, 3, 10)
    assert (standing["value"], standing["reason"], standing["by"]) == (3, "less noise", "http 127.0.0.1")
    stood = datetime.fromisoformat(standing["expires_at"]) - datetime.fromisoformat(standing["at"])
    assert stood.total_seconds() == 60
    assert await status(client) == {"max_concurrent": 3, "available_slots": 3, "running_jobs": 0}
    answer = await client.delete(CAP)
    assert (answer.status_code, answer.json()["override"], answer.json()["max_concurrent"]) == (200, None, 10)
    assert await status(client) == {"max_concurrent": 10, "available_slots": 10, "running_jobs": 0}
    cleared, was_set = await audit(client)
    assert was_set == {
        "at": standing["at"],
        "scope": "fleet",
        "algorithm": None,
        "change": "set",
        "from": 10,
        "to": 3,
        "by": "http 127.0.0.1",
        "reason": "less noise",
        "expires_at": standing["expires_at"],
    }
    assert (cleared["change"], cleared["from"], cleared["to"]) == ("cleared", 3, 10)


async def test_a_ttl_ends_by_itself(client: AsyncClient) -> None:
    await client.put(CAP, json={"max_concurrent": 0, "ttl": 0.05})

    async def reverted() -> bool:
        return (await status(client))["max_concurrent"] == 10

    await wait_for(reverted, what="the cap is back")

    async def told() -> bool:
        return (await audit(client))[0]["change"] == "expired"

    await wait_for(told, within=3, what="the audit says so")
    ended, was_set = await audit(client)
    assert (ended["from"], ended["to"], ended["at"]) == (0, 10, was_set["expires_at"])


async def test_zero_pauses(client: AsyncClient, worker: StandInWorker) -> None:
    await client.post("/jobs", json={"algorithm": "Rest"})
    await client.put(CAP, json={"max_concurrent": 0})
    assert await worker.claim(5) == []
    await client.delete(CAP)
    (grant,) = await worker.claim(5)
    await worker.finish(grant)


async def test_an_algorithms_own_cap(client: AsyncClient, worker: StandInWorker) -> None:
    for _ in range(3):
        await client.post("/jobs", json={"algorithm": "Rest"})
    answer = await client.put(OWN, json={"max_concurrent": 1, "reason": "gently"})
    assert answer.json()["max_concurrent"] == 10
    (grant,) = await worker.claim(5)
    view = (await client.get(CAP)).json()
    own = view["algorithms"]["Rest"]
    assert (own["running"], own["max_concurrent"], own["override"]["reason"]) == (1, 1, "gently")
    assert (view["running_jobs"], view["pending_jobs"]) == (1, 2)
    answer = await client.delete(OWN)
    assert answer.json()["algorithms"]["Rest"]["max_concurrent"] is None
    grants = [grant, *await worker.claim(5)]
    assert len(grants) == 3
    for each in grants:
        await worker.finish(each)
    assert [(entry["scope"], entry["algorithm"]) for entry in await audit(client)] == [("algorithm", "Rest")] * 2


async def test_what_waits_and_who_works_is_seen(client: AsyncClient, worker: StandInWorker) -> None:
    await client.put(CAP, json={"max_concurrent": 1})
    for _ in range(3):
        await client.post("/jobs", json={"algorithm": "Rest"})
    await client.post("/jobs", json={"algorithm": "Rest", "delay": 3600})
    (grant,) = await worker.claim(5)
    view = (await client.get(CAP)).json()
    assert (view["running_jobs"], view["pending_jobs"], view["scheduled_jobs"]) == (1, 2, 1)
    assert 0 <= view["oldest_pending_seconds"] < 10
    assert view["saturated_since"] is not None
    (row,) = view["workers"]
    assert 0 <= row.pop("last_seen_seconds") < 10
    assert row == {
        "name": "stand-in",
        "host": "here",
        "version": None,
        "slots": 10,
        "running": 1,
        "algorithms": ["PrimeChecker", "Rest"],
        "draining": False,
        "configured": None,
        "cores": None,
        "memory_mb": None,
        "memory_free_mb": None,
    }
    await worker.finish(grant)
    await client.delete(CAP)
    for each in await worker.claim(5):
        await worker.finish(each)


async def test_a_dry_run_tells_and_changes_nothing(client: AsyncClient, worker: StandInWorker) -> None:
    await client.put(CAP, json={"max_concurrent": 2})
    for _ in range(6):
        await client.post("/jobs", json={"algorithm": "Rest"})
    grants = await worker.claim(9)
    before = await audit(client)

    async def foretold(method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = await client.request(method, path + "?dry_run=true", json=body)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    assert await foretold("PUT", CAP, {"max_concurrent": 5}) == {
        "dry_run": True,
        "from": 2,
        "to": 5,
        "fills": 3,
        "drains": 0,
        "drains_in_seconds": 0.0,
    }
    lower = await foretold("PUT", CAP, {"max_concurrent": 0, "ttl": 5})
    assert (lower["fills"], lower["drains"], lower["drains_in_seconds"]) == (0, 2, None)
    cleared = await foretold("DELETE", CAP)
    assert (cleared["to"], cleared["fills"]) == (10, 4)
    own = await foretold("PUT", OWN, {"max_concurrent": 1})
    assert (own["from"], own["to"], own["drains"]) == (None, 1, 1)
    assert (
        await client.put(CAP + "/algorithms/Nobody?dry_run=true", json={"max_concurrent": 1})
    ).status_code == 404
    assert await audit(client) == before
    assert (await status(client))["max_concurrent"] == 2
    assert (await client.put(CAP + "?dry_run=false", json={"max_concurrent": 3})).json()["max_concurrent"] == 3
    grants += await worker.claim(9)
    await client.delete(CAP)
    for each in [*grants, *await worker.claim(9)]:
        await worker.finish(each)


@pytest.mark.parametrize("path", [CAP, OWN])
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"max_concurrent": -1}', "#/max_concurrent"),
        ('{"max_concurrent": 1.5}', "#/max_concurrent"),
        ('{"max_concurrent": 2.0}', "#/max_concurrent"),
        ('{"max_concurrent": 100001}', "#/max_concurrent"),
        ('{"max_concurrent": 1' + "0" * 400 + "}", "#/max_concurrent"),
        ('{"max_concurrent": "5"}', "#/max_concurrent"),
        ('{"max_concurrent": true}', "#/max_concurrent"),
        ('{"max_concurrent": null}', "#/max_concurrent"),
        ('{"max_concurrent": [5]}', "#/max_concurrent"),
        ("{}", "#/max_concurrent"),
        ('{"max_concurrent": 5, "ttl": 0}', "#/ttl"),
        ('{"max_concurrent": 5, "ttl": -1}', "#/ttl"),
        ('{"max_concurrent": 5, "ttl": true}', "#/ttl"),
        ('{"max_concurrent": 5, "ttl": "60"}', "#/ttl"),
        ('{"max_concurrent": 5, "ttl": 1e300}', "#/ttl"),
        ('{"max_concurrent": 5, "reason": 7}', "#/reason"),
        ('{"max_concurrent": 5, "reason": "' + "x" * 501 + '"}', "#/reason"),
        ('{"max_concurrent": 5, "by": "me"}', "#/by"),
        ('{"max_concurrent": 5, "maxConcurrent": 5}', "#/maxConcurrent"),
        ("[]", "#"),
    ],
)
async def test_a_bad_cap_changes_nothing(
    client: AsyncClient, store: Store, path: str, body: str, pointer: str
) -> None:
    answer = await client.put(path, content=body, headers={"Content-Type": "application/json"})
    assert pointers(answer) == [pointer]
    assert await store.redis.exists(store.keys.cap, store.keys.limits, store.keys.audit) == 0


@pytest.mark.parametrize(
    ("method", "target", "pointer"),
    [
        ("PUT", CAP + "?dryrun=true", "?dryrun"),
        ("PUT", CAP + "?dry_run=1", "?dry_run"),
        ("PUT", CAP + "?dry_run", "?dry_run"),
        ("PUT", CAP + "?dry_run=true&dry_run=true", "?dry_run"),
        ("PUT", OWN + "?limit=1", "?limit"),
        ("DELETE", CAP + "?dry_run=yes", "?dry_run"),
        ("DELETE", OWN + "?ttl=5", "?ttl"),
        ("GET", CAP + "?dry_run=true", "?dry_run"),
        ("GET", CAP + "/audit?limit=0", "?limit"),
        ("GET", CAP + "/audit?limit=1001", "?limit"),
        ("GET", CAP + "/audit?limit=x", "?limit"),
        ("GET", CAP + "/audit?limit=%D9%A3", "?limit"),
        ("GET", CAP + "/audit?limit=" + "9" * 5000, "?limit"),
        ("GET", CAP + "/status?x=1", "?x"),
    ],
)
async def test_a_bad_query_changes_nothing(
    client: AsyncClient, store: Store, method: str, target: str, pointer: str
) -> None:
    body = {"max_concurrent": 1} if method == "PUT" else None
    assert pointers(await client.request(method, target, json=body)) == [pointer]
    assert await store.redis.exists(store.keys.cap, store.keys.limits, store.keys.audit) == 0


async def test_a_delete_takes_no_body(client: AsyncClient) -> None:
    assert pointers(await client.request("DELETE", CAP, json={"max_concurrent": 1})) == ["#"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_an_unknown_algorithm_is_a_404(client: AsyncClient, store: Store, method: str) -> None:
    body = {"max_concurrent": 1} if method == "PUT" else None
    answer = await client.request(method, CAP + "/algorithms/No%2Fbody", json=body)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/algorithm-not-found")
    assert "'No/body'" in answer.json()["detail"]
    assert await store.redis.exists(store.keys.limits, store.keys.audit) == 0


async def test_the_audit_may_be_shortened(client: AsyncClient) -> None:
    for cap in (1, 2, 3):
        await client.put(CAP, json={"max_concurrent": cap})
    assert [entry["to"] for entry in (await client.get(CAP + "/audit?limit=2")).json()["audit"]] == [3, 2]


async def test_a_reason_is_told_as_it_was_given(client: AsyncClient) -> None:
    reason = 'é "quoted"\n\\ 漢 \u0000'
    await client.put(CAP, json={"max_concurrent": 1, "reason": reason})
    assert (await client.get(CAP)).json()["override"]["reason"] == reason
    assert (await audit(client))[0]["reason"] == reason


async def test_every_front_end_says_the_same(connect: Connect, catalogue: None) -> None:
    async with connect() as one, connect() as other:
        await one.put(CAP, json={"max_concurrent": 4})
        assert await status(one) == await status(other)
        assert (await other.get(CAP)).json()["override"]["value"] == 4
