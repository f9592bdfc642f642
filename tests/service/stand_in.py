"""A worker's hands without its head: claims and finishes when a test says so."""

from __future__ import annotations

import time
import uuid
from typing import Any

from redis import Redis

from slotwise import wire
from slotwise.attempt import Claim, Finish, Grant
from slotwise.lease import LeaseStore
from slotwise.store import Store


class StandInWorker:
    """Claims and finishes by hand, as a worker does."""

    def __init__(self, store: Store, redis: Redis) -> None:
        self.store = store
        self.incarnation = uuid.uuid4().hex
        self._leases = LeaseStore(redis, store.keys)
        self._number = 0

    def enlist(self, algorithms: list[str]) -> None:
        row = {"name": "stand-in", "host": "here", "slots": "10"}
        self._leases.enlist(self.incarnation, 60_000, row, algorithms)

    async def claim(self, slots: int = 1) -> list[Grant]:
        self._number += 1
        prefix = f"{self._number}-{uuid.uuid4().hex}-"
        claimed = await self.store.claims.claim(
            Claim(
                incarnation=self.incarnation,
                number=self._number,
                asked=slots,
                prefix=prefix,
                cancels="requested",
                look_for_cancels=False,
                worker="stand-in",
            )
        )
        return list(claimed.grants)

    async def finish(
        self, grant: Grant, *, result: Any = None, error: dict[str, Any] | None = None, **more: Any
    ) -> None:
        done = self.done(grant, result=result, error=error, **more)
        assert await self.store.claims.finish(self.incarnation, [done]) == ["ok"]

    def done(
        self, grant: Grant, *, result: Any = None, error: dict[str, Any] | None = None, **more: Any
    ) -> Finish:
        now = time.time_ns() // 1_000_000
        call = wire.decode(grant.payload)
        end = {"s": error is None, "r": result if error is None else error, "st": now, "ft": now, "q": "arq:queue"}
        return Finish(
            grant.id,
            grant.token,
            "completed" if error is None else "failed",
            error=b"" if error is None else wire.encode(error),
            envelope=wire.encode(call | end | {"id": grant.id}),
            keep_ms=60_000,
            own_end=True,
            **more,
        )

    def leave(self) -> None:
        self._leases.leave(self.incarnation)

    def die(self) -> None:
        """As an observer sees it that watched the lease stand still."""
        lease = self._leases.leases()[self.incarnation]
        assert self._leases.reap(self.incarnation, lease) is not None
