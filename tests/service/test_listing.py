"""GET /jobs over HTTP: pages, filters, and what is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from httpx2 import AsyncClient

from service.listing import FILTERS
from tests.service.stand_in import StandInWorker
from tests.service.test_jobs import FIELDS

PRIME = {"algorithm": "PrimeChecker", "params": {"number": 7}}
REST = {"algorithm": "Rest"}
FAILURE = {"type": "timeout", "message": "too long", "detail": None}


async def submitted(client: AsyncClient, *bodies: dict[str, Any]) -> list[str]:
    return [(await client.post("/jobs", json=body)).json()["job_id"] for body in bodies]


async def ids_of(client: AsyncClient, query: str = "") -> list[str]:
    answer = await client.get(f"/jobs?{query}" if query else "/jobs")
    assert answer.status_code == 200, answer.text
    return [job["job_id"] for job in answer.json()["jobs"]]


async def test_jobs_are_listed_without_params_and_result(client: AsyncClient) -> None:
    assert (await client.get("/jobs")).json() == {"jobs": [], "next_cursor": None}
    (job_id,) = await submitted(client, PRIME | {"labels": {"a": "b"}})
    answer = (await client.get("/jobs")).json()
    job = (await client.get(f"/jobs/{job_id}")).json()
    assert answer == {
        "jobs": [{k: v for k, v in job.items() if k not in ("params", "result")}],
        "next_cursor": None,
    }
    assert (await client.head("/jobs")).status_code == 200
    assert len(await ids_of(client)) == 1, "a HEAD submits nothing"


async def test_include_adds_them(client: AsyncClient, worker: StandInWorker) -> None:
    await submitted(client, PRIME)
    [grant] = await worker.claim()
    await worker.finish(grant, result={"prime": True})
    [job] = (await client.get("/jobs?include=params,result")).json()["jobs"]
    assert (list(job), job["params"], job["result"]) == (FIELDS, {"number": 7}, {"prime": True})
    [job] = (await client.get("/jobs?include=result")).json()["jobs"]
    assert ("params" in job, job["result"]) == (False, {"prime": True})


async def test_pages_follow_one_another_to_the_end(client: AsyncClient) -> None:
    made = await submitted(client, *[PRIME] * 7)
    seen, cursor, sizes = [], "", []
    while cursor is not None:
        answer = (await client.get(f"/jobs?limit=3{cursor and '&cursor=' + cursor}")).json()
        seen += [job["job_id"] for job in answer["jobs"]]
        sizes.append(len(answer["jobs"]))
        cursor = answer["next_cursor"]
    assert (sorted(seen), sizes) == (sorted(made), [3, 3, 1])
    times = [(await client.get(f"/jobs/{job_id}")).json()["created_at"] for job_id in seen]
    assert times == sorted(times, reverse=True)


async def test_each_filter(client: AsyncClient, worker: StandInWorker) -> None:
    failed, runs, labelled = await submitted(client, PRIME, REST, PRIME | {"labels": {"a": "b:ü c"}})
    [first, _] = await worker.claim(2)
    await worker.finish(first, error=FAILURE)
    created = (await client.get(f"/jobs/{labelled}")).json()["created_at"]
    for query, found in {
        "status=failed": {failed},
        "status=running": {runs},
        "status=pending": {labelled},
        "status=completed": set(),
        "algorithm=Rest": {runs},
        "algorithm=Nobody": set(),
        "label=a:b:%C3%BC%20c": {labelled},
        "label=a:": set(),
        "error_type=timeout": {failed},
        "error_type=lost": set(),
        "min_running_seconds=0": {runs},
        "min_running_seconds=3600.5": set(),
        "created_after=2020-01-31T12:00:00%2B01:00": {failed, runs, labelled},
        f"created_after={created}": set(),
        "created_before=2020-01-31T12:00:00Z": set(),
        "created_before=2099-01-31T12:00:00Z&algorithm=PrimeChecker&status=failed": {failed},
    }.items():
        assert set(await ids_of(client, query)) == found, query


LABEL = "must be name:value, a name of 1 to 64 characters and a value of at most 256"
TIME = "must be an RFC 3339 timestamp with an offset, as 2030-01-31T12:00:00Z"
CURSOR = "must be the next_cursor of an answer"


@pytest.mark.parametrize(
    ("query", "name", "detail"),
    [
        ("stat=failed", "?stat", None),
        ("status=failed&status=running", "?status", "must be given once"),
        ("status=done", "?status", None),
        ("status=", "?status", None),
        ("algorithm=", "?algorithm", None),
        ("label=a", "?label", LABEL),
        ("label=:b", "?label", LABEL),
        (f"label=a:{'b' * 257}", "?label", LABEL),
        ("error_type=unknown", "?error_type", None),
        ("created_after=yesterday", "?created_after", TIME),
        ("created_before=2030-01-31", "?created_before", TIME),
        ("created_before=2030-02-31T12:00:00Z", "?created_before", "must be a time that exists"),
        ("min_running_seconds=-1", "?min_running_seconds", "must be a number of seconds, as 60 or 0.5"),
        ("min_running_seconds=1e9", "?min_running_seconds", "must be a number of seconds, as 60 or 0.5"),
        ("min_running_seconds=9999999999", "?min_running_seconds", None),
        ("limit=0", "?limit", "must be a whole number from 1 to 500"),
        ("limit=501", "?limit", "must be a whole number from 1 to 500"),
        ("cursor=", "?cursor", CURSOR),
        ("cursor=%21", "?cursor", CURSOR),
        (f"cursor={'A' * 5_000}", "?cursor", CURSOR),
        (f"cursor={base64.urlsafe_b64encode(b'1').decode()}", "?cursor", CURSOR),
        (f"cursor={base64.urlsafe_b64encode(b'nan x').decode()}", "?cursor", CURSOR),
        ("include=", "?include", None),
        ("include=params,params", "?include", None),
        ("include=labels", "?include", None),
    ],
)
async def test_what_is_unknown_or_malformed_is_refused(
    client: AsyncClient, query: str, name: str, detail: str | None
) -> None:
    answer = await client.get(f"/jobs?{query}")
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/invalid-request")
    [row] = problem["errors"]
    assert row["pointer"] == name
    assert detail is None or row["detail"] == detail


def test_the_filters_are_those_of_the_contract() -> None:
    told = "status algorithm label error_type created_after created_before min_running_seconds"
    assert list(FILTERS) == told.split()


async def test_a_cursor_of_any_text_is_only_a_place(client: AsyncClient) -> None:
    """A stock client's id may be any bytes; who makes cursors up finds jobs behind that place, no more."""
    made = await submitted(client, PRIME, PRIME)
    end = base64.urlsafe_b64encode(b"0 \xff\x00 x").decode().rstrip("=")
    begin = base64.urlsafe_b64encode(b"9000000000000000 \xff").decode().rstrip("=")
    assert await ids_of(client, f"cursor={end}") == []
    assert sorted(await ids_of(client, f"cursor={begin}")) == sorted(made)
