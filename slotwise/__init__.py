"""Slotwise: a job service whose concurrency cap is real.

This package is the contract that the front end (`service`) and the workers (`worker`) share, and the one
name that users import. It imports neither of them. The names of the SDK are loaded when they are first asked
for: a job's process imports this package too, and has no need of an HTTP library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from slotwise.algorithm import Algorithm, algorithm
from slotwise.context import Context, log, progress
from slotwise.errors import Cancelled, JobError, SlotwiseError
from slotwise.preload import preload

if TYPE_CHECKING:
    from slotwise.client import ApiError, AsyncClient, Client

__all__ = [
    "Algorithm",
    "ApiError",
    "AsyncClient",
    "Cancelled",
    "Client",
    "Context",
    "JobError",
    "SlotwiseError",
    "algorithm",
    "log",
    "preload",
    "progress",
]

if not TYPE_CHECKING:  # a checker that saw it would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name in ("ApiError", "AsyncClient", "Client"):
            return getattr(importlib.import_module("slotwise.client"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
