"""Submits of single jobs, in groups: those that come while a call to Redis is under way go together in the next.

Nobody waits for others to come, and each job is accepted or refused for itself: where a group is refused, its
jobs are submitted one by one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from slotwise.away import is_away
from slotwise.errors import SlotwiseError
from slotwise.job import Submission
from slotwise.store import MAX_BATCH, Store, Submitted

MOST_BYTES: Final = 1_048_576  # of the bodies of one group, as the client sent them


@dataclass(frozen=True)
class _Entry:
    job: Submission
    size: int  # bytes
    accepted: asyncio.Future[Submitted]


class Intake:
    """The submits of one process. Close it before its store."""

    def __init__(self, store: Store, *, max_pending: int) -> None:
        self._store = store
        self._max_pending = max_pending
        self._waiting: deque[_Entry] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def submit(self, job: Submission, size: int) -> Submitted:
        """Queue `job`, whose body had `size` bytes. Raises: SlotwiseError, as `Store.submit` does for it alone."""
        if job.fingerprint:  # may be here already: a matter between its key and itself
            [submitted] = await self._store.submit([job], max_pending=self._max_pending)
            return submitted
        entry = _Entry(job, size, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="intake")
        return await entry.accepted

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._sending is not None:
            await self._sending

    async def _send(self) -> None:
        try:
            while group := self._next():
                await self._submit(group)
        finally:
            self._sending = None

    def _next(self) -> list[_Entry]:
        group: list[_Entry] = []
        size = 0
        while self._waiting and len(group) < MAX_BATCH:
            size += self._waiting[0].size
            if group and size > MOST_BYTES:
                break
            group.append(self._waiting.popleft())
        return group

    async def _submit(self, group: Sequence[_Entry]) -> None:
        refusal = await self._ask(group)
        if refusal is None:
            return
        if len(group) == 1 or is_away(refusal):
            _refuse(group, refusal)
            return
        for place, entry in enumerate(group):
            refusal = await self._ask([entry])
            if refusal is not None and (is_away(refusal) or _is_full(refusal)):
                _refuse(group[place:], refusal)  # nor is there a place for those who came later
                return
            if refusal is not None:
                _refuse([entry], refusal)

    async def _ask(self, group: Sequence[_Entry]) -> Exception | None:
        """Submit the group; why it was refused as a whole."""
        try:
            accepted = await self._store.submit([entry.job for entry in group], max_pending=self._max_pending)
        except Exception as error:
            return error
        for entry, submitted in zip(group, accepted, strict=True):
            if not entry.accepted.done():  # else its request was given up
                entry.accepted.set_result(submitted)
        return None


def _is_full(error: Exception) -> bool:
    return isinstance(error, SlotwiseError) and error.code == "queue-full"


def _refuse(group: Sequence[_Entry], error: Exception) -> None:
    for entry in group:
        if entry.accepted.done():
            continue
        if isinstance(error, SlotwiseError):  # one of its own: an exception is marked by whoever raises it
            after = error.retry_after_seconds
            entry.accepted.set_exception(SlotwiseError(error.code, error.message, retry_after_seconds=after))
        else:
            entry.accepted.set_exception(error)
