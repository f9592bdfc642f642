"""The algorithms, as clients see them, and how soon a new one can be used."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from httpx2 import AsyncClient

from service.catalogue import Catalogue
from slotwise import Algorithm
from slotwise.errors import SlotwiseError
from slotwise.store import Store
from tests.service.conftest import Connect
from tests.service.stand_in import StandInWorker


def twice(number: int) -> int:
    """Double a number."""
    return 2 * number


async def test_lists_what_is_published(client: AsyncClient) -> None:
    entries = (await client.get("/algorithms")).json()["algorithms"]
    assert [(entry["name"], entry["served"]) for entry in entries] == [("PrimeChecker", False), ("Rest", False)]


async def test_shows_one_with_its_schemas_and_limits(client: AsyncClient, worker: StandInWorker) -> None:
    entry = (await client.get("/algorithms/Rest")).json()
    assert entry["served"] is True
    assert entry["parameters"]["properties"]["seconds"]["maximum"] == 3_600
    assert [
        entry[name]
        for name in ("version", "executor", "timeout", "max_attempts", "memory_mb", "cpu_seconds", "description")
    ] == [
        "1",
        "process",
        30,
        3,
        512,
        None,
        "Do nothing for a while.",
    ]
    assert (await client.get("/algorithms/PrimeChecker")).json()["example"] == {"number": 97}


@pytest.mark.parametrize("name", ["Nothing", "rest", "%2F", "a%2Fb"])
async def test_an_unknown_one_is_a_404(client: AsyncClient, name: str) -> None:
    answer = await client.get(f"/algorithms/{name}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/algorithm-not-found")
    assert "PrimeChecker, Rest" in answer.json()["detail"]


async def test_a_name_may_hold_a_slash(client: AsyncClient, store: Store) -> None:
    await store.publish([Algorithm(twice, "maths/twice é").describe()])
    assert (await client.get("/algorithms/maths%2Ftwice%20%C3%A9")).json()["name"] == "maths/twice é"
    answer = await client.post("/jobs", json={"algorithm": "maths/twice é", "params": {"number": 1}})
    assert answer.status_code == 202


async def test_no_worker_yet(connect: Connect) -> None:
    async with connect() as client:
        assert (await client.get("/algorithms")).json() == {"algorithms": []}
        answer = await client.post("/jobs", json={"algorithm": "Rest"})
        assert (answer.status_code, "start a worker" in answer.json()["detail"]) == (404, True)


async def test_a_new_algorithm_can_be_used_at_once(client: AsyncClient, store: Store) -> None:
    body = {"algorithm": "Twice", "params": {"number": 2}}
    assert (await client.post("/jobs", json=body)).status_code == 404
    await store.publish([Algorithm(twice, "Twice").describe()])
    assert (await client.post("/jobs", json=body)).status_code == 202


async def test_a_broken_entry_harms_no_other(client: AsyncClient, store: Store) -> None:
    await store.publish([Algorithm(twice, "Broken").describe() | {"parameters": {"type": "wrong"}}])
    assert (await client.post("/jobs", json={"algorithm": "Broken"})).status_code == 500
    assert (await client.post("/jobs", json={"algorithm": "Rest"})).status_code == 202


async def test_a_schema_is_compiled_once_and_again_when_it_changed(store: Store, catalogue: None) -> None:
    known = Catalogue(store)
    before = (await known.find("Rest")).parameters
    await known._refresh(0)
    assert (await known.find("Rest")).parameters is before
    await store.publish([Algorithm(twice, "Rest").describe()])
    await known._refresh(0)
    assert (await known.find("Rest")).parameters is not before


async def test_an_outage_is_waited_for_once_however_many_ask(redis_url: str) -> None:
    reads: list[int] = []

    class Away(Store):
        async def catalogue(self) -> dict[str, dict[str, Any]]:
            reads.append(1)
            await asyncio.sleep(0)
            raise SlotwiseError("store-unavailable", "no", retry_after_seconds=1)

    store = await Away.connect(redis_url)
    catalogue = Catalogue(store)
    told = await asyncio.gather(*(catalogue.find("Rest") for _ in range(20)), return_exceptions=True)
    assert [each.code for each in told if isinstance(each, SlotwiseError)] == ["store-unavailable"] * 20
    assert len(reads) == 1
    await store.close()
