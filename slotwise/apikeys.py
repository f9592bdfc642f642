"""The API keys of one queue: made, listed, revoked, and read by every front end. Only a key's hash is stored.

A key has 256 random bits, so one round of SHA-256 is as good as any slow hash: there is nothing to guess. Who has
been revoked stays as a row: once there were keys, nobody gets in without one, until `reset`.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from pydantic_core import to_json
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import WatchError

from slotwise import wire
from slotwise.away import reachable
from slotwise.errors import SlotwiseError
from slotwise.keys import Keys
from slotwise.rate import Rate
from slotwise.tenant import NAME, Bounds, Scope, tenant_name

PREFIX: Final = "slw_"  # so that a key is known for one wherever it leaks to
RANDOM_BYTES: Final = 32
BOUNDS: Final = ("pending", "running", "rate")


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class ApiKey:
    """A key as it is stored; times in ms. `revoked_ms` None: it opens the door."""

    name: str
    scope: Scope
    bounds: Bounds
    digest: str
    created_ms: int
    revoked_ms: int | None = None

    @classmethod
    def of(cls, name: bytes, row: bytes) -> Self | None:
        """None of a row that is damaged: it opens nothing."""
        try:
            told = wire.decode(row)
            rate = told["rate"]
            bounds = Bounds(told["max_pending"], told["max_running"], Rate.stored(rate) if rate else None)
            scope, digest = Scope(told["scope"]), str(told["digest"])
            made = cls(name.decode(), scope, bounds, digest, int(told["created"]), told["revoked"])
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        return made if NAME.fullmatch(made.name) else None

    def as_row(self) -> str:
        bounds = self.bounds
        row = {
            "scope": self.scope,
            "max_pending": bounds.max_pending,
            "max_running": bounds.max_running,
            "rate": bounds.rate and bounds.rate.as_stored(),
            "digest": self.digest,
            "created": self.created_ms,
            "revoked": self.revoked_ms,
        }
        return to_json(row).decode()


class ApiKeys:
    """Every method raises SlotwiseError `store-unavailable` while Redis is away."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def all(self) -> tuple[bool, Sequence[ApiKey]]:
        """Whether a key was ever made (a damaged row counts), and those that can be read, by name."""
        with reachable():
            rows: Mapping[bytes, bytes] = await self._redis.execute_command("HGETALL", self._keys.access)
        made = [key for name, row in rows.items() if (key := ApiKey.of(name, row)) is not None]
        return bool(rows), sorted(made, key=lambda key: key.name)

    async def create(self, name: str, scope: Scope, bounds: Bounds) -> tuple[ApiKey, str]:
        """A new key, and its only showing. The tenant of a revoked key of the name is its tenant again.

        Raises: SlotwiseError `invalid-request` for a name that is none, or that has a key.
        """
        secret = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        key = ApiKey(tenant_name(name), scope, bounds, digest_of(secret), time.time_ns() // 1_000_000)

        def write(before: ApiKey | None, tr: Pipeline) -> None:
            if before is not None and before.revoked_ms is None:
                raise SlotwiseError("invalid-request", f"There is a key called {name}: revoke it first.")
            tr.hset(self._keys.access, name, key.as_row())
            tr.hdel(self._keys.tenants, *(f"{bound}:{name}" for bound in BOUNDS), f"tat:{name}")
            tr.hset(self._keys.tenants, mapping=_limits(key))

        await self._change(name, write)
        return key, secret

    async def revoke(self, name: str) -> ApiKey:
        """It opens nothing from now on; its jobs and bounds stay. Raises: SlotwiseError `invalid-request`."""
        revoked: list[ApiKey] = []

        def write(before: ApiKey | None, tr: Pipeline) -> None:
            if before is None or before.revoked_ms is not None:
                raise SlotwiseError("invalid-request", f"No key is called {name!r}: see `slotwise keys list`.")
            revoked[:] = [replace(before, revoked_ms=time.time_ns() // 1_000_000)]
            tr.hset(self._keys.access, name, revoked[0].as_row())

        await self._change(name, write)
        return revoked[0]

    async def reset(self) -> None:
        """Forget every key: nobody is asked for one. Jobs stay whose they were."""
        with reachable():
            await self._redis.delete(self._keys.access, self._keys.tenants)

    async def _change(self, name: str, write: Any) -> None:
        with reachable():
            async with self._redis.pipeline(transaction=True) as tr:
                while True:
                    await tr.watch(self._keys.access)
                    row: Any = await tr.execute_command("HGET", self._keys.access, name)
                    tr.multi()
                    write(None if row is None else ApiKey.of(name.encode(), row), tr)
                    try:
                        await tr.execute()
                    except WatchError:
                        continue
                    return


def _limits(key: ApiKey) -> dict[str, str | int]:
    """As the scripts read them."""
    bounds = key.bounds
    told: dict[str, str | int | None] = {
        f"known:{key.name}": 1,
        f"pending:{key.name}": bounds.max_pending,
        f"running:{key.name}": bounds.max_running,
        f"rate:{key.name}": None if bounds.rate is None else bounds.rate.as_stored(),
    }
    return {name: value for name, value in told.items() if value is not None}
