"""What webhooks have not been told yet, told without any of the product's code."""

from __future__ import annotations

from typing import cast

import redis

from tests.chaos.inventory import FLEET

RECEIVERS, DELIVERIES, DUE = (FLEET + name for name in ("receivers", "deliveries", "due:"))


def untold(client: redis.Redis) -> int:
    """How many wait. Those that wait for their next attempt are due at once, as if its time had come."""
    seconds, _ = cast(tuple[int, int], client.time())
    tried = cast(dict[bytes, bytes], client.hgetall(DELIVERIES))
    waiting = 0
    for receiver in cast(list[bytes], client.zrange(RECEIVERS, 0, -1)):
        key = DUE.encode() + receiver
        for job, due in cast(list[tuple[bytes, float]], client.zrange(key, 0, -1, withscores=True)):
            waiting += 1
            if due > (seconds + 1) * 1000 and tried.get(job, b"-").endswith(b"-"):
                client.zadd(key, {job: 0}, xx=True)
                client.zadd(RECEIVERS, {receiver: 0})
    client.close()
    return waiting
