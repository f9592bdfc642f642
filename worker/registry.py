"""Finds the algorithms: those that ship, those of installed packages, those of ALGORITHMS' modules."""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, Literal

from slotwise.algorithm import Algorithm
from slotwise.errors import SlotwiseError
from slotwise.preload import Hook, hooks_in, name_of

GROUP: Final = "slotwise.algorithms"

Where = Literal["process", "worker"]  # bodies run: in processes of their own, or in the worker's


@dataclass(frozen=True)
class Home:
    """A module with its algorithms and start-up hooks."""

    module: str
    algorithms: list[Algorithm[Any, Any]]
    hooks: list[Hook]

    def hooks_for(self, where: Where) -> list[Hook]:
        """Those that must have run before a body of the module begins there."""
        here = [one for one in self.algorithms if (one.executor == "process") == (where == "process")]
        own = [one.preload for one in here if one.preload is not None]
        return [*self.hooks, *own] if here else []

    def check(self) -> None:
        """Raises: SlotwiseError `invalid-algorithms` for a hook that would run nowhere."""
        idle = [name_of(hook) for hook in self.hooks if inspect.iscoroutinefunction(hook)]
        if idle and not self.hooks_for("worker"):
            raise SlotwiseError(
                "invalid-algorithms",
                f"start-up hook {idle[0]!r} of {self.module} is async, and runs in the worker's own process only, "
                "where no algorithm of its module runs: make it a plain `def`",
            )


def load(modules: Sequence[str]) -> dict[str, Algorithm[Any, Any]]:
    """Every algorithm by its name, each checked to be usable. Raises: SlotwiseError `invalid-algorithms`."""
    found: dict[str, Algorithm[Any, Any]] = {}
    origin: dict[str, str] = {}
    for home in homes(modules):
        home.check()
        module = home.module
        for candidate in home.algorithms:
            known = found.setdefault(candidate.name, candidate)
            if known is not candidate:
                raise SlotwiseError(
                    "invalid-algorithms",
                    f"two algorithms are called {candidate.name!r}: one in {origin[candidate.name]}, one in "
                    f"{module}. Give one of them another name.",
                )
            origin.setdefault(candidate.name, module)
            candidate.describe()
    return found


def homes(modules: Sequence[str]) -> list[Home]:
    """Every module with algorithms, imported. Raises: SlotwiseError `invalid-algorithms`."""
    return [_home(module) for module in _modules(modules)]


def _modules(named: Sequence[str]) -> Iterable[str]:
    shipped = sorted({entry.value for entry in entry_points(group=GROUP)})
    return dict.fromkeys([*shipped, *named])


def _home(module: str) -> Home:
    try:
        loaded = importlib.import_module(module)
    except SlotwiseError:
        raise  # an algorithm that cannot be: the message names it
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            raise SlotwiseError(
                "invalid-algorithms",
                f"ALGORITHMS names {module!r}, and there is no such module on PYTHONPATH or in {Path.cwd()}",
            ) from None
        at = traceback.extract_tb(error.__traceback__)[-1]
        raise SlotwiseError(
            "invalid-algorithms",
            f"the algorithms of {module!r} cannot be imported: {type(error).__name__}: {error} "
            f"({at.filename}:{at.lineno})",
        ) from error
    found: list[Algorithm[Any, Any]] = [value for value in vars(loaded).values() if isinstance(value, Algorithm)]
    if not found:
        raise SlotwiseError("invalid-algorithms", f"module {module!r} has no function decorated with @algorithm")
    return Home(module, found, hooks_in(vars(loaded)))
