"""The one conversation of a worker with the store: pending finishes out, granted jobs in, one round trip.

Exchanges are numbered. One whose reply was lost is sent again as it was, and gives the same grants: no slot
is lost, no job runs twice. One exchange is under way at a time; what ends meanwhile goes with the next
(group commit).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from slotwise.attempt import Cancels, Claim, Claimed, Finish
from slotwise.claims import Claims

MAX_FINISHES: Final = 100
MAX_BYTES: Final = 1 << 20  # of envelopes in one exchange; one envelope alone may be larger


@dataclass
class Ending:
    """A finish on its way; `answered` hears the store's word on it: 'ok', 'again' or 'stale'."""

    finish: Finish
    answered: Callable[[str], None] = field(default=lambda word: None)


class Exchange:
    """The exchanges of one incarnation of a worker."""

    def __init__(
        self, claims: Claims, incarnation: str, worker: str, cancels: Cancels, timeout_seconds: float
    ) -> None:
        self.incarnation = incarnation
        self.number = 0
        self._claims = claims
        self._worker = worker
        self._cancels = cancels
        self.timeout_seconds = timeout_seconds
        self._pending: deque[Ending] = deque()
        self._unanswered: tuple[list[Ending], Claim] | None = None
        self._lock = asyncio.Lock()

    @property
    def idle(self) -> bool:
        """Nothing to tell and no reply outstanding."""
        return not self._pending and self._unanswered is None

    def end(self, ending: Ending) -> None:
        """Send `ending` with the next exchange."""
        self._pending.append(ending)

    def adopt(self, other: Exchange) -> None:
        """Take over what an earlier incarnation could not deliver; the store judges it by its tokens."""
        sent = other._unanswered[0] if other._unanswered else []
        self._pending.extendleft(reversed([*sent, *other._pending]))

    async def run(self, asked: int, *, look_for_cancels: bool = False, ids: tuple[str, ...] = ()) -> Claimed:
        """One round trip. Raises: redis.RedisError, TimeoutError; the next call then sends this one again."""
        async with self._lock:
            if self._unanswered is None:
                self._unanswered = (self._take(), self._next_claim(asked, look_for_cancels, ids))
            endings, claim = self._unanswered
            async with asyncio.timeout(self.timeout_seconds):  # a silent link is dropped, and another tried
                replies, claimed = await self._claims.exchange([ending.finish for ending in endings], claim)
            self._unanswered = None
        for ending, reply in zip(endings, replies, strict=True):
            ending.answered(reply)
        return claimed

    def _take(self) -> list[Ending]:
        endings: list[Ending] = []
        size = 0
        while self._pending and len(endings) < MAX_FINISHES:
            size += len(self._pending[0].finish.envelope)
            if endings and size > MAX_BYTES:
                break
            endings.append(self._pending.popleft())
        return endings

    def _next_claim(self, asked: int, look_for_cancels: bool, ids: tuple[str, ...]) -> Claim:
        self.number += 1
        return Claim(
            incarnation=self.incarnation,
            number=self.number,
            asked=asked,
            prefix=f"{self.number}-{secrets.token_hex(16)}-",
            cancels=self._cancels,
            look_for_cancels=look_for_cancels,
            worker=self._worker,
            ids=ids,
        )
