"""What it means that Redis is away, or holds what none of ours wrote: the errors that say so, in one place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from slotwise.errors import SlotwiseError

_UNREACHABLE: Final = (RedisConnectionError, RedisTimeoutError, ReadOnlyError, OSError)
# what a server says, by itself or wrapped in what redis-py says of a pipeline
_REFUSAL: Final = re.compile(
    r"(?:Transaction discarded because of: |Command # \d+ \(.*\) of pipeline caused error: (?:\(['\"])?)?"
    r"(?:MISCONF|LOADING|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|BUSY) ",
    re.DOTALL,
)


# a value of another type than ours, or no number: of a command, or of one in a script
_DAMAGE: Final = re.compile(
    r"(?:Transaction discarded because of: |Command # \d+ \(.*\) of pipeline caused error: (?:\(['\"])?)?"
    r"(?:WRONGTYPE |(?:ERR )?(?:hash )?value is (?:not |NaN)"
    r"|(?:ERR )?(?:Error running script.*)?user_script:\d+: )",
    re.DOTALL,
)


def is_damage(error: BaseException) -> bool:
    """Whether a key in Redis is not as ours write it: nothing that goes on trying, or starts again, mends that."""
    if isinstance(error, SlotwiseError):
        return error.code == "store-damaged"
    return isinstance(error, ResponseError) and bool(_DAMAGE.match(str(error)))


def said_of(damage: BaseException) -> str:
    """What people are told of it."""
    return f"a key in Redis is not as Slotwise writes it ({damage}): `slotwise doctor` says which, and what to do"


def is_away(error: BaseException) -> bool:
    """Whether trying again later, rather than mending a program, is the cure for `error`."""
    if isinstance(error, SlotwiseError):
        return error.code == "store-unavailable"
    if isinstance(error, ResponseError):
        return isinstance(error, OutOfMemoryError | ReadOnlyError) or bool(_REFUSAL.match(str(error)))
    return isinstance(error, _UNREACHABLE)


@contextmanager
def reachable() -> Iterator[None]:
    """Turn "Redis is away" into SlotwiseError `store-unavailable`, what is none of ours into `store-damaged`;
    every other error stays what it is."""
    try:
        yield
    except OutOfMemoryError:
        raise SlotwiseError(
            "store-unavailable",
            "Redis is full and takes no new jobs: raise its maxmemory, or wait until jobs have ended",
            retry_after_seconds=5,
        ) from None
    except (RedisError, OSError) as error:
        if is_damage(error):
            raise SlotwiseError("store-damaged", said_of(error), retry_after_seconds=5) from error
        if not is_away(error):
            raise
        raise SlotwiseError(
            "store-unavailable", "Redis cannot be reached: try again later", retry_after_seconds=1
        ) from error
