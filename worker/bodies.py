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
from worker.grace import Grace
from worker.lease import Lease
from worker.runner import Runner
from worker.tally import Tally


class Bodies:
    def __init__(self, runner: Runner, lease: Lease) -> None:
        self._runner = runner
        self._lease = lease
        self._listening = False

    async def run(
        self,
        algorithm: Algorithm[Any, Any],
        args: Sequence[Any],
        params: Mapping[str, Any],
        job: Mapping[str, Any],
        tally: Tally,
        context: Callable[[], Context],
        grace: Callable[[], Grace],
    ) -> Any:
        """The result of one call; `job` is {job_id, attempt, seconds} and limits. Raises: what the body raised.

        Cancelled, it returns when nothing of the body is left: after the `grace` that a process has then, when a
        coroutine or a thread ends.
        """
        if algorithm.executor == "process":
            call = {"algorithm": algorithm.name, "args": args, "params": params, **job}
            return await self._runner.run(call, tally, context().voice, grace)
        if algorithm.executor == "thread":
            return await self.run_coroutine(thread.run(partial(algorithm.call, args, params, context)))
        return await self.run_coroutine(algorithm.call(args, params, context))

    async def run_coroutine(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it in this process: past the lease's deadline the kernel ends the process, should all else fail."""
        if not self._listening:
            self._listening = True
            eavesdrop.listen()
        self._lease.loop_body_started()
        try:
            return await coroutine
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as error:  # asyncio would let it end the worker
            raise named(error) from error
        finally:
            self._lease.loop_body_ended()
