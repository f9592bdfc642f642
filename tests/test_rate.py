"""Rates and caps that an algorithm declares: how they are written, and what cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from slotwise import SlotwiseError, algorithm
from slotwise.rate import Rate


def plain() -> None: ...


async def coroutine() -> None: ...


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1/second", Rate(1, 1_000)),
        ("100/minute", Rate(100, 60_000)),
        ("7/hour", Rate(7, 3_600_000)),
        ("1000000/day", Rate(1_000_000, 86_400_000)),
    ],
)
def test_a_rate_is_read_and_told(text: str, rate: Rate) -> None:
    assert Rate.of(text) == rate
    assert str(rate) == text
    assert Rate.stored(rate.as_stored()) == rate


@pytest.mark.parametrize(
    "text",
    [
        *("", "100", "/minute", "0/minute", "-1/minute", "1.5/minute", "1e3/minute", "01/minute", "1000001/day"),
        *(
            "1/minutes",
            "1/Minute",
            "1/m",
            "1/15s",
            "1 / minute",
            "1/minute ",
            "1/minute\n",
            "\u0661/minute",
            "9" * 5000,
        ),
        *("9" * 5000 + "/day", 5, True, ("1", "minute")),
    ],
)
def test_a_rate_that_cannot_be_is_one_clear_line(text: Any) -> None:
    with pytest.raises(SlotwiseError) as raised:
        algorithm(rate=text)(plain)
    assert raised.value.code == "invalid-algorithms"
    assert "'plain' cannot be used: rate=" in raised.value.message
    assert raised.value.message.endswith("as '100/minute'")
    assert "\n" not in raised.value.message


@pytest.mark.parametrize("cap", [0, -1, 1.0, "1", True, 100_001])
def test_a_cap_that_cannot_be_is_one_clear_line(cap: Any) -> None:
    with pytest.raises(SlotwiseError) as raised:
        algorithm(max_concurrent=cap)(plain)
    assert f"max_concurrent={cap!r} must be a whole number from 1 to 100000" in raised.value.message


def test_both_are_told_in_the_catalogue() -> None:
    entry = algorithm(max_concurrent=2, rate="5/second")(coroutine).describe()
    assert (entry["max_concurrent"], entry["rate"]) == (2, "5/second")
    entry = algorithm(plain).describe()
    assert (entry["max_concurrent"], entry["rate"]) == (None, None)
