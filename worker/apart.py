"""Blocking calls of the worker's own, in threads that nobody else may fill: bodies share asyncio's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_threads: Final = ThreadPoolExecutor(max_workers=8, thread_name_prefix="slotwise")


async def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As asyncio.to_thread. The call must end by itself, and soon."""
    return await asyncio.get_running_loop().run_in_executor(_threads, lambda: function(*args, **kwargs))
