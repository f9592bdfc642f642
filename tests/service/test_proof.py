"""The proof's endpoint: the replay's answer, and a window that is read strictly."""

from __future__ import annotations

from typing import Any

import pytest
from httpx2 import AsyncClient

from slotwise.store import Store
from tests.service.conftest import Connect
from tests.service.stand_in import StandInWorker

PATH = "/jobs/concurrency/proof"
FIELDS = [
    *("window", "since", "until", "covered_since", "entries", "max_running", "max_running_at", "running_jobs"),
    *("max_concurrent", "admitted", "released", "violations_found", "violations", "notes"),
]


async def proof(client: AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(PATH + query)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json"), answer.text
    body: dict[str, Any] = answer.json()
    assert list(body) == FIELDS
    return body


async def test_an_idle_service(client: AsyncClient) -> None:
    body = await proof(client)
    assert (body["window"], body["covered_since"], body["violations"], body["max_concurrent"]) == (
        3600,
        None,
        [],
        [],
    )


async def test_what_was_admitted_and_released(client: AsyncClient, worker: StandInWorker) -> None:
    for _ in range(4):
        await client.post("/jobs", json={"algorithm": "Rest"})
    grants = await worker.claim(3)
    await worker.finish(grants[0])
    body = await proof(client, "?window=60")
    assert (body["window"], body["entries"], body["admitted"], body["released"]) == (60, 2, 3, 1)
    assert (body["max_running"], body["running_jobs"], body["violations_found"]) == (3, 2, 0)
    assert body["since"] < body["covered_since"] == body["max_running_at"] <= body["until"]
    assert body["max_concurrent"] == [{"at": body["covered_since"], "value": 10}]


async def test_a_doctored_log_is_told(client: AsyncClient, store: Store, worker: StandInWorker) -> None:
    await client.post("/jobs", json={"algorithm": "Rest"})
    (grant,) = await worker.claim()
    entry = {"at": 1, "move": "claim", "ids": '["x","\udc80"]', "running": 3, "cap": 2}
    forged = {name: str(value).encode("utf-8", "surrogateescape") for name, value in entry.items()}
    id = await store.redis.xadd(store.keys.log, forged)  # type: ignore[arg-type]
    body = await proof(client)
    assert [row["kind"] for row in body["violations"]] == ["time", "over-cap", "running-now"]
    assert body["violations"][1] == {
        "at": "1970-01-01T00:00:00.001Z",
        "kind": "over-cap",
        "detail": "a claim of 2 left 3 running under a cap of 2",
        "entry": id.decode(),
        "running": 3,
        "max_concurrent": 2,
    }
    assert [row["kind"] for row in body["notes"]] == ["cap-step"]
    await worker.finish(grant)


@pytest.mark.parametrize("query", ["?window=1", "?window=604800", "?"])
async def test_windows(client: AsyncClient, query: str) -> None:
    assert (await proof(client, query))["window"] in (1, 604_800, 3_600)


UNKNOWN = "is not a parameter of this endpoint, which takes only window"
WHOLE = "must be a whole number from 1 to 604800"


@pytest.mark.parametrize(
    ("query", "parameter", "detail"),
    [
        ("window=0", "window", WHOLE),
        ("window=604801", "window", WHOLE),
        ("window=9999999999999999999", "window", WHOLE),
        ("window=-1", "window", WHOLE),
        ("window=%2B1", "window", WHOLE),
        ("window=+1", "window", WHOLE),
        ("window=1.5", "window", WHOLE),
        ("window=1e3", "window", WHOLE),
        ("window=060", "window", WHOLE),
        ("window=1_000", "window", WHOLE),
        ("window=%EF%BC%91", "window", WHOLE),
        ("window=1%0A", "window", WHOLE),
        ("window=", "window", WHOLE),
        ("window", "window", WHOLE),
        ("window=hour", "window", WHOLE),
        ("window=1&window=1", "window", "must be given once"),
        ("windows=1", "windows", UNKNOWN),
        ("window=1&x=2", "x", UNKNOWN),
        ("Window=1", "Window", UNKNOWN),
        ("&", "", UNKNOWN),
        ("%ED%B2%80%2F=1", "%EF%BF%BD%EF%BF%BD%EF%BF%BD%2F", UNKNOWN),
    ],
)
async def test_any_other_query_is_refused(client: AsyncClient, query: str, parameter: str, detail: str) -> None:
    answer = await client.get(f"{PATH}?{query}")
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/invalid-request")
    assert problem["errors"] == [{"pointer": "?" + parameter, "detail": detail}]


async def test_other_methods(client: AsyncClient) -> None:
    assert (await client.post(PATH)).status_code == 405


async def test_while_the_store_is_away(connect: Connect) -> None:
    async with connect("redis://127.0.0.1:1") as client:
        answer = await client.get(PATH)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
