"""Leases, from both ends: a worker's sign of life, and the observers that see it cease.

Blocking, on connections of their own, for threads: a busy event loop must neither lose a lease nor miss that
another was lost. No wall clock decides anything here: an observer counts the time that a lease stood still by
its own monotonic clock, as in the leases of Gray and Cheriton (SOSP 1989), and obeys the lease's own length.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from pydantic_core import to_json
from redis import Redis
from redis.asyncio import ConnectionPool, SSLConnection
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import RedisError, ResponseError

from slotwise import scripts
from slotwise.endpoint import Endpoint, master
from slotwise.errors import JobError
from slotwise.flow import MOST_SAMPLES, STEP_MS
from slotwise.keys import ABORT, PER_JOB, Keys

_ADDRESS: Final = frozenset({"host", "port", "db", "username", "password", "path"})
_LEASE: Final = re.compile("[0-9]{1,15} [0-9]{1,12}")
EXPIRE_AT_ONCE: Final = 100  # jobs in one call
SWEEP_AT_ONCE: Final = 500
LOOK_SECONDS: Final = 0.5  # between two looks, for a lease of 10 s and longer


@dataclass(frozen=True)
class Renewed:
    """The answer to a sign of life: `gone` when the lease is no more; tokens that are no longer the worker's."""

    gone: bool
    lost: tuple[str, ...] = ()


def blocking_twin(pool: ConnectionPool, timeout_seconds: float) -> Redis:
    """A blocking client of the server that an asyncio pool connects to, for a thread."""
    given = pool.connection_kwargs
    wanted = {name: value for name, value in given.items() if name in _ADDRESS or name.startswith("ssl_")}
    if "path" in wanted:
        wanted["unix_socket_path"] = wanted.pop("path")
    wanted |= {"ssl": issubclass(pool.connection_class, SSLConnection)}
    wanted |= {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}
    if not isinstance(pool, SentinelConnectionPool):
        return Redis(**wanted)
    kept = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    return master([(each["host"], each["port"]) for each in kept], pool.service_name, timeout_seconds, **wanted)


class LeaseStore:
    """The moves of leases. Every method raises redis.RedisError."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._sample_at = 0.0  # on the monotonic clock

    def enlist(
        self, incarnation: str, length_ms: int, row: Mapping[str, str | int], serves: Sequence[str] = ()
    ) -> None:
        """Begin a lease of `length_ms` for one start of a worker, by its row and the functions it serves."""
        keys = self._keys
        args = [incarnation, length_ms, len(serves), *serves, *(part for pair in row.items() for part in pair)]
        own = [keys.worker(incarnation), keys.serves(incarnation)]
        fleet = [keys.served, keys.drained, keys.cap, keys.meter, keys.running, keys.workers]
        scripts.ENLIST.run_blocking(self._redis, [keys.leases, *own, *fleet], args)

    def renew(
        self, incarnation: str, acknowledged: int, tokens: Sequence[str], weights: Mapping[str, int] | None = None
    ) -> Renewed:
        """Give a sign of life. `acknowledged` is the last exchange whose reply the worker has dealt with.

        `weights`: MB that running jobs hold, by id.
        """
        reply = scripts.RENEW.run_blocking(
            self._redis,
            [*self._lease_keys(incarnation), *self._keys.of_index],
            [incarnation, acknowledged, to_json(weights or {}), *tokens],
        )
        if reply[0] == b"gone":
            return Renewed(gone=True)
        return Renewed(gone=False, lost=tuple(token.decode("utf-8", "replace") for token in reply[1]))

    def leases(self) -> dict[str, str]:
        """Every incarnation with its "sequence length_ms"."""
        rows = cast(dict[bytes, bytes], self._redis.hgetall(self._keys.leases))
        found = {name.decode("utf-8", "replace"): lease.decode("utf-8", "replace") for name, lease in rows.items()}
        return {name: lease for name, lease in found.items() if _LEASE.fullmatch(lease)}

    def reap(self, incarnation: str, seen: str) -> int | None:
        """Take the slots of a dead worker back: how many; None when its lease has moved since it was `seen`."""
        reply = scripts.REAP.run_blocking(self._redis, self._reap_keys(incarnation), [incarnation, seen])
        return int(reply[1]) if reply[0] == b"ok" else None

    def expire(self, keep_ms: int) -> int:
        """End jobs that had to start by now and have not: how many. They are kept for `keep_ms`."""
        keys = self._keys
        error = JobError("expired", "the job had not started when its time to do so (expires_in) was over")
        waiting = [keys.queue, keys.promote, keys.unstarted, ABORT]
        counted = [keys.counts, keys.parked, keys.served, keys.catalogue]
        return int(
            scripts.EXPIRE.run_blocking(
                self._redis,
                [*waiting, *counted, keys.parked_of, keys.pending_of, *PER_JOB, *keys.of_outbox, *keys.of_index],
                ["", EXPIRE_AT_ONCE, keep_ms, to_json(error.as_dict()), keys.ended],
            )
        )

    def sweep(self) -> int:
        """Take expired jobs off the lists, and what is no job out of the slots: how many of the first were due."""
        own = [self._keys.pending_of, self._keys.running_of, self._keys.leases, self._keys.held("")]
        keys = [*PER_JOB, *own, *self._keys.of_index]
        return int(scripts.SWEEP.run_blocking(self._redis, keys, ["", SWEEP_AT_ONCE]))

    def revert(self) -> int:
        """Clear away the overrides of caps that are over: how many."""
        return int(scripts.REVERT.run_blocking(self._redis, [*self._keys.of_caps, *self._keys.of_moves], [""]))

    def sample(self) -> None:
        """Keep what the fleet has done by now, if nobody has of late."""
        if self._sample_at <= time.monotonic():
            scripts.SAMPLE.run_blocking(self._redis, self._keys.of_samples, ["", STEP_MS, MOST_SAMPLES, ""])
            self._sample_at = time.monotonic() + STEP_MS / 1000

    def close(self) -> None:
        self._redis.close()

    def leave(self, incarnation: str) -> None:
        """End a lease of one's own; what it still holds waits again."""
        scripts.REAP.run_blocking(self._redis, self._reap_keys(incarnation), [incarnation, ""])

    def _lease_keys(self, incarnation: str) -> list[str]:
        keys = self._keys
        return [
            keys.queue,
            keys.running,
            keys.leases,
            keys.worker(incarnation),
            keys.held(incarnation),
            keys.cap,
            keys.log,
            keys.meter,
            keys.counts,
            keys.running_of,
            *PER_JOB,
            keys.pending_of,
        ]

    def _reap_keys(self, incarnation: str) -> list[str]:
        keys = self._keys
        own = [keys.serves(incarnation), keys.served, keys.hungry, keys.loads, keys.workers]
        return [*self._lease_keys(incarnation), *own, *keys.of_index]


class Watch:
    """Which leases stood still for their whole length, as far as this observer itself has seen.

    The time counts from the end of the first look that showed a lease's present state to the start of the
    latest one: never longer than the lease really stood still. A failed or late look begins every count anew.
    """

    def __init__(self) -> None:
        self._since: dict[str, tuple[str, float]] = {}
        self._last_look = 0.0

    def forget(self) -> None:
        self._since.clear()

    def look(self, leases: Mapping[str, str], began: float, ended: float) -> list[tuple[str, str]]:
        """Take in a look that `began` and `ended` at these monotonic times: the (incarnation, lease) to reap."""
        if began - self._last_look > 4 * look_seconds(leases) + 1:
            self.forget()
        self._last_look = ended
        dead = []
        for incarnation, lease in leases.items():
            seen, since = self._since.get(incarnation, ("", 0.0))
            if seen != lease:
                self._since[incarnation] = (lease, ended)
            elif began - since >= length_seconds(lease):
                dead.append((incarnation, lease))
        for incarnation in self._since.keys() - leases.keys():
            del self._since[incarnation]
        return dead


def length_seconds(lease: str) -> float:
    """The length that a lease carries, in seconds."""
    return int(lease.partition(" ")[2]) / 1000


def look_seconds(leases: Mapping[str, str]) -> float:
    """How long to wait between two looks at these leases, in seconds."""
    return min([LOOK_SECONDS, *(length_seconds(lease) / 20 for lease in leases.values())])


def observe(store: LeaseStore, watch: Watch, *, keep_ms: int) -> float:
    """Look once; reap the dead, end the expired, sweep, clear what is over: the seconds until the next look.

    Raises: redis.RedisError.
    """
    began = time.monotonic()
    try:
        leases = store.leases()
    except RedisError:
        watch.forget()
        raise
    dead = watch.look(leases, began, time.monotonic())
    reaps = [partial(store.reap, incarnation, lease) for incarnation, lease in dead]
    chores: list[Callable[[], int | None]] = [
        *reaps,
        partial(store.expire, keep_ms),
        store.sweep,
        store.revert,
        store.sample,
    ]
    done: list[int | None] = []
    failure: ResponseError | None = None
    for chore in chores:
        try:
            done.append(chore())
        except ResponseError as error:  # what is wrong with one must not keep the others' slots taken
            failure = error
    if failure:
        raise failure
    *_, expired, swept, _, _ = done
    more = expired == EXPIRE_AT_ONCE or swept == SWEEP_AT_ONCE
    return 0.0 if more else look_seconds(leases)


class Observer:
    """A thread that watches the leases of a fleet: every front end runs one, and every worker does the same."""

    def __init__(
        self, url: str, keys: Keys | None = None, *, keep_seconds: float, timeout_seconds: float = 2.0
    ) -> None:
        redis = Endpoint.of(url).blocking(timeout_seconds)
        self._redis = redis
        self._store = LeaseStore(redis, keys or Keys())
        self._keep_ms = round(keep_seconds * 1000)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-observer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return when the thread has ended."""
        self._stop.set()
        self._thread.join()
        self._redis.close()

    def _run(self) -> None:
        watch = Watch()
        pause = LOOK_SECONDS
        while not self._stop.wait(pause):
            try:
                pause = observe(self._store, watch, keep_ms=self._keep_ms)
            except (RedisError, OSError):
                pause = LOOK_SECONDS
