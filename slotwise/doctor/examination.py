"""The course of an examination: the server, the names of the keys, the fleet, then each job by itself."""

from __future__ import annotations

from typing import Any, Final, cast

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from slotwise.doctor import census, checks, fleet, kinds
from slotwise.doctor.looks import ALL_BYTES, Looks
from slotwise.doctor.report import Report
from slotwise.doctor.server import Settings
from slotwise.endpoint import Endpoint
from slotwise.errors import SlotwiseError, printable
from slotwise.keys import ABORT, IN_PROGRESS, PAYLOAD, RECORD, SAID, Keys

MOST_KEYS: Final = 100_000
ANSWER_SECONDS: Final = 10.0


def examine(url: str, queue: str | None = None, *, most: int = MOST_KEYS) -> Report:
    """Look at the server at `url`; at most about `most` keys, and as many jobs of the queue.

    Raises: SlotwiseError `store-unavailable` if it does not answer, or does not let us read.
    """
    redis: Any = None
    try:
        redis = Endpoint.of(url).blocking(ANSWER_SECONDS)
        return _examined(redis, Keys() if queue is None else Keys(queue), most)
    except ValueError as error:
        raise SlotwiseError("invalid-settings", f"no URL of a Redis: {error}") from None
    except (RedisError, OSError) as error:
        raise SlotwiseError("store-unavailable", printable(str(error), 300)) from error
    finally:
        if redis is not None:
            redis.close()


def _examined(redis: Redis, keys: Keys, most: int) -> Report:
    redis.ping()
    settings = Settings(redis)
    known = census.take(redis, keys.queue, most)
    found = fleet.read(redis, keys, most)
    looks = Looks(redis, keys, known.queues, found.algorithms)
    members = _members(redis, keys, most)
    damaged = {*kinds.damaged(redis, keys, known.ours), *found.damaged, *kinds.unreadable_limits(redis, keys)}
    seen = list(looks.at(members | found.running | _candidates(redis, known)))
    findings = [
        *settings.findings(),
        *checks.of_fleet(found, damaged),
        *checks.of_jobs(seen, found, stock_alive=keys.queue in known.alive and not found.ours),
    ]
    total = cast(int, redis.dbsize())
    return Report(
        server=settings.name,
        queue=keys.queue,
        ours=found.ours,
        keys=total,
        looked_at=min(known.looked_at, total),
        findings=tuple(findings),
        notes=(
            *settings.notes,
            *settings.advice(),
            *_limits(known.whole, looks.exhausted, total, most),
            *_unknown(found),
        ),
    )


def _candidates(redis: Redis, known: census.Census) -> set[bytes]:
    """Jobs that are worth a look for their keys: most have ended in order, and only their TTL is left to run."""
    ids = known.jobs.get(IN_PROGRESS, set()) | known.jobs.get(PAYLOAD, set())
    for prefix in (RECORD, SAID):
        ids |= census.without_ttl(redis, prefix, known.jobs.get(prefix, set()))
    return ids


def _members(redis: Redis, keys: Keys, most: int) -> set[bytes]:
    """The first of the queue and of the requests to abort; none of either that is no sorted set."""
    members: set[bytes] = set()
    for name in (keys.queue, ABORT):
        try:
            members |= set(cast(list[bytes], redis.zrange(name, 0, most - 1)))
        except ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
    return members


def _limits(whole: bool, exhausted: bool, total: int, most: int) -> list[str]:
    notes = []
    if not whole:
        notes.append(f"of {total} keys about {most} were looked at: --limit takes more")
    if exhausted:
        notes.append(f"{ALL_BYTES >> 20} MiB of payloads were read, and no more")
    return notes


def _unknown(found: fleet.Fleet) -> list[str]:
    if found.ours:
        return []
    return ["which functions a stock worker serves stands nowhere in Redis, nor which jobs it runs at the moment"]
