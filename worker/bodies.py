"""Runs bodies: a plain function in a process of its own, a coroutine on this loop under the lease's timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from slotwise.algorithm import Algorithm
from slotwise.context import Context
from slotwise.errors import described, exited
from worker import eavesdrop
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
    ) -> Any:
        """The result of one call; `job` is {job_id, attempt, seconds} and limits. Raises: what the body raised."""
        if algorithm.executor == "process":
            call = {"algorithm": algorithm.name, "args": args, "params": params, **job}
            return await self._runner.run(call, tally, context().voice)
        return await self.run_coroutine(algorithm.call(args, params, context))

    async def run_coroutine(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it in this process: past the lease's deadline the kernel ends the process, should all else fail."""
        if not self._listening:
            self._listening = True
            eavesdrop.listen()
        self._lease.loop_body_started()
        try:
            return await coroutine
        except SystemExit as end:
            raise exited(end) from end
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as error:  # asyncio would let it end the worker
            raise described(error) from error
        finally:
            self._lease.loop_body_ended()
