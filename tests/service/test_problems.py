"""Problem details: one shape for every error, and nothing of the inside in them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, get_args

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.types import Message, Receive, Scope, Send

from service.problems import TABLE, Unforeseen, pointer
from service.request_id import RequestId
from slotwise.errors import Code
from slotwise.journal import FIELDS
from slotwise.store import Store

START_ONLY = {"invalid-settings", "invalid-algorithms", "no-server", "server-in-use"}


def test_every_code_has_a_status_or_concerns_the_start_only() -> None:
    assert set(TABLE) | START_ONLY == set(get_args(Code))
    assert not set(TABLE) & START_ONLY


async def test_has_every_member(client: AsyncClient) -> None:
    answer = await client.get("/jobs/a%2Fb", headers={"X-Request-Id": "r-1"})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/problems/job-not-found",
        "title": "There is no such job",
        "status": 404,
        "detail": "No job is called 'a/b', or it ended and was not kept any longer.",
        "instance": "/jobs/a%2Fb",
        "request_id": "r-1",
    }


@pytest.mark.parametrize(
    "path",
    [
        "/job",
        "/jobs/",
        "/jobs//",
        "/jobs/1/",
        "/jobs/1/cancel/",
        "/jobs/1/2/3",
        "/healthz/",
        "/%6Aobs",
        "/jobs/%ff",
    ],
)
async def test_a_path_without_an_endpoint_is_a_404(client: AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


@pytest.mark.parametrize("path", ["/jobs/concurrency/", "/jobs/concurrency/cancel"])
async def test_concurrency_is_no_job(client: AsyncClient, path: str) -> None:
    for answer in (await client.get(path), await client.post(path)):
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/jobs", {"GET", "HEAD", "POST"}),
        ("DELETE", "/jobs", {"GET", "HEAD", "POST"}),
        ("POST", "/failures", {"GET", "HEAD"}),
        ("PUT", "/jobs/1", {"GET", "HEAD", "DELETE"}),
        ("GET", "/jobs/1/retry", {"POST"}),
        ("GET", "/jobs/1/cancel", {"POST"}),
        ("POST", "/jobs/concurrency/status", {"GET", "HEAD"}),
        ("POST", "/jobs/concurrency", {"GET", "HEAD", "PUT", "DELETE"}),
        ("GET", "/jobs/concurrency/algorithms/Rest", {"PUT", "DELETE"}),
        ("POST", "/algorithms", {"GET", "HEAD"}),
        ("OPTIONS", "/healthz", {"GET", "HEAD"}),
        ("BREW", "/readyz", {"GET", "HEAD"}),
    ],
)
async def test_another_method_is_a_405_with_allow(
    client: AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["type"]) == (405, "/problems/method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/jobs"),
        ("GET", "/jobs/1"),
        ("POST", "/jobs/1/cancel"),
        ("POST", "/jobs/1/retry"),
        ("DELETE", "/jobs/1"),
        ("GET", "/jobs/concurrency/status"),
        ("GET", "/jobs/concurrency"),
        ("PUT", "/jobs/concurrency"),
        ("DELETE", "/jobs/concurrency/algorithms/Rest"),
        ("GET", "/jobs/concurrency/audit"),
        ("GET", "/algorithms"),
        ("GET", "/algorithms/Rest"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
    ],
)
@pytest.mark.parametrize("query", ["colour=red", "x", "=", "&"])
async def test_a_query_parameter_that_nobody_reads_is_a_422(
    client: AsyncClient, method: str, path: str, query: str
) -> None:
    answer = await client.request(
        method, f"{path}?{query}", json=None if method in ("GET", "DELETE") else {"algorithm": "Rest"}
    )
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")


async def test_what_nobody_foresaw_is_a_500_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("secret of the inside")

    app = RequestId(Unforeseen(fails))
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://localhost") as client:
        with caplog.at_level(logging.ERROR):
            answer = await client.get("/metrics", headers={"X-Request-Id": "r-2"})
    problem = answer.json()
    assert (answer.status_code, problem["type"], problem["request_id"]) == (500, "/problems/internal", "r-2")
    assert problem["detail"] == "The request could not be served. The log has the details."
    assert answer.headers["X-Request-Id"] == "r-2"
    [record] = caplog.records
    assert record.getMessage() == "GET /metrics failed"
    assert getattr(record, FIELDS) == {"request_id": "r-2"}
    assert record.exc_info is not None


async def test_a_key_that_is_none_of_ours_is_told_of(client: AsyncClient, store: Store) -> None:
    await store.redis.set(store.keys.counts, "no hash", ex=60)
    for path in ("/metrics", "/stats"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-damaged")
        assert "`slotwise doctor`" in answer.json()["detail"]
        assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), "#"),
        (("params", "number"), "#/params/number"),
        (("list", 0, "x"), "#/list/0/x"),
        (("a/b", "c~d", "e%f", "ü", "", '"'), "#/a~1b/c~0d/e%25f/%C3%BC//%22"),
    ],
)
def test_pointers(path: tuple[Any, ...], text: str) -> None:
    assert pointer(*path) == text


async def test_a_request_that_a_stop_cuts_short_is_told_to_come_again() -> None:
    """As uvicorn ends what is under way when its grace is over."""
    asked = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        asked.set()
        await asyncio.Event().wait()

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "GET", "path": "/jobs/x", "raw_path": b"/jobs/x", "headers": []}
    task = asyncio.create_task(RequestId(Unforeseen(endless))(scope, asked.wait, send))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"1") in sent[0]["headers"]
