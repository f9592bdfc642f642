"""GET /jobs/{id}/logs."""

from __future__ import annotations

import pytest
from httpx2 import AsyncClient

from service.logs import as_text
from slotwise.store import Store
from slotwise.words import Words
from tests.service.stand_in import StandInWorker


@pytest.mark.parametrize(
    ("cut", "data", "tail", "text"),
    [
        (0, b"", 5, ""),
        (0, b"a\nb\nc\n", 5, "a\nb\nc\n"),
        (0, b"a\nb\nc\n", 2, "b\nc\n"),
        (0, b"a\nb\nc", 1, "c"),
        (0, b"a\r\nb\x0bc\xe2\x80\xa8d\r\n", 1, "b\x0bc\u2028d\r\n"),
        (0, b"\n\n\n", 2, "\n\n"),
        (7, b"a\nb\n", 2, "[7 bytes before this are not kept]\na\nb\n"),
        (7, b"a\nb\n", 1, "b\n"),
        (7, b"", 1, "[7 bytes before this are not kept]\n"),
        (0, b"\xffx", 1, "\ufffdx"),
    ],
)
def test_as_text(cut: int, data: bytes, tail: int, text: str) -> None:
    assert as_text(cut, data, tail=tail) == text


async def test_live_and_afterwards(client: AsyncClient, store: Store, worker: StandInWorker) -> None:
    answer = await client.post("/jobs", json={"algorithm": "Rest"})
    job_id = answer.json()["job_id"]
    assert (await client.get(f"/jobs/{job_id}/logs")).text == ""
    (grant,) = await worker.claim()
    words = Words(grant.id, grant.token, 1, (12.5, "so far"), 0, "één\ntwo\n".encode())
    assert await store.claims.say(worker.incarnation, [words], 1_000) == ["ok"]
    assert (await client.get(f"/jobs/{job_id}/logs")).text == "één\ntwo\n"
    seen = (await client.get(f"/jobs/{job_id}")).json()
    assert (seen["progress"], seen["message"]) == (12.5, "so far")
    assert seen["heartbeat_at"] >= seen["started_at"]
    await worker.finish(grant)
    assert (await client.get(f"/jobs/{job_id}/logs", params={"tail": 1})).text == "two\n"


@pytest.mark.parametrize("query", ["tail=0", "tail=-1", "tail=x", "tail=", "tail=1&tail=2", "lines=3"])
async def test_a_query_that_is_wrong(client: AsyncClient, query: str) -> None:
    answer = await client.get(f"/jobs/nobody/logs?{query}")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")


async def test_an_unknown_job(client: AsyncClient) -> None:
    answer = await client.get("/jobs/nobody/logs")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/job-not-found")
