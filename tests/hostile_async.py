"""Coroutines that do what no coroutine should: the beasts of the zoo that share the worker's own process."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from slotwise import algorithm
from tests.hostile import AGES, RESULTS, Mute
from tests.witness import attend


@algorithm
async def RaisesAsync() -> None:
    raise ValueError("from a coroutine")


@algorithm
async def RaisesKeyboardInterruptAsync() -> None:
    raise KeyboardInterrupt


@algorithm
async def RaisesMuteAsync() -> None:
    raise Mute


@algorithm
async def RaisesTimeoutAsync() -> None:
    async with asyncio.timeout(0.01):
        await asyncio.sleep(AGES)


@algorithm
async def RaisesGroupAsync() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_raise(ValueError("in a group")))


@algorithm
async def ExitsInATask() -> None:
    await asyncio.create_task(_raise(SystemExit(6)))


async def _raise(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


@algorithm
async def StopsTheLoop() -> str:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    return "went on"


@algorithm
async def BlocksTheLoop(seconds: float) -> str:
    time.sleep(seconds)  # noqa: ASYNC251
    return "done"


@algorithm
async def CancelsItself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(AGES)


@algorithm
async def SwallowsItsCancel() -> str:
    try:
        await asyncio.sleep(AGES)
    except asyncio.CancelledError:
        return "done anyway"
    return "slept"


@algorithm
async def ReturnsAsync(what: str) -> Any:
    return RESULTS[what]()


@algorithm
async def SetsItsRecursionLimit() -> int:
    limit = sys.getrecursionlimit()
    try:
        return _recurse()
    finally:
        sys.setrecursionlimit(limit)


def _recurse() -> int:
    return _recurse() + 1


@algorithm
async def CanaryAsync(until: str) -> dict[str, Any]:
    keep = attend("canary")
    while not Path(until).exists():  # noqa: ASYNC110, ASYNC240  (a file, as for the other canaries)
        await asyncio.sleep(0.05)
    keep.close()
    return {"alive": True}
