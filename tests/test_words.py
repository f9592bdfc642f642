"""What running jobs say, on a real server: kept in order, once, bounded, and only from who owns the job."""

from __future__ import annotations

from typing import Any

from slotwise import scripts
from slotwise.attempt import Grant
from slotwise.job import Job
from slotwise.keys import RECORD, SAID
from slotwise.said import Output, Progress, output, said
from slotwise.store import Store
from slotwise.words import Words
from tests.hand import KEEP_MS, Hand, submitted

KEEP = 20_000  # bytes


def words(grant: Grant, number: int, text: bytes = b"", **more: Any) -> Words:
    of = {"progress": None, "left_out": 0, **more}
    return Words(grant.id, grant.token, number, of["progress"], of["left_out"], text)


async def say(store: Store, worker: Hand, *spoken: Words, keep: int = KEEP) -> list[str]:
    return await store.claims.say(worker.incarnation, spoken, keep)


async def started(store: Store, hand: Any) -> tuple[Hand, Grant]:
    await submitted(store)
    worker: Hand = hand()
    return worker, await worker.claim_one()


async def seen(store: Store, job_id: str) -> Job:
    job = await store.job(job_id)
    assert job is not None
    return job


async def test_progress_and_output_are_kept_in_order(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    first = words(grant, 1, b"one\n", progress=(0.5, "begun"))
    assert await say(store, worker, first, words(grant, 2, b"two\n", progress=(50.0, "half"))) == ["ok", "ok"]
    assert (await seen(store, grant.id)).progress == (50.0, "half")
    kept = await said(store, grant.id)
    assert [(type(one), one.attempt) for one in kept] == [
        (Output, 1),
        (Progress, 1),
        (Output, 1),
        (Progress, 1),
    ]
    assert await said(store, grant.id, after=kept[1].id) == kept[2:]
    assert await output(store, grant.id) == (0, b"one\ntwo\n")
    await worker.finish(grant)


async def test_words_that_are_sent_again_are_taken_once(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    first, second = words(grant, 1, b"one\n"), words(grant, 2, b"two\n")
    assert await say(store, worker, first, second) == ["ok", "ok"]
    assert await say(store, worker, first, second, words(grant, 3, b"three\n")) == ["again", "again", "ok"]
    assert await output(store, grant.id) == (0, b"one\ntwo\nthree\n")
    await worker.finish(grant)


async def test_a_stale_attempt_says_nothing(store: Store, hand: Any) -> None:
    worker, old = await started(store, hand)
    await worker.finish(old, "retry")
    new = await worker.claim_one()
    assert await say(store, worker, words(old, 9, b"old", progress=(90.0, ""))) == ["stale"]
    assert await say(store, worker, words(new, 1, b"new")) == ["ok"]
    await worker.finish(new)
    assert await say(store, worker, words(new, 2, b"late")) == ["stale"]
    assert await output(store, new.id) == (0, b"new")


async def test_progress_is_the_latest_attempts(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    await say(store, worker, words(grant, 1, b"first ", progress=(80.0, "nearly")))
    await worker.finish(grant, "retry")
    assert (await seen(store, grant.id)).progress is None
    await store.redis.hset(RECORD + grant.id, "started", 1)  # else both may start in one millisecond
    await store.redis.hset(RECORD + grant.id, "progress_of", 1)
    grant = await worker.claim_one()
    assert (await seen(store, grant.id)).progress is None
    await say(store, worker, words(grant, 1, b"second", progress=(10.0, "")))
    await worker.finish(grant)
    assert (await seen(store, grant.id)).progress == (10.0, "")
    assert await output(store, grant.id) == (0, b"first second")


async def test_of_progress_the_latest_is_kept(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    for number in range(1, 50):
        await say(store, worker, words(grant, number, progress=(float(number), "")))
    (only,) = await said(store, grant.id)
    assert isinstance(only, Progress)
    assert only.percent == 49.0
    await worker.finish(grant)


async def test_of_output_the_newest_bytes_are_kept(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    text = b"".join(b"%09d\n" % line for line in range(6_000))
    for number in range(6):
        await say(store, worker, words(grant, number + 1, text[number * 10_000 : (number + 1) * 10_000]))
    cut, kept = await output(store, grant.id) or (0, b"")
    assert text == text[:cut] + kept, "what is kept follows what is cut"
    assert KEEP <= len(kept) < KEEP + 8_192
    await say(store, worker, words(grant, 7, b"end", left_out=1_000_000))
    assert await output(store, grant.id) == (1_060_000, b"end"), "what came before the gap is not the newest"
    await worker.finish(grant)


async def test_entries_are_bounded_however_short(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    for start in range(1, 4_000, 500):
        await say(store, worker, *(words(grant, start + more, b"x") for more in range(500)))
    assert 2_000 <= await store.redis.xlen(SAID + grant.id) <= 2_200
    cut, kept = await output(store, grant.id) or (0, b"")
    assert cut + len(kept) == 4_000
    await worker.finish(grant)


async def test_with_nothing_kept_the_progress_is_told_all_the_same(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    await say(store, worker, words(grant, 1, b"gone", progress=(5.0, "")), keep=0)
    assert (await seen(store, grant.id)).progress == (5.0, "")
    assert await output(store, grant.id) == (4, b"")
    await worker.finish(grant)


async def test_words_live_as_long_as_the_record(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    await say(store, worker, words(grant, 1, b"said"))
    assert await store.redis.ttl(SAID + grant.id) == -1
    await worker.finish(grant)
    assert 0 < await store.redis.pttl(SAID + grant.id) <= KEEP_MS
    await store.erase(grant.id)
    assert not await store.redis.exists(SAID + grant.id)


async def test_a_job_that_ends_while_it_waits_keeps_its_words_as_long(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    await say(store, worker, words(grant, 1, b"said"))
    await worker.finish(grant, "retry", retry_in_ms=60_000)
    assert await store.cancel(grant.id, keep_ms=KEEP_MS) == "cancelled"
    assert 0 < await store.redis.pttl(SAID + grant.id) <= KEEP_MS


async def test_another_life_of_an_id_begins_in_silence(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    await say(store, worker, words(grant, 1, b"said", progress=(50.0, "")))
    await worker.finish(grant, "failed", envelope=b'{"f":"Add","a":[],"k":{},"et":1,"s":false,"r":"no"}')
    await store.retry(grant.id, level_ms=0, max_pending=10)
    assert await said(store, grant.id) == []
    grant = await worker.claim_one()
    assert await say(store, worker, words(grant, 1, b"anew")) == ["ok"]
    assert await output(store, grant.id) == (0, b"anew")
    await worker.finish(grant)


async def test_a_full_server_takes_the_finish_and_not_the_words(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    (other,) = await submitted(store)
    await store.redis.config_set("maxmemory", 1)
    try:
        assert worker.last is not None
        finishes, spoken = [worker.finish_of(grant)], [words(grant, 1, b"x" * 1_000)]
        replies, claimed = await store.claims.exchange(finishes, worker.next_claim(1), spoken, KEEP)
    finally:
        await store.redis.config_set("maxmemory", 0)
    assert replies == ["ok"]
    assert [granted.id for granted in claimed.grants] == [other]
    assert await output(store, grant.id) == (0, b"")
    await worker.finish(claimed.grants[0])


async def test_words_go_before_the_finish_also_on_a_server_that_knows_no_script(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    await store.redis.script_flush()
    finishes, spoken = [worker.finish_of(grant)], [words(grant, 1, b"last", progress=(100.0, "done"))]
    replies, _ = await store.claims.exchange(finishes, worker.next_claim(0), spoken, KEEP)
    assert replies == ["ok"]
    assert await output(store, grant.id) == (0, b"last")
    assert (await seen(store, grant.id)).progress == (100.0, "done")


async def test_one_whose_stream_is_something_else_costs_the_others_nothing(store: Store, hand: Any) -> None:
    ids = await submitted(store, 2)
    worker = hand()
    first, second = (await worker.claim(2)).grants
    await store.redis.set(SAID + ids[0], "?", ex=60)
    assert await say(store, worker, words(first, 1, b"a"), words(second, 1, b"b")) == ["stale", "ok"]
    assert await output(store, ids[1]) == (0, b"b")
    for grant in (first, second):
        await worker.finish(grant)


async def test_every_addition_is_told(store: Store, hand: Any) -> None:
    worker, grant = await started(store, hand)
    async with store.redis.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(store.keys.told)
        await subscription.get_message(timeout=5)
        await say(store, worker, words(grant, 1, b"said"))
        message = await subscription.get_message(timeout=5)
        assert message is not None
        assert message["data"] == grant.id.encode()
    await worker.finish(grant)


async def test_nobody_knows_the_words_of_an_unknown_job(store: Store) -> None:
    assert await output(store, "nobody") is None
    assert scripts.SAY in scripts.MOVES
