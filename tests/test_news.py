"""News of jobs: what each source tells, and that nothing is missed for lack of it."""

from __future__ import annotations

from typing import Any

from slotwise.news import set_within
from slotwise.store import Store
from slotwise.words import Words
from tests.hand import news_are_read, submitted


async def test_hears_of_starts_words_and_ends(store: Store, hand: Any) -> None:
    worker = hand()
    job_id, other = await submitted(store, 2)
    async with store.news() as news:
        heard, unheard = news.expect(job_id), news.expect(other)
        await news_are_read(store)
        heard.clear()
        unheard.clear()
        (grant,) = (await worker.claim(1)).grants
        assert grant.id == job_id
        assert await set_within(heard, 10)
        heard.clear()
        await store.claims.say(worker.incarnation, [Words(job_id, grant.token, 1, None, 0, b"x")], 100)
        assert await set_within(heard, 10)
        heard.clear()
        await worker.finish(grant, "retry")
        assert await set_within(heard, 10)
        heard.clear()
        await store.cancel(job_id, keep_ms=60_000)
        assert await set_within(heard, 10)
        assert not unheard.is_set()


async def test_an_entry_that_is_none_of_ours_is_passed_over(store: Store, hand: Any) -> None:
    async with store.news() as news:
        await news_are_read(store)
        await store.redis.xadd(store.keys.log, {"what": "?"})
        (job_id,) = await submitted(store)
        heard = news.expect(job_id)
        worker = hand()
        grant = await worker.claim_one()
        assert await set_within(heard, 10)
        await worker.finish(grant)
    await store.redis.delete(store.keys.log)
