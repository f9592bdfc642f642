"""Submits of single jobs, in groups (see `convoy`); each job is accepted or refused for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from slotwise.away import is_away
from slotwise.convoy import Convoy
from slotwise.errors import SlotwiseError
from slotwise.job import Submission
from slotwise.store import MAX_BATCH, Store, Submitted

MOST_BYTES: Final = 1_048_576  # of the bodies of one group, as the clients sent them


class Intake:
    """The submits of one process. Close it before its store."""

    def __init__(self, store: Store, *, max_pending: int) -> None:
        self._store = store
        self._max_pending = max_pending
        self._convoy = Convoy(self._submit, most=MAX_BATCH, most_weight=MOST_BYTES)

    async def submit(self, job: Submission, size: int) -> Submitted:
        """Queue `job`, whose body had `size` bytes. Raises: SlotwiseError, as `Store.submit` does for it alone."""
        if job.fingerprint:  # may be here already: a matter between its key and itself
            return await self._alone(job)
        return await self._convoy.call(job, size)

    async def close(self) -> None:
        """Wait for what is under way."""
        await self._convoy.close()

    async def _submit(self, jobs: Sequence[Submission]) -> Sequence[Submitted | Exception]:
        tenants = list(dict.fromkeys(job.tenant for job in jobs))
        if len(tenants) == 1:
            return await self._of_one_tenant(jobs)
        outcomes: dict[str, Submitted | Exception] = {}
        away: Exception | None = None
        for tenant in tenants:
            own = [job for job in jobs if job.tenant == tenant]
            try:
                if away is not None:  # nobody waits for the same silence once more
                    raise away
                found = await self._of_one_tenant(own)
            except Exception as error:
                found = [error] * len(own)
                away = error if is_away(error) else None
            outcomes |= zip((job.id for job in own), found, strict=True)
        return [outcomes[job.id] for job in jobs]

    async def _of_one_tenant(self, jobs: Sequence[Submission]) -> Sequence[Submitted | Exception]:
        try:
            return await self._store.submit(jobs, max_pending=self._max_pending)
        except Exception as error:
            if is_away(error) or len(jobs) == 1:
                raise
        return await self._one_by_one(jobs)

    async def _one_by_one(self, jobs: Sequence[Submission]) -> Sequence[Submitted | Exception]:
        outcomes: list[Submitted | Exception] = []
        for job in jobs:
            try:
                outcomes.append(await self._alone(job))
            except Exception as error:
                outcomes.append(error)
                if is_away(error) or _is_bound(error):  # nor is there a place for those who came later
                    break
        return outcomes + outcomes[-1:] * (len(jobs) - len(outcomes))

    async def _alone(self, job: Submission) -> Submitted:
        [submitted] = await self._store.submit([job], max_pending=self._max_pending)
        return submitted


def _is_bound(error: Exception) -> bool:
    return isinstance(error, SlotwiseError) and error.code in ("queue-full", "rate-limited")
