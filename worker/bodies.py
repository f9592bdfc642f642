"""Runs bodies: in a process of its own, or in this one, on its loop or in a thread, under the lease's timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from slotwise.algorithm import Algorithm
from slotwise.context import Context
from slotwise.failure import named
from worker import eavesdrop, thread
from worker.lease import Lease
from worker.runner import Runner
from worker.stop import Stop
from worker.tally import Tally


class Bodies:
    def __init__(self, runner: Runner, lease: Lease) -> None:
        self._runner = runner
        self._lease = lease

    async def run(
        self,
        algorithm: Algorithm[Any, Any],
        args: Sequence[Any],
        params: Mapping[str, Any],
        job: Mapping[str, Any],
        tally: Tally,
        context: Callable[[], Context],
        stop: Stop,
    ) -> Any:
        """The result of one call; `job` is {job_id, attempt, seconds} and limits. Raises: what the body raised.

        Cancelled, it returns when nothing of the body is left: after the grace that `stop` gives a process then,
        when a coroutine or a thread ends. `stop` hears when the body's time begins: not while modules load.
        """
        if algorithm.executor == "process":
            call = {"algorithm": algorithm.name, "args": args, "params": params, **job}
            return await self._runner.run(call, tally, context().voice, stop.grace, stop.time_begins)
        eavesdrop.listen()  # for a worker that runs none of these, as a stock one, the log is left alone
        if algorithm.executor == "thread":
            call_in_thread = tally.timed(partial(algorithm.call, args, params, context))
            return await self.run_coroutine(thread.run(call_in_thread), stop)
        return await self.run_coroutine(algorithm.call(args, params, context), stop)

    async def run_coroutine(self, coroutine: Coroutine[Any, Any, Any], stop: Stop) -> Any:
        """Run it in this process: past the lease's deadline the kernel ends the process, should all else fail."""
        stop.time_begins()
        self._lease.loop_body_started()
        try:
            return await coroutine
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as error:  # asyncio would let it end the worker
            raise named(error) from error
        finally:
            self._lease.loop_body_ended()
