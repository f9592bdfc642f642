"""Keeps the worker's event loop running although a job does to it what would end it.

asyncio lets a SystemExit or KeyboardInterrupt of any task through to whoever runs the loop, and `stop()` may be
called by anybody. Neither is meant for the worker when a coroutine of a job does it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from worker.events import Event

if TYPE_CHECKING:
    from worker.loop import Worker


def run(worker: Worker, *, interruptible: bool) -> None:
    """Run the worker to its end, and close it. Raises: what its `main` or `close` raised.

    `interruptible`: a KeyboardInterrupt is a Ctrl-C, as nothing else looks after SIGINT.
    """
    worker.main_task = worker.loop.create_task(worker.main())
    try:
        with suppress(asyncio.CancelledError):
            _see_through(worker, worker.main_task, interruptible)
    finally:
        _see_through(worker, worker.loop.create_task(worker.close()), interruptible)


def _see_through(worker: Worker, task: asyncio.Task[Any], interruptible: bool) -> None:
    while True:
        try:
            worker.loop.run_until_complete(task)
        except (SystemExit, KeyboardInterrupt, RuntimeError) as error:
            if task.done() or (interruptible and isinstance(error, KeyboardInterrupt)):
                raise
            worker.emit(Event("disturbed", failure=error))
        else:
            return
