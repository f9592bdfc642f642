"""Algorithms that any client may be let loose on."""

from __future__ import annotations

from typing import Any

from slotwise import algorithm


@algorithm(example={"a": 1, "b": 2})
async def Add(a: int, b: int) -> int:
    """The sum."""
    return a + b


@algorithm(example={"value": [None, "\0", {}]})
async def Echo(value: Any) -> Any:
    """The value."""
    return value


@algorithm
async def Raises() -> None:
    """Fail."""
    raise ValueError("no")
