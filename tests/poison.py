"""Bytes that nobody of ours would write, for every kind of key that there is."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

from redis import Redis

from slotwise.keys import IN_PROGRESS, PAYLOAD, RECORD, RESULT, RETRY, SAID


class Bomb:
    """Unpickled, it would end the process that did it."""

    def __reduce__(self) -> Any:
        return exec, ("import os; os._exit(66)",)


VALUES: dict[str, bytes] = {
    "nothing": b"",
    "a word": b"nonsense",
    "NUL": b"\x00",
    "not UTF-8": b"\xff\xfe\x80",
    "huge": b"9" * 1_000_000,
    "long text": b"a" * 1_000_000,
    "a pickle bomb": pickle.dumps(Bomb()),
    "NaN": b"NaN",
    "infinite": b"inf",
    "minus infinite": b"-inf",
    "beyond a double": b"1e999",
    "negative": b"-1",
    "half": b"0.5",
    "beyond 64 bits": b"99999999999999999999",
    "hexadecimal": b"0x10",
    "truncated JSON": b'{"a": [1, 2',
    "deep JSON": b"[" * 100_000,
    "deep JSON, closed": b"[" * 5_000 + b"]" * 5_000,
    "NaN in JSON": b'{"a": NaN}',
    "JSON null": b"null",
    "a JSON list": b"[1]",
    "a JSON object": b'{"__class__": "os.system"}',
    "a JSON string": b'"text"',
    "lone surrogate": b'"\\ud800"',
    "two keys": b'{"a": 1, "a": 2}',
    "control characters": b"\x1b[31mred\r\n\x07",
}


@dataclass(frozen=True)
class Place:
    """Somewhere in Redis that holds a value. `kind`: of key; `field` of it, or its member."""

    key: str
    kind: str
    field: str = ""

    def put(self, redis: Redis, value: bytes) -> None:
        if self.kind == "string":
            redis.set(self.key, value, ex=60)
        elif self.kind == "hash":
            redis.hset(self.key, self.field, value)
        elif self.kind == "row":  # a hash's field is what is poisoned
            redis.hset(self.key, value, b"1")
        elif self.kind == "zset":
            redis.zadd(self.key, {value: 1})
        elif self.kind == "set":
            redis.sadd(self.key, value)
        elif self.kind == "list":
            redis.lpush(self.key, value)
        else:
            redis.xadd(self.key, {self.field: value})

    def put_wrong_type(self, redis: Redis) -> None:
        redis.delete(self.key)
        if self.kind == "string":
            redis.lpush(self.key, "no string")
        else:
            redis.set(self.key, "of another type")
        redis.expire(self.key, 60)


def of_job(id: str) -> list[Place]:
    """All that is kept of one job."""
    fields = ("state", "algorithm", "attempt", "max_attempts", "priority", "timeout", "labels", "created", "due")
    more = ("started", "ended", "worker", "history", "progress", "progress_of", "account", "error", "reason")
    limits = ("memory_mb", "cpu_seconds", "keep_result", "token", "incarnation", "forgotten", "ready", "written")
    return [
        *(Place(RECORD + id, "hash", name) for name in (*fields, *more, *limits)),
        *(Place(prefix + id, "string") for prefix in (PAYLOAD, RESULT, IN_PROGRESS, RETRY)),
        *(Place(SAID + id, "stream", name) for name in ("log", "progress", "x")),
    ]
