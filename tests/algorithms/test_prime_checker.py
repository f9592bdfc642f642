"""PrimeChecker as a job sees it: parameters bound as the worker binds them, then the body."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter

from slotwise import Context, JobError
from worker.algorithms import check_prime
from worker.algorithms.prime_checker import PrimeResult

THOUSAND_DIGITS = 10**999 + 7  # the least prime of 1,000 digits
SEMIPRIME = (10**99 + 289) * (10**100 + 267)  # 200 digits


def run(number: Any, seconds: float = 3_600.0) -> PrimeResult:
    ctx = Context.until("j", 1, seconds)
    return check_prime(**check_prime.bind([], {"number": number}), ctx=ctx)


def test_a_prime_is_its_own_factor() -> None:
    assert run(97) == {
        "number": 97,
        "is_prime": True,
        "factors": [97],
        "algorithm": "trial division",
        "certainty": "proven",
    }


@pytest.mark.parametrize(
    ("number", "factors"),
    [
        (12, [2, 2, 3]),
        (561, [3, 11, 17]),
        (2**64 + 1, [274_177, 67_280_421_310_721]),
        (3_511**2, [3_511, 3_511]),
        (2 * (10**24 + 7) ** 2, [2, 10**24 + 7, 10**24 + 7]),
    ],
)
def test_a_composite_has_ascending_factors_with_multiplicity(number: int, factors: list[int]) -> None:
    result = run(number)

    assert (result["is_prime"], result["certainty"]) == (False, "proven")
    assert result["factors"] == factors


@pytest.mark.parametrize("number", [1, 0, -1, -7, "-7", "-0", "001"])
def test_below_two_there_are_no_factors(number: int | str) -> None:
    result = run(number)

    assert result["number"] == number
    assert (result["is_prime"], result["factors"], result["certainty"]) == (False, [], "proven")


def test_a_string_comes_back_digit_for_digit_with_factors_as_strings() -> None:
    result = run("00012")

    assert result["number"] == "00012"
    assert result["factors"] == ["2", "2", "3"]


def test_a_prime_above_the_proven_bound_is_probable_and_lists_no_factors() -> None:
    assert run(2**127 - 1) == {
        "number": 2**127 - 1,
        "is_prime": True,
        "factors": None,
        "algorithm": "Baillie-PSW",
        "certainty": "probable",
    }


def test_a_composite_with_a_probable_cofactor_is_proven_but_lists_no_factors() -> None:
    result = run(6 * (2**127 - 1))

    assert (result["is_prime"], result["certainty"], result["factors"]) == (False, "proven", None)


@pytest.mark.parametrize("form", [int, str])
@pytest.mark.parametrize(
    ("number", "is_prime"), [(THOUSAND_DIGITS, True), (THOUSAND_DIGITS + 6, False)], ids=["prime", "composite"]
)
def test_a_thousand_digits(number: int, is_prime: bool, form: type[int] | type[str]) -> None:
    result = run(form(number), seconds=0)

    assert result["number"] == form(number)
    assert result["is_prime"] is is_prime
    assert result["certainty"] == ("probable" if is_prime else "proven")


def test_without_time_a_hard_number_is_proven_composite_with_unknown_factors() -> None:
    result = run(SEMIPRIME, seconds=0)

    assert (result["is_prime"], result["certainty"], result["factors"]) == (False, "proven", None)


@pytest.mark.parametrize(("seconds", "budget"), [(100.0, 5.0), (2.0, 1.6), (0.0, 0.0)])
def test_factoring_has_five_seconds_or_four_fifths_of_the_time_left(
    seconds: float, budget: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = 1_000.0
    looks = []

    def set_clock(now: float) -> None:
        monkeypatch.setattr("worker.algorithms.prime_checker.time.monotonic", lambda: now)

    def look_twice(value: int, expired: Callable[[], bool]) -> None:
        for now in (start + budget - 0.01, start + budget + 0.01):
            set_clock(now)
            looks.append(expired())

    set_clock(start)
    monkeypatch.setattr("worker.algorithms.prime_checker.factorise", look_twice)

    check_prime(4, ctx=Context.until("j", 1, seconds))

    assert looks == [False, True]


@pytest.mark.parametrize("number", [10**1_000, -(10**1_000)], ids=["positive", "negative"])
def test_an_integer_of_more_than_a_thousand_digits_is_refused_in_a_sentence(number: int) -> None:
    with pytest.raises(JobError, match="at most 1,000 digits") as caught:
        run(number)

    assert caught.value.type == "bad_params"


@pytest.mark.parametrize("number", ["", "-", "+1", "1\n", " 1", "1_000", "0x1", "٣", True, 1.0, None])
def test_what_is_not_a_number_of_ours_is_refused(number: Any) -> None:
    with pytest.raises(JobError) as caught:
        run(number)

    assert caught.value.type == "bad_params"


def test_a_string_of_more_than_a_thousand_digits_is_refused() -> None:
    with pytest.raises(JobError) as caught:
        run("0" * 1_001)

    assert caught.value.type == "bad_params"


@pytest.mark.parametrize("number", [10**1_000 - 1, "-" + "9" * 1_000], ids=["integer", "string"])
def test_the_largest_numbers_are_accepted(number: int | str) -> None:
    assert run(number, seconds=0)["is_prime"] is False


def test_the_front_end_learns_both_forms_and_the_limit() -> None:
    forms = check_prime.describe()["parameters"]["properties"]["number"]["anyOf"]

    assert forms == [
        {"type": "integer", "x-max-digits": 1_000},
        {"type": "string", "pattern": "^-?[0-9]{1,1000}$"},
    ]


@pytest.mark.parametrize("number", [97, "97", 12, -1, 2**127 - 1, "-" + "9" * 40])
def test_a_result_survives_json_and_matches_its_published_type(number: int | str) -> None:
    result = run(number)

    assert json.loads(json.dumps(result)) == result
    assert TypeAdapter(PrimeResult).validate_python(result, strict=True) == result
    assert set(check_prime.describe()["result"]["required"]) == set(result)


def test_the_example_works() -> None:
    assert run(**check_prime.example)["is_prime"] is True
