"""Bytes that nobody of ours would write, in every kind of key, under a fleet: they cost their own job at most."""

from __future__ import annotations

import secrets

import httpx2
import pytest
import redis

from tests.facts import wait_until
from tests.fleet import Fleet, submit
from tests.poison import VALUES, of_job

READS = (
    *("/jobs", "/jobs?label=a:b", "/jobs?error_type=exception", "/failures", "/workers", "/stats", "/metrics"),
    *("/algorithms", "/algorithms/Add", "/openapi.json", "/jobs/concurrency", "/jobs/concurrency/status"),
    *("/jobs/concurrency/proof", "/jobs/concurrency/audit", "/jobs/concurrency/advice"),
)
OF_JOB = ("", "/explain", "/logs", "/result")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_poison_of_a_job_stops_nothing_but_that_job(fleet: Fleet) -> None:
    worker, front, put = fleet.worker(), fleet.front(MAX_CONCURRENT_JOBS="4"), 0
    for name in (*VALUES, "another type"):
        ids = put_into_jobs(fleet.redis, name)
        put += len(ids)
        assert completes(front), name
        for id in ids:
            assert not failing(front, [f"/jobs/{id}{end}" for end in OF_JOB]), f"{name} in {id}"
    assert put > 850
    assert not failing(front, READS)
    assert worker.alive
    wait_until(lambda: not fleet.redis.zcard(fleet.keys.queue), within=60, what="all of them have ended")
    assert completes(front)
    assert "Traceback" not in worker.said() + fleet.processes[-1].said()
    fleet.redis.flushall()  # some of what was put has no TTL


def put_into_jobs(client: redis.Redis, name: str) -> list[str]:
    """As many jobs as there are places in one, each with the value in one of them: their ids."""
    ids = []
    for number in range(len(of_job(""))):
        id = secrets.token_hex(16)
        client.set(f"arq:job:{id}", b'{"t":null,"f":"Add","a":[1,2],"k":{},"et":1}', ex=60)
        client.zadd("arq:queue", {id: 1})
        place = of_job(id)[number]
        if name in VALUES:
            place.put(client, VALUES[name])
        else:
            place.put_wrong_type(client)
        client.expire(place.key, 60)
        ids.append(id)
    return ids


def completes(front: httpx2.Client) -> bool:
    try:
        id = submit(front, "Add", a=1, b=2)
        answer = front.get(f"/jobs/{id}", headers={"Prefer": "wait=2"})
    except AssertionError:
        return False
    return answer.status_code == 200 and answer.json()["status"] == "completed"


def failing(front: httpx2.Client, paths: list[str] | tuple[str, ...]) -> list[tuple[str, int]]:
    found = [(path, front.get(path).status_code) for path in paths]
    return [(path, status) for path, status in found if status >= 500]
