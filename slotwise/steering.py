"""What an operator does to a fleet, and sees of it: resize, drain, the snapshot, the audit.

Besides what every start of a worker or a front end says of the cap (`store.configure`), the only module that talks
to Redis about it. Never touches a job: a smaller cap and a drain let run what runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from redis.asyncio import Redis

from slotwise import scripts, wire
from slotwise.away import reachable
from slotwise.demand import Demand
from slotwise.errors import SlotwiseError, printable
from slotwise.flow import MOST_SAMPLES, STEP_MS, Point, Sample, course
from slotwise.keys import RECORD, Keys
from slotwise.pace import Pace
from slotwise.snapshot import Snapshot

SAMPLES_A_PAGE: Final = 500  # so that a day of them does not hold the event loop
AUDIT_ENTRIES: Final = 1000  # as override.lua keeps

Change = Literal["configured", "declared", "set", "cleared", "expired"]


@dataclass(frozen=True)
class AuditEntry:
    """One change of a cap. `algorithm` None: the fleet's. `from_cap` or `to_cap` None: no cap (of its own)."""

    at_ms: int
    algorithm: str | None
    change: Change
    from_cap: int | None
    to_cap: int | None
    by: str | None
    reason: str | None
    expires_ms: int | None

    @classmethod
    def read(cls, row: bytes) -> Self | None:
        """None for one that our scripts did not write."""
        try:
            return cls.of(wire.decode(row))
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Self:
        return cls(
            at_ms=entry["at"],
            algorithm=entry.get("algorithm"),
            change=entry.get("change", "configured"),
            from_cap=entry["from"],
            to_cap=entry["to"],
            by=entry.get("by"),
            reason=entry.get("reason"),
            expires_ms=entry.get("until"),
        )


class Steering:
    """The cap and the workers of one fleet.

    Every method raises SlotwiseError `store-unavailable` while Redis is away.
    """

    def __init__(self, redis: Redis, keys: Keys | None = None) -> None:
        self._redis = redis
        self._keys = keys or Keys()

    async def snapshot(self, most_jobs: int = 0) -> Snapshot:
        """The whole picture, of one instant, with so many running jobs by name."""
        keys = self._keys
        named = [keys.queue, keys.running, keys.cap, keys.limits, keys.leases, keys.catalogue, keys.served]
        aside = [keys.parked, keys.suspects, keys.meter, keys.pace]
        prefixes = [keys.running_of, keys.parked_of, keys.workers, keys.held(""), keys.serves(""), RECORD]
        known = [*named, *aside, *prefixes, keys.pending_of]
        with reachable():
            reply = await scripts.SNAPSHOT.run(self._redis, known, ["", most_jobs])
        return Snapshot.of(reply)

    async def demand(self) -> Demand:
        """What the fleet has, and what is asked of it."""
        return Demand.of(await self.snapshot(), await self.pace())

    async def pace(self) -> Pace:
        """What was measured of each algorithm's jobs of late."""
        with reachable():
            return Pace.of(await self._redis.execute_command("HGETALL", self._keys.pace))

    async def flow(self, window_seconds: int) -> list[Point]:
        """What the fleet did of late, up to now."""
        keys = self._keys
        with reachable():
            now = await scripts.SAMPLE.run(self._redis, keys.of_samples, ["", STEP_MS, MOST_SAMPLES, "tell"])
            present = Sample.read(dict(zip(now[::2], now[1::2], strict=True)))
            since_ms = present.at_ms - window_seconds * 1000
            samples, start = list[Sample](), str(since_ms)
            while rows := await self._redis.xrange(keys.samples, start, count=SAMPLES_A_PAGE):
                samples += filter(None, (Sample.of(fields) for _, fields in rows))
                start = f"({rows[-1][0].decode()}"
        return course([*samples, present], since_ms)

    async def resize(
        self, cap: int | None, *, by: str, algorithm: str = "", reason: str = "", ttl_ms: int | None = None
    ) -> None:
        """Let `cap` be in force, the fleet's or an algorithm's own, for `ttl_ms` or until it is cleared (None).

        Raises: SlotwiseError `algorithm-not-found`.
        """
        keys = self._keys
        named = [*keys.of_caps, keys.catalogue, keys.served, *keys.of_moves]
        args = [algorithm, "" if cap is None else cap, reason, by, "" if ttl_ms is None else ttl_ms, ""]
        with reachable():
            reply = await scripts.RESIZE.run(self._redis, named, args)
        if reply == b"unknown":
            raise unknown_algorithm(algorithm)

    async def drain(self, worker: str) -> None:
        """Let it finish what it has and take no more. Raises: SlotwiseError `worker-not-found`."""
        await self._drain(worker, "drain")

    async def resume(self, worker: str) -> None:
        """Let it take jobs again. Raises: SlotwiseError `worker-not-found`."""
        await self._drain(worker, "resume")

    async def _drain(self, worker: str, what: str) -> None:
        keys = self._keys
        with reachable():
            own = [keys.leases, keys.drained, keys.suspects, keys.workers, keys.cap, keys.meter, keys.running]
            found = await scripts.DRAIN.run(self._redis, own, [worker, what, ""])
        if not found:
            raise unknown_worker(worker)

    async def audit(self, limit: int = AUDIT_ENTRIES) -> list[AuditEntry]:
        """The latest changes of caps, newest first."""
        with reachable():
            rows = await self._redis.execute_command("LRANGE", self._keys.audit, 0, limit - 1)
        return list(filter(None, map(AuditEntry.read, rows)))


def unknown_algorithm(name: str) -> SlotwiseError:
    """For a name that no worker has published or serves."""
    return SlotwiseError("algorithm-not-found", f"No algorithm is called {printable(name, 100)!r}.")


def unknown_worker(name: str) -> SlotwiseError:
    """For a name that no live worker has."""
    return SlotwiseError(
        "worker-not-found", f"No live worker is called {printable(name, 100)!r}: see GET /workers."
    )
