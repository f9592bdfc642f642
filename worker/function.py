"""An algorithm as one of arq's functions, so that one table of the worker holds both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import arq.worker
from arq.cron import CronJob
from arq.worker import Function

from slotwise.algorithm import Algorithm

MOST_SECONDS: Final = 1e10


@dataclass
class AlgorithmFunction(Function):
    """What arq's worker knows of a function, and the algorithm behind it."""

    algorithm: Algorithm[Any, Any]


def as_function(candidate: Any) -> Any:
    """An algorithm as arq's Function; anything else as it is."""
    if not isinstance(candidate, Algorithm):
        return candidate
    return AlgorithmFunction(
        name=candidate.name,
        coroutine=_not_called_by_arq,
        timeout_s=candidate.timeout,
        keep_result_s=None,
        keep_result_forever=None,
        max_tries=None,
        algorithm=candidate,
    )


def attempts_of(function: Function | CronJob, asked: int | None, default: int) -> int:
    """How many attempts failures may take; a plain arq function's exception is final, as in arq."""
    if not isinstance(function, AlgorithmFunction):
        return 1
    return asked or function.algorithm.max_attempts or default


def keep_ms(worker: arq.worker.Worker, function: Function | CronJob | None, asked: float | None) -> int | None:
    """How long to keep a result, as the job (seconds), its function or the worker says; None for ever."""
    if asked is not None:
        return _bounded(asked)
    forever = getattr(function, "keep_result_forever", None)
    if worker.keep_result_forever if forever is None else forever:
        return None
    seconds = getattr(function, "keep_result_s", None)
    return _bounded(worker.keep_result_s if seconds is None else seconds)


def _bounded(seconds: float) -> int:
    """In ms, as Redis takes it: not below 0, and a few centuries at most."""
    return int(max(0.0, min(seconds, MOST_SECONDS)) * 1000)


async def _not_called_by_arq(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> Any:
    raise AssertionError("an algorithm is run by worker.bodies")
