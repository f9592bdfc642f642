"""Tells webhooks what has become of jobs: beside the jobs, in no slot, whatever receivers do.

Each worker collects what is due, a few at a time, fewer of one receiver, and one of a receiver that fails. What it
has collected is due again for others when it does not settle it in time: a worker may die.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from slotwise.destination import Destination
from slotwise.errors import SlotwiseError
from slotwise.networks import Allowed
from slotwise.news import end_task, set_within
from slotwise.outbox import Delivery, Outbox, Settlement
from slotwise.spans import NO_SPANS, Span, Spans
from slotwise.webhook import body_of, kind_of, message_id, trace_of
from worker.events import Event
from worker.seal import Seal

if TYPE_CHECKING:
    from worker.post import Post, Reply

MOST: Final = 64  # deliveries under way
MOST_BYTES: Final = 8 << 20  # of what is under way, about
OF_RECEIVER: Final = 8
MOST_FAILING: Final = 256  # receivers that are known to fail, the latest
VISIBLE_MS: Final = 30_000  # more than a request and its settling take
NET_SECONDS: Final = 5.0  # the slow poll below the wakes
SILENCE_SECONDS: Final = 5.0  # of Redis
LAST_SECONDS: Final = 2.0  # that what is under way has when the worker ends
JITTER: Final = 0.1
GONE: Final = 410  # the status that says: no more of this
# seconds until the next attempt, by how many have failed
SCHEDULE: Final = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)


class Webhooks:
    """Of one worker. `wake`: something may be due."""

    def __init__(
        self,
        outbox: Outbox,
        seal: Seal,
        allowed: Allowed,
        emit: Callable[[Event], None],
        schedule: Sequence[float] = SCHEDULE,
    ) -> None:
        self._outbox = outbox
        self._seal = seal
        self._allowed = allowed
        self._emit = emit
        self._schedule = schedule
        self._woken = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], Delivery] = {}
        self._failing: dict[str, None] = {}  # receivers, in the order of their latest failure
        self._post: Post | None = None
        self._task: asyncio.Task[None] | None = None
        self._spans = NO_SPANS

    def start(self, spans: Spans = NO_SPANS) -> None:
        self._spans = spans
        self._task = asyncio.get_running_loop().create_task(self._run(), name="webhooks")

    def wake(self) -> None:
        self._woken.set()

    async def stop(self) -> None:
        """Collect no more; what is under way has a moment to end, and is then handed back."""
        if self._task is not None:
            await end_task(self._task)
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=LAST_SECONDS)
        for task in list(self._under_way):
            await end_task(task)

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            pause = NET_SECONDS
            if len(self._under_way) < MOST:
                try:
                    async with asyncio.timeout(SILENCE_SECONDS):
                        pause = min(pause, await self._collect())
                except (RedisError, OSError, SlotwiseError):  # the worker's own loop says that Redis is away
                    await asyncio.sleep(1.0)
                    continue
            await set_within(self._woken, pause)

    async def _collect(self) -> float:
        """Begin what is due; seconds until something else is. Raises: SlotwiseError, RedisError, OSError."""
        token = secrets.token_hex(16)
        found, next_in_ms = await self._outbox.collect(
            token,
            visible_ms=VISIBLE_MS,
            most=MOST - len(self._under_way),
            most_bytes=MOST_BYTES - sum(each.size for each in self._under_way.values()),
            of_receiver=OF_RECEIVER,
            quotas=self._quotas(),
        )
        for delivery in found:
            task = asyncio.get_running_loop().create_task(self._deliver(delivery, token), name="webhook")
            self._under_way[task] = delivery
            task.add_done_callback(self._ended)
        return NET_SECONDS if next_in_ms is None else next_in_ms / 1000

    def _quotas(self) -> dict[str, int]:
        """How many more of the receivers that have some under way, or fail: these have half of all at most."""
        taken = Counter(delivery.receiver for delivery in self._under_way.values())
        crowded = sum(taken[receiver] for receiver in self._failing) >= MOST // 2
        quotas = {receiver: max(0, OF_RECEIVER - count) for receiver, count in taken.items()}
        return quotas | {receiver: 0 if crowded or taken[receiver] else 1 for receiver in self._failing}

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._woken.set()
        if not task.cancelled() and (failure := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a webhook was not told", "exception": failure, "task": task}
            )

    async def _deliver(self, delivery: Delivery, token: str) -> None:
        try:
            end = await self._attempt(delivery)
        except asyncio.CancelledError:
            await self._settle(delivery, token, Settlement("release"))
            raise
        said = await self._settle(delivery, token, end)
        if end.outcome in ("refused", "given_up") and said == "ok":
            name: Any = f"webhook_{end.outcome}"
            text, trace = str((end.row or {}).get("error")), trace_of(delivery.fields)
            self._emit(Event(name, job_id=delivery.job_id, ref=delivery.receiver, text=text, trace=trace))

    async def _settle(self, delivery: Delivery, token: str, end: Settlement) -> str:
        """Until it is told, or would not count any more: then others tell the webhook again."""
        until = time.monotonic() + VISIBLE_MS / 1000
        while time.monotonic() < until:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    return await self._outbox.settle(delivery, token, end)
            except (RedisError, OSError, SlotwiseError):
                await asyncio.sleep(0.5)
        return "stale"

    async def _attempt(self, delivery: Delivery) -> Settlement:
        began_ms, began = time.time_ns() // 1_000_000, time.monotonic()
        told = message_id(delivery.job_id, delivery.entry)
        try:
            destination = Destination.of(delivery.fields[b"webhook"].decode())
            body = body_of(delivery.job_id, delivery.fields)
        except (ValueError, KeyError):
            return Settlement("done", "given_up", row={"at": began_ms, "error": "it is damaged in Redis"})
        post = self._post or await self._open_post()
        span = self._begin(delivery, destination)
        headers = self._seal.headers(told, body) + ([("traceparent", span.parent)] if span.parent else [])
        try:
            reply = await post.send(destination, headers, body)
        except asyncio.CancelledError:
            span.end(outcome="handed_back")
            raise
        row = {
            "at": began_ms,
            "event": kind_of(delivery.fields),
            "webhook_id": told,
            "status_code": reply.status,
            "ms": round((time.monotonic() - began) * 1000),
            "next_at": None,
            "error": reply.error,
        }
        end = self._judged(delivery, reply, row)
        span.end(status=reply.status, outcome=end.outcome or "", error=reply.failure)
        return end

    def _begin(self, delivery: Delivery, to: Destination) -> Span:
        trace = trace_of(delivery.fields)
        return self._spans.delivery(delivery.job_id, to.scheme, to.name, to.port, delivery.attempts, trace)

    def _judged(self, delivery: Delivery, reply: Reply, row: dict[str, Any]) -> Settlement:
        self._failing.pop(delivery.receiver, None)
        if reply.well:
            return Settlement("done", "delivered", row=row | {"outcome": "delivered"})
        if reply.refused:
            return Settlement("done", "refused", row=row | {"outcome": "refused"})
        self._failing[delivery.receiver] = None
        if len(self._failing) > MOST_FAILING:
            del self._failing[next(iter(self._failing))]
        why = reply.error or f"status {reply.status}"
        if reply.status == GONE or delivery.attempts >= len(self._schedule):
            return Settlement("done", "given_up", row=row | {"outcome": "given_up", "error": why})
        pause = self._schedule[delivery.attempts] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - it spreads load
        next_ms = time.time_ns() // 1_000_000 + round(pause * 1000)
        return Settlement(
            "again", "failed", next_ms, row | {"outcome": "failed", "error": why, "next_at": next_ms}
        )

    async def _open_post(self) -> Post:
        """At the first delivery: an HTTP library, for those who need it."""
        if not self._seal.signs:
            self._emit(Event("webhooks_unsigned"))
        self._post = await asyncio.to_thread(_post, self._allowed)
        return self._post


def _post(allowed: Allowed) -> Post:
    from worker.post import Post  # noqa: PLC0415 - takes a while

    return Post(allowed)
