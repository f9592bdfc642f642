"""Group commit: calls that come while one is under way go together in the next. Nobody waits for others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from slotwise.away import is_away
from slotwise.errors import SlotwiseError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class _Call(Generic[T, R]):
    item: T
    weight: int
    outcome: asyncio.Future[R]


class Convoy(Generic[T, R]):
    """Sends items in groups of up to `most`, that weigh up to `most_weight` together (one alone may weigh more).

    `send` gives the outcome of each item, in their order; an exception is raised to who called with that item.
    Where it raises instead, all in the group get that; while the store is away, so do those who wait behind them.
    """

    def __init__(
        self, send: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]], *, most: int, most_weight: int
    ) -> None:
        self._send: Final = send
        self._most = most
        self._most_weight = most_weight
        self._waiting: deque[_Call[T, R]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def call(self, item: T, weight: int = 0) -> R:
        """The outcome of `item`. Raises: what it is, or what `send` raised."""
        call = _Call[T, R](item, weight, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="convoy")
        return await call.outcome

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        try:
            while group := self._next():
                await self._carry(group)
        finally:
            self._running = None

    def _next(self) -> list[_Call[T, R]]:
        group: list[_Call[T, R]] = []
        weight = 0
        while self._waiting and len(group) < self._most:
            weight += self._waiting[0].weight
            if group and weight > self._most_weight:
                break
            group.append(self._waiting.popleft())
        return group

    async def _carry(self, group: Sequence[_Call[T, R]]) -> None:
        outcomes: Sequence[R | Exception]
        try:
            outcomes = await self._send([call.item for call in group])
        except Exception as error:
            if is_away(error):  # they would wait as long again, one group after the other
                group = [*group, *self._waiting]
                self._waiting.clear()
            outcomes = [error] * len(group)
        for call, outcome in zip(group, outcomes, strict=True):
            if call.outcome.done():  # whoever called has given up
                continue
            if isinstance(outcome, Exception):
                call.outcome.set_exception(_own(outcome))
            else:
                call.outcome.set_result(outcome)


def _own(error: Exception) -> Exception:
    """One for each who raises it: they all write their traceback into it."""
    if not isinstance(error, SlotwiseError):
        return error
    after = error.retry_after_seconds
    return SlotwiseError(
        error.code, error.message, errors=error.errors, retry_after_seconds=after, quota=error.quota
    )
