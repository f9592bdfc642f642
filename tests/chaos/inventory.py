"""What stands in Redis, told without any of the product's code: keys by their names, and whether they expire."""

from __future__ import annotations

import re
from typing import Any, cast

import redis

JOB = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
FLEET = "slotwise:arq:queue:"
OF_WORKERS = tuple(FLEET + kind for kind in ("worker:", "held:", "serves:"))


def inventory(client: redis.Redis) -> dict[str, Any]:
    """`kept`: keys of jobs that nothing will remove; `slots`, `queued`, `leases`, `workers` (keys): how many."""
    kept, workers = [], 0
    for raw in client.scan_iter(count=1000):
        name = raw.decode("utf-8", "replace")
        if name.startswith(OF_WORKERS):
            workers += 1
        elif JOB.search(name) and client.ttl(raw) == -1:
            kept.append(name)
    found = {
        "kept": kept[:20],
        "kept_in_all": len(kept),
        "workers": workers,
        "slots": cast(int, client.zcard(FLEET + "running")),
        "queued": cast(int, client.zcard("arq:queue")),
        "leases": cast(int, client.hlen(FLEET + "leases")),
    }
    client.close()
    return found
