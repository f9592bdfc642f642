"""The outbox: what the moves write, what it costs, who is given what, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slotwise import wire
from slotwise.errors import SlotwiseError
from slotwise.keys import RECORD
from slotwise.outbox import Delivery, Settlement
from slotwise.store import Store
from slotwise.view import job_object
from slotwise.webhook import ENDS, body_of, kind_of, message_id
from tests.hand import Hand, submitted

ALL = ("running", "progress", "completed", "failed", "cancelled")
URL = "http://hooks.example/a"
MOST_BYTES_EACH = 2_048  # in Redis, of a small job that a webhook has not been told of


def told(**fields: Any) -> dict[str, Any]:
    return {"webhook": URL, "webhook_events": ALL, **fields}


async def collect(store: Store, token: str = "t", **changes: Any) -> list[Delivery]:
    options = {"visible_ms": 30_000, "most": 100, "most_bytes": 10**7, "of_receiver": 100, "quotas": {}}
    return (await store.outbox.collect(token, **options | changes))[0]


async def finished(store: Store, hand: Hand, result: Any = 3, **fields: Any) -> str:
    (job_id,) = await submitted(store, **fields)
    grant = await hand.claim_one()
    envelope = wire.serialize({**wire.decode(grant.payload), "s": True, "r": result, "st": 1, "ft": 2, "q": "q"})
    assert await hand.finish(grant, envelope=envelope) == "ok"
    return job_id


async def emptied(store: Store) -> None:
    """Whatever is left is told, whoever tells it now: nothing of it may stay in Redis."""
    for key in [key async for key in store.redis.scan_iter(match=store.keys.due_of + "*")]:
        for member in await store.redis.zrange(key, 0, -1):
            await store.redis.zadd(key, {member: 0})
        await store.redis.zadd(store.keys.receivers, {key.decode().removeprefix(store.keys.due_of): 0})
    while found := await collect(store, "last"):
        for delivery in found:
            await store.outbox.settle(delivery, "last", Settlement("done", "delivered"))
    for key in (store.keys.receivers, store.keys.of_outbox[-1]):
        assert not await store.redis.exists(key)
    assert not [key async for key in store.redis.scan_iter(match=store.keys.outbox_of + "*")]
    assert not [key async for key in store.redis.scan_iter(match=store.keys.due_of + "*")]


async def test_the_body_is_the_job_as_it_was(store: Store, hand: Any) -> None:
    one = hand()
    job_id = await finished(store, one, labels={"a": "b"}, priority=3, timeout=7.5, max_attempts=2, **told())
    as_ended = await store.job(job_id)
    assert as_ended is not None
    (running,) = await collect(store)
    assert await store.outbox.settle(running, "t", Settlement("done")) == "ok"
    (completed,) = await collect(store)
    body = json.loads(body_of(job_id, completed.fields))
    assert (kind_of(running.fields), body["type"]) == ("job.running", "job.completed")
    assert body["data"] == json.loads(wire.encode(job_object(as_ended)))
    assert body["timestamp"] == body["data"]["completed_at"]
    data = json.loads(body_of(job_id, running.fields))["data"]
    assert (data["status"], data["attempt"], data["params"]) == ("running", 1, {"a": 1, "b": 2})
    await store.erase(job_id)
    assert json.loads(body_of(job_id, (await collect(store, "u", visible_ms=0, now_ms=9e12))[0].fields)) == body
    await emptied(store)


@pytest.mark.parametrize(("size", "kept"), [(19_998, True), (19_999, False), (100_000, False)])
async def test_a_large_result_is_left_out(store: Store, hand: Any, size: int, kept: bool) -> None:
    result = "x" * size  # and two quotes
    job_id = await finished(store, hand(), result, params={"a": "p" * 1000}, **told(webhook_events=("completed",)))
    (delivery,) = await collect(store)
    data = json.loads(body_of(job_id, delivery.fields))["data"]
    assert data["result"] == (result if kept else None)
    assert (data["urls"]["result"], data["params"]) == (f"/jobs/{job_id}/result", {"a": "p" * 1000})
    assert delivery.size < 24_000
    await store.outbox.settle(delivery, "t", Settlement("done"))
    await store.outbox.redeliver(job_id)
    (again,) = await collect(store)
    assert (again.entry, body_of(job_id, again.fields)) == (delivery.entry, body_of(job_id, delivery.fields))
    await emptied(store)


async def test_each_way_to_end_is_told(store: Store, hand: Any) -> None:
    one = hand()
    events = tuple(each.removeprefix("job.") for each in ENDS)
    (waits,) = await submitted(store, **told(webhook_events=events))
    await store.cancel(waits, keep_ms=60_000)
    (late,) = await submitted(store, start_within_ms=1, **told(webhook_events=events))
    while not await store.redis.exists(store.keys.outbox_of + late):
        one.leases.expire(60_000)
    (fails,) = await submitted(store, **told(webhook_events=events))
    grant = await one.claim_one()
    error = b'{"type":"exception","message":"E","detail":null}'
    await one.finish(grant, "failed", error=error)
    (silent,) = await submitted(store)
    await one.finish(await one.claim_one())
    found = {each.job_id: json.loads(body_of(each.job_id, each.fields)) for each in await collect(store)}
    assert {id: body["type"] for id, body in found.items()} == {
        waits: "job.cancelled",
        late: "job.failed",
        fails: "job.failed",
    }
    assert found[late]["data"]["error"]["type"] == "expired"
    assert found[fails]["data"]["error"]["message"] == "E"
    assert silent not in found
    await emptied(store)


async def test_an_attempt_that_does_not_end_the_job_tells_nothing(store: Store, hand: Any) -> None:
    one = hand()
    (job_id,) = await submitted(store, **told(webhook_events=("completed", "failed", "cancelled")))
    for outcome in ("release", "retry", "died"):
        await one.finish(await one.claim_one(), outcome)
    assert await collect(store) == []
    await store.cancel(job_id, keep_ms=60_000)
    await emptied(store)


async def test_only_who_holds_it_settles(store: Store, hand: Any) -> None:
    await finished(store, hand(), **told(webhook_events=("completed",)))
    (first,) = await collect(store, "first")
    assert await collect(store, "second") == [], "it is being told"
    (second,) = await collect(store, "second", now_ms=9e12)  # its time is up: who had it has died
    assert second.entry == first.entry
    assert await store.outbox.settle(first, "first", Settlement("done")) == "stale"
    assert await store.outbox.settle(second, "second", Settlement("release")) == "ok"
    (third,) = await collect(store, "third")
    assert third.attempts == 0, "nobody has tried it in vain"
    assert await store.outbox.settle(third, "third", Settlement("again", "failed", 0)) == "ok"
    assert (await collect(store, "fourth"))[0].attempts == 1
    assert (await store.counts()).total("webhooks:failed") == 1
    await emptied(store)


async def test_what_is_old_gives_way_to_the_end(store: Store, hand: Any) -> None:
    one = hand()
    job_id = await finished(store, one, **told(webhook_events=("running", "completed")))
    (running,) = await collect(store)
    assert kind_of(running.fields) == "job.running"
    assert await store.outbox.settle(running, "t", Settlement("again", "failed", 9 * 10**12)) == "superseded"
    (completed,) = await collect(store)
    assert (kind_of(completed.fields), completed.attempts) == ("job.completed", 0)
    assert message_id(job_id, running.entry) != message_id(job_id, completed.entry)
    assert await store.outbox.settle(completed, "t", Settlement("again", "failed", 9 * 10**12)) == "ok"
    assert await collect(store) == []
    await store.outbox.redeliver(job_id)
    await emptied(store)


async def test_receivers_take_turns_and_none_gets_too_much(store: Store, hand: Any) -> None:
    """A receiver with many does not keep out one with few, nor one that is slow others."""
    await submitted(store, 20, **told(webhook="http://dead.example/"))
    await submitted(store, 2, **told(webhook="http://good.example/"))
    one = hand()
    while grants := (await one.claim(10)).grants:
        for grant in grants:
            await one.finish(grant)
    found = await collect(store, most=10, of_receiver=8)
    assert [each.receiver for each in found] == ["http://dead.example"] * 8 + ["http://good.example"] * 2
    quotas = {"http://dead.example": 0, "http://good.example": 6}
    assert await collect(store, most=10, of_receiver=8, quotas=quotas) == [], "what is left is the full one's"
    more = await collect(store, most=10, of_receiver=8, quotas={"http://dead.example": 1})
    assert [each.receiver for each in more] == ["http://dead.example"]
    few = await collect(store, most_bytes=1)
    assert len(few) == 1, "at least one, and no more than fits"
    await emptied(store)


async def test_what_waits_is_small(store: Store, hand: Any) -> None:
    """Of a job that a webhook has not been told of: all keys together."""
    jobs = 300
    await submitted(store, jobs, **told(webhook_events=("completed",)))
    one = hand()
    while grants := (await one.claim(jobs)).grants:
        for grant in grants:
            await one.finish(grant, envelope=grant.payload)
    used = 0
    for key in [key async for key in store.redis.scan_iter(count=1000)]:
        if key.decode().startswith((store.keys.outbox_of, store.keys.due_of)):
            used += await store.redis.memory_usage(key)
    assert 0 < used / jobs < MOST_BYTES_EACH
    await emptied(store)


async def test_attempts_are_kept_as_long_as_the_job(store: Store, hand: Any) -> None:
    job_id = await finished(store, hand(), **told(webhook_events=("completed",)))
    for number in range(60):
        (delivery,) = await collect(store)
        await store.outbox.settle(delivery, "t", Settlement("again", "failed", 0, {"at": number}))
    rows = await store.outbox.attempts(job_id)
    assert [row["at"] for row in rows] == list(range(10, 60))
    key = store.keys.attempts_of + job_id
    own, record = [await store.redis.pexpiretime(name) for name in (key, RECORD + job_id)]
    assert own > 0 and abs(own - record) <= 5, "ms"
    await store.erase(job_id)
    assert not await store.redis.exists(key)
    with pytest.raises(SlotwiseError, match="No job"):
        await store.outbox.attempts(job_id)
    await emptied(store)


async def test_what_there_is_to_redeliver(store: Store, hand: Any) -> None:
    async def refused(job_id: str) -> str:
        with pytest.raises(SlotwiseError) as raised:
            await store.outbox.redeliver(job_id)
        return raised.value.code

    one = hand()
    assert await refused("nobody") == "job-not-found"
    assert await refused(await finished(store, one)) == "webhook-not-found"
    assert await refused(await finished(store, one, **told(webhook_events=("failed",)))) == "webhook-not-found"
    failed = await finished(store, one, **told(webhook_events=("completed",)))
    (delivery,) = await collect(store)
    await store.outbox.redeliver(failed)
    assert await collect(store) == [], "it is being told at this moment"
    await store.outbox.settle(delivery, "t", Settlement("again", "failed", 9 * 10**12))
    await store.outbox.redeliver(failed)
    (again,) = await collect(store)
    assert (again.entry, again.attempts) == (delivery.entry, 0)
    await store.outbox.settle(again, "t", Settlement("done"))
    await emptied(store)


async def test_a_job_that_is_retried_is_told_of_twice(store: Store, hand: Any) -> None:
    one = hand()
    (job_id,) = await submitted(store, **told(webhook_events=("failed",)))
    entries = []
    for _ in range(2):
        grant = await one.claim_one()
        envelope = wire.serialize({**wire.decode(grant.payload), "s": False, "r": {}, "st": 1, "ft": 2, "q": "q"})
        await one.finish(grant, "failed", envelope=envelope, error=b'{"type":"exception"}')
        (delivery,) = await collect(store)
        entries.append(delivery.entry)
        await store.outbox.settle(delivery, "t", Settlement("done"))
        await store.retry(job_id, level_ms=0, max_pending=10)
    assert len(set(entries)) == 2
    with pytest.raises(SlotwiseError, match="told all"):
        await store.outbox.redeliver(job_id)
    await store.cancel(job_id, keep_ms=1_000)


async def test_a_key_of_another_type_costs_the_others_nothing(store: Store, hand: Any) -> None:
    one = hand()
    first, second = await submitted(store, 2, **told(webhook_events=("completed",)))
    poisoned = store.keys.outbox_of + first
    await store.redis.set(poisoned, "poison")
    for grant in (await one.claim(2)).grants:
        assert await one.finish(grant) == "ok"
    assert [each.job_id for each in await collect(store)] == [second]
    known = await store.job(first)
    assert known is not None and known.state == "completed"
    await store.redis.delete(poisoned)
    await emptied(store)
