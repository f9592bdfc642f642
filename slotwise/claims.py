"""The worker's half of the store: claims and finishes, and both in one round trip.

One method a script, on an asyncio connection of its own. See `lease` for the signs of life.
"""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from slotwise import scripts
from slotwise.attempt import Claim, Claimed, Finish
from slotwise.keys import ABORT, PER_JOB, Keys
from slotwise.line import Line
from slotwise.words import Words


class Claims:
    """The moves of attempts. Every method raises redis.RedisError; each may be made again as it was."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._line = Line(redis)

    async def hang_up(self) -> None:
        """Close the connection of the exchanges; the next one opens it again."""
        await self._line.close()

    async def claim(self, claim: Claim) -> Claimed:
        """Ask for slots. Raises: redis.RedisError (the worker's loop sends the same claim again)."""
        return Claimed.of(claim.number, await scripts.CLAIM.run(self._redis, *self._claim(claim)))

    async def finish(self, incarnation: str, finishes: Sequence[Finish]) -> list[str]:
        """End attempts: 'ok', 'again' or 'stale' for each. Raises: redis.RedisError."""
        return _texts(await scripts.FINISH.run(self._redis, *self._finish(incarnation, finishes)))

    async def say(self, incarnation: str, words: Sequence[Words], keep_bytes: int) -> list[str]:
        """Tell what running jobs say: 'ok', 'again' or 'stale' for each. Raises: redis.RedisError."""
        return _texts(await scripts.SAY.run(self._redis, *self._say(incarnation, words, keep_bytes)))

    async def exchange(
        self, finishes: Sequence[Finish], claim: Claim, words: Sequence[Words] = (), keep_bytes: int = 0
    ) -> tuple[list[str], Claimed]:
        """`say`, `finish`, then `claim`, in one round trip. Raises: redis.RedisError.

        Words that the server refuses, as when it is full, are lost, and nothing else.
        """
        commands = [scripts.CLAIM.call(*self._claim(claim))]
        if finishes:
            commands.insert(0, scripts.FINISH.call(*self._finish(claim.incarnation, finishes)))
        if words:
            commands.insert(0, scripts.SAY.call(*self._say(claim.incarnation, words, keep_bytes)))
        replies = await self._line.ask(*commands)
        if any(isinstance(reply, NoScriptError) for reply in replies):
            # a server that started anew: whatever it did execute, it does not do twice
            for script in (scripts.SAY, scripts.FINISH, scripts.CLAIM):
                await script.load(self._redis)
            return await self.exchange(finishes, claim, words, keep_bytes)
        if words and isinstance(replies[0], ResponseError):
            replies[0] = []
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return _texts(replies[-2]) if finishes else [], Claimed.of(claim.number, replies[-1])

    def _say(
        self, incarnation: str, words: Sequence[Words], keep_bytes: int
    ) -> tuple[list[str], list[scripts.Arg]]:
        keys = [self._keys.held(incarnation), *PER_JOB, *self._keys.of_outbox]
        return keys, [self._keys.told, keep_bytes, *(arg for each in words for arg in each.args())]

    def _claim(self, claim: Claim) -> tuple[list[str], list[scripts.Arg]]:
        keys = self._keys
        return [
            keys.queue,
            keys.running,
            keys.promote,
            keys.cap,
            keys.leases,
            keys.worker(claim.incarnation),
            keys.held(claim.incarnation),
            ABORT,
            keys.suspects,
            keys.unstarted,
            keys.limits,
            keys.parked,
            keys.serves(claim.incarnation),
            keys.served,
            keys.catalogue,
            keys.hungry,
            keys.loads,
            keys.log,
            keys.meter,
            keys.counts,
            keys.running_of,
            keys.parked_of,
            keys.starts_of,
            keys.pending_of,
            keys.hungry_of,
            *PER_JOB,
            keys.tenants,
            *keys.of_outbox,
            *keys.of_index,
        ], [
            claim.incarnation,
            claim.number,
            claim.asked,
            claim.prefix,
            claim.cancels,
            "1" if claim.look_for_cancels else "",
            claim.worker,
            "",
            *claim.ids,
        ]

    def _finish(self, incarnation: str, finishes: Sequence[Finish]) -> tuple[list[str], list[scripts.Arg]]:
        keys = self._keys
        return [
            keys.queue,
            keys.running,
            keys.held(incarnation),
            ABORT,
            keys.cap,
            keys.log,
            keys.meter,
            keys.pace,
            keys.counts,
            keys.served,
            keys.catalogue,
            keys.running_of,
            keys.pending_of,
            *PER_JOB,
            *keys.of_outbox,
            *keys.of_index,
        ], ["", self._keys.ended, *(arg for finish in finishes for arg in finish.args())]


def _texts(replies: Sequence[bytes]) -> list[str]:
    return [reply.decode() for reply in replies]
