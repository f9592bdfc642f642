"""Reads of jobs: many in one step, each for itself, whatever stands in their keys."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from slotwise.errors import SlotwiseError
from slotwise.job import State
from slotwise.keys import ABORT, PAYLOAD, RECORD, RESULT
from slotwise.reads import MOST
from slotwise.store import Store
from tests.hand import submitted
from tests.servers import Server

AT_ONCE = 100


async def scripts_run(store: Store) -> int:
    stats = await store.redis.info("commandstats")
    return sum(each["calls"] for name, each in stats.items() if "eval" in name)


async def test_reads_that_come_at_once_go_together(store: Store) -> None:
    ids = await submitted(store, AT_ONCE)
    await store.job(ids[0])  # the server knows the script now
    before = await scripts_run(store)
    jobs = await asyncio.gather(*(store.job(each) for each in [*ids, "nobody's"]))
    assert [job and job.id for job in jobs] == [*ids, None]
    assert await scripts_run(store) - before <= 1 + AT_ONCE // MOST + 1


async def test_a_running_job_tells_when_its_worker_was_seen(store: Store, hand: Any) -> None:
    (job_id,) = await submitted(store)
    assert (await hand().claim_one()).id == job_id
    job = await store.job(job_id)
    assert job is not None and job.state is State.RUNNING and job.heartbeat_ms is not None


async def test_keys_of_somebody_elses_type_are_no_part_of_a_job(store: Store) -> None:
    whole, damaged, gone = await submitted(store, 3)
    for key in (PAYLOAD + damaged, RESULT + damaged, RECORD + gone, PAYLOAD + gone):
        await store.redis.delete(key)
        await store.redis.rpush(key, "x")
    jobs = await asyncio.gather(*map(store.job, (whole, damaged, gone)))
    assert [job and job.state for job in jobs] == [State.PENDING, State.PENDING, State.PENDING]
    assert [job and job.params for job in jobs[:2]] == [{"a": 1, "b": 2}, None]
    queue = await store.redis.zrange(store.keys.queue, 0, -1)
    for key in (store.keys.queue, ABORT):
        await store.redis.delete(key)
        await store.redis.set(key, "x")
    job = await store.job(whole)
    assert job is not None and len(queue) == 3
    await store.redis.flushall()


@pytest.mark.parametrize("odd", ["", "a b", "é", "\udcff", "x" * 10_000])
async def test_any_id_may_be_asked_for(store: Store, odd: str) -> None:
    (known,) = await submitted(store)
    jobs = await asyncio.gather(store.job(odd), store.job(known))
    assert [job and job.id for job in jobs] == [None, known]


async def test_while_the_server_is_away_everybody_is_told_so(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    store = await Store.connect(server.url)
    try:
        assert await store.job("x") is None
        server.kill()
        told = await asyncio.gather(*(store.job("x") for _ in range(50)), return_exceptions=True)
        assert [each.code for each in told if isinstance(each, SlotwiseError)] == ["store-unavailable"] * 50
        server.start()
        assert await store.job("x") is None
    finally:
        await store.close()
        server.stop()
