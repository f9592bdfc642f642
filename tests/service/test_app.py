"""The application's life: with the store, without it, and when it comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from slotwise.store import Store
from tests.facts import wait_for
from tests.service.conftest import Connect

AWAY = "unix:///nowhere/there-is-no-server"


async def test_a_live_and_ready_service(client: Any) -> None:
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/jobs"),
        ("GET", "/jobs/1"),
        ("POST", "/jobs/1/cancel"),
        ("GET", "/jobs/concurrency/status"),
        ("GET", "/jobs/concurrency"),
        ("PUT", "/jobs/concurrency"),
        ("DELETE", "/jobs/concurrency"),
        ("GET", "/jobs/concurrency/audit"),
        ("PUT", "/jobs/concurrency/algorithms/Rest"),
        ("GET", "/algorithms"),
        ("GET", "/algorithms/Rest"),
        ("GET", "/readyz"),
    ],
)
async def test_without_the_store_it_starts_and_answers_503(connect: Connect, method: str, path: str) -> None:
    async with connect(AWAY) as client:
        body = {"POST /jobs": {"algorithm": "Rest"}}.get(f"{method} {path}")
        body = {"max_concurrent": 1} if method == "PUT" else body
        answer = await client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
        assert answer.headers["Retry-After"] == "1"
        assert "nowhere" not in answer.text
        assert (await client.get("/healthz")).status_code == 200


async def test_a_wait_without_the_store_is_a_503(connect: Connect) -> None:
    async with connect(AWAY) as client, asyncio.timeout(30):
        assert (await client.get("/jobs/1", headers={"Prefer": "wait=60"})).status_code == 503


async def configured(store: Store) -> int:
    """The cap, once a front end has told the store."""
    await wait_for(lambda: store.redis.hexists(store.keys.cap, "configured"), what="a configured cap")
    return (await store.slots()).max_concurrent


async def test_tells_the_store_the_configured_cap(connect: Connect, store: Store) -> None:
    async with connect(max_concurrent_jobs=20):
        assert await configured(store) == 20


async def test_a_default_cap_changes_nothing_that_was_set(connect: Connect, store: Store) -> None:
    await store.configure(7, by="a test")
    async with connect() as client:
        assert (await client.get("/jobs/concurrency/status")).json()["max_concurrent"] == 7
    assert (await store.slots()).max_concurrent == 7
