"""`Prefer: wait=N` (RFC 7240): an answer held back until the job has ended, for at most N seconds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Sequence
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import Receive

from service.problems import invalid
from slotwise.job import TERMINAL, Job
from slotwise.news import News
from slotwise.store import Store

MAX_SECONDS: Final = 60
_WAIT: Final = re.compile(r'wait\s*=\s*(?:"(\d{1,9})"|(\d{1,9}))', re.IGNORECASE | re.ASCII)


def preferred_seconds(headers: Headers) -> int | None:
    """N of `Prefer: wait=N`; None without one. Other preferences are ignored, as the RFC asks.

    Raises: SlotwiseError `invalid-request` for a wait that is malformed or too long.
    """
    if "prefer" not in headers:
        return None
    for preference in ",".join(headers.getlist("prefer")).split(","):
        name = re.split(r"[=;]", preference, maxsplit=1)[0].strip().lower()
        if name != "wait":
            continue
        match = _WAIT.fullmatch(preference.strip())
        if match is None or int(match[1] or match[2]) > MAX_SECONDS:
            raise invalid(f"Prefer: wait=N takes whole seconds from 0 to {MAX_SECONDS}.")
        return int(match[1] or match[2])
    return None


Tasks = Sequence[asyncio.Future[Any]]


class Waiting:
    """Everybody in this process who waits for the end of a job."""

    def __init__(self, store: Store, ended: News) -> None:
        self._store = store
        self._ended = ended
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let everybody have their answer now: the service stops."""
        self._stopping.set()

    async def job(self, job_id: str, seconds: float, receive: Receive) -> Job | None:
        """The job when it has ended, or as it is after `seconds`, or when the client hangs up; None: unknown.

        `receive` is the request's own, its body already read.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        interruptions: Tasks = [
            asyncio.ensure_future(self._stopping.wait()),
            asyncio.ensure_future(_hung_up(receive)),
        ]
        try:
            while True:
                end = self._ended.expect(job_id)  # first: an end after the read sets it
                try:
                    job = await self._store.job(job_id)
                    left = until - loop.time()
                    interrupted = any(each.done() for each in interruptions)
                    if job is None or job.state in TERMINAL or left <= 0 or interrupted:
                        return job
                    await _first(self._ended.wait(job_id, end, left), interruptions)
                finally:
                    self._ended.forget(job_id, end)
        finally:
            await _cancel(interruptions)


async def _first(wait: Awaitable[bool], interruptions: Tasks) -> None:
    waiting = asyncio.ensure_future(wait)
    try:
        await asyncio.wait([waiting, *interruptions], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancel([waiting])


async def _cancel(tasks: Tasks) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
