"""Fair shares between tenants, and what binds one tenant's jobs: at the store, with workers by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from slotwise.apikeys import ApiKeys
from slotwise.explain import why
from slotwise.store import Store
from slotwise.tenant import Bounds, Scope
from tests.hand import a_job, submitted

FLOOD = 100_000


async def make(store: Store, *names: str, **bounds: Any) -> None:
    for name in names:
        await ApiKeys(store.redis, store.keys).create(name, Scope.SUBMIT, Bounds(**bounds))


async def whose(store: Store, grants: Any) -> list[str]:
    return [(await store.job(grant.id)).tenant for grant in grants]  # type: ignore[union-attr]


async def test_slots_are_shared_out_in_turn(store: Store, hand: Any) -> None:
    """Each has many waiting; nobody's jobs count as one tenant more; whoever comes last is not last."""
    await make(store, "a", "b")
    await store.configure(9, by="test")
    for tenant, count in (("a", 30), ("", 30), ("b", 3)):
        await submitted(store, count, tenant=tenant)
    worker = hand()
    held = list((await worker.claim(9)).grants)
    assert Counter(await whose(store, held)) == {"a": 3, "b": 3, "": 3}
    for grant in held:
        await worker.finish(grant)
    held = list((await worker.claim(9)).grants)
    assert Counter(await whose(store, held)) in ({"a": 5, "": 4}, {"a": 4, "": 5}), (
        "no slot is kept for who has none"
    )
    await submitted(store, 2, tenant="b")
    for grant in held[:2]:
        await worker.finish(grant)
    next_two = (await worker.claim(9)).grants
    assert await whose(store, next_two) == ["b", "b"], "those with the fewest come next"


async def test_of_one_slot_each_gets_its_turn(store: Store, hand: Any) -> None:
    await make(store, "a", "b")
    await store.configure(1, by="test")
    await submitted(store, 4, tenant="a")
    await submitted(store, 2, tenant="b")
    worker, order = hand(), []
    for _ in range(6):
        grant = await worker.claim_one()
        order += await whose(store, [grant])
        await worker.finish(grant)
    assert order[:4] in (["a", "b"] * 2, ["b", "a"] * 2)
    assert order[4:] == ["a", "a"]


async def test_within_a_tenant_order_is_kept(store: Store, hand: Any) -> None:
    await make(store, "a")
    plain = await submitted(store, 3, tenant="a")
    [first] = await submitted(store, tenant="a", priority=1, head_start_ms=60_000)
    grants = (await hand().claim(4)).grants
    assert [grant.id for grant in grants] == [first, *plain]


async def test_one_that_waits_again_keeps_its_turn(store: Store, hand: Any) -> None:
    """It comes back into sight in the queue, and is put where its tenant's jobs are."""
    await make(store, "a", "b")
    await store.configure(1, by="test")
    worker = hand()
    [first] = await submitted(store, tenant="a")
    grant = await worker.claim_one()
    await submitted(store, 2, tenant="b")
    await worker.finish(grant, "release")
    order = []
    for _ in range(3):
        grant = await worker.claim_one()
        order.append("a" if grant.id == first else "b")
        await worker.finish(grant)
    assert order == ["b", "a", "b"]


async def test_no_more_of_a_key_run_than_it_may(store: Store, hand: Any) -> None:
    await make(store, "a", max_running=2)
    await make(store, "b")
    ids = await submitted(store, 4, tenant="a")
    one, other = hand(serves=["Add"]), hand("x", serves=["Add"])
    held = [*(await one.claim(2)).grants, *(await other.claim(2)).grants]
    assert [grant.id for grant in held] == ids[:2]
    facts = await store.explain(ids[2])
    assert facts is not None
    told = why(facts, None)
    assert (told.blocking, told.position, set(told.holders)) == ("tenant_cap", 1, set(ids[:2]))
    await submitted(store, 1, tenant="b")
    [theirs] = (await other.claim(2)).grants
    assert await whose(store, [theirs]) == ["b"], "nobody else is held up"
    await one.finish(held[0])
    again = await one.claim_one()
    assert again.id == ids[2], "the next, in the step that made room"
    for worker in (one, other):
        for grant in list(worker.granted.values()):
            await worker.finish(grant)


async def test_a_worker_that_dies_gives_a_tenants_slots_back(store: Store, hand: Any) -> None:
    await make(store, "a", max_running=1)
    [job_id] = await submitted(store, tenant="a")
    dead, heir = hand(), hand("x")
    await dead.claim_one()
    assert not (await heir.claim()).grants
    dead.leases.leave(dead.incarnation)
    grant = await heir.claim_one()
    assert grant.id == job_id
    await heir.finish(grant)
    assert await store.redis.exists(f'{store.keys.running_of}"a') == 0


async def test_a_tenants_jobs_under_an_algorithms_own_cap(store: Store, hand: Any) -> None:
    """Its other jobs pass those that wait for the algorithm; and of that one's slots each tenant has its share."""
    await make(store, "a", "b")
    await store.publish([{"name": "Add", "max_concurrent": 2}, {"name": "Mul"}])
    await submitted(store, 20, tenant="a")
    await submitted(store, 1, tenant="b")
    await submitted(store, 1, tenant="a", algorithm="Mul")
    worker = hand(serves=["Add", "Mul"])
    grants = (await worker.claim(10)).grants
    told = [await store.job(grant.id) for grant in grants]
    assert Counter((job.tenant, job.algorithm) for job in told if job) == {
        ("a", "Add"): 1,
        ("b", "Add"): 1,
        ("a", "Mul"): 1,
    }
    for grant in grants:
        await worker.finish(grant)


async def test_jobs_of_tenants_outlive_the_keys(store: Store, hand: Any) -> None:
    await make(store, "a", max_running=1)
    await submitted(store, 3, tenant="a")
    worker = hand()
    first = await worker.claim_one(3)
    await ApiKeys(store.redis, store.keys).reset()
    rest = (await worker.claim(3)).grants
    assert len(rest) == 2, "nothing binds them any more"
    for grant in (first, *rest):
        await worker.finish(grant)


@pytest.mark.slow
async def test_a_flood_holds_nobody_up(store: Store, hand: Any) -> None:
    """All slots are the flooder's, and 100,000 of its jobs wait: the other's only job has the next slot."""
    await make(store, "flooder", "other")
    await store.configure(3, by="test")
    for _ in range(0, FLOOD, 100):
        jobs = [a_job(tenant="flooder") for _ in range(100)]
        await store.submit(jobs, max_pending=2 * FLOOD)
    worker, neighbour = hand(), hand("x")
    held = [*(await worker.claim(2)).grants, *(await neighbour.claim(1)).grants]
    assert await whose(store, held) == ["flooder"] * 3
    [single] = await submitted(store, tenant="other")
    facts = await store.explain(single)
    assert facts is not None
    assert facts.ahead <= 1
    await worker.finish(held[0])
    grant = await worker.claim_one()
    assert grant.id == single
    await worker.finish(grant)
    assert await whose(store, [await worker.claim_one()]) == ["flooder"]
    for one in (worker, neighbour):
        for grant in list(one.granted.values()):
            await one.finish(grant)
    await store.redis.flushall()
