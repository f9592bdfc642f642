"""Telling the store what has ended while no main loop does: after polls called by hand, and at the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from slotwise.attempt import Finish
from slotwise.errors import SlotwiseError
from worker.exchange import Ending
from worker.patience import Patience

if TYPE_CHECKING:
    from worker.loop import Worker
    from worker.station import Station

AWAY_AT_END_SECONDS: Final = 2.0  # that a worker which was told to stop waits for Redis to come back


async def flush(worker: Worker, station: Station) -> None:
    """Until everything is told, or the station is no longer the worker's."""
    patience = Patience()
    while not station.exchange.idle and station is worker.station:
        try:
            await worker.take(await station.exchange.run(0))
        except (RedisError, OSError, SlotwiseError) as error:
            await patience.sit_out(error)


async def wind_up(worker: Worker, station: Station) -> None:
    """Until every body has ended and everything is told, or Redis was away for too long."""
    patience, give_up_at = Patience(), float("inf")
    while worker.tasks or not station.exchange.idle:
        try:
            for grant in (await station.exchange.run(0)).grants:  # of an exchange that the signal interrupted
                station.exchange.end(Ending(Finish(grant.id, grant.token, "release")))
        except (RedisError, OSError, SlotwiseError) as error:
            give_up_at = min(give_up_at, worker.loop.time() + AWAY_AT_END_SECONDS)
            if worker.loop.time() >= give_up_at:
                return  # whoever watches the lease will hand the jobs on
            await patience.sit_out(error)
        if worker.tasks and station.exchange.idle:
            await asyncio.wait(worker.tasks.values(), timeout=0.02)
