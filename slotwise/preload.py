"""Start-up hooks: functions of an algorithm's module that run once before any job, to load what all jobs share.

Which of them run where is the worker's affair (`worker.registry`). Keeps no list: a hook carries a mark, and is
found in its module as an algorithm is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from slotwise.errors import SlotwiseError

Hook = Callable[[], Any]
F = TypeVar("F", bound=Hook)

_MARK: Final = "__slotwise_preload__"


def preload(function: F) -> F:
    """Run this function of an algorithm's module once, before any job of the module begins.

    For algorithms that run in processes of their own, it runs in the process from which these are forked: what it
    puts into the module's globals is there in each of them, and takes memory once. Should that process die, the
    next one runs it again. For algorithms that run in the worker's own process it runs there; one that is
    `async def` runs nowhere else. It takes no arguments. What it raises stops the worker's start, exit status 2.

    Raises: SlotwiseError `invalid-algorithms` for a function that cannot be called without arguments.
    """
    for name, one in inspect.signature(function).parameters.items():
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            raise SlotwiseError(
                "invalid-algorithms",
                f"start-up hook {name_of(function)!r} cannot be used: nobody gives it its parameter {name!r}",
            )
    setattr(function, _MARK, True)
    return function


def hooks_in(namespace: Mapping[str, Any]) -> list[Hook]:
    """The hooks of a module, in the order in which they stand there."""
    return [one for one in namespace.values() if inspect.isfunction(one) and getattr(one, _MARK, False)]


def name_of(hook: Hook) -> str:
    """What errors call it."""
    return str(getattr(hook, "__qualname__", hook))
