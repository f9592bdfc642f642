"""Slotwise: a job service whose concurrency cap is real.

This package is the contract that the front end (`service`) and the workers (`worker`) share, and the one
name that users import. It imports neither of them.
"""

from slotwise.algorithm import Algorithm, algorithm
from slotwise.context import Context, log, progress
from slotwise.errors import Cancelled, JobError, SlotwiseError
from slotwise.preload import preload

__all__ = [
    "Algorithm",
    "Cancelled",
    "Context",
    "JobError",
    "SlotwiseError",
    "algorithm",
    "log",
    "preload",
    "progress",
]
