"""Submit, read, cancel, retry and erase, over HTTP."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import quote

import pytest
from arq.connections import ArqRedis
from httpx2 import AsyncClient

from slotwise import wire
from slotwise.store import Store
from tests.service.conftest import Connect
from tests.service.stand_in import StandInWorker

SEED = {"algorithm": "PrimeChecker", "params": {"number": 7}}
REST = {"algorithm": "Rest"}

FIELDS = [
    *("job_id", "status", "algorithm", "params", "result", "error", "progress", "message", "attempt"),
    *("max_attempts", "priority", "timeout", "created_at", "scheduled_for", "started_at", "completed_at"),
    *("expires_at", "heartbeat_at", "wait_seconds", "run_seconds", "reason", "cancel_requested", "worker"),
    *("webhook", "labels", "tenant", "usage", "urls"),
]


async def queued(store: Store) -> int:
    size: int = await store.redis.zcard(store.keys.queue)
    return size


async def test_submit_answers_202_with_the_whole_job(client: AsyncClient, store: Store) -> None:
    answer = await client.post("/jobs", json=SEED)
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Location"] == f"/jobs/{job['job_id']}" == job["urls"]["self"]
    assert "Idempotent-Replayed" not in answer.headers
    assert list(job) == FIELDS
    assert re.fullmatch(r"[0-9a-f]{32}", job["job_id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job["created_at"])
    assert (job["status"], job["reason"], job["params"]) == ("pending", "queued", {"number": 7})
    assert await queued(store) == 1


async def test_read_answers_what_submit_answered(client: AsyncClient) -> None:
    fields = {"priority": 3, "timeout": 5, "max_attempts": 2, "labels": {"team": "blue"}, "keep_result": 60}
    made = await client.post("/jobs", json=SEED | fields)
    answer = await client.get(made.headers["Location"])
    assert (answer.status_code, answer.headers["Retry-After"]) == (200, "1")
    assert answer.json() == made.json()
    assert [answer.json()[name] for name in ("priority", "timeout", "max_attempts")] == [3, 5, 2]
    assert answer.json()["labels"] == {"team": "blue"}


async def test_head_is_get_without_a_body(client: AsyncClient) -> None:
    made = await client.post("/jobs", json=SEED)
    assert (await client.head(made.headers["Location"])).status_code == 200


async def test_integers_of_any_size_survive(client: AsyncClient) -> None:
    number = 10**999 + 7
    answer = await client.post(
        "/jobs",
        content=f'{{"algorithm": "PrimeChecker", "params": {{"number": {number}}}}}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.json()["params"]["number"] == number
    assert (await client.get(answer.headers["Location"])).json()["params"]["number"] == number


async def test_a_job_for_later_is_scheduled(client: AsyncClient) -> None:
    job = (await client.post("/jobs", json=REST | {"run_at": "2099-01-31T13:00:00+01:00"})).json()
    assert (job["status"], job["reason"]) == ("pending", "scheduled")
    assert job["scheduled_for"] == "2099-01-31T12:00:00.000Z"
    job = (await client.post("/jobs", json=REST | {"delay": 3_600})).json()
    assert (job["reason"], job["scheduled_for"] > job["created_at"]) == ("scheduled", True)


async def test_a_running_job_and_its_result(client: AsyncClient, worker: StandInWorker) -> None:
    url = (await client.post("/jobs", json=SEED)).headers["Location"]
    [grant] = await worker.claim()
    running = await client.get(url)
    assert (running.json()["status"], running.json()["attempt"], running.json()["worker"]) == (
        "running",
        1,
        "stand-in",
    )
    assert running.headers["Retry-After"] == "1"
    await worker.finish(grant, result={"is_prime": True})
    answer = await client.get(url)
    job = answer.json()
    assert "Retry-After" not in answer.headers
    assert (job["status"], job["result"], job["error"]) == ("completed", {"is_prime": True}, None)
    assert None not in (job["started_at"], job["completed_at"], job["expires_at"], job["run_seconds"])


async def test_a_failed_job_has_an_error_and_no_result(client: AsyncClient, worker: StandInWorker) -> None:
    url = (await client.post("/jobs", json=SEED)).headers["Location"]
    [grant] = await worker.claim()
    error = {"type": "exception", "message": "ValueError: no", "detail": None}
    await worker.finish(grant, error=error)
    job = (await client.get(url)).json()
    assert (job["status"], job["result"], job["error"]) == ("failed", None, error)


async def test_cancel_of_a_waiting_job_is_a_200_and_so_is_the_next(client: AsyncClient, store: Store) -> None:
    job = (await client.post("/jobs", json=SEED)).json()
    for _ in range(2):
        answer = await client.post(job["urls"]["cancel"])
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        assert answer.json()["error"] is None
    assert await queued(store) == 0


async def test_cancel_of_a_running_job_is_a_202(client: AsyncClient, worker: StandInWorker) -> None:
    job = (await client.post("/jobs", json=SEED)).json()
    await worker.claim()
    for _ in range(2):
        answer = await client.post(job["urls"]["cancel"])
        assert answer.status_code == 202
        assert (answer.json()["status"], answer.json()["cancel_requested"]) == ("running", True)


async def test_cancel_of_a_finished_job_is_a_409(client: AsyncClient, worker: StandInWorker) -> None:
    job = (await client.post("/jobs", json=SEED)).json()
    [grant] = await worker.claim()
    await worker.finish(grant, result=1)
    answer = await client.post(job["urls"]["cancel"])
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/already-finished")
    assert (await client.get(job["urls"]["self"])).json()["status"] == "completed"


@pytest.mark.parametrize("end", ["failed", "cancelled"])
async def test_retry_of_a_failed_or_cancelled_job_is_a_202(
    client: AsyncClient, worker: StandInWorker, end: str
) -> None:
    made = (await client.post("/jobs", json=SEED | {"priority": 1, "labels": {"a": "b"}})).json()
    url = made["urls"]["self"]
    if end == "failed":
        [grant] = await worker.claim()
        await worker.finish(grant, error={"type": "exception", "message": "no", "detail": None})
    else:
        await client.post(url + "/cancel")
    assert (await client.get(url)).json()["status"] == end
    answer = await client.post(url + "/retry")
    job = answer.json()
    assert answer.status_code == 202
    assert list(job) == FIELDS
    assert {**job, "scheduled_for": None} == made
    assert (await client.get(url)).json() == job
    [grant] = await worker.claim()
    await worker.finish(grant, result=1)
    job = (await client.get(url)).json()
    assert (job["status"], job["result"], job["error"], job["attempt"]) == ("completed", 1, None, 1)
    assert job["wait_seconds"] < 10


async def test_retry_of_another_job_is_a_409_that_says_what_to_do(
    client: AsyncClient, worker: StandInWorker, store: Store
) -> None:
    job = (await client.post("/jobs", json=SEED)).json()
    url = job["urls"]["self"] + "/retry"
    answer = await client.post(url)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/still-active")
    [grant] = await worker.claim()
    answer = await client.post(url)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/still-active")
    assert answer.json()["detail"] == "The job is running: there is nothing to retry yet."
    await worker.finish(grant, result=1)
    answer = await client.post(url)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/already-finished")
    other = (await client.post("/jobs", json=SEED)).json()
    await client.post(other["urls"]["cancel"])
    await store.redis.delete("arq:result:" + other["job_id"])
    answer = await client.post(other["urls"]["self"] + "/retry")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-kept")
    assert "keep_result" in answer.json()["detail"]


async def test_retries_at_once_make_one_202(client: AsyncClient, store: Store) -> None:
    job = (await client.post("/jobs", json=SEED)).json()
    await client.post(job["urls"]["cancel"])
    answers = await asyncio.gather(*(client.post(job["urls"]["self"] + "/retry") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 9
    assert await queued(store) == 1


async def test_a_full_queue_takes_no_retry(connect: Connect, catalogue: None) -> None:
    async with connect(max_pending_jobs=1) as client:
        job = (await client.post("/jobs", json=SEED)).json()
        await client.post(job["urls"]["cancel"])
        await client.post("/jobs", json=SEED)
        answer = await client.post(job["urls"]["self"] + "/retry")
        assert (answer.status_code, answer.json()["type"]) == (429, "/problems/queue-full")
        assert int(answer.headers["Retry-After"]) >= 1


async def test_delete_erases_a_finished_job_and_nothing_else(client: AsyncClient, store: Store) -> None:
    headers = {"Idempotency-Key": "order 17"}
    job = (await client.post("/jobs", json=SEED, headers=headers)).json()
    url = job["urls"]["self"]
    answer = await client.delete(url)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/still-active")
    await client.post(job["urls"]["cancel"])
    answer = await client.delete(url)
    assert (answer.status_code, answer.content) == (204, b"")
    for answer in (await client.get(url), await client.delete(url), await client.post(url + "/retry")):
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/job-not-found")
    again = await client.post("/jobs", json=SEED | {"params": {"number": 8}}, headers=headers)
    assert (again.status_code, again.json()["job_id"]) == (202, job["job_id"])
    assert "Idempotent-Replayed" not in again.headers
    assert await queued(store) == 1


async def test_retry_and_delete_take_no_body(client: AsyncClient) -> None:
    job = (await client.post("/jobs", json=SEED)).json()
    await client.post(job["urls"]["cancel"])
    url = job["urls"]["self"]
    for method, path in (("POST", url + "/retry"), ("DELETE", url)):
        answer = await client.request(method, path, json={"delay": 5})
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert (await client.get(url)).json()["status"] == "cancelled"


@pytest.mark.parametrize("job_id", ["0" * 32, "%00", "x" * 4_000, "..%2f..", "%F0%9F%98%80"])
async def test_an_unknown_job_is_a_404(client: AsyncClient, job_id: str) -> None:
    for method, what in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry")):
        answer = await client.request(method, f"/jobs/{job_id}{what}")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/job-not-found")


@pytest.mark.parametrize(
    "job_id", ["cron:nightly", "a/b", "a/b/cancel", "concurrency", "concurrency/status", "ü %2F?#", "\0", "..x"]
)
async def test_a_stock_clients_job_is_reached_whatever_its_id(
    client: AsyncClient, store: Store, job_id: str
) -> None:
    arq = ArqRedis(store.redis.connection_pool, job_serializer=wire.serialize)
    await arq.enqueue_job("Rest", _job_id=job_id, seconds=2)
    path = "/jobs/%63oncurrency" if job_id == "concurrency" else "/jobs/" + quote(job_id, safe="")
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    job = answer.json()
    assert (job["job_id"], job["status"], job["params"]) == (job_id, "pending", {"seconds": 2})
    assert job["urls"]["self"] == path
    for _ in range(2):
        answer = await client.post(job["urls"]["cancel"])
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        answer = await client.post(path + "/retry")
        assert (answer.status_code, answer.json()["job_id"]) == (202, job_id)
    await client.post(job["urls"]["cancel"])
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


REFUSED: list[tuple[dict[str, Any], int, str, list[str]]] = [
    ({"algorithm": "Prime"}, 404, "algorithm-not-found", []),
    ({"algorithm": "primechecker"}, 404, "algorithm-not-found", []),
    ({"algorithm": ""}, 404, "algorithm-not-found", []),
    ({}, 422, "invalid-request", ["#/algorithm"]),
    ({"algorithm": "PrimeChecker"}, 422, "invalid-request", ["#/params/number"]),
    (SEED | {"params": {"number": "abc"}}, 422, "invalid-request", ["#/params/number"]),
    (SEED | {"params": {"number": 7.0}}, 422, "invalid-request", ["#/params/number"]),
    (SEED | {"params": {"number": True}}, 422, "invalid-request", ["#/params/number"]),
    (SEED | {"params": {"number": None}}, 422, "invalid-request", ["#/params/number"]),
    (SEED | {"params": {"number": 10**1000}}, 422, "invalid-request", ["#/params/number"]),
    (SEED | {"params": {"number": 7, "base": 2}}, 422, "invalid-request", ["#/params/base"]),
    (SEED | {"webhook": "http://localhost"}, 422, "invalid-request", ["#/webhook"]),
]


@pytest.mark.parametrize(("body", "status", "code", "pointers"), REFUSED, ids=lambda each: repr(each)[:60])
async def test_what_is_refused_is_not_queued(
    client: AsyncClient, store: Store, body: dict[str, Any], status: int, code: str, pointers: list[str]
) -> None:
    answer = await client.post("/jobs", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"/problems/{code}")
    assert [row["pointer"] for row in problem.get("errors", [])] == pointers
    assert await queued(store) == 0


async def test_an_unknown_algorithm_is_told_the_known_ones(client: AsyncClient) -> None:
    answer = await client.post("/jobs", json={"algorithm": "Prime"})
    assert answer.json()["detail"] == "No algorithm is called 'Prime'. Known: PrimeChecker, Rest."


async def test_a_full_queue_is_a_429_until_there_is_room(connect: Connect, catalogue: None) -> None:
    async with connect(max_pending_jobs=2) as client:
        first, _ = [await client.post("/jobs", json=SEED) for _ in range(2)]
        answer = await client.post("/jobs", json=SEED)
        assert (answer.status_code, answer.json()["type"]) == (429, "/problems/queue-full")
        assert int(answer.headers["Retry-After"]) >= 1
        await client.post(first.json()["urls"]["cancel"])
        assert (await client.post("/jobs", json=SEED)).status_code == 202


async def test_an_idempotency_key_makes_one_job(client: AsyncClient, store: Store) -> None:
    headers = {"Idempotency-Key": "order 17"}
    first = await client.post("/jobs", json=SEED, headers=headers)
    again = await client.post(
        "/jobs", json={"params": {"number": 7}, "algorithm": "PrimeChecker"}, headers=headers
    )
    assert (first.status_code, again.status_code) == (202, 202)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert again.json() == first.json()
    assert re.fullmatch(r"[0-9a-f]{32}", first.json()["job_id"])
    assert await queued(store) == 1


async def test_a_replay_shows_the_job_as_it_is_now(client: AsyncClient, worker: StandInWorker) -> None:
    headers = {"Idempotency-Key": "order 17"}
    await client.post("/jobs", json=SEED, headers=headers)
    [grant] = await worker.claim()
    await worker.finish(grant, result=1)
    again = await client.post("/jobs", json=SEED, headers=headers)
    assert (again.status_code, again.json()["status"], again.json()["result"]) == (202, "completed", 1)


async def test_requests_with_one_key_at_once_make_one_job(client: AsyncClient, store: Store) -> None:
    headers = {"Idempotency-Key": "k"}
    answers = await asyncio.gather(*(client.post("/jobs", json=SEED, headers=headers) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 19
    assert await queued(store) == 1


@pytest.mark.parametrize(
    "other", [{"params": {"number": 8}}, {"priority": 1}, {"labels": {"a": "b"}}, {"delay": 5}]
)
async def test_a_key_for_another_request_is_a_422(
    client: AsyncClient, store: Store, other: dict[str, Any]
) -> None:
    headers = {"Idempotency-Key": "order 17"}
    await client.post("/jobs", json=SEED, headers=headers)
    answer = await client.post("/jobs", json=SEED | other, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert await queued(store) == 1


@pytest.mark.parametrize("key", [b"", "é".encode(), b"a\tb", b"k" * 256])
async def test_an_odd_idempotency_key_is_a_422(client: AsyncClient, store: Store, key: bytes) -> None:
    answer = await client.post("/jobs", json=SEED, headers={b"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert await queued(store) == 0


async def test_two_idempotency_keys_are_a_422(client: AsyncClient) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert (await client.post("/jobs", json=SEED, headers=headers)).status_code == 422


async def test_the_bare_result(client: AsyncClient, worker: StandInWorker) -> None:
    made = (await client.post("/jobs", json=SEED)).json()
    path = f"{made['urls']['self']}/result"
    early = await client.get(path)
    assert (early.status_code, early.json()["type"]) == (404, "/problems/result-not-ready")
    assert int(early.headers["Retry-After"]) > 0
    [grant] = await worker.claim()
    assert (await client.get(path)).json()["type"] == "/problems/result-not-ready"
    result = {"prime": True, "digits": 10**30, "text": "a\x00b é"}
    await worker.finish(grant, result=result)
    answer = await client.get((await client.get(made["urls"]["self"])).json()["urls"]["result"])
    assert (answer.status_code, answer.json()) == (200, result)


async def test_a_job_that_failed_or_was_cancelled_has_no_result(
    client: AsyncClient, worker: StandInWorker
) -> None:
    failed, cancelled = [(await client.post("/jobs", json=REST)).json()["urls"]["self"] for _ in range(2)]
    [grant] = await worker.claim()
    await worker.finish(grant, error={"type": "exception", "message": "boom", "detail": None})
    await client.post(f"{cancelled}/cancel")
    for path in (failed, cancelled):
        answer = await client.get(f"{path}/result")
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/job-failed")
    nobody = await client.get(f"/jobs/{'0' * 32}/result")
    assert (nobody.status_code, nobody.json()["type"]) == (404, "/problems/job-not-found")
