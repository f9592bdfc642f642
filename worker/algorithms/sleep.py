"""A job that only waits. It uses no CPU and, being async, no process of its own."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic refuses typing's own before Python 3.12

from slotwise import algorithm


class SleepResult(TypedDict):
    """`slept_seconds` is measured, so it is a little more than was asked for."""

    slept_seconds: float


@algorithm(name="Sleep", example={"seconds": 1.0})
async def sleep(seconds: Annotated[float, Field(ge=0, le=86400)]) -> SleepResult:
    """Hold a slot for a number of seconds without using any CPU: for trying out the cap."""
    started = time.monotonic()
    await asyncio.sleep(seconds)
    return {"slept_seconds": time.monotonic() - started}
