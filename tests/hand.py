"""A worker's side of the protocol by hand, and jobs for it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from redis import Redis

from slotwise.attempt import Claim, Claimed, Finish, Grant
from slotwise.job import Submission
from slotwise.lease import LeaseStore
from slotwise.store import Store
from tests.facts import wait_for

KEEP_MS = 60_000


class Hand:
    """A worker's side of the protocol, by hand."""

    def __init__(self, store: Store, redis: Redis, name: str = "w", serves: Sequence[str] = ()) -> None:
        self.store = store
        self.leases = LeaseStore(redis, store.keys)
        self.incarnation = name + secrets.token_hex(4)
        self.number = 0
        self.last: Claim | None = None
        self.granted: dict[str, Grant] = {}  # by id, until it is finished
        self._serves = serves

    def enlist(self, **row: str) -> None:
        self.leases.enlist(self.incarnation, 10_000, {"name": self.incarnation, **row}, self._serves)

    async def claim(self, asked: int = 1, *, ids: tuple[str, ...] = ()) -> Claimed:
        claimed = await self.store.claims.claim(self.next_claim(asked, ids=ids))
        self.granted |= {grant.id: grant for grant in claimed.grants}
        return claimed

    def next_claim(self, asked: int = 1, *, ids: tuple[str, ...] = ()) -> Claim:
        self.number += 1
        prefix = f"{self.number}-{secrets.token_hex(16)}-"
        self.last = Claim(self.incarnation, self.number, asked, prefix, "any", True, self.incarnation, ids)
        return self.last

    async def claim_one(self, asked: int = 1) -> Grant:
        """The only job that a claim grants."""
        (grant,) = (await self.claim(asked)).grants
        return grant

    async def finish(self, grant: Grant, outcome: Any = "completed", **fields: Any) -> str:
        finish = self.finish_of(grant, outcome, **fields)
        return (await self.store.claims.finish(self.incarnation, [finish]))[0]

    def finish_of(self, grant: Grant, outcome: Any = "completed", **fields: Any) -> Finish:
        self.granted.pop(grant.id, None)
        return Finish(grant.id, grant.token, outcome, keep_ms=KEEP_MS, attempt=grant.attempt, **fields)


def a_job(**fields: Any) -> Submission:
    call: dict[str, Any] = {"algorithm": "Add", "params": {"a": 1, "b": 2}, **fields}
    return Submission(id=secrets.token_hex(16), **call)


async def submitted(store: Store, count: int = 1, **fields: Any) -> list[str]:
    jobs = [a_job(**fields) for _ in range(count)]
    for at in range(0, count, 100):
        await store.submit(jobs[at : at + 100], max_pending=100_000)
    return [job.id for job in jobs]


async def now_ms(store: Store) -> int:
    """The server's clock."""
    seconds, microseconds = await store.redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


async def news_are_read(store: Store) -> None:
    """Until somebody has subscribed to all that happens to jobs, and reads the log."""

    async def read() -> bool:
        [(_, listeners)] = await store.redis.pubsub_numsub(store.keys.told)
        return bool(listeners) and any(each["cmd"] == "xread" for each in await store.redis.client_list())

    await wait_for(read, what="a reader of news")
