"""`Prefer: wait=N`: the answer comes when the job ends, never much later, and no end is missed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from httpx2 import AsyncClient
from starlette.datastructures import Headers

from service.waiting import Waiting, preferred_seconds
from slotwise.errors import SlotwiseError
from slotwise.job import State
from slotwise.store import Store
from tests.facts import wait_for
from tests.service.stand_in import StandInWorker

REST = {"algorithm": "Rest"}

PREFERENCES: list[tuple[list[str], int | None]] = [
    ([], None),
    (["respond-async"], None),
    (["waiting=5"], None),
    (["wait=0"], 0),
    (["wait=60"], 60),
    (["WAIT = 5"], 5),
    (['wait="5"'], 5),
    (["respond-async, wait=5"], 5),
    (["handling=lenient", "wait=5"], 5),
    (["wait=5, wait=6"], 5),
]


@pytest.mark.parametrize(("values", "seconds"), PREFERENCES)
def test_reads_the_preference(values: list[str], seconds: int | None) -> None:
    headers = Headers(raw=[(b"prefer", value.encode()) for value in values])
    assert preferred_seconds(headers) == seconds


@pytest.mark.parametrize("value", ["wait", "wait=", "wait=61", "wait=-1", "wait=1.5", "wait=x", "wait=9999999999"])
async def test_a_wait_that_is_none_is_a_422(client: AsyncClient, store: Store, value: str) -> None:
    answers = [
        await client.post("/jobs", json=REST, headers={"Prefer": value}),
        await client.get("/jobs/unknown", headers={"Prefer": value}),
    ]
    assert {(answer.status_code, answer.json()["type"]) for answer in answers} == {
        (422, "/problems/invalid-request")
    }
    assert await store.redis.zcard(store.keys.queue) == 0


async def test_submit_waits_for_the_end(client: AsyncClient, worker: StandInWorker) -> None:
    waiting = asyncio.create_task(client.post("/jobs", json=REST, headers={"Prefer": "wait=60"}))
    [grant] = await wait_for(worker.claim, what="the job in the queue")
    await worker.finish(grant, result=[1])
    answer = await waiting
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=60")
    assert (answer.json()["status"], answer.json()["result"]) == ("completed", [1])
    assert answer.headers["Location"] == answer.json()["urls"]["self"]


async def test_submit_whose_wait_is_over_is_a_202(client: AsyncClient) -> None:
    for seconds in (0, 1):
        answer = await client.post("/jobs", json=REST, headers={"Prefer": f"wait={seconds}"})
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")
        assert "Preference-Applied" not in answer.headers


async def test_read_waits_for_the_end(client: AsyncClient) -> None:
    job = (await client.post("/jobs", json=REST)).json()
    waiting = [
        asyncio.create_task(client.get(job["urls"]["self"], headers={"Prefer": "wait=60"})) for _ in range(10)
    ]
    assert (await client.post(job["urls"]["cancel"])).status_code == 200
    for answer in await asyncio.gather(*waiting):
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        assert answer.headers["Preference-Applied"] == "wait=60"
        assert "Retry-After" not in answer.headers


async def test_read_whose_wait_is_over_shows_the_job_as_it_is(client: AsyncClient) -> None:
    url = (await client.post("/jobs", json=REST)).headers["Location"]
    answer = await client.get(url, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["status"], answer.headers["Retry-After"]) == (200, "pending", "1")
    assert "Preference-Applied" not in answer.headers


async def test_read_of_an_ended_job_does_not_wait(client: AsyncClient) -> None:
    job = (await client.post("/jobs", json=REST)).json()
    await client.post(job["urls"]["cancel"])
    async with asyncio.timeout(30):
        answer = await client.get(job["urls"]["self"], headers={"Prefer": "wait=60"})
    assert answer.headers["Preference-Applied"] == "wait=60"


async def test_an_unknown_job_is_not_waited_for(client: AsyncClient) -> None:
    async with asyncio.timeout(30):
        assert (await client.get("/jobs/unknown", headers={"Prefer": "wait=60"})).status_code == 404


async def test_ends_that_race_with_the_wait_are_not_missed(client: AsyncClient) -> None:
    """Every end falls at another point of the wait's first steps; a missed one would take a minute."""
    jobs = [(await client.post("/jobs", json=REST)).json() for _ in range(50)]

    async def end(job: dict[str, Any], steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        await client.post(job["urls"]["cancel"])

    async with asyncio.timeout(30):
        for steps, job in enumerate(jobs):
            answer, _ = await asyncio.gather(
                client.get(job["urls"]["self"], headers={"Prefer": "wait=60"}), end(job, steps)
            )
            assert answer.json()["status"] == "cancelled"


async def test_a_client_that_hangs_up_is_waited_for_no_longer(client: AsyncClient, store: Store) -> None:
    job_id = (await client.post("/jobs", json=REST)).json()["job_id"]

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async with store.ended() as ended, asyncio.timeout(30):
        job = await Waiting(ended).job(store, job_id, 60, receive)
    assert job is not None
    assert job.state is State.PENDING


async def test_a_stop_answers_those_who_wait(client: AsyncClient, store: Store) -> None:
    job_id = (await client.post("/jobs", json=REST)).json()["job_id"]
    async with store.ended() as ended, asyncio.timeout(30):
        waiting = Waiting(ended)
        asyncio.get_running_loop().call_soon(waiting.stop)
        job = await waiting.job(store, job_id, 60, asyncio.Event().wait)  # type: ignore[arg-type]
    assert job is not None
    assert job.state is State.PENDING


async def test_a_wait_raises_what_the_store_raises(store: Store) -> None:
    async with store.ended() as ended:
        away = await Store.connect("unix:///nowhere")
        with pytest.raises(SlotwiseError, match="Redis"):
            await Waiting(ended).job(away, "id", 60, asyncio.Event().wait)  # type: ignore[arg-type]
        await away.close()
