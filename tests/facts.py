"""Waiting for facts, with a bound: the only places where a test may sleep."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
Tell = Callable[[str], None]  # the fixture `tell`: a line at the end of the whole run

POLL_SECONDS = 0.02


def wait_until(predicate: Callable[[], T], *, within: float = 30.0, what: str = "") -> T:
    """The first true value of `predicate()`; AssertionError after `within` seconds, saying `what` did not come."""
    deadline = time.monotonic() + within
    while not (value := predicate()):
        assert time.monotonic() < deadline, _missed(predicate, within, what, value)
        time.sleep(POLL_SECONDS)
    return value


async def wait_for(predicate: Callable[[], T | Awaitable[T]], *, within: float = 30.0, what: str = "") -> T:
    """`wait_until` on the event loop; `predicate` may be a coroutine function."""
    deadline = time.monotonic() + within
    while not (value := await _value(predicate)):
        assert time.monotonic() < deadline, _missed(predicate, within, what, value)
        await asyncio.sleep(POLL_SECONDS)
    return value


async def _value(predicate: Callable[[], T | Awaitable[T]]) -> T:
    value = predicate()
    return await value if inspect.isawaitable(value) else value


def _missed(predicate: Callable[[], object], within: float, what: str, last: object) -> str:
    return f"not within {within:g} s: {what or predicate!r} (last seen: {last!r})"


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie that nobody has reaped yet does not."""
    said = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return said.stdout.strip()[:1] not in ("", "Z")
