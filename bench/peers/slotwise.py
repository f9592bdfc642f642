"""Slotwise by its full path: the stock `arq` command, jobs put in as `POST /jobs/batch` puts them.

A result is waited for as the front end does it. With BENCH_FRONT, a front end's URL, all goes over HTTP.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.peers.program import REDIS, batches
from slotwise.job import TERMINAL, Submission
from slotwise.news import News, set_within
from slotwise.store import Store

FRONT = os.environ.get("BENCH_FRONT", "")
NAMES = {"rest": "milliseconds", "burn": "rounds"}
MAX_PENDING = 100_000_000


def params(kind: str, number: int, argument: float | None) -> dict[str, Any]:
    return {"number": number} if argument is None else {"number": number, NAMES[kind]: argument}


def work(cap: int, kind: str) -> None:
    own = {"REDIS_URL": REDIS, "ALGORITHMS": "bench.peers.algorithms"}
    command = str(Path(sys.executable).with_name("arq"))
    os.execve(command, [command, "worker.settings.WorkerSettings"], {**os.environ, **own})


class Direct:
    """By `Store.submit`."""

    def __init__(self, store: Store, ends: News) -> None:
        self._store = store
        self._ends = ends

    async def fill(self, kind: str, numbers: Sequence[int], argument: float | None) -> None:
        for some in batches(numbers):
            jobs = [self._job(kind, number, argument) for number in some]
            await self._store.submit(jobs, max_pending=MAX_PENDING)

    async def one(self, number: int) -> Any:
        job = self._job("noop", number, None)
        event = self._ends.expect(job.id)
        await self._store.submit([job], max_pending=MAX_PENDING)
        while True:
            event.clear()
            found = await self._store.job(job.id)
            if found is not None and found.state in TERMINAL:
                self._ends.forget(job.id, event)
                return found.result
            await set_within(event, 1)

    def _job(self, kind: str, number: int, argument: float | None) -> Submission:
        id = secrets.token_hex(16)
        return Submission(id=id, algorithm=kind, params=params(kind, number, argument), timeout=300.0)


class Http:
    """One connection of the standard library's client to a front end."""

    def __init__(self) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(FRONT).netloc)

    async def fill(self, kind: str, numbers: Sequence[int], argument: float | None) -> None:
        for some in batches(numbers):
            jobs = [{"algorithm": kind, "params": params(kind, number, argument)} for number in some]
            self._post("/jobs/batch", {"jobs": jobs})

    async def one(self, number: int) -> Any:
        return self._post("/jobs", {"algorithm": "noop", "params": {"number": number}}, Prefer="wait=60")["result"]

    def _post(self, path: str, value: Any, **headers: str) -> Any:
        self._connection.request("POST", path, json.dumps(value), {"Content-Type": "application/json", **headers})
        answer = self._connection.getresponse()
        told = json.loads(answer.read())
        assert answer.status in {200, 202}, told
        return told

    def close(self) -> None:
        self._connection.close()


@asynccontextmanager
async def client() -> AsyncIterator[Direct | Http]:
    if FRONT:
        over_http = Http()
        yield over_http
        over_http.close()
        return
    store = await Store.connect(REDIS)
    async with store.ended() as ends:
        yield Direct(store, ends)
    await store.close()
