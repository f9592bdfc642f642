"""Who is there to run jobs of one queue, by one atomic read: leases, what they hold, the slots, what is served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from redis import Redis
from redis.exceptions import ResponseError

from slotwise.doctor.report import shown
from slotwise.keys import Keys

LOOKS: Final = 20  # at workers that come and go between two reads
OVERDUE: Final = 3  # lease lengths without a sign of life: an observer would have taken it back


@dataclass(frozen=True)
class Fleet:
    """`damaged`: keys of this queue that are of another type."""

    now_ms: int
    ours: bool
    leases: dict[bytes, bytes]
    seen: dict[bytes, int]
    running: frozenset[bytes]
    held: frozenset[bytes]
    reserved: frozenset[bytes]
    served: frozenset[bytes]
    algorithms: frozenset[bytes]  # that have a set of parked jobs
    damaged: tuple[str, ...]

    @property
    def dead(self) -> list[bytes]:
        """The incarnations whose lease should have been taken back, by the server's clock: for people."""
        return [
            each for each in self.leases if self.now_ms - self.seen.get(each, 0) > OVERDUE * self._length(each)
        ]

    @property
    def alive(self) -> bool:
        return len(self.dead) < len(self.leases)

    def _length(self, incarnation: bytes) -> int:
        length = self.leases[incarnation].rpartition(b" ")[2]
        return int(length) if length.isdigit() else 0


def read(redis: Redis, keys: Keys, most: int) -> Fleet:
    """At most `most` slots are looked at."""
    asked: list[bytes] = []
    names, rows = _reply(redis, keys, asked, most)
    for _ in range(LOOKS):
        if set(rows[0]) <= set(asked):
            break
        asked = sorted(rows[0])
        names, rows = _reply(redis, keys, asked, most)
    leases = rows[0]
    workers = {name: rows[6 + 2 * at : 8 + 2 * at] for at, name in enumerate(asked) if name in leases}
    seconds, microseconds = rows[5]
    return Fleet(
        now_ms=seconds * 1000 + microseconds // 1000,
        ours=bool(leases or rows[4]),
        leases=leases,
        seen={name: int(seen) for name, (_, (seen, _)) in workers.items() if seen and seen.isdigit()},
        running=frozenset(rows[1]),
        held=frozenset(id for held, _ in workers.values() for id in held),
        reserved=frozenset(row[1] for _, row in workers.values() if row[1]),
        served=frozenset(rows[2]),
        algorithms=frozenset(rows[3]),
        damaged=tuple(names),
    )


def _reply(redis: Redis, keys: Keys, incarnations: list[bytes], most: int) -> tuple[list[str], list[Any]]:
    """The names of damaged keys, and the replies with nothing in place of those."""
    held, row = keys.held("").encode(), keys.workers.encode()
    pipe: Any = redis.pipeline(transaction=True)
    pipe.hgetall(keys.leases)
    pipe.zrange(keys.running, 0, most - 1)
    pipe.hkeys(keys.served)
    pipe.smembers(keys.parked)
    pipe.exists(keys.cap, keys.catalogue, keys.running, keys.leases)
    pipe.time()
    asked: list[tuple[str, Any]] = [(keys.leases, {}), (keys.running, []), (keys.served, []), (keys.parked, [])]
    asked += [("", 0), ("", None)]
    for worker in incarnations:
        pipe.hkeys(held + worker)
        pipe.hmget(row + worker, "seen", "reserved")
        asked += [(shown(held + worker), []), (shown(row + worker), [None, None])]
    replies = pipe.execute(raise_on_error=False)
    odd = [isinstance(reply, ResponseError) for reply in replies]
    found = [nothing if bad else reply for bad, reply, (_, nothing) in zip(odd, replies, asked, strict=True)]
    return [name for bad, (name, _) in zip(odd, asked, strict=True) if bad], found
