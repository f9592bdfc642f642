"""Bytes that nobody of ours would write, in the keys that a whole fleet shares: they stop nobody for good."""

from __future__ import annotations

import httpx2
import pytest
import redis

from slotwise.doctor import examine
from slotwise.doctor.kinds import OF_NAME
from slotwise.keys import ABORT, Keys
from tests.facts import wait_until
from tests.fleet import Fleet, Process
from tests.poison import VALUES, Place
from tests.test_poison import READS, completes, failing

KEYS = Keys()
COPIES = 40  # of each value, told apart by a number: a thousand members of one key
SHARED = {KEYS.queue: "zset", ABORT: "zset"} | {KEYS.prefix + name: kind for name, kind in OF_NAME.items()}
SETS_OF = (KEYS.pending_of, KEYS.running_of, KEYS.parked_of, KEYS.starts_of, KEYS.hungry_of)
OF_ALGORITHM = {prefix + "Add": "zset" for prefix in SETS_OF}
# Where one is damaged the door is shut until it is mended: nobody knows whose the keys are.
KEEPERS = {KEYS.access, KEYS.tenants}


def poisoned(client: redis.Redis, key: str, kind: str) -> None:
    """A thousand members, fields or entries of `key`, of which ours would write none."""
    for value in VALUES.values():
        short = len(value) < 10_000
        for number in range(COPIES if short else 1):
            member = value + b"%d" % number if short else value
            Place(key, "row" if kind == "hash" else kind, "x").put(client, member)


def mend(client: redis.Redis, key: str, saved: bytes | None) -> None:
    client.delete(key)
    if saved:
        client.restore(key, 0, saved)


def is_told(front: httpx2.Client, paths: tuple[str, ...]) -> bool:
    """Whether every answer that is none says why, and what to do."""
    told = [front.get(path) for path in paths]
    failed = [answer for answer in told if answer.status_code >= 500]
    return all(
        (answer.status_code, answer.json()["type"]) == (503, "/problems/store-damaged")
        and "slotwise doctor" in answer.json()["detail"]
        and int(answer.headers["Retry-After"]) > 0
        for answer in failed
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_members_that_none_of_ours_wrote_are_passed_over(fleet: Fleet) -> None:
    worker, front = fleet.worker(), fleet.front(MAX_CONCURRENT_JOBS="4")
    assert completes(front)
    for key, kind in (SHARED | OF_ALGORITHM).items():
        saved = fleet.redis.dump(key)
        poisoned(fleet.redis, key, kind)
        if key not in KEEPERS:
            wait_until(lambda: completes(front), within=30, what=f"a job ends beside what is in {key}")
            assert not failing(front, READS), key
        mend(fleet.redis, key, saved)  # type: ignore[arg-type]
    wait_until(lambda: completes(front), within=10, what="the door is open again")
    unharmed(worker, fleet.processes[-1])
    fleet.redis.flushall()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_slots_that_are_nobodys_are_given_back(fleet: Fleet) -> None:
    """Not one that a worker holds, nor one whose record says that it runs: who knows whether it does."""
    worker, front = fleet.worker(), fleet.front(MAX_CONCURRENT_JOBS="2")
    client = fleet.redis
    held = front.post("/jobs", json={"algorithm": "Hold", "params": {"seconds": 60}}).json()["job_id"]
    wait_until(lambda: client.zscore(KEYS.running, held), within=15, what="it runs")
    client.hset("slotwise:job:lost", mapping={"state": "running"})
    client.expire("slotwise:job:lost", 60)
    client.zadd(KEYS.running, {"lost": 1})
    client.delete(f"slotwise:job:{held}")
    client.zadd(KEYS.running, {b"phantom %d" % number: 1 for number in range(1_000)})
    client.zadd(KEYS.running_of + "Add", {b"phantom %d" % number: 1 for number in range(1_000)})
    wait_until(lambda: client.zcard(KEYS.running) == 2, within=60, what="the phantoms are gone")
    assert set(client.zrange(KEYS.running, 0, -1)) == {b"lost", held.encode()}
    client.zrem(KEYS.running, "lost")
    wait_until(lambda: completes(front), within=30, what="its slot is there for another")
    front.post(f"/jobs/{held}/cancel")
    unharmed(worker, fleet.processes[-1])
    fleet.redis.flushall()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_key_of_another_type_is_named_and_all_goes_on_once_it_is_mended(fleet: Fleet) -> None:
    worker, front = fleet.worker(), fleet.front(MAX_CONCURRENT_JOBS="4")
    assert completes(front)
    for key, kind in (SHARED | OF_ALGORITHM).items():
        saved = fleet.redis.dump(key)
        Place(key, kind).put_wrong_type(fleet.redis)
        front.post("/jobs", json={"algorithm": "Add", "params": {"a": 1, "b": 2}})
        assert is_told(front, READS), key
        [found] = [each for each in examine(fleet.url).findings if each.code == "damaged-key"]
        assert key in found.examples, key
        mend(fleet.redis, key, saved)  # type: ignore[arg-type]
        wait_until(lambda: completes(front), within=20, what=f"all goes on behind {key}")
    unharmed(worker, fleet.processes[-1])
    assert "slotwise doctor" in worker.said()
    fleet.redis.flushall()


def test_a_cap_that_is_no_number_is_named(fleet: Fleet) -> None:
    worker, front = fleet.worker(), fleet.front()  # who was told a cap sets it again by itself
    for field in ("configured", "override", "until"):
        saved = fleet.redis.dump(KEYS.cap)
        if field == "until":
            fleet.redis.hset(KEYS.cap, "override", "3")
        fleet.redis.hset(KEYS.cap, field, "many")
        assert front.get("/jobs/concurrency/status").status_code == 503, field
        assert is_told(front, READS), field
        [found] = [each for each in examine(fleet.url).findings if each.code == "damaged-key"]
        assert found.examples == (f"{KEYS.cap} {field}",)
        mend(fleet.redis, KEYS.cap, saved)  # type: ignore[arg-type]
        wait_until(lambda: completes(front), within=20, what=f"all goes on behind {field}")
    unharmed(worker, fleet.processes[-1])


def unharmed(worker: Process, front: Process) -> None:
    assert worker.alive and front.alive
    assert "Traceback" not in worker.said() + front.said()
