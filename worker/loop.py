"""The event-driven arq worker: woken by the server, it fills every free slot in one round trip.

It is arq's `Worker` (same options, hooks, counters and log lines) with the polling taken out: claims are
atomic and fleet-wide, a finish and the next claim travel together, and a lease says who still lives.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import signal
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import arq.worker
from arq.connections import create_pool, log_redis_info
from redis.exceptions import RedisError

from slotwise.attempt import Claimed, Finish
from slotwise.errors import SlotwiseError
from slotwise.settings import Settings
from worker import delivery, journal, log, perseverance
from worker.events import Event, Subscriber
from worker.exchange import Ending
from worker.execution import Execution
from worker.function import as_function
from worker.patience import Patience
from worker.preloading import Preloading
from worker.roster import Roster
from worker.station import Station

logger = logging.getLogger("arq.worker")

NET_SECONDS: Final = 0.5  # the slow poll below the wakes, as often as arq polls
WIND_UP_SECONDS: Final = 10.0  # for telling the store the last results at the end
LAST_WORDS_SECONDS: Final = 2.0  # for what is said of a server at the start, and of a worker at its end
GATHER_TURNS: Final = 3  # of the event loop, before an exchange leaves
FIRST_CAP: Final = 10  # slots asked for before the live cap was ever heard


class Worker(arq.worker.Worker):
    """arq's worker, woken by events, under the fleet's cap.

    Takes arq's own options. `max_jobs` is this worker's own limit; left out, it follows the live cap.
    """

    def __init__(
        self,
        functions: Sequence[Any] = (),
        *,
        max_jobs: int | None = None,
        settings: Settings | None = None,
        modules: Sequence[str] = (),
        **options: Any,
    ) -> None:
        super().__init__([as_function(one) for one in functions], max_jobs=max_jobs or FIRST_CAP, **options)
        # a stock project's own `.env` is its own affair
        self.settings = settings or Settings(_env_file=None)
        self.serializer = self.job_serializer or pickle.dumps
        self.leaving = False
        self._stopped = False
        self._winding_up = False
        self.subscribers: list[Subscriber] = [journal.write if settings else log.write]
        self._own_slots = max_jobs
        self._modules = tuple(modules)
        self.preloading = Preloading(self._modules)
        self._cap = FIRST_CAP
        self._roster = Roster(self)
        self._woken = asyncio.Event()
        self._look = True  # whether to ask the store although no slot is free
        self._acknowledged = 0
        self._next_due = float("inf")
        self._working = False
        self._flushing: asyncio.Task[None] | None = None
        self.station: Station | None = None
        self._opening = asyncio.Lock()

    def run(self) -> None:
        """Work until told to stop, then close. As arq's, but no job can end it from within."""
        perseverance.run(self, interruptible=not self._handle_signals)

    async def main(self) -> None:
        """Work until told to stop; in burst mode until nothing is left to do."""
        journal.begin(self.settings, own=self.subscribers[0] is journal.write)
        if await self._ready_at_last() is None:
            return
        logger.info("Starting worker for %d functions: %s", len(self.functions), ", ".join(self.functions))
        with suppress(RedisError, OSError):  # and a link that has gone silent since
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await log_redis_info(self.pool, logger.info)
        if self.on_startup:
            await self.on_startup(self.ctx)
        self._working = True
        try:
            await self._work()
        finally:
            self._working = False
            self._flush_soon()

    async def _poll_iteration(self) -> None:
        """One exchange with the store: what has ended out, as many jobs as there are free slots in."""
        station = await self._ready()
        for _ in range(GATHER_TURNS):  # what ends in these turns of the loop goes along
            await asyncio.sleep(0)
        self._woken.clear()
        look, self._look = self._look, False
        asked = self._free_slots(station)
        if asked or look or not station.exchange.idle:
            await self.take(await station.exchange.run(asked, look_for_cancels=look))
        self._roster.raise_error()
        async with asyncio.timeout(station.exchange.timeout_seconds):  # it talks to Redis, on any connection
            await self.heart_beat()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Claim and start these jobs, as far as they are due, wait, and fit under the cap."""
        station = await self._ready()
        ids = tuple(job_id.decode() for job_id in job_ids)
        await self.take(await station.exchange.run(self._free_slots(station), ids=ids))

    def handle_sig(self, signum: signal.Signals) -> None:
        """Stop at once: running bodies are cancelled, and their jobs handed back."""
        self.leaving = self._stopped = True
        super().handle_sig(signum)

    def handle_sig_wait_for_completion(self, signum: signal.Signals) -> None:
        """Take no more jobs, give the running ones `job_completion_wait` seconds, then stop."""
        self.leaving = True
        super().handle_sig_wait_for_completion(signum)

    async def _wait_for_tasks_to_complete(self, signum: signal.Signals) -> None:
        await super()._wait_for_tasks_to_complete(signum)
        self._stopped = True  # should the cancel that arq sends to `main` be swallowed on its way
        self._woken.set()

    async def close(self) -> None:
        """Hand back what still runs, tell the store what has ended, give the lease up, close connections."""
        if not self._handle_signals:
            self.handle_sig(signal.SIGUSR1)
        if not self._pool:
            return
        self.leaving = self._winding_up = True
        try:
            if self.station is not None:
                await self._leave(self.station)
        finally:
            if self.on_shutdown:
                await self.on_shutdown(self.ctx)
            with suppress(TimeoutError, RedisError, OSError):
                async with asyncio.timeout(LAST_WORDS_SECONDS):
                    await self.pool.delete(self.health_check_key)
                    await self.pool.close(close_connection_pool=True)
            self._pool = None
            self.leaving = self._stopped = self._winding_up = False

    async def _leave(self, station: Station) -> None:
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(WIND_UP_SECONDS):
                    await delivery.wind_up(self, station)
        finally:
            self.station = None
            await station.close(leave=not self._roster.busy())

    async def _ready(self) -> Station:
        """The connections, lease and processes that this worker works with; started at first use."""
        async with self._opening:
            if self._pool is None:
                self._pool = await create_pool(
                    self.redis_settings,
                    job_deserializer=self.job_deserializer,
                    job_serializer=self.job_serializer,
                    default_queue_name=self.queue_name,
                    expires_extra_ms=self.expires_extra_ms,
                )
            if self.station is None:
                self.ctx["redis"] = self.pool
                self.station = await Station.open(self)
                self.bodies, self.spans = self.station.bodies, self.station.spans
        return self.station

    async def _ready_at_last(self) -> Station | None:
        """The station, whenever Redis lets us have it; None when the worker was stopped before that."""
        patience = Patience()
        while not self._stopped:
            try:
                return await self._ready()
            except (RedisError, OSError, SlotwiseError) as error:
                await patience.sit_out(error)
        return None

    async def _work(self) -> None:
        patience = Patience()
        while not self._stopped:
            try:
                await self._poll_iteration()
                if self.burst and await self._burst_over():
                    return
            except (RedisError, OSError, SlotwiseError) as error:
                await patience.sit_out(error)
                self._look = True
                continue
            patience.reset()
            await self._wait()

    async def _wait(self) -> None:
        """Until something changed, the next job is due, or the net's time is up."""
        pause = min(NET_SECONDS, max(0.0, self._next_due - self.loop.time()))
        try:
            async with asyncio.timeout(pause):
                await self._woken.wait()
        except TimeoutError:
            self._look = True  # under a cap of 0, too: it may have ended

    async def _burst_over(self) -> bool:
        station = await self._ready()
        if self.tasks or not station.exchange.idle:
            return False
        return 0 <= self.max_burst_jobs <= self._jobs_started() or not await self.pool.zcard(self.queue_name)

    def _free_slots(self, station: Station) -> int:
        strangers = self._roster.has_strangers(station.exchange.incarnation)
        if strangers or not station.lease.fresh or not self.allow_pick_jobs or (self.leaving and self._working):
            return 0
        free = (self._own_slots or self._cap) - self._roster.busy()
        if self.burst and self.max_burst_jobs >= 0:
            free = min(free, self.max_burst_jobs - self._jobs_started())
        return max(0, min(free, self.queue_read_limit))

    async def take(self, claimed: Claimed) -> None:
        """Start what was granted, cancel what is to be cancelled."""
        station = await self._ready()
        if claimed.gone:
            self._roster.hand_back()
            await station.begin()
            self._acknowledged = 0
            self._woken.set()
            return
        if claimed.cap > self._cap:
            self._woken.set()  # its new slots are asked for at once
        self._cap = claimed.cap
        self._roster.cancel(claimed.cancels)
        for grant in claimed.grants:
            if station.lease.fresh:
                self._roster.start(grant, station.exchange.incarnation, station.hearing)
            else:  # the bodies have been ended for want of contact, and this reply is late
                station.exchange.end(Ending(Finish(grant.id, grant.token, "release")))
        self._acknowledged = claimed.number
        due = claimed.next_due_ms
        self._next_due = float("inf") if due is None else self.loop.time() + due / 1000

    def emit(self, event: Event) -> None:
        for subscriber in self.subscribers:
            subscriber(event)

    def end(self, execution: Execution, finish: Finish) -> None:
        """Tell the store of an attempt's end with the next exchange, which this brings about."""
        self._roster.body_ended(execution)
        if self.station is not None:
            told = partial(self._roster.answered, execution)
            self.station.exchange.end(Ending(finish, told, execution.last_words()))
            self.something_to_tell()

    def something_to_tell(self) -> None:
        """The exchange has something for the store."""
        self._woken.set()
        self._flush_soon()

    def _flush_soon(self) -> None:
        """Tell the store what has ended although no `main` runs that would."""
        station = self.station
        if station is None or self._working or self._winding_up or station.exchange.idle:
            return
        if self._flushing is None or self._flushing.done():
            self._flushing = self.loop.create_task(delivery.flush(self, station))

    def on_change(self, key: str) -> None:
        """The server says that `key` changed; '' means anything may have."""
        if key != self.queue_name:  # a cancel, the cap, or all of it
            self._look = True
        self._woken.set()

    def holding(self) -> tuple[int, tuple[str, ...]]:
        """For the lease's thread. The order matters: tokens read later include all that were acknowledged."""
        return self._acknowledged, self._roster.tokens()

    def on_lost(self, tokens: tuple[str, ...]) -> None:
        self._roster.hand_back(tokens)

    def on_isolated(self) -> None:
        logger.warning("no contact with Redis for most of the lease: ending what runs here, it will run again")
        self._roster.hand_back()

    def on_gone(self) -> None:
        self._look = True
        self._woken.set()
