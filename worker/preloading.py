"""Runs the start-up hooks of algorithms' modules, each once in a process.

In the zygote for algorithms that run in processes of their own, in the worker for the others. What a hook raises
becomes one line that names it.
"""

from __future__ import annotations

import inspect
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from slotwise.errors import SlotwiseError, text_of
from slotwise.preload import Hook, name_of
from worker import registry


def in_zygote(modules: Sequence[str]) -> None:
    """Run what jobs' processes are to begin with. Raises: SlotwiseError `invalid-algorithms`."""
    for hook in _hooks(modules, "process"):
        if not inspect.iscoroutinefunction(hook):
            with _Named(hook):
                hook()
    left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if left:
        sys.stderr.write(
            f"slotwise: the modules or start-up hooks left threads running ({', '.join(left)}): no job's process "
            "has them, and one that is forked while they hold a lock may wait for it for ever\n"
        )


class Preloading:
    """The worker's own part."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = modules
        self._done = False

    async def once(self) -> None:
        """Run what the worker's own bodies need, if that has not been done. Raises: SlotwiseError."""
        if self._done:
            return
        for hook in _hooks(self._modules, "worker"):
            with _Named(hook):
                result = hook()
                if inspect.isawaitable(result):
                    await result
        self._done = True


class _Named:
    """What is raised within is the failure of `hook`."""

    def __init__(self, hook: Hook) -> None:
        self._hook = hook

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception | SystemExit):
            at = traceback.extract_tb(error.__traceback__)[-1]
            said = " ".join(text_of(error).split())
            raise SlotwiseError(
                "invalid-algorithms",
                f"start-up hook {name_of(self._hook)!r} failed: {type(error).__name__}: {said} "
                f"({at.filename}:{at.lineno})",
            ) from error


def _hooks(modules: Sequence[str], where: registry.Where) -> Iterator[Hook]:
    return iter(dict.fromkeys(hook for home in registry.homes(modules) for hook in home.hooks_for(where)))
