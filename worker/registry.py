"""Finds the algorithms: those that ship, those of installed packages, those of ALGORITHMS' modules."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from slotwise.algorithm import Algorithm
from slotwise.errors import SlotwiseError

GROUP: Final = "slotwise.algorithms"


def load(modules: Sequence[str]) -> dict[str, Algorithm[Any, Any]]:
    """Every algorithm by its name, each checked to be usable. Raises: SlotwiseError `invalid-algorithms`."""
    found: dict[str, Algorithm[Any, Any]] = {}
    origin: dict[str, str] = {}
    for module in _modules(modules):
        for candidate in _algorithms(module):
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


def _modules(named: Sequence[str]) -> Iterable[str]:
    shipped = sorted({entry.value for entry in entry_points(group=GROUP)})
    return dict.fromkeys([*shipped, *named])


def _algorithms(module: str) -> list[Algorithm[Any, Any]]:
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
    found = [value for value in vars(loaded).values() if isinstance(value, Algorithm)]
    if not found:
        raise SlotwiseError("invalid-algorithms", f"module {module!r} has no function decorated with @algorithm")
    return found
