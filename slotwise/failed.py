"""Failed jobs by what is the same of them, from what `finish` and `expire` count (lua/parts/failures.lua)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from slotwise import wire
from slotwise.away import reachable
from slotwise.keys import RECORD
from slotwise.store import Store

OF: Final = "of:"  # as lua/parts/failures.lua has it
SLOTS: Final = 5  # for the latest ids of a group, as lua/parts/failures.lua has them


@dataclass(frozen=True)
class Group:
    """Jobs that failed the same way. Times in ms; `job_ids` are the latest that are still there, newest first."""

    fingerprint: str
    algorithm: str | None
    error_type: str
    origin: str
    message: str
    count: int
    first_ms: int
    last_ms: int
    job_ids: tuple[str, ...]


async def groups(store: Store, most: int) -> list[Group]:
    """At most `most`, those seen last first. Raises: SlotwiseError `store-unavailable`."""
    own = store.keys.failure_of + OF + store.whose if store.whose else store.keys.failures
    with reachable():
        seen = await store.redis.zrange(own, 0, most - 1, desc=True, withscores=True)
        async with store.redis.pipeline(transaction=False) as tr:
            for fingerprint, _ in seen:
                tr.hgetall(store.keys.failure_of + fingerprint.decode())
            rows = await tr.execute() if seen else []
        ids = [_ids(row) for row in rows]
        still_failed = await _failed(store.redis, [id for some in ids for id in some])
    return [
        _group(fingerprint.decode(), row, int(last), [id for id in some if id in still_failed])
        for (fingerprint, last), row, some in zip(seen, rows, ids, strict=True)
        if row
    ]


def _ids(row: dict[bytes, bytes]) -> list[bytes]:
    """The latest first: `id:{n}` is that of the n-th failure, counted round."""
    slots = sum(name.startswith(b"id:") for name in row)
    found = [row.get(b"id:%d" % ((int(row[b"count"]) - back) % SLOTS)) for back in range(slots)] if row else []
    return list(dict.fromkeys(id for id in found if id is not None))


async def _failed(redis: Redis, ids: list[bytes]) -> set[bytes]:
    """Those whose records say that they failed: others were retried, erased, or are not kept any longer."""
    async with redis.pipeline(transaction=False) as tr:
        for id in ids:
            tr.execute_command("HGET", RECORD.encode() + id, "state")
        states = await tr.execute(raise_on_error=False) if ids else []
    return {id for id, state in zip(ids, states, strict=True) if state == b"failed"}


def _group(fingerprint: str, row: dict[bytes, bytes], last_ms: int, ids: list[bytes]) -> Group:
    told = {name.decode(): value.decode("utf-8", "replace") for name, value in row.items()}
    return Group(
        fingerprint=fingerprint,
        algorithm=told.get("algorithm") or None,
        error_type=told.get("type", ""),
        origin=told.get("origin", ""),
        message=_message(row.get(b"error", b"")),
        count=int(told.get("count", 0)),
        first_ms=int(float(told.get("first", last_ms))),
        last_ms=last_ms,
        job_ids=tuple(id.decode("utf-8", "replace") for id in ids),
    )


def _message(error: bytes) -> str:
    try:
        told: Any = wire.decode(error)
    except ValueError:
        return ""
    return str(told.get("message") or "") if isinstance(told, dict) else ""
