"""The attempts that a worker holds, from grant to the store's word on their finish."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from slotwise.attempt import Grant
from worker.execution import Execution
from worker.hearing import Hearing

if TYPE_CHECKING:
    from worker.loop import Worker


class Roster:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._executions: dict[str, Execution] = {}  # by token
        self._busy: dict[str, Execution] = {}  # those whose bodies may be alive
        self._errors: list[BaseException] = []

    def start(self, grant: Grant, incarnation: str, hearing: Hearing) -> None:
        """Run what was granted, as a task that arq's own code finds under the job's id."""
        worker = self._worker
        execution = Execution(worker, hearing, grant, incarnation)
        self._executions[grant.token] = self._busy[grant.token] = execution
        task = worker.loop.create_task(execution.run())
        if not task.done():  # an eager one may be, and has then told of its end
            execution.task = worker.tasks[grant.id] = task
        task.add_done_callback(lambda ended: self._task_ended(execution, ended))

    def body_ended(self, execution: Execution) -> None:
        """Its slot is free as soon as the store knows."""
        self._busy.pop(execution.grant.token, None)

    def answered(self, execution: Execution, word: str) -> None:
        """The store has been told of its end."""
        self._executions.pop(execution.grant.token, None)
        execution.answered(word)

    def _task_ended(self, execution: Execution, task: asyncio.Task[None]) -> None:
        tasks = self._worker.tasks
        if tasks.get(execution.grant.id) is task:
            del tasks[execution.grant.id]
        if self._busy.pop(execution.grant.token, None):  # cancelled before it began: nobody will tell the store
            del self._executions[execution.grant.token]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.append(error)

    def raise_error(self) -> None:
        """Raise what went wrong in a task outside of its body: a fault of the worker, not of a job."""
        if self._errors:
            raise self._errors.pop()

    def tokens(self) -> tuple[str, ...]:
        """Of every attempt that the store has not been told the end of; safe to call from a thread."""
        return tuple(self._executions)

    def busy(self) -> int:
        """How many bodies may be alive."""
        return len(self._busy)

    def has_strangers(self, incarnation: str) -> bool:
        """Whether bodies of an earlier incarnation may be alive: no slot of the fleet is counted for them."""
        return any(one.incarnation != incarnation for one in self._busy.values())

    def ref_of(self, task: asyncio.Task[Any] | None) -> str:
        """The job that runs in this task, '' for none; safe to call from a thread."""
        for execution in list(self._executions.values()):
            if task is not None and getattr(execution, "task", None) is task:
                return execution.ref
        return ""

    def cancel(self, ids: Collection[str]) -> None:
        """Somebody cancelled these jobs."""
        if ids:
            for execution in list(self._executions.values()):
                if execution.grant.id in ids:
                    execution.cancel()

    def hand_back(self, tokens: Collection[str] | None = None) -> None:
        """End these bodies (None: all of them), whose jobs will run again."""
        for token, execution in list(self._busy.items()):
            if tokens is None or token in tokens:
                execution.hand_back()
