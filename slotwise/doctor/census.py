"""One pass over the names of all keys, bounded: which jobs have which keys, and which queues there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from redis import Redis

from slotwise.keys import HEALTH_CHECK, IN_PROGRESS, PAYLOAD, RECORD, ROOT, SAID, Keys

AT_A_TIME: Final = 1_000  # names that one SCAN goes over
_OF_JOBS: Final = tuple(prefix.encode() for prefix in (IN_PROGRESS, PAYLOAD, RECORD, SAID))
_OURS: Final = tuple(getattr(Keys(""), name).removeprefix(ROOT + ":") for name in ("leases", "cap", "catalogue"))


@dataclass
class Census:
    """`jobs`: prefix -> ids. `ours`: the rest of what begins as our keys do. `queues`: those that there are signs
    of; `alive`: where arq's health check stands."""

    jobs: dict[str, set[bytes]] = field(default_factory=dict)
    ours: set[bytes] = field(default_factory=set)
    queues: set[str] = field(default_factory=set)
    alive: set[str] = field(default_factory=set)
    looked_at: int = 0
    whole: bool = True

    def note(self, key: bytes) -> None:
        for prefix in _OF_JOBS:
            if key.startswith(prefix):
                self.jobs.setdefault(prefix.decode(), set()).add(key[len(prefix) :])
                return
        if key.startswith(ROOT.encode()):
            self.ours.add(key)
        name = key.decode("utf-8", "surrogateescape")
        if name.endswith(HEALTH_CHECK):
            self.queues.add(name.removesuffix(HEALTH_CHECK))
            self.alive.add(name.removesuffix(HEALTH_CHECK))
        elif name.startswith(ROOT) and name.rpartition(":")[2] in _OURS:
            self.queues.add(name.removeprefix(ROOT).rpartition(":")[0])


def take(redis: Redis, queue: str, most: int) -> Census:
    """Of at most about `most` keys."""
    census, cursor = Census(queues={queue}), 0
    while True:
        reply: Any = redis.scan(cursor, count=AT_A_TIME)
        cursor, names = reply
        for name in names:
            census.note(name)
        census.looked_at += len(names)
        if cursor == 0:
            return census
        if census.looked_at >= most:
            census.whole = False
            return census


def without_ttl(redis: Redis, prefix: str, ids: Iterable[bytes]) -> set[bytes]:
    """The ids whose key has no TTL."""
    found: set[bytes] = set()
    left = iter(ids)
    while chunk := list(islice(left, AT_A_TIME)):
        pipe: Any = redis.pipeline(transaction=False)
        for job_id in chunk:
            pipe.pttl(prefix.encode() + job_id)
        found.update(job_id for job_id, ttl in zip(chunk, pipe.execute(), strict=True) if ttl == -1)
    return found
