"""What webhooks have not been told yet: collected by workers, settled by them, and told once more for who asks.

The scripts that move jobs write it (lua/parts/outbox.lua).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from redis.asyncio import Redis

from slotwise import scripts, wire
from slotwise.away import reachable
from slotwise.errors import SlotwiseError, unknown_job
from slotwise.keys import PER_JOB, RECORD, Keys

KEPT: Final = 50  # attempts of a job that are kept, the latest
KEPT_MS: Final = 7 * 86_400_000  # while the job has not ended; then as long as its record

Move = Literal["done", "again", "release"]
Outcome = Literal["delivered", "failed", "refused", "given_up"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something to tell a webhook, after `attempts` in vain; `fields` are as lua/parts/outbox.lua writes them."""

    job_id: str
    receiver: str
    entry: str
    attempts: int
    fields: Mapping[bytes, bytes]

    @classmethod
    def of(cls, row: list[Any]) -> Self:
        job_id, receiver, attempts, whole = row
        entry, kind, rest = whole.split(b" ", 2)
        fields = {b"@type": kind, **fields_of(rest)}
        return cls(_text(job_id), _text(receiver), entry.decode(), int(attempts), fields)

    @property
    def size(self) -> int:
        """Bytes, about."""
        return sum(map(len, self.fields.values()))


@dataclass(frozen=True, slots=True)
class Settlement:
    """What came of an attempt. `due_ms`: when the next is due, None for at once; `row` is what is shown of it."""

    move: Move
    outcome: Outcome | None = None
    due_ms: int | None = None
    row: Mapping[str, Any] | None = None


class Outbox:
    """Of one queue. Every method raises SlotwiseError `store-unavailable` while Redis is away."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def collect(
        self,
        token: str,
        *,
        visible_ms: int,
        most: int,
        most_bytes: int,
        of_receiver: int,
        quotas: Mapping[str, int],
        now_ms: float | None = None,
    ) -> tuple[list[Delivery], int | None]:
        """What is due, now under way by `token` for `visible_ms`, and the ms to what is due next (None: nothing).

        At most `most` of them, `of_receiver` of one receiver, but for those that `quotas` names.
        """
        args: list[scripts.Arg] = [
            "" if now_ms is None else now_ms,
            token,
            visible_ms,
            most,
            most_bytes,
            of_receiver,
        ]
        args += [part for pair in quotas.items() for part in pair]
        with reachable():
            next_in, *rows = await scripts.COLLECT.run(self._redis, self._keys.of_outbox, args)
        return [Delivery.of(row) for row in rows], int(next_in) if next_in else None

    async def settle(
        self, delivery: Delivery, token: str, end: Settlement, *, now_ms: float | None = None
    ) -> Literal["ok", "superseded", "stale"]:
        """Say what came of it. `superseded`: it is not tried again; `stale`: it is another's by now."""
        keys = [*self._keys.of_outbox, self._keys.counts, self._keys.attempts_of, RECORD]
        args: list[scripts.Arg] = [
            "" if now_ms is None else now_ms,
            delivery.job_id.encode("utf-8", "surrogateescape"),
            delivery.receiver,
            delivery.entry,
            token,
            end.move,
            "" if end.due_ms is None else end.due_ms,
            end.outcome or "",
            b"" if end.row is None else wire.encode(dict(end.row)),
            KEPT,
            KEPT_MS,
        ]
        with reachable():
            reply = await scripts.SETTLE.run(self._redis, keys, args)
        said: Literal["ok", "superseded", "stale"] = reply.decode()
        return said

    async def attempts(self, job_id: str) -> list[dict[str, Any]]:
        """The attempts to tell a job's webhook, oldest first. Raises: SlotwiseError `job-not-found`."""
        with reachable():
            async with self._redis.pipeline(transaction=True) as tr:
                tr.exists(RECORD + job_id)
                tr.lrange(self._keys.attempts_of + job_id, 0, -1)
                known, rows = await tr.execute()
        if not known:
            raise unknown_job(job_id)
        return [row for row in map(_row, rows) if row]

    async def redeliver(self, job_id: str) -> None:
        """Have it told now. Raises: SlotwiseError `job-not-found`, `webhook-not-found`."""
        keys = [*self._keys.of_outbox, *PER_JOB]
        with reachable():
            reply = await scripts.REDELIVER.run(self._redis, keys, [job_id, ""])
        if reply == b"unknown":
            raise unknown_job(job_id)
        if reply == b"none":
            raise SlotwiseError("webhook-not-found", "The job was submitted without a webhook.")
        if reply == b"nothing":
            raise SlotwiseError("webhook-not-found", "The job's webhook was told all that it was to be told.")


def fields_of(netstrings: bytes) -> dict[bytes, bytes]:
    """The fields of an entry; those before the damage, where it is not as lua/parts/outbox.lua writes it."""
    parts, at = [], 0
    while (colon := netstrings.find(b":", at, at + 12)) >= 0 and netstrings[at:colon].isdigit():
        end = colon + 1 + int(netstrings[at:colon])
        parts.append(netstrings[colon + 1 : end])
        at = end
    return dict(zip(parts[::2], parts[1::2], strict=False))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _row(value: bytes) -> dict[str, Any]:
    """{} for what is none of ours."""
    try:
        row = wire.decode(value)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}
