"""Pages of jobs: what is on them, what one costs, and what happens to them while jobs move."""

from __future__ import annotations

from typing import Any

import pytest

from slotwise import wire
from slotwise.failure import described
from slotwise.job import Job, State
from slotwise.keys import PAYLOAD, RECORD
from slotwise.listing import ALL, MOST_LOOKS, Filter, Page, Place, ids, page
from slotwise.origin import origin_of
from slotwise.store import Store
from tests.facts import wait_for
from tests.hand import KEEP_MS, a_job, now_ms, submitted
from tests.servers import Server


async def walk(store: Store, wanted: Filter = Filter(), most: int = 50) -> list[Job]:  # noqa: B008
    found, after = [], None
    while True:
        part = await page(store, wanted, most=most, after=after)
        found += part.jobs
        after = part.after
        if after is None:
            return found


async def listed(store: Store, **filters: Any) -> set[str]:
    return {job.id for job in await walk(store, Filter(**filters))}


async def commands_of(server: Server, store: Store, **how: Any) -> tuple[int, Page]:
    """How many commands a page takes, those within the script counted."""
    server.client.config_resetstat()
    found = await page(store, Filter(), most=50, **how)
    stats = server.client.info("commandstats")
    return sum(of["calls"] for name, of in stats.items() if "info" not in name and "config" not in name), found


async def test_a_page_costs_the_same_wherever_it_stands(server: Server, store: Store) -> None:
    made: list[str] = []
    for _ in range(200):
        made += await submitted(store, 100)
    first, top = await commands_of(server, store)
    order = await store.redis.zrevrange(store.keys.pending_of + "Add", 0, -1, withscores=True)
    costs = []
    for rank in (50, 1_000, 10_000, 19_900):
        member, score = order[rank - 1]
        cost, found = await commands_of(server, store, after=Place(f"{score:.0f}", member))
        assert [job.id.encode() for job in found.jobs] == [member for member, _ in order[rank : rank + 50]]
        costs.append(cost)
    assert len(set(costs)) == 1
    assert costs[0] - first <= 3 * 10, "to find the place takes three commands a set"
    assert top.after == Place(f"{order[49][1]:.0f}", order[49][0])
    assert len(made) == len(order) == 20_000


async def test_a_page_begins_right_behind_a_job_that_is_gone(store: Store) -> None:
    """Of as many as came in the same millisecond."""
    made = await submitted(store, 100)
    rows = await store.redis.zrevrange(store.keys.pending_of + "Add", 0, -1, withscores=True)
    for at in (0, 1, 50, 98, 99):
        member, score = rows[at]
        await store.redis.zrem(store.keys.pending_of + "Add", member)
        found = (await page(store, Filter(), most=100, after=Place(f"{score:.0f}", member))).jobs
        assert [job.id.encode() for job in found] == [member for member, _ in rows[at + 1 :]]
        await store.redis.zadd(store.keys.pending_of + "Add", {member: score})
    assert len(made) == 100


async def test_walks_while_jobs_move_show_each_once_and_miss_none(store: Store, hand: Any) -> None:
    worker = hand()
    made = await submitted(store, 120) + await submitted(store, 60, algorithm="Other")
    seen: list[str] = []
    after, pages = None, 0
    while True:
        part = await page(store, Filter(), most=7, after=after)
        seen += [job.id for job in part.jobs]
        after, pages = part.after, pages + 1
        if after is None:
            break
        for grant in (await worker.claim(5)).grants:
            await worker.finish(grant, ["completed", "failed", "retry", "release"][pages % 4], envelope=b"{}")
        await submitted(store, 2)
        await store.cancel(made[(pages * 37) % len(made)], keep_ms=KEEP_MS)
    assert len(seen) == len(set(seen))
    assert set(made) <= set(seen)
    assert pages > 25


async def test_the_newest_come_first_over_all_sets(store: Store, hand: Any) -> None:
    worker = hand()
    for state in ("running", "completed", "failed", "cancelled", "pending"):
        (id,) = await submitted(store, algorithm=state.title())
        if state != "pending":
            grant = await worker.claim_one()
            if state != "running":
                await worker.finish(grant, state)
        await wait_for(lambda: after_now(store))
    found = await walk(store, most=2)
    assert [job.state for job in found] == ["pending", "cancelled", "failed", "completed", "running"]
    assert [job.algorithm for job in found] == ["Pending", "Cancelled", "Failed", "Completed", "Running"]
    assert found[0].id == id
    (running,) = worker.granted.values()
    await worker.finish(running)


async def after_now(store: Store) -> bool:
    """A millisecond has passed."""
    before = await now_ms(store)
    return await wait_for(lambda: _later(store, before))


async def _later(store: Store, before: int) -> bool:
    return await now_ms(store) > before


async def test_each_filter_alone_and_together(store: Store, hand: Any) -> None:
    worker = hand()
    (labelled,) = await submitted(store, labels={"team": "a:b", "x": ""})
    (other,) = await submitted(store, algorithm="Other", labels={"team": "a"})
    (failed,) = await submitted(store, algorithm="Fails", labels={"team": "a"})
    await worker.finish(next(g for g in (await worker.claim(1, ids=(failed,))).grants), "failed", error=TIMEOUT)
    (runs,) = (await worker.claim(1, ids=(other,))).grants
    await after_now(store)
    now = await now_ms(store)
    await after_now(store)
    (late,) = await submitted(store)

    assert await listed(store) == {labelled, other, failed, late}
    assert await listed(store, states=frozenset({State.PENDING})) == {labelled, late}
    assert await listed(store, states=frozenset({State.RUNNING, State.FAILED})) == {other, failed}
    assert await listed(store, algorithm="Other") == {other}
    assert await listed(store, algorithm="Nobody") == set()
    assert await listed(store, label=("team", "a:b")) == {labelled}
    assert await listed(store, label=("x", "")) == {labelled}
    assert await listed(store, label=("team", "a")) == {other, failed}
    assert await listed(store, label=("team", "a"), states=frozenset({State.FAILED})) == {failed}
    assert await listed(store, label=("team", "a"), algorithm="Other") == {other}
    assert await listed(store, error_type="timeout") == {failed}
    assert await listed(store, error_type="timeout", label=("team", "a:b")) == set()
    assert await listed(store, error_type="exception") == set()
    assert await listed(store, error_type="timeout", states=frozenset({State.PENDING})) == set()
    assert await listed(store, created_after_ms=now) == {late}
    assert await listed(store, created_before_ms=now) == {labelled, other, failed}
    assert await listed(store, created_after_ms=now, created_before_ms=now) == set()
    assert await listed(store, min_running_ms=0) == {other}
    assert await listed(store, min_running_ms=60_000) == set()
    await worker.finish(runs)


TIMEOUT = b'{"type":"timeout","message":"too long","detail":null}'


async def test_the_bounds_of_time_are_exclusive(store: Store) -> None:
    await submitted(store)
    [(_, score)] = await store.redis.zrange(store.keys.pending_of + "Add", 0, -1, withscores=True)
    created = int(score)
    assert await listed(store, created_after_ms=created) == await listed(store, created_before_ms=created) == set()
    assert len(await listed(store, created_after_ms=created - 1, created_before_ms=created + 1)) == 1


async def test_a_page_looks_at_so_many_and_no_more(store: Store) -> None:
    """Two sets, none small, that have nothing in common: pages are empty, and the walk ends all the same."""
    for _ in range(MOST_LOOKS // 100 + 2):
        await submitted(store, 100, labels={"a": "1"})
        await submitted(store, 100, algorithm="Other")
    wanted = Filter(label=("a", "1"), algorithm="Other")
    part = await page(store, wanted, most=50)
    assert (part.jobs, part.after is None) == ([], False)
    assert await walk(store, wanted) == []


async def test_what_jobs_carry_bounds_a_page_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slotwise.listing.MOST_BYTES", 10_000)
    made = [a_job(params={"text": "x" * 3_000}) for _ in range(10)]
    await store.submit(made, max_pending=100)
    part = await page(store, Filter(), most=10, whole=True)
    assert (len(part.jobs), part.after is None) == (4, False)
    assert part.jobs[0].params == {"text": "x" * 3_000}
    assert len((await page(store, Filter(), most=10)).jobs) == 10, "params that are left out do not count"


async def test_a_stock_job_is_listed_from_its_first_meeting_on(store: Store, hand: Any) -> None:
    worker = hand()
    payload = wire.serialize({"t": None, "f": "Add", "a": [1], "k": {}, "et": 1_700_000_000_000})
    await store.redis.set(PAYLOAD + "stock 1", payload, px=60_000)
    await store.redis.zadd(store.keys.queue, {"stock 1": 1_700_000_000_500})
    assert await walk(store) == []
    grant = await worker.claim_one()
    (job,) = await walk(store)
    assert (job.id, job.state, job.algorithm, job.created_ms) == ("stock 1", "running", "Add", 1_700_000_000_000)
    assert job.heartbeat_ms is not None
    await worker.finish(grant, "retry", retry_in_ms=60_000)
    (job,) = await walk(store, Filter(algorithm="Add"))
    assert (job.state, job.reason) == ("pending", "retrying")
    await store.cancel("stock 1", keep_ms=KEEP_MS)
    assert [job.state for job in await walk(store)] == ["cancelled"]


async def test_a_stock_job_that_stands_aside_has_no_record_and_is_listed(store: Store, hand: Any) -> None:
    await store.publish([{"name": "Add", "max_concurrent": 0}])
    worker = hand(serves=("Add",))
    payload = wire.serialize({"t": None, "f": "Add", "a": [1], "k": {}, "et": 1_700_000_000_000})
    await store.redis.set(PAYLOAD + "stock", payload, px=60_000)
    await store.redis.zadd(store.keys.queue, {"stock": 1_700_000_000_500})
    assert (await worker.claim()).grants == ()
    (job,) = (await page(store, Filter(algorithm="Add"), most=5, whole=True)).jobs
    assert (job.state, job.params, job.created_ms) == ("pending", {"args": [1]}, 1_700_000_000_000)
    assert await store.cancel("stock", keep_ms=KEEP_MS) == "cancelled"


async def test_a_job_is_what_its_own_page_says(store: Store, hand: Any) -> None:
    worker = hand()
    (id,) = await submitted(store, labels={"a": "b"}, priority=3, timeout=5.0)
    grant = await worker.claim_one()
    assert (await page(store, Filter(), most=1, whole=True)).jobs == [await store.job(id)]
    await worker.finish(grant, "failed", error=TIMEOUT, envelope=grant.payload[:-1] + b',"s":false,"r":{}}')
    assert (await page(store, Filter(), most=1, whole=True)).jobs == [await store.job(id)]


async def test_an_expired_job_is_taken_off_every_list(store: Store, hand: Any) -> None:
    worker = hand()
    (id,) = await submitted(store, labels={"a": "b"})
    await worker.finish(await worker.claim_one(), "failed", error=TIMEOUT)
    (entry,) = await store.redis.zrange(store.keys.expiring, 0, -1)
    assert worker.leases.sweep() == 0, "its record is there"
    await store.redis.zadd(store.keys.expiring, {entry: 1})
    assert worker.leases.sweep() == 1
    assert await listed(store) == {id}, "it is looked at again later"
    await store.redis.delete(RECORD + id)
    assert await listed(store) == set(), "a record that is gone is not listed, swept or not"
    await store.redis.zadd(store.keys.expiring, {entry: 1})
    assert worker.leases.sweep() == 1
    own = store.keys
    lists = [
        own.ended_of + "failed:Add",
        own.errors_of + "timeout",
        own.labelled + "a:b",
        own.labels,
        own.expiring,
    ]
    assert await store.redis.exists(*lists, own.names) == 0


@pytest.mark.parametrize("how", ["erase", "retry"])
async def test_an_erased_or_retried_job_leaves_the_ended(store: Store, hand: Any, how: str) -> None:
    worker = hand()
    (id,) = await submitted(store, labels={"a": "b"})
    grant = await worker.claim_one()
    envelope = grant.payload[:-1] + b',"s":false,"r":{}}'
    await worker.finish(grant, "failed", error=TIMEOUT, envelope=envelope)
    if how == "erase":
        await store.erase(id)
        assert await listed(store) == await listed(store, label=("a", "b")) == set()
    else:
        await store.retry(id, level_ms=0, max_pending=10)
        assert [job.state for job in await walk(store)] == ["pending"]
        assert await listed(store, label=("a", "b")) == {id}
    assert await store.redis.exists(store.keys.expiring, store.keys.errors_of + "timeout") == 0
    await store.cancel(id, keep_ms=KEEP_MS)


async def test_an_idempotency_key_used_anew_has_the_new_labels_only(store: Store, hand: Any) -> None:
    worker = hand()
    one = a_job(fingerprint="f", labels={"a": "1"})
    await store.submit([one], max_pending=10)
    await worker.finish(await worker.claim_one())
    await store.redis.delete(RECORD + one.id)  # as its TTL does, before anybody has swept
    await store.submit([type(one)(**vars(one) | {"labels": {"a": "2"}, "fingerprint": "g"})], max_pending=10)
    assert await store.redis.exists(store.keys.labelled + "a:1") == 0
    assert await listed(store, label=("a", "2")) == {one.id}
    assert [job.state for job in await walk(store)] == ["pending"]


async def test_a_stock_client_that_uses_an_id_anew_has_none_of_its_labels(store: Store, hand: Any) -> None:
    worker = hand()
    (id,) = await submitted(store, labels={"a": "1"})
    await worker.finish(await worker.claim_one(), "failed", error=TIMEOUT)
    payload = wire.serialize({"t": None, "f": "Other", "a": [], "k": {}, "et": 1_700_000_000_000})
    await store.redis.set(PAYLOAD + id, payload, px=60_000)
    await store.redis.zadd(store.keys.queue, {id: 1_700_000_000_500})
    assert await walk(store) == [], "the one has ended, the other was not met yet"
    grant = await worker.claim_one()
    assert await store.redis.exists(store.keys.expiring, store.keys.labels, store.keys.labelled + "a:1") == 0
    assert [(job.state, job.algorithm, job.labels) for job in await walk(store)] == [("running", "Other", {})]
    await worker.finish(grant)


async def test_ids_come_some_at_a_time_and_all(store: Store) -> None:
    for _ in range(25):
        await submitted(store, 100)
    batches = [some async for some in ids(store, Filter())]
    assert [len(some) for some in batches] == [1_000, 1_000, 500]
    assert len({id for some in batches for id in some}) == 2_500


async def test_a_broken_record_is_not_listed_and_hurts_nobody(store: Store) -> None:
    one, other = await submitted(store, 2)
    await store.redis.delete(RECORD + one)
    await store.redis.set(RECORD + one, "not a hash", px=KEEP_MS)
    assert await listed(store) == {other}


async def test_damaged_labels_hurt_nobody(store: Store, hand: Any) -> None:
    worker = hand()
    (id,) = await submitted(store, labels={"a": "b"})
    for damaged in ("[", '"x"', '{"a":1}'):
        await store.redis.hset(RECORD + id, "labels", damaged)
        assert await listed(store, label=("a", "b")) == set()
        assert await listed(store) == {id}
    await worker.finish(await worker.claim_one())
    await store.redis.hset(store.keys.labels, id, "[")
    await store.erase(id)
    await store.redis.delete(store.keys.labelled + "a:b")


def test_a_filter_without_a_state_that_can_be_asks_nobody() -> None:
    assert Filter(error_type="timeout").within(ALL).states == {State.FAILED}
    assert Filter(error_type="timeout", min_running_ms=1).within(ALL).states == frozenset()


TRACEBACK = """Traceback (most recent call last):
  File "/srv/a/jobs.py", line 12, in train
    step()
  File "/srv/a/{where}", line {line}, in <lambda>
    1 / 0
ZeroDivisionError: division by zero
"""


def error(detail: str | None, message: str = "ZeroDivisionError: x", type: str = "exception") -> bytes:
    return wire.encode({"type": type, "message": message, "detail": detail})


def test_an_origin_is_the_class_and_the_last_frame_without_its_line() -> None:
    first = origin_of(error(TRACEBACK.format(where="x/steps.py", line=3)))
    assert first == origin_of(error(TRACEBACK.format(where="y/steps.py", line=99)))
    assert first == "ZeroDivisionError in steps.py:<lambda>"
    assert origin_of(error(None, "KeyError: 1")) == origin_of(error(None, "KeyError: 2")) == "KeyError"
    assert origin_of(error("exit code 3\nmore", "it crashed", "crashed")) == "exit code 3"
    assert origin_of(error("signal 9", "took 3 s", "timeout")) == ""
    assert origin_of(b"") == origin_of(b"[]") == origin_of(error(None, "no class here")) == ""


def test_an_origin_is_told_of_what_a_body_really_raised() -> None:
    def broken(depth: int) -> None:
        raise ValueError("no") if depth == 0 else LookupError from None

    for depth, name in ((0, "ValueError"), (1, "LookupError")):
        with pytest.raises((ValueError, LookupError)) as caught:
            broken(depth)
        assert origin_of(wire.encode(described(caught.value).as_dict())) == f"{name} in test_listing.py:broken"
