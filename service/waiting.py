"""`Prefer: wait=N` (RFC 7240): an answer held back until the job has ended, for at most N seconds."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Receive

from service.problems import invalid
from slotwise.job import TERMINAL, Job
from slotwise.news import News, set_within
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


class Waiting:
    """Everybody in this process who waits for the end of a job."""

    def __init__(self, ended: News) -> None:
        self._ended = ended
        self._stopping = False
        self._waiters: set[asyncio.Event] = set()

    def stop(self) -> None:
        """Let everybody have their answer now: the service stops."""
        self._stopping = True
        for look in self._waiters:
            look.set()

    async def job(self, store: Store, job_id: str, seconds: float, receive: Receive) -> Job | None:
        """The job when it has ended, or as it is after `seconds`, or when the client hangs up; None: unknown.

        `receive` is the request's own, its body already read.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        look = self._ended.expect(job_id)  # first: an end after a read sets it
        hung_up = asyncio.ensure_future(_hung_up(receive))
        hung_up.add_done_callback(lambda _: look.set())
        self._waiters.add(look)
        try:
            while True:
                look.clear()
                job = await store.job(job_id)
                left = until - loop.time()
                if job is None or job.state in TERMINAL or left <= 0 or hung_up.done() or self._stopping:
                    return job
                await set_within(look, left)
        finally:
            self._waiters.discard(look)
            self._ended.forget(job_id, look)
            hung_up.cancel()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
