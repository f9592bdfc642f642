"""The one conversation of a worker with the store: pending finishes out, granted jobs in, one round trip.

Exchanges are numbered. One whose reply was lost is sent again as it was, and gives the same grants: no slot
is lost, no job runs twice. One exchange is under way at a time; what ends meanwhile goes with the next
(group commit).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from slotwise.attempt import Cancels, Claim, Claimed, Finish
from slotwise.claims import Claims
from slotwise.words import Words

MAX_FINISHES: Final = 100
MAX_BYTES: Final = 1 << 20  # of envelopes in one exchange; one envelope alone may be larger


@dataclass
class Ending:
    """A finish on its way; `answered` hears the store's word on it: 'ok', 'again' or 'stale'.

    `last_words` are what the job said that has not been passed on: they go first.
    """

    finish: Finish
    answered: Callable[[str], None] = field(default=lambda word: None)
    last_words: Words | None = None

    @property
    def size(self) -> int:
        """Bytes, about."""
        return len(self.finish.envelope) + (0 if self.last_words is None else len(self.last_words.output))


class Exchange:
    """The exchanges of one incarnation of a worker."""

    def __init__(
        self,
        claims: Claims,
        incarnation: str,
        worker: str,
        cancels: Cancels,
        timeout_seconds: float,
        *,
        keep_bytes: int = 0,
    ) -> None:
        self.incarnation = incarnation
        self.number = 0
        self._claims = claims
        self._worker = worker
        self._cancels = cancels
        self.timeout_seconds = timeout_seconds
        self._keep_bytes = keep_bytes  # of a job's output
        self._pending: deque[Ending] = deque()
        self._words: list[Words] = []
        self._unanswered: tuple[list[Ending], list[Words], Claim] | None = None
        self._lock = asyncio.Lock()

    @property
    def idle(self) -> bool:
        """Nothing to tell and no reply outstanding."""
        return not self._pending and not self._words and self._unanswered is None

    @property
    def ready_for_words(self) -> bool:
        """Whether those before have been answered: till then they wait, and the oldest are cut, where they are."""
        return not self._words and self._unanswered is None

    def end(self, ending: Ending) -> None:
        """Send `ending` with the next exchange."""
        self._pending.append(ending)

    def say(self, words: Sequence[Words]) -> None:
        """Send `words` with the next exchange."""
        self._words.extend(words)

    def adopt(self, other: Exchange) -> None:
        """Take over what an earlier incarnation could not deliver; the store judges it by its tokens."""
        sent = other._unanswered[0] if other._unanswered else []
        self._pending.extendleft(reversed([*sent, *other._pending]))

    async def run(self, asked: int, *, look_for_cancels: bool = False, ids: tuple[str, ...] = ()) -> Claimed:
        """One round trip. Raises: redis.RedisError, TimeoutError; the next call then sends this one again."""
        async with self._lock:
            if self._unanswered is None:
                self._unanswered = (*self._take(), self._next_claim(asked, look_for_cancels, ids))
            endings, words, claim = self._unanswered
            async with asyncio.timeout(self.timeout_seconds):  # a silent link is dropped, and another tried
                finishes = [ending.finish for ending in endings]
                replies, claimed = await self._claims.exchange(finishes, claim, words, self._keep_bytes)
            self._unanswered = None
        for ending, reply in zip(endings, replies, strict=True):
            ending.answered(reply)
        return claimed

    def _take(self) -> tuple[list[Ending], list[Words]]:
        endings: list[Ending] = []
        size = 0
        while self._pending and len(endings) < MAX_FINISHES:
            size += self._pending[0].size
            if endings and size > MAX_BYTES:
                break
            endings.append(self._pending.popleft())
        words, self._words = self._words, []
        words += [ending.last_words for ending in endings if ending.last_words is not None]
        return endings, words

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
