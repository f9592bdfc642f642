"""Of what type each key of a queue is, so that one of another type is found: it stops whoever reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from redis import Redis
from redis.exceptions import ResponseError

from slotwise.doctor.report import shown
from slotwise.keys import ABORT, Keys

AT_A_TIME: Final = 1_000
_SETS: Final = ("parked", "names")
_HASHES: Final = (
    *("cap", "limits", "served", "meter", "pace", "counts", "labels", "leases", "catalogue", "access", "tenants"),
    "deliveries",
)
_ZSETS: Final = (
    *("running", "promote", "unstarted", "suspects", "hungry", "drained", "loads", "expiring", "failures"),
    "receivers",
)
_STREAMS: Final = ("samples", "log", "moves")
_LISTS: Final = ("audit",)
OF_NAME: Final = {
    **dict.fromkeys(_SETS, "set"),
    **dict.fromkeys(_HASHES, "hash"),
    **dict.fromkeys(_ZSETS, "zset"),
    **dict.fromkeys(_STREAMS, "stream"),
    **dict.fromkeys(_LISTS, "list"),
}
# fields without which, once they are there, no claim is made: of `cap`, and of `limits` before ":" and a name
OF_LIMITS: Final = {
    **dict.fromkeys(("configured", "declared", "override", "until"), re.compile(rb"[0-9]{1,15}(?:\.[0-9]+)?")),
    "rate": re.compile(rb"[0-9]{1,9} [0-9]{1,15}"),
}
OF_PREFIX: Final = {
    **dict.fromkeys(("pending:", "running:", "parked:", "starts:", "hungry:", "ended:", "errors:"), "zset"),
    **dict.fromkeys(("label:", "due:"), "zset"),
    **dict.fromkeys(("failure:", "worker:", "held:"), "hash"),
    **dict.fromkeys(("outbox:", "attempts:"), "list"),
    **{"serves:": "set", "sign:": "string"},
}


def damaged(redis: Redis, keys: Keys, names: Iterable[bytes]) -> Iterator[str]:
    """Of these keys, and the fixed ones of the queue, those that are there and of another type."""
    expected = {keys.queue: "zset", ABORT: "zset"} | {keys.prefix + name: kind for name, kind in OF_NAME.items()}
    for text in (name.decode("utf-8", "surrogateescape") for name in names):
        if kind := _kind(keys, text):
            expected[text] = kind
    left = iter(sorted(expected))
    while chunk := list(islice(left, AT_A_TIME)):
        pipe: Any = redis.pipeline(transaction=False)
        for name in chunk:
            pipe.type(name.encode("utf-8", "surrogateescape"))
        for name, reply in zip(chunk, pipe.execute(), strict=True):
            if reply.decode() not in ("none", expected[name]):
                yield name


def unreadable_limits(redis: Redis, keys: Keys) -> Iterator[str]:
    """The caps and rates that are no numbers: each key, with the field behind it."""
    for key in (keys.cap, keys.limits):
        try:
            told: Any = redis.hgetall(key)
        except ResponseError:  # of another type: `damaged` names it
            continue
        for field, value in told.items():
            pattern = OF_LIMITS.get(field.partition(b":")[0].decode("utf-8", "replace"))
            if pattern is not None and not pattern.fullmatch(value):
                yield f"{key} {shown(field)}"


def _kind(keys: Keys, name: str) -> str | None:
    """None for a name that is none of this queue's families."""
    own = name.removeprefix(keys.prefix)
    if own == name:
        return None
    return next((kind for prefix, kind in OF_PREFIX.items() if own.startswith(prefix)), None)
