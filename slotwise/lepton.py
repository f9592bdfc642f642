"""For those who come from LeptonAI's Worker: a class with an `on_task` method as an algorithm.

    from slotwise.lepton import Worker, as_algorithm

    class Summariser(Worker):
        def init(self): self.model = load()
        def on_task(self, task_id, text: str, words: int = 50): ...

    Summarise = as_algorithm(Summariser, name="Summarise")

`init` runs once, as a start-up hook; `on_task` runs once a job, with the job's id as its `task_id`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, get_type_hints

from slotwise.algorithm import Algorithm
from slotwise.context import Context
from slotwise.signature import unusable

TASK_ID: Final = "task_id"
CONTEXT: Final = "slotwise_context"  # a parameter that no task has


class Worker:
    """In the place of `leptonai.photon.Worker`: no queue, no store, no loop of its own."""

    def init(self) -> None:
        """Load what all tasks share."""

    def on_task(self, task_id: str, **payload: Any) -> Any:
        """What one task does."""
        raise NotImplementedError


def as_algorithm(worker: type[Any], *, name: str | None = None, **options: Any) -> Algorithm[..., Any]:
    """The algorithm that is one task of `worker`, called as the class where no name is given.

    The parameters are those of `on_task`, less `task_id`; any value fits one without an annotation, and
    `**payload` takes all others. `worker_max_concurrency`, where the class has it, is the algorithm's
    `max_concurrent`, over the whole fleet; with `save_result = False` the result is null. `options` are those of
    `@algorithm`, and go first.

    Raises: SlotwiseError `invalid-algorithms` for a class whose `on_task` cannot be called so.
    """
    name = name or worker.__name__
    on_task = getattr(worker, "on_task", None)
    if not inspect.isfunction(on_task):
        raise unusable(name, f"{worker.__name__} has no method on_task(self, task_id, ...)")
    most = getattr(worker, "worker_max_concurrency", None)
    options = {"max_concurrent": most} | options
    desk = _Desk(worker)
    body = _body(desk, inspect.iscoroutinefunction(on_task), keeps=getattr(worker, "save_result", True))
    _sign(body, name, on_task)
    body.__doc__ = on_task.__doc__ or worker.__doc__
    return Algorithm(body, name, preload=desk.open, **options)


class _Desk:
    """The one object of the class that a process has."""

    def __init__(self, worker: type[Any]) -> None:
        self._worker = worker
        self._object: Any = None

    def open(self) -> Any:
        """Make it, and let it load what it needs, if that has not been done."""
        if self._object is None:
            made = self._worker()
            init = getattr(made, "init", None)
            if init is not None:
                init()
            self._object = made
        return self._object


def _body(desk: _Desk, is_async: bool, *, keeps: bool) -> Callable[..., Any]:
    async def on_task_async(slotwise_context: Context, **payload: Any) -> Any:
        result = await desk.open().on_task(task_id=slotwise_context.job_id, **payload)
        return result if keeps else None

    def on_task(slotwise_context: Context, **payload: Any) -> Any:
        result = desk.open().on_task(task_id=slotwise_context.job_id, **payload)
        return result if keeps else None

    return on_task_async if is_async else on_task


def _sign(body: Callable[..., Any], name: str, on_task: Callable[..., Any]) -> None:
    """Give `body` the parameters of `on_task`, each by name, and the context in place of `task_id`."""
    _, *given = inspect.signature(on_task).parameters.values()
    named = {one.name for one in given}
    if TASK_ID not in named and not any(one.kind == one.VAR_KEYWORD for one in given):
        raise unusable(name, "its on_task takes no task_id")
    hints = get_type_hints(on_task, include_extras=True)
    kept = [one for one in given if one.name != TASK_ID]
    types = {one.name: hints.get(one.name, Any) for one in kept} | {CONTEXT: Context}
    parameters = [
        one.replace(
            annotation=types[one.name],
            kind=one.KEYWORD_ONLY if one.kind == one.POSITIONAL_OR_KEYWORD else one.kind,
        )
        for one in kept
    ]
    context = inspect.Parameter(CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=Context)
    parameters.insert(sum(one.kind != one.VAR_KEYWORD for one in parameters), context)
    body.__annotations__ = types | {"return": hints.get("return", Any)}
    body.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
