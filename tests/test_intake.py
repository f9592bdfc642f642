"""Submits that come at once: what a group costs, and that each job is accepted or refused for itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from slotwise.apikeys import ApiKeys
from slotwise.errors import SlotwiseError
from slotwise.intake import MOST_BYTES, Intake
from slotwise.job import Submission
from slotwise.store import Store, Submitted
from slotwise.tenant import Bounds, Scope
from tests.hand import a_job
from tests.proxy import Proxy
from tests.servers import Server

PLENTY = 1_000_000


def lone(**asked: Any) -> Submission:
    """A job without an idempotency key."""
    return a_job(fingerprint="", **asked)


async def gathered(intake: Intake, jobs: list[Submission], size: int = 100) -> list[Submitted | BaseException]:
    return await asyncio.gather(*(intake.submit(job, size) for job in jobs), return_exceptions=True)


async def calls(store: Store) -> int:
    """Scripts that the server has run."""
    return sum(each["calls"] for name, each in (await store.redis.info("commandstats")).items() if "eval" in name)


@contextlib.asynccontextmanager
async def intake_of(store: Store, max_pending: int = PLENTY) -> AsyncIterator[Intake]:
    intake = Intake(store, max_pending=max_pending)
    yield intake
    await intake.close()


async def test_jobs_that_come_at_once_go_together(store: Store) -> None:
    async with intake_of(store) as intake:
        before = await calls(store)
        jobs = [lone() for _ in range(250)]
        told = await gathered(intake, jobs)
        assert [each.job.id for each in told if isinstance(each, Submitted)] == [job.id for job in jobs]
        assert await store.redis.zcard(store.keys.queue) == 250
        assert await calls(store) - before <= 4  # one more where the server does not know the script yet


async def test_large_jobs_go_in_several_groups(store: Store) -> None:
    async with intake_of(store) as intake:
        await gathered(intake, [lone()])
        before = await calls(store)
        told = await gathered(intake, [lone() for _ in range(6)], size=MOST_BYTES // 2)
        assert all(isinstance(each, Submitted) for each in told)
        assert await calls(store) - before == 3


async def test_of_a_group_that_finds_the_queue_nearly_full_the_first_are_accepted(store: Store) -> None:
    async with intake_of(store, max_pending=7) as intake:
        told = await gathered(intake, [lone() for _ in range(40)])
        assert all(isinstance(each, Submitted) for each in told[:7])
        refusals = [each for each in told[7:] if isinstance(each, SlotwiseError)]
        assert [each.code for each in refusals] == ["queue-full"] * 33
        assert all(each.retry_after_seconds for each in refusals)
        assert await store.redis.zcard(store.keys.queue) == 7


async def test_a_job_that_cannot_be_written_harms_no_other(store: Store) -> None:
    async with intake_of(store) as intake:
        told = await gathered(intake, [lone(), lone(params={"a": float("nan")}), lone()])
        assert [type(each) for each in told] == [Submitted, ValueError, Submitted]


async def test_a_request_that_is_given_up_harms_no_other(store: Store) -> None:
    async with intake_of(store) as intake:
        first, given_up, last = (asyncio.create_task(intake.submit(lone(), 100)) for _ in range(3))
        await asyncio.sleep(0)
        given_up.cancel()
        assert (await first).job.id != (await last).job.id


async def test_jobs_with_a_key_are_the_same_job_however_many_come_at_once(store: Store) -> None:
    job = a_job(fingerprint="f")
    async with intake_of(store) as intake:
        told = await gathered(intake, [job, lone(), *[job] * 50])
        replayed = [each.replayed for each in told if isinstance(each, Submitted)]
        assert (len(replayed), replayed.count(False)) == (52, 2)


async def test_while_the_server_is_away_each_is_told_so_and_afterwards_all_is_well(tmp_path: Path) -> None:
    server = Server(tmp_path, aof=True)
    server.start()
    store = await Store.connect(server.url)
    try:
        async with intake_of(store) as intake:
            await gathered(intake, [lone()])
            server.kill()
            told = await gathered(intake, [lone() for _ in range(20)])
            assert [each.code for each in told if isinstance(each, SlotwiseError)] == ["store-unavailable"] * 20
            assert len({id(each) for each in told}) == 20  # whoever raises one writes on it
            server.start()
            assert all(isinstance(each, Submitted) for each in await gathered(intake, [lone() for _ in range(20)]))
            assert await store.redis.zcard(store.keys.queue) == 21
    finally:
        await store.close()
        server.stop()


async def test_a_group_whose_reply_is_lost_is_there_once(server: Server, redis_url: str) -> None:
    proxy = Proxy(server.port)
    store = await Store.connect(f"redis://127.0.0.1:{proxy.port}")
    try:
        async with intake_of(store) as intake:
            await gathered(intake, [lone()])
            proxy.swallow = lambda request: b"EVALSHA" in request and proxy.cut == 0
            told = await gathered(intake, [lone() for _ in range(20)])
            assert (proxy.cut, [type(each) for each in told]) == (1, [Submitted] * 20)
            assert await store.redis.zcard(store.keys.queue) == 21
    finally:
        await store.close()
        proxy.close()


async def test_what_is_under_way_is_waited_for(store: Store) -> None:
    intake = Intake(store, max_pending=PLENTY)
    submitting = asyncio.create_task(intake.submit(lone(), 100))
    await asyncio.sleep(0)
    await intake.close()
    assert submitting.done() or (await submitting).job.id
    assert await store.redis.zcard(store.keys.queue) == 1


@pytest.mark.parametrize("most", [0, 1])
async def test_one_alone_is_told_what_the_store_says(store: Store, most: int) -> None:
    async with intake_of(store, max_pending=most) as intake:
        [told] = await gathered(intake, [lone()])
        assert isinstance(told, Submitted if most else SlotwiseError)


async def test_each_tenant_has_a_group_of_its_own(store: Store) -> None:
    """Those of several that come at once are not mixed up, nor do they share a fate."""
    await ApiKeys(store.redis, store.keys).create("a", Scope.SUBMIT, Bounds(max_pending=1))
    await ApiKeys(store.redis, store.keys).create("b", Scope.SUBMIT, Bounds())
    async with intake_of(store) as intake:
        jobs = [lone(), *(lone(tenant=tenant) for tenant in "abab")]
        told = await gathered(intake, jobs)
        kinds = [each.code if isinstance(each, SlotwiseError) else "ok" for each in told]
        assert kinds == ["ok", "ok", "ok", "queue-full", "ok"]
        stands = [await store.redis.zcard(f'{store.keys.parked_of}"{tenant}') for tenant in "ab"]
        assert stands == [1, 2]


async def test_an_outage_is_waited_for_once_however_many_tenants_come(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    asked: list[int] = []

    class Counted(Store):
        async def submit(self, jobs: Sequence[Submission], *, max_pending: int) -> list[Submitted]:
            asked.append(len(jobs))
            return await super().submit(jobs, max_pending=max_pending)

    store = await Counted.connect(server.url)
    try:
        server.kill()
        async with intake_of(store) as intake:
            told = await gathered(intake, [lone(tenant=tenant) for tenant in "abcde"])
        assert [each.code for each in told if isinstance(each, SlotwiseError)] == ["store-unavailable"] * 5
        assert asked == [1]
    finally:
        await store.close()
        server.stop()


async def test_what_a_damaged_key_kept_out_is_not_taken_for_there(store: Store) -> None:
    """A submit that broke off half way is as if it had not been, to its group and to a second try."""
    jobs = [lone(labels={"a": "b"}) for _ in range(2)]
    keyed = a_job(fingerprint="f", labels={"a": "b"})
    await store.redis.set(store.keys.labels, "somebody else's")
    async with intake_of(store) as intake:
        told = await gathered(intake, [*jobs, keyed])
        assert [type(each) for each in told] == [SlotwiseError] * 3
        assert await store.redis.zcard(store.keys.queue) == 0
        await store.redis.delete(store.keys.labels)
        told = await gathered(intake, [keyed, *jobs])
        assert [isinstance(each, Submitted) and not each.replayed for each in told] == [True] * 3
        assert await store.redis.zcard(store.keys.queue) == 3


async def test_a_job_that_cannot_stand_aside_is_not_there(store: Store) -> None:
    aside = f'{store.keys.parked_of}"t'
    await store.redis.set(aside, "somebody else's")
    jobs = [a_job(fingerprint="f", tenant="t"), lone(tenant="t")]
    async with intake_of(store) as intake:
        told = await gathered(intake, jobs)
        assert [type(each) for each in told] == [SlotwiseError] * 2
        await store.redis.delete(aside)
        told = await gathered(intake, jobs)
        assert [isinstance(each, Submitted) and not each.replayed for each in told] == [True] * 2
        assert await store.redis.zcard(aside) == 2
