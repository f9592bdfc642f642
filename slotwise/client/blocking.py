"""The client for ordinary code: carries scripts out on a pool of kept connections."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
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


class Client:
    """Speaks with the service at `url` (else SLOTWISE_URL, else http://127.0.0.1:8000), from any thread.

    `key`: the API key, else SLOTWISE_KEY. `timeout`: seconds for an answer. `retries`: how often a read or a
    submit is sent again at most, after a failed connection, a 429 or a 503; nothing else ever is. Every method
    raises ApiError. Use it as a context manager, or `close` it.
    """

    def __init__(
        self, url: str | None = None, key: str | None = None, *, timeout: float = 30.0, retries: int = 3
    ) -> None:
        access = Access.of(url, key)
        self._timeout = timeout
        self._perseverance = Perseverance(retries)
        self._http = httpx2.Client(base_url=access.url, headers=access.headers, timeout=timeout, limits=LIMITS)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(
        self,
        algorithm: str,
        params: Mapping[str, Any] | None = None,
        *,
        wait: int | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[Options],
    ) -> Job:
        """Queue a job. `wait`: seconds (at most 60) to wait for its end before it is returned as it is.

        `idempotency_key`: the same key and the same request are the same job; None: a new one, for this call.
        """
        job = {"algorithm": algorithm, "params": params or {}, **options}
        return self._run(moves.submit(job, idempotency_key, wait, self._perseverance))

    def submit_many(self, jobs: Iterable[JobRequest], *, idempotency_key: str | None = None) -> list[Job]:
        """Queue any number of jobs, in batches of at most 100, each all or none.

        What stops it leaves the batches before submitted: they are the error's `submitted`. With the same
        `idempotency_key` and the same jobs it goes on from there: those that are there already are returned.
        """
        return self._run(moves.submit_many(jobs, idempotency_key, self._perseverance))

    def get(self, job_id: str, *, wait: int | None = None) -> Job:
        """The job; `wait`: as soon as it has ended, after so many seconds at most (60) as it is then."""
        return self._ask(requests.get(job_id, wait))

    def wait(self, job_id: str, *, timeout: float | None = None) -> Job:
        """The job when it has ended. Raises: TimeoutError after `timeout` seconds."""
        return self._run(moves.wait(job_id, timeout, self._perseverance))

    def result(self, job_id: str, *, timeout: float | None = None) -> Any:
        """What the job returned, when it has ended.

        Raises: JobError if it failed or was cancelled; TimeoutError after `timeout` seconds.
        """
        return self._run(moves.result(job_id, timeout, self._perseverance))

    def jobs(self, **filters: Unpack[Filters]) -> Iterator[Job]:
        """The jobs that match, as many as there are: pages are asked for as the iterator comes to them."""
        return self._iterate(moves.jobs(filters, self._perseverance))

    def cancel(self, job_id: str) -> Job:
        """End a waiting job, or ask for the end of a running one (`cancel_requested`)."""
        return self._ask(requests.cancel(job_id))

    def retry(self, job_id: str) -> Job:
        """Let a failed or cancelled job wait again."""
        return self._ask(requests.retry(job_id))

    def erase(self, job_id: str) -> None:
        """Forget a job that has ended."""
        self._ask(requests.erase(job_id))

    def logs(self, job_id: str, *, tail: int | None = None) -> str:
        """What the job printed; `tail`: the last so many lines."""
        return self._ask(requests.logs(job_id, tail))

    def explain(self, job_id: str) -> Explanation:
        """Why it waits, where it runs, or where its time went."""
        return self._ask(requests.explain(job_id))

    def webhook_attempts(self, job_id: str) -> tuple[WebhookAttempt, ...]:
        """What came of telling the job's webhook, the latest last."""
        return self._ask(requests.webhook_attempts(job_id))

    def redeliver(self, job_id: str) -> tuple[WebhookAttempt, ...]:
        """Have the job's webhook told now, maybe once more; the attempts before that."""
        return self._ask(requests.redeliver(job_id))

    @overload
    def events(self, job_id: str, *, last_event_id: str = "", patience: float = 60.0) -> Iterator[Event]: ...

    @overload
    def events(
        self, job_id: None = None, *, last_event_id: str = "", patience: float = 60.0
    ) -> Iterator[FleetEvent]: ...

    def events(
        self, job_id: str | None = None, *, last_event_id: str = "", patience: float = 60.0
    ) -> Iterator[Event]:
        """What happens to the job, as it happens, to its end: each event once, over broken connections too.

        None: to all jobs and to the slots, from now on, without end. `last_event_id`: go on behind this one.
        `patience`: seconds without a sign of the service.
        """
        return self._iterate(moves.events(job_id, last_event_id, patience))

    def concurrency(self) -> Concurrency:
        """Everything about the slots."""
        return self._ask(requests.concurrency())

    def set_concurrency(
        self,
        max_concurrent: int,
        *,
        reason: str | None = None,
        ttl: float | None = None,
        algorithm: str | None = None,
    ) -> Concurrency:
        """Set the cap, or an algorithm's own, for `ttl` seconds or until it is cleared."""
        return self._ask(requests.changed(requests.set_concurrency(max_concurrent, reason, ttl, algorithm)))

    def clear_concurrency(self, *, algorithm: str | None = None) -> Concurrency:
        """Back to the configured cap, or to what the algorithm declares."""
        return self._ask(requests.changed(requests.clear_concurrency(algorithm)))

    def foretell_concurrency(self, max_concurrent: int | None, *, algorithm: str | None = None) -> Effect:
        """What `set_concurrency` (None: `clear_concurrency`) would do. Changes nothing."""
        if max_concurrent is None:
            request = requests.clear_concurrency(algorithm, dry_run=True)
        else:
            request = requests.set_concurrency(max_concurrent, None, None, algorithm, dry_run=True)
        return self._ask(requests.foretold(request))

    def workers(self) -> tuple[Worker, ...]:
        """The live workers."""
        return self._ask(requests.workers())

    def drain(self, worker: str) -> Worker:
        """Let a worker finish what it has and take no more."""
        return self._ask(requests.steer_worker(worker, "drain"))

    def resume(self, worker: str) -> Worker:
        """Let a drained worker take jobs again."""
        return self._ask(requests.steer_worker(worker, "resume"))

    def _ask(self, call: Call[T]) -> T:
        return self._run(moves.ask(call, self._perseverance))

    def _run(self, script: Script[T]) -> T:
        line, run = _Line(self._http, self._timeout), moves.Run(script)
        while run.effect is not None:
            run.tell(line.outcome(run.effect))
        return run.result

    def _iterate(self, script: Script[None]) -> Iterator[Any]:
        line = _Line(self._http, self._timeout)
        try:
            run = moves.Run(script)
            while run.effect is not None:
                if isinstance(run.effect, moves.Give):
                    yield run.effect.item
                run.tell(line.outcome(run.effect))
        finally:
            line.close()


class _Line:
    """Does what a script asks for; holds the stream that it has open."""

    def __init__(self, http: httpx2.Client, timeout: float) -> None:
        self._http = http
        self._timeout = timeout
        self._stream: httpx2.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def outcome(self, effect: moves.Effect) -> object:
        """What came of it; a NoAnswer is returned."""
        try:
            match effect:
                case moves.Send(request):
                    return answer_of(self._http.send(self._built(request)))
                case moves.Open(request):
                    return self._open(request)
                case moves.Read():
                    return next(self._chunks, b"")
                case moves.Pause(seconds):
                    time.sleep(seconds)
        except httpx2.RequestError as error:
            return NoAnswer(str(error) or type(error).__name__)
        return None

    def _open(self, request: Request) -> Answer:
        self.close()
        answer = self._http.send(self._built(request), stream=True)
        self._stream = answer
        if listens(answer):
            self._chunks = answer.iter_bytes()
            return Answer(answer.status_code, answer.headers)
        answer.read()
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

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream, self._chunks = None, iter(())
