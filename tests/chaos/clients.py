"""Clients over HTTP, who do not give up: what they were promised, and which ends they saw, goes to a ledger."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import httpx2

from tests.chaos.ledger import Ledger

Job = dict[str, Any]

ENDS = ["job.completed", "job.failed", "job.cancelled"]
TERMINAL = ("completed", "failed", "cancelled")
BUSY = {429, 503}  # come again later
WINDOW = 120  # jobs that wait, at which clients hold back
CLIENTS = 6
LONG = 0.05  # the share of jobs that take about a second
HOOKED = 0.08  # the share of jobs with a webhook
LATER = 0.25  # seconds until one tries again
EXECUTORS = ("InLoop",) * 12 + ("InThread",) * 3 + ("InProcess",) * 5
POISONS = ("segfault", "exit", "raise", "large", "talk", "zygote")


def honest(number: int, rng: random.Random) -> Job:
    """Mostly short; some are long enough to be met by a fault."""
    ms = rng.randint(400, 1_500) if rng.random() < LONG else rng.randint(2, 60)
    return {"algorithm": rng.choice(EXECUTORS), "params": {"n": number, "ms": ms}}


def blocking(number: int, rng: random.Random) -> Job:
    return {"algorithm": "BlocksLoop", "params": {"n": number, "ms": rng.randint(500, 2_500)}}


def hostile(number: int, rng: random.Random) -> Job:
    return {"algorithm": "Hostile", "params": {"n": number, "ms": 0}, "timeout": 1.0}


def poison(number: int, rng: random.Random) -> Job:
    return {"algorithm": "Poison", "params": {"n": number, "ms": 0, "way": rng.choice(POISONS)}}


class Clients:
    def __init__(self, urls: list[str], hooks: Sequence[str], ledger: Ledger, seed: int) -> None:
        """`hooks`: URLs that jobs may have told how they ended."""
        self._hooks = hooks
        self._ledger = ledger
        self._urls = urls
        self._seed = seed
        self._rng = random.Random(f"clients {seed}")
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(8, connect=2), limits=httpx2.Limits(max_connections=64)
        )
        self._numbers = 0
        self._turn = 0
        self._watchers: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self.promised = 0

    def batch(self, size: int) -> list[Job]:
        return [self._hooked(honest(self._number(), self._rng)) for _ in range(size)]

    def _hooked(self, job: Job) -> Job:
        """Some have a webhook, and some of these have it told of each start."""
        if self._rng.random() < HOOKED:
            job["webhook"] = self._rng.choice(self._hooks)
            if self._rng.random() < 0.5:
                job["webhook_events"] = ["job.running", *ENDS]
        return job

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    async def submit_many(self, jobs: int, until: asyncio.Event) -> None:
        """`jobs` honest ones, and more `until` then: singly, in batches, never many more than can be run."""
        pacer = asyncio.create_task(self._pace())
        sizes = self._sizes(jobs, until)
        try:
            async with asyncio.TaskGroup() as clients:
                for _ in range(CLIENTS):
                    clients.create_task(self._submit_all(sizes))
        finally:
            pacer.cancel()

    def _sizes(self, jobs: int, until: asyncio.Event) -> Iterator[int]:
        while jobs > 0 or not until.is_set():
            size = 1 if self._rng.random() < 0.4 else self._rng.randint(2, 40)
            jobs -= size
            yield size

    async def _submit_all(self, sizes: Iterator[int]) -> None:
        for size in sizes:
            await asyncio.sleep(0)
            await self._room.wait()
            ids = await self.submit(self.batch(size))
            for job_id in ids:
                drawn = self._rng.random()
                if drawn < 0.08:
                    self._follow(self.end_of(job_id))
                elif drawn < 0.12:
                    self._follow(self._cancel(job_id, self._rng.random() * 0.6))

    async def submit_one(self, make: Any) -> str:
        """One job, as `make` makes it: its id."""
        return (await self.submit([self._hooked(make(self._number(), self._rng))]))[0]

    async def submit(self, jobs: list[Job]) -> list[str]:
        """Until they are promised: their ids. The same key and body each time."""
        number = jobs[0]["params"]["n"]
        headers = {"Idempotency-Key": f"chaos {self._seed} {number}"}
        path, body = ("/jobs", jobs[0]) if len(jobs) == 1 else ("/jobs/batch", {"jobs": jobs})
        asked = self._ledger.write("asked", n=number)
        answer = await self.ask("POST", path, body, headers)
        told = answer.json()
        if answer.status_code not in (200, 202):
            self._ledger.write("refused", n=number, status=answer.status_code, told=told)
            raise AssertionError(f"a job was refused: {told}")
        made = [told] if len(jobs) == 1 else told["jobs"]
        for job, one in zip(jobs, made, strict=True):
            told = {"asked": asked, "algorithm": job["algorithm"], "hook": "webhook" in job}
            self._ledger.write("promised", id=one["job_id"], **told, **job["params"])
        self.promised += len(made)
        return [one["job_id"] for one in made]

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """The first answer of any front end that is not 'later'."""
        while True:
            self._turn += 1
            url = self._urls[self._turn % len(self._urls)]
            try:
                answer = await self._http.request(method, url + path, json=body, headers=headers)
            except httpx2.TransportError:
                await asyncio.sleep(LATER)
                continue
            if answer.status_code >= 500 and answer.status_code not in BUSY:
                self._ledger.write("broken", path=path, status=answer.status_code, told=answer.text[:500])
            if answer.status_code in BUSY or answer.status_code >= 500:
                await asyncio.sleep(LATER)
                continue
            return answer

    async def end_of(self, job_id: str) -> Job:
        """The job once it has ended, which is written down."""
        while True:
            answer = await self.ask("GET", f"/jobs/{job_id}", None, {"Prefer": "wait=5"})
            job: Job = answer.json()
            if answer.status_code != 200:
                self._ledger.write("unknown", id=job_id, status=answer.status_code)
                return {}
            if job["status"] in TERMINAL:
                self.saw(job)
                return job

    def saw(self, job: Job) -> None:
        """Write down the end of a job as a front end told it."""
        error = job["error"] or {}
        nonce = job["result"]["nonce"] if isinstance(job["result"], dict) else None
        number = job["result"]["n"] if isinstance(job["result"], dict) else None
        self._ledger.write(
            "end",
            id=job["job_id"],
            status=job["status"],
            completed_at=job["completed_at"],
            type=error.get("type"),
            nonce=nonce,
            n=number,
        )

    async def _cancel(self, job_id: str, after: float) -> None:
        await asyncio.sleep(after)
        answer = await self.ask("POST", f"/jobs/{job_id}/cancel")
        self._ledger.write("cancel", id=job_id, status=answer.status_code)
        if answer.status_code == 200:
            self.saw(answer.json())

    def _follow(self, what: Any) -> None:
        task = asyncio.create_task(what)
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def _pace(self) -> None:
        while True:
            waiting = (await self.status())["pending_jobs"]
            if waiting < WINDOW:
                self._room.set()
            else:
                self._room.clear()
            await asyncio.sleep(0.1)

    async def status(self) -> dict[str, Any]:
        answer = await self.ask("GET", "/jobs/concurrency")
        told: dict[str, Any] = answer.json()
        return told

    async def metrics(self, url: str) -> str:
        """What this front end counts."""
        return (await self._http.get(url + "/metrics")).text

    async def read_all(self) -> None:
        """Write down how each job stands in the list, from one front end after the other."""
        cursor = None
        while True:
            at = f"&cursor={cursor}" if cursor else ""
            answer = await self.ask("GET", f"/jobs?limit=500&include=params,result{at}")
            page = answer.json()
            for job in page["jobs"]:
                if job["status"] in TERMINAL:
                    self.saw(job)
            cursor = page["next_cursor"]
            if not cursor:
                return

    async def settled(self) -> None:
        """Return when those who wait for an end, or for the answer to a cancel, have it."""
        if self._watchers:
            await asyncio.gather(*self._watchers)

    async def close(self) -> None:
        for task in list(self._watchers):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._watchers, return_exceptions=True)
        await self._http.aclose()
