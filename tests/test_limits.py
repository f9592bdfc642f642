"""Limits: what an algorithm may declare, and the tighter of two."""

from __future__ import annotations

from typing import Any

import pytest

from slotwise import SlotwiseError, algorithm
from slotwise.limits import Limits


def plain() -> None: ...


async def coroutine() -> None: ...


@pytest.mark.parametrize(
    ("one", "other", "tighter"),
    [
        (Limits(), Limits(), Limits()),
        (Limits(64), Limits(cpu_seconds=2), Limits(64, 2)),
        (Limits(64, 2), Limits(32, 3), Limits(32, 2)),
        (Limits(32, 3), Limits(64, 2), Limits(32, 2)),
    ],
)
def test_the_tighter_of_two(one: Limits, other: Limits, tighter: Limits) -> None:
    assert one.tightened_by(other) == tighter


@pytest.mark.parametrize(
    "limits",
    [
        *({"memory_mb": value} for value in (0, 15, -1, True, 64.0, "64", 1 << 31)),
        *({"open_files": value} for value in (0, 15, True, 64.0, (1 << 20) + 1)),
        *({"file_mb": value} for value in (0, -1, True, 1.5)),
        *({"cpu_seconds": value} for value in (0, -1, True, "1", float("nan"), float("inf"))),
    ],
)
def test_a_limit_that_cannot_be_is_an_error_where_it_is_declared(limits: dict[str, Any]) -> None:
    with pytest.raises(SlotwiseError) as raised:
        algorithm(**limits)(plain)
    assert raised.value.code == "invalid-algorithms"
    [(name, value)] = limits.items()
    assert f"'plain' cannot be used: {name}={value!r} must be a" in raised.value.message


@pytest.mark.parametrize("limits", [{"memory_mb": 64}, {"cpu_seconds": 1}, {"memory_mb": 64, "cpu_seconds": 1}])
def test_an_async_function_cannot_have_one(limits: dict[str, Any]) -> None:
    with pytest.raises(SlotwiseError) as raised:
        algorithm(**limits)(coroutine)
    assert f"{' and '.join(limits)} can limit a process of its own only" in raised.value.message
    algorithm(**limits)(plain)


def test_limits_are_told_in_the_catalogue() -> None:
    entry = algorithm(memory_mb=64, cpu_seconds=0.5)(plain).describe()
    assert (entry["memory_mb"], entry["cpu_seconds"]) == (64, 0.5)
    entry = algorithm(coroutine).describe()
    assert (entry["memory_mb"], entry["cpu_seconds"]) == (None, None)
