"""What takes more than one request: trying again, waiting, batches, pages, a stream over broken connections.

Each is a script: a generator that asks for what is to be done (`Send`, `Pause`, …) and gets what came of it. The
clients carry scripts out; so all rules stand here once, for blocking and asynchronous callers alike.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
import time
import uuid
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Generic, TypeAlias, TypeVar

from slotwise.client import requests
from slotwise.client.model import Job
from slotwise.client.problems import (
    HTTP_AWAY,
    HTTP_TOO_MANY,
    Answer,
    ApiError,
    PayloadTooLarge,
    Unreachable,
)
from slotwise.client.requests import Call, Page, Request
from slotwise.client.stream import Parser
from slotwise.errors import JobError
from slotwise.job import State

T = TypeVar("T")

MOST_IN_BATCH: Final = 100
MOST_KEY_CHARS: Final = 255  # of an Idempotency-Key, as the service takes it
BATCH_BYTES: Final = 200_000  # below the service's default for a body
POLL_SECONDS: Final = 30  # that one request waits for a job's end
AGAIN_SECONDS: Final = 0.2  # before a poll that came back early is sent again
RETRY_SECONDS: Final = 30.0  # the longest Retry-After that is waited for
FIRST_SECONDS, LONGEST_SECONDS = 0.1, 5.0  # between tries, where nobody says how long


class NoAnswer(Exception):
    """The connection failed, or there was none: nobody knows whether the service has seen the request."""


@dataclass(frozen=True, slots=True)
class Send:
    """Gets the Answer. Raises: NoAnswer."""

    request: Request


@dataclass(frozen=True, slots=True)
class Open:
    """As Send, but the body of a stream of events is left to `Read`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Read:
    """Gets the next bytes of what was opened; b"" at its end. Raises: NoAnswer."""


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Give:
    """An item for who iterates over the script."""

    item: Any


Effect: TypeAlias = Send | Open | Read | Pause | Give
Script: TypeAlias = Generator[Effect, Any, T]


class Run(Generic[T]):
    """A script being carried out: do `effect`, `tell` what came of it, until it is None: there is `result`."""

    def __init__(self, script: Script[T]) -> None:
        self._script = script
        self.effect: Effect | None = None
        self.result: T
        self.tell(None)

    def tell(self, outcome: object) -> None:
        """Raises: what the script raises."""
        try:
            if isinstance(outcome, NoAnswer):
                self.effect = self._script.throw(outcome)
            else:
                self.effect = self._script.send(outcome)
        except StopIteration as stop:
            self.effect, self.result = None, stop.value


@dataclass(frozen=True, slots=True)
class Perseverance:
    """How often a request is sent again, at most, and what is waited before."""

    retries: int

    def after_none(self, tried: int, request: Request) -> float | None:
        """Seconds until the next try after no answer came; None: give up."""
        return backoff(tried) if request.safe and tried <= self.retries else None

    def after(self, tried: int, request: Request, error: ApiError) -> float | None:
        """Seconds until the next try after a refusal; None: give up."""
        if not request.safe or error.status not in (HTTP_TOO_MANY, HTTP_AWAY) or tried > self.retries:
            return None
        wait = error.retry_after
        return None if wait is None or wait > RETRY_SECONDS else max(wait, backoff(tried))


def backoff(tried: int) -> float:
    """Seconds, twice as long each time, with jitter: clients that failed together do not return together."""
    longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(tried - 1, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


def ask(call: Call[T], perseverance: Perseverance) -> Script[T]:
    """One call, sent again where that is safe. Raises: ApiError."""
    request = call.request
    for tried in count(1):
        try:
            answer: Answer = yield Send(request)
        except NoAnswer as failure:
            wait = perseverance.after_none(tried, request)
            if wait is None:
                raise Unreachable(f"no answer to {request.method} {request.path}: {failure}") from failure
        else:
            if answer.status < 300:
                return call.read(answer)
            error = ApiError.of(answer)
            wait = perseverance.after(tried, request, error)
            if wait is None:
                raise error
        yield Pause(wait)
    raise AssertionError("unreachable")


def submit(job: Mapping[str, Any], key: str | None, wait: int | None, perseverance: Perseverance) -> Script[Job]:
    """The same key is sent with each try: however many arrive, they make one job."""
    return (yield from ask(requests.submit(job, key or uuid.uuid4().hex, wait), perseverance))


def submit_many(
    jobs: Iterable[Mapping[str, Any]], key: str | None, perseverance: Perseverance
) -> Script[list[Job]]:
    """In batches, each of them all or none. An ApiError's `submitted` are the jobs of the batches before."""
    done: list[Job] = []
    key = key or uuid.uuid4().hex
    try:
        for batch in batches(map(requests.entry_of, jobs)):
            done += yield from _batch(batch, len(done), key, perseverance)
    except ApiError as error:
        error.submitted = (*done, *error.submitted)
        raise
    return done


def _batch(batch: list[bytes], at: int, key: str, perseverance: Perseverance) -> Script[list[Job]]:
    """`at`: how many jobs came before. One that the service finds too large goes in halves."""
    try:
        body = requests.batch_of(batch)
        return (yield from ask(requests.submit_batch(body, _key_of(key, at)), perseverance))
    except PayloadTooLarge:
        if len(batch) == 1:
            raise
    except ApiError as error:
        error.errors = [row | {"pointer": _shifted(row.get("pointer", ""), at)} for row in error.errors]
        raise
    half = len(batch) // 2
    first = yield from _batch(batch[:half], at, key, perseverance)
    try:
        return first + (yield from _batch(batch[half:], at + half, key, perseverance))
    except ApiError as error:
        error.submitted = (*first, *error.submitted)
        raise


def _key_of(key: str, at: int) -> str:
    """A batch's own; of a key that has no room for a number, of its hash."""
    own = f"{key}:{at}"
    return own if len(own) <= MOST_KEY_CHARS else f"{hashlib.sha256(key.encode()).hexdigest()}:{at}"


def batches(entries: Iterable[bytes]) -> Iterator[list[bytes]]:
    """As many jobs at a time as one request takes."""
    batch: list[bytes] = []
    size = 0
    for entry in entries:
        if batch and (len(batch) == MOST_IN_BATCH or size + len(entry) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += len(entry) + 1
    if batch:
        yield batch


def _shifted(pointer: str, at: int) -> str:
    """`#/jobs/17/…` of a batch as it is among all jobs."""
    return re.sub("^#/jobs/([0-9]+)", lambda match: f"#/jobs/{int(match[1]) + at}", pointer)


def wait(job_id: str, timeout: float | None, perseverance: Perseverance) -> Script[Job]:
    """The job when it has ended. Raises: TimeoutError after `timeout` seconds."""
    until = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        left = until - time.monotonic()
        seconds = max(0, math.ceil(min(left, POLL_SECONDS)))
        job = yield from ask(requests.get(job_id, seconds), perseverance)
        if job.ended:
            return job
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"job {job_id} has not ended within {timeout:g} s: it is {job.status}")
        yield Pause(min(AGAIN_SECONDS, left))  # a front end that stops answers at once


def result(job_id: str, timeout: float | None, perseverance: Perseverance) -> Script[Any]:
    """What the job returned, when it has ended. Raises: JobError if it failed or was cancelled; TimeoutError."""
    job = yield from wait(job_id, timeout, perseverance)
    if job.status is State.COMPLETED:
        return job.result
    if job.error is not None:
        raise JobError(job.error.type, job.error.message, job.error.detail)
    raise JobError(str(job.status), f"job {job_id} ended without a result")


def jobs(query: Mapping[str, object], perseverance: Perseverance) -> Script[None]:
    """Gives every job that matches, page by page, as they are asked for."""
    cursor: str | None = None
    while True:
        page: Page = yield from ask(requests.listing({**query, "cursor": cursor}), perseverance)
        for job in page.jobs:
            yield Give(job)
        cursor = page.next_cursor
        if cursor is None:
            return


def events(job_id: str | None, last: str, patience: float) -> Script[None]:
    """Gives the events behind `last`, to the end of the job: each once, however often the connection breaks.

    Where `job_id` is None: those of the whole fleet, which have no end.

    Raises: ApiError; `Unreachable` after `patience` seconds in which nothing came, not even a ping.
    """
    heard, failures = time.monotonic(), 0
    while True:
        try:
            answer: Answer = yield Open(requests.events(job_id, last))
            if answer.status == 204:
                return  # everything has been told
            if answer.status != 200:
                raise ApiError.of(answer)
            parser = Parser()
            while chunk := (yield Read()):
                heard, failures = time.monotonic(), 0
                for event in parser.feed(chunk):
                    last = event.id or last
                    yield Give(requests.fleet_event(event) if job_id is None else event)
                    heard = time.monotonic()  # the caller's own time with it is no silence of the service
                    if event.name == "end":
                        return
            why: Exception = NoAnswer("the stream was ended")
        except NoAnswer as failure:
            why = failure
        except ApiError as error:
            if error.status not in (HTTP_TOO_MANY, HTTP_AWAY):
                raise
            why = error
        failures += 1
        if time.monotonic() - heard > patience:
            raise Unreachable(
                f"no events {'' if job_id is None else f'of job {job_id} '}for {patience:g} s: {why}"
            ) from why
        yield Pause(backoff(failures))
