"""What a worker works with while it is open: store, lease, wake, exchange, and the process that forks jobs."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Self
from uuid import uuid4

from redis.exceptions import RedisError, ResponseError

from slotwise import spans
from slotwise.attempt import Cancels
from slotwise.errors import SlotwiseError, exit_with, text_of
from slotwise.keys import ABORT, Keys
from slotwise.lease import LeaseStore, blocking_twin
from slotwise.spans import NO_SPANS
from slotwise.store import Store
from slotwise.words import Words
from worker import kernel
from worker.apart import apart
from worker.bodies import Bodies
from worker.events import Event
from worker.exchange import Exchange
from worker.function import AlgorithmFunction
from worker.hearing import Hearing
from worker.lease import RENEW_AT, Lease
from worker.machine import machine
from worker.runner import Runner, Unloadable, ZygoteDied
from worker.scales import Scales
from worker.seal import Seal
from worker.wake import Wake
from worker.watchdog import Watchdog
from worker.webhooks import Webhooks

if TYPE_CHECKING:
    from worker.loop import Worker

STARTS: Final = 3  # of the process that forks jobs, before the worker gives up its own
SILENCE_SECONDS: Final = 10.0  # of a link, after which another is tried


class Station:
    def __init__(self, worker: Worker) -> None:
        settings = worker.settings
        keys = Keys(worker.queue_name)
        self._worker = worker
        self._algorithms = [
            function.algorithm for function in worker.functions.values() if isinstance(function, AlgorithmFunction)
        ]
        self._process = uuid4().hex  # the same for all incarnations: a drain is of the process
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.store = Store(worker.pool, keys)
        twin = blocking_twin(worker.pool.connection_pool, max(0.3, settings.lease_seconds / 10))
        self.hearing = Hearing(self._pass_on, lambda: self.exchange.ready_for_words)
        self.runner = Runner(
            worker._modules,
            self.hearing,
            max_result_bytes=settings.max_result_bytes,
            max_processes=settings.max_processes,
        )
        self.scales = Scales(self.hearing.processes, settings.lease_seconds * RENEW_AT)
        self.lease = Lease(
            LeaseStore(twin, keys),
            settings.lease_seconds,
            settings.keep_results,
            worker,
            self.runner.extend,
            self.scales.read,
        )
        self.watchdog = Watchdog(worker._roster.ref_of, worker.emit)
        self.webhooks = Webhooks(
            self.store.outbox, Seal(settings.webhook_secret), settings.webhooks_allowed, worker.emit
        )
        watched = (keys.queue, ABORT, keys.cap, keys.limits, keys.drained, keys.receivers)
        self.wake = Wake(worker.pool, watched, self._changed, self._wake_refused)
        self.bodies = Bodies(self.runner, self.lease)
        self.exchange = self._new_exchange()
        self.spans = NO_SPANS

    @classmethod
    async def open(cls, worker: Worker) -> Self:
        """Publish what the worker serves, begin its lease, listen.

        Raises: redis.RedisError or SlotwiseError while Redis is away; then nothing is left open.
        """
        station = cls(worker)
        try:
            await station._open()
        except BaseException:
            await station.runner.stop()
            await station.store.claims.hang_up()
            station.lease.close()
            raise
        return station

    async def _open(self) -> None:
        try:
            await self._worker.preloading.once()
        except SlotwiseError as error:
            exit_with(error)
        if any(algorithm.executor == "process" for algorithm in self._algorithms):
            no_groups = await self._start_runner()
            if no_groups:
                self._worker.emit(Event("tree_unbounded", text=no_groups))
        await self._introduce(self.exchange.incarnation)
        self.spans = await apart(spans.opened, "slotwise-worker")
        self.wake.start()
        self.webhooks.start(self.spans)
        self.watchdog.start()
        self.scales.start()
        unbounded = [algorithm.name for algorithm in self._algorithms if algorithm.memory_mb is not None]
        if unbounded and not kernel.LINUX:
            self._worker.emit(Event("memory_unbounded", job_id="", text=", ".join(unbounded)))

    async def _start_runner(self) -> str:
        """Why jobs have no control groups. Raises: SystemExit, which has said why."""
        starts = 0
        while True:
            starts += 1
            try:
                return (await self.runner.start()).no_groups
            except Unloadable:
                raise SystemExit(2) from None
            except ZygoteDied as error:  # as the kernel kills for want of memory
                if starts == STARTS:
                    sys.stderr.write(f"slotwise: {error}, {STARTS} times\n")
                    raise SystemExit(2) from None

    async def begin(self) -> None:
        """A new incarnation, after the lease of the last one was given up on. Raises: redis.RedisError."""
        later = self._new_exchange()
        await self._introduce(later.incarnation, restore=True)  # only with a lease of its own may it be used
        later.adopt(self.exchange)
        self.exchange = later

    def _new_exchange(self) -> Exchange:
        cancels: Cancels = "any" if self._worker.allow_abort_jobs else "requested"
        timeout_seconds = max(1.0, self._worker.settings.lease_seconds / 4)
        return Exchange(
            self.store.claims,
            uuid4().hex,
            self.name,
            cancels,
            timeout_seconds,
            keep_bytes=self._worker.settings.max_log_bytes,
        )

    def _pass_on(self, words: Sequence[Words]) -> None:
        self.exchange.say(words)
        self._worker.something_to_tell()

    async def _introduce(self, incarnation: str, *, restore: bool = False) -> None:
        """Say what is served, which cap was asked for, and who is here: the server may know nothing of it."""
        by, settings = f"worker {self.name}", self._worker.settings
        async with asyncio.timeout(SILENCE_SECONDS):  # on a link that may have gone silent
            await self.store.publish([algorithm.describe() for algorithm in self._algorithms], by=by)
            if settings.told("max_concurrent_jobs"):
                await self.store.configure(settings.max_concurrent_jobs, by=by, restore=restore)
        row = {
            "name": self.name,
            "host": socket.gethostname(),
            "process": self._process,
            "version": version("slotwise"),
            "slots": self._worker._own_slots or "",
            **machine().row(),
            "configured": settings.max_concurrent_jobs if settings.told("max_concurrent_jobs") else "",
        }
        await apart(self.lease.enlist, incarnation, row, tuple(self._worker.functions))

    def _changed(self, key: str) -> None:
        if key in (self.store.keys.receivers, ""):
            self.webhooks.wake()
        if key != self.store.keys.receivers:
            self._worker.on_change(key)

    def _wake_refused(self, error: ResponseError) -> None:
        self._worker.emit(Event("wake_refused", text=text_of(error)))

    async def close(self, *, leave: bool) -> None:
        """End the jobs' processes first: only then may the slots that they hold be given away.

        With `leave` False a body still lives: the lease lapses, and with this process the body ends.
        """
        self.watchdog.stop()
        await apart(self.scales.stop)
        await self.wake.stop()
        await self.runner.stop()
        await self.webhooks.stop()
        self.hearing.close()
        await self.store.claims.hang_up()
        with suppress(RedisError, OSError):
            await apart(self.lease.leave if leave else self.lease.lapse)
        self.lease.close()
        await apart(self.spans.close)
