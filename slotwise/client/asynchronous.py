"""The client for asyncio: carries the same scripts out, on a pool of kept connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Self, TypeVar, overload

import httpx2
from typing_extensions import Unpack

from slotwise.client import moves, requests
from slotwise.client.connection import LIMITS, Access, answer_of, listens, timeouts
from slotwise.client.filters import Filters
from slotwise.client.model import (
    Concurrency,
    Effect,
    Event,
    Explanation,
    FleetEvent,
    Job,
    WebhookAttempt,
    Worker,
)
from slotwise.client.moves import NoAnswer, Perseverance, Script
from slotwise.client.problems import Answer
from slotwise.client.requests import Call, JobRequest, Options, Request

T = TypeVar("T")


class AsyncClient:
    """`Client` for asyncio: the same arguments, methods and errors. Use it on one event loop."""

    def __init__(
        self, url: str | None = None, key: str | None = None, *, timeout: float = 30.0, retries: int = 3
    ) -> None:
        access = Access.of(url, key)
        self._timeout = timeout
        self._perseverance = Perseverance(retries)
        self._http = httpx2.AsyncClient(
            base_url=access.url, headers=access.headers, timeout=timeout, limits=LIMITS
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def submit(
        self,
        algorithm: str,
        params: Mapping[str, Any] | None = None,
        *,
        wait: int | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[Options],
    ) -> Job:
        """As `Client.submit`."""
        job = {"algorithm": algorithm, "params": params or {}, **options}
        return await self._run(moves.submit(job, idempotency_key, wait, self._perseverance))

    async def submit_many(self, jobs: Iterable[JobRequest], *, idempotency_key: str | None = None) -> list[Job]:
        """As `Client.submit_many`."""
        return await self._run(moves.submit_many(jobs, idempotency_key, self._perseverance))

    async def get(self, job_id: str, *, wait: int | None = None) -> Job:
        """As `Client.get`."""
        return await self._ask(requests.get(job_id, wait))

    async def wait(self, job_id: str, *, timeout: float | None = None) -> Job:
        """As `Client.wait`."""
        return await self._run(moves.wait(job_id, timeout, self._perseverance))

    async def result(self, job_id: str, *, timeout: float | None = None) -> Any:
        """As `Client.result`."""
        return await self._run(moves.result(job_id, timeout, self._perseverance))

    def jobs(self, **filters: Unpack[Filters]) -> AsyncIterator[Job]:
        """As `Client.jobs`."""
        return self._iterate(moves.jobs(filters, self._perseverance))

    async def cancel(self, job_id: str) -> Job:
        """As `Client.cancel`."""
        return await self._ask(requests.cancel(job_id))

    async def retry(self, job_id: str) -> Job:
        """As `Client.retry`."""
        return await self._ask(requests.retry(job_id))

    async def erase(self, job_id: str) -> None:
        """As `Client.erase`."""
        await self._ask(requests.erase(job_id))

    async def logs(self, job_id: str, *, tail: int | None = None) -> str:
        """As `Client.logs`."""
        return await self._ask(requests.logs(job_id, tail))

    async def explain(self, job_id: str) -> Explanation:
        """As `Client.explain`."""
        return await self._ask(requests.explain(job_id))

    async def webhook_attempts(self, job_id: str) -> tuple[WebhookAttempt, ...]:
        """As `Client.webhook_attempts`."""
        return await self._ask(requests.webhook_attempts(job_id))

    async def redeliver(self, job_id: str) -> tuple[WebhookAttempt, ...]:
        """As `Client.redeliver`."""
        return await self._ask(requests.redeliver(job_id))

    @overload
    def events(self, job_id: str, *, last_event_id: str = "", patience: float = 60.0) -> AsyncIterator[Event]: ...

    @overload
    def events(
        self, job_id: None = None, *, last_event_id: str = "", patience: float = 60.0
    ) -> AsyncIterator[FleetEvent]: ...

    def events(
        self, job_id: str | None = None, *, last_event_id: str = "", patience: float = 60.0
    ) -> AsyncIterator[Event]:
        """As `Client.events`."""
        return self._iterate(moves.events(job_id, last_event_id, patience))

    async def concurrency(self) -> Concurrency:
        """As `Client.concurrency`."""
        return await self._ask(requests.concurrency())

    async def set_concurrency(
        self,
        max_concurrent: int,
        *,
        reason: str | None = None,
        ttl: float | None = None,
        algorithm: str | None = None,
    ) -> Concurrency:
        """As `Client.set_concurrency`."""
        return await self._ask(requests.changed(requests.set_concurrency(max_concurrent, reason, ttl, algorithm)))

    async def clear_concurrency(self, *, algorithm: str | None = None) -> Concurrency:
        """As `Client.clear_concurrency`."""
        return await self._ask(requests.changed(requests.clear_concurrency(algorithm)))

    async def foretell_concurrency(self, max_concurrent: int | None, *, algorithm: str | None = None) -> Effect:
        """As `Client.foretell_concurrency`."""
        if max_concurrent is None:
            request = requests.clear_concurrency(algorithm, dry_run=True)
        else:
            request = requests.set_concurrency(max_concurrent, None, None, algorithm, dry_run=True)
        return await self._ask(requests.foretold(request))

    async def workers(self) -> tuple[Worker, ...]:
        """As `Client.workers`."""
        return await self._ask(requests.workers())

    async def drain(self, worker: str) -> Worker:
        """As `Client.drain`."""
        return await self._ask(requests.steer_worker(worker, "drain"))

    async def resume(self, worker: str) -> Worker:
        """As `Client.resume`."""
        return await self._ask(requests.steer_worker(worker, "resume"))

    async def _ask(self, call: Call[T]) -> T:
        return await self._run(moves.ask(call, self._perseverance))

    async def _run(self, script: Script[T]) -> T:
        line, run = _Line(self._http, self._timeout), moves.Run(script)
        while run.effect is not None:
            run.tell(await line.outcome(run.effect))
        return run.result

    async def _iterate(self, script: Script[None]) -> AsyncIterator[Any]:
        line = _Line(self._http, self._timeout)
        try:
            run = moves.Run(script)
            while run.effect is not None:
                if isinstance(run.effect, moves.Give):
                    yield run.effect.item
                run.tell(await line.outcome(run.effect))
        finally:
            await line.close()


class _Line:
    """Does what a script asks for; holds the stream that it has open."""

    def __init__(self, http: httpx2.AsyncClient, timeout: float) -> None:
        self._http = http
        self._timeout = timeout
        self._stream: httpx2.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def outcome(self, effect: moves.Effect) -> object:
        """What came of it; a NoAnswer is returned."""
        try:
            match effect:
                case moves.Send(request):
                    return answer_of(await self._http.send(self._built(request)))
                case moves.Open(request):
                    return await self._open(request)
                case moves.Read():
                    return b"" if self._chunks is None else await anext(self._chunks, b"")
                case moves.Pause(seconds):
                    await asyncio.sleep(seconds)
        except httpx2.RequestError as error:
            return NoAnswer(str(error) or type(error).__name__)
        return None

    async def _open(self, request: Request) -> Answer:
        await self.close()
        answer = await self._http.send(self._built(request), stream=True)
        self._stream = answer
        if listens(answer):
            self._chunks = answer.aiter_bytes()
            return Answer(answer.status_code, answer.headers)
        await answer.aread()
        return answer_of(answer)

    def _built(self, request: Request) -> httpx2.Request:
        return self._http.build_request(
            request.method,
            request.path,
            params=request.query or None,
            headers=dict(request.headers),
            content=request.body,
            timeout=timeouts(request, self._timeout),
        )

    async def close(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()
            self._stream, self._chunks = None, None
