"""A job that keeps one CPU busy, to see that the cap counts real processes."""

from __future__ import annotations

import os
import time
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic refuses typing's own before Python 3.12

from slotwise import algorithm


class BurnResult(TypedDict):
    """`burned_seconds` is measured wall time; `pid` is the process that ran the job."""

    burned_seconds: float
    pid: int


@algorithm(name="Burn", example={"seconds": 1.0})
def burn(seconds: Annotated[float, Field(ge=0, le=86400)]) -> BurnResult:
    """Keep a CPU busy for a number of seconds of wall time: for trying a cap of real processes.

    The `pid` in the result differs from job to job: each has a process of its own.
    """
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        sum(range(1_000))
    return {"burned_seconds": time.monotonic() - started, "pid": os.getpid()}
