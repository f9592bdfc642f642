"""The arithmetic, each method on its own: small numbers must not be settled by trial division alone."""

from __future__ import annotations

from itertools import combinations
from math import isqrt, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.algorithms.primes import (
    PROVEN_BASES,
    PROVEN_BELOW,
    SMALL_PRIMES,
    TRIAL_LIMIT,
    decide,
    factorise,
    find_divisor,
    floor_root,
    is_baillie_psw_prime,
    is_strong_lucas_probable_prime,
    is_strong_probable_prime,
    jacobi,
    perfect_root,
    selfridge_discriminant,
)

PRIMES = [
    65_537,
    4_294_967_311,
    10**12 + 39,
    10**18 + 9,
    2**61 - 1,
    10**24 + 7,
    2**89 - 1,
    2**127 - 1,
    2**521 - 1,
]
CARMICHAEL = [561, 1_105, 1_729, 2_465, 2_821, 6_601, 8_911, 41_041, 825_265, 321_197_185, 9_746_347_772_161]
STRONG_BASE_2 = [2_047, 3_277, 4_033, 4_681, 8_321, 15_841, 29_341, 42_799, 49_141, 52_633]  # OEIS A001262
STRONG_LUCAS = [5_459, 5_777, 10_877, 16_109, 18_971, 22_499, 24_569, 25_199, 40_309, 58_519]  # OEIS A217255
WIEFERICH = [1_093, 3_511]
LEAST_TO_FOOL = [  # OEIS A014233: the least composite that passes this many of the first prime bases
    (25_326_001, 3),
    (3_215_031_751, 4),
    (2_152_302_898_747, 5),
    (3_474_749_660_383, 6),
    (341_550_071_728_321, 8),
    (3_825_123_056_546_413_051, 11),
    (318_665_857_834_031_151_167_461, 12),
]

# F. Arnault, "Constructing Carmichael numbers which are strong pseudoprimes to several bases", 1995
ARNAULT_FACTOR = int(
    "29674495668685510550154174642905332730771991799853043350995075531276838753171770"
    "199594238596428121188033664754218345562493168782883"
)
ARNAULT = ARNAULT_FACTOR * (313 * (ARNAULT_FACTOR - 1) + 1) * (353 * (ARNAULT_FACTOR - 1) + 1)

unhurried = settings(deadline=None)
odd_numbers = st.integers(1, 50_000).map(lambda half: 2 * half + 1)


def shortened(value: object) -> str:
    text = str(value)
    return text if len(text) <= 20 else f"{text[:9]}..{text[-9:]}"


def never() -> bool:
    return False


def at_once() -> bool:
    return True


def naive_factors(n: int) -> list[int]:
    factors, divisor = [], 2
    while divisor * divisor <= n:
        if n % divisor:
            divisor += 1
        else:
            factors.append(divisor)
            n //= divisor
    return [*factors, n] if n > 1 else factors


@pytest.mark.parametrize("n", PRIMES, ids=shortened)
def test_known_primes(n: int) -> None:
    verdict = decide(n)

    assert verdict.is_prime
    assert verdict.proven == (n < PROVEN_BELOW)


@pytest.mark.parametrize(
    "n", [*CARMICHAEL, *STRONG_BASE_2, *STRONG_LUCAS, ARNAULT, 2**67 - 1, 2**128 + 1], ids=shortened
)
def test_known_composites_are_proven_composite(n: int) -> None:
    verdict = decide(n)

    assert not verdict.is_prime
    assert verdict.proven


@pytest.mark.parametrize(
    ("n", "method"),
    [
        (1, "definition"),
        (2, "trial division"),
        (TRIAL_LIMIT**2 - 5, "trial division"),
        (TRIAL_LIMIT**2 + 15, "Miller-Rabin (deterministic bases)"),
        (65_537**2, "Miller-Rabin (deterministic bases)"),
        (PROVEN_BELOW - 1, "trial division"),
        (10**24 + 7, "Miller-Rabin (deterministic bases)"),
        (PROVEN_BELOW, "Baillie-PSW"),
    ],
)
def test_the_method_that_decides(n: int, method: str) -> None:
    assert decide(n).method == method


@pytest.mark.parametrize("n", [1, 0, -1, -7, -(10**30)])
def test_below_two_nothing_is_prime(n: int) -> None:
    verdict = decide(n)

    assert (verdict.is_prime, verdict.proven) == (False, True)
    assert factorise(n, never) == []


def test_the_proven_bound_is_a_composite_that_fools_every_base_but_not_us() -> None:
    assert PROVEN_BELOW == 1_287_836_182_261 * 2_575_672_364_521
    assert all(is_strong_probable_prime(PROVEN_BELOW, base) for base in PROVEN_BASES)
    assert not decide(PROVEN_BELOW).is_prime


def test_a_prime_is_proven_below_the_bound_and_only_probable_above_it() -> None:
    below, above = PROVEN_BELOW - 168, PROVEN_BELOW + 142

    assert (decide(below).is_prime, decide(below).proven) == (True, True)
    assert (decide(above).is_prime, decide(above).proven) == (True, False)


def test_miller_rabin_is_fooled_where_it_is_known_to_be() -> None:
    fooled = [n for n in range(9, 60_000, 2) if is_strong_probable_prime(n, 2) and len(naive_factors(n)) > 1]

    assert fooled[:10] == STRONG_BASE_2


def test_strong_lucas_is_fooled_where_it_is_known_to_be() -> None:
    candidates = range(9, 60_000, 2)
    fooled = [n for n in candidates if is_strong_lucas_probable_prime(n) and len(naive_factors(n)) > 1]

    assert fooled[:10] == STRONG_LUCAS


def test_arnaults_number_fools_all_bases_below_307_but_not_baillie_psw() -> None:
    assert all(is_strong_probable_prime(ARNAULT, base) for base in SMALL_PRIMES if base < 307)
    assert not is_baillie_psw_prime(ARNAULT)


@pytest.mark.parametrize("p", WIEFERICH)
def test_squares_of_wieferich_primes_fool_base_2_but_end_at_the_square_check(p: int) -> None:
    assert is_strong_probable_prime(p * p, 2)
    assert selfridge_discriminant(p * p) is None
    assert not is_baillie_psw_prime(p * p)


@pytest.mark.parametrize("n", [*CARMICHAEL, *STRONG_BASE_2, *STRONG_LUCAS])
def test_what_fools_one_half_of_baillie_psw_is_caught_by_the_other(n: int) -> None:
    assert not is_baillie_psw_prime(n)


@pytest.mark.parametrize(("n", "bases"), LEAST_TO_FOOL)
def test_each_proven_base_is_needed(n: int, bases: int) -> None:
    assert all(is_strong_probable_prime(n, base) for base in PROVEN_BASES[:bases])
    assert not decide(n).is_prime


@unhurried
@given(odd_numbers)
def test_baillie_psw_agrees_with_naive_division(n: int) -> None:
    assert is_baillie_psw_prime(n) == (naive_factors(n) == [n])


@unhurried
@given(odd_numbers)
def test_miller_rabin_over_the_proven_bases_agrees_with_naive_division(n: int) -> None:
    passes = all(is_strong_probable_prime(n, base) for base in PROVEN_BASES)

    assert passes == (naive_factors(n) == [n])


@unhurried
@given(st.integers(-100, 10**5))
def test_decide_and_factorise_agree_with_naive_division(n: int) -> None:
    assert factorise(n, at_once) == naive_factors(n)
    assert decide(n).is_prime == (naive_factors(n) == [n])


@unhurried
@given(st.integers(-1_000, 1_000), st.sampled_from(SMALL_PRIMES[1:200]))
def test_jacobi_is_eulers_criterion_for_a_prime(a: int, p: int) -> None:
    assert jacobi(a, p) % p == pow(a, (p - 1) // 2, p)


@unhurried
@given(st.integers(-1_000, 1_000), st.lists(st.sampled_from(SMALL_PRIMES[1:50]), min_size=2, max_size=4))
def test_jacobi_is_multiplicative_in_its_lower_number(a: int, primes: list[int]) -> None:
    assert jacobi(a, prod(primes)) == prod(jacobi(a, p) for p in primes)


@unhurried
@given(st.integers(1, 10**60), st.integers(2, 70))
def test_floor_root(n: int, exponent: int) -> None:
    root = floor_root(n, exponent)

    assert root**exponent <= n < (root + 1) ** exponent


@pytest.mark.parametrize("exponent", [2, 3, 5, 7])
def test_a_perfect_power_is_undone_without_a_walk(exponent: int) -> None:
    p = 10**24 + 7

    assert perfect_root(p**exponent) == p
    assert perfect_root(p**exponent + 1) is None
    assert factorise(p**exponent, at_once) == [p] * exponent


@unhurried
@given(st.lists(st.sampled_from([65_537, 65_539, 1_000_003, 15_485_863]), min_size=2, max_size=5))
def test_rho_finds_factors_beyond_trial_division_with_multiplicity(primes: list[int]) -> None:
    assert factorise(prod(primes), never) == sorted(primes)


def test_a_divisor_is_never_trivial_even_where_all_factors_meet_in_one_batch() -> None:
    for p, q in combinations(SMALL_PRIMES[4:30], 2):
        assert find_divisor(p * q, never) in (p, q)


def test_the_deadline_is_asked_about_inside_a_long_walk() -> None:
    looks = 0

    def after_a_thousand_looks() -> bool:
        nonlocal looks
        looks += 1
        return looks > 1_000

    assert factorise((10**99 + 289) * (10**100 + 267), after_a_thousand_looks) is None
    assert looks == 1_001


def test_small_factors_are_found_after_the_deadline() -> None:
    assert factorise(2**3000 * 65_521, at_once) == [2] * 3000 + [65_521]


def test_a_factor_that_is_only_probably_prime_is_not_listed() -> None:
    assert factorise(2**127 - 1, never) is None
    assert factorise(3 * (2**127 - 1), never) is None


def test_small_primes_are_all_the_primes_below_the_limit() -> None:
    assert [n for n in range(2, 2_000) if naive_factors(n) == [n]] == [p for p in SMALL_PRIMES if p < 2_000]
    assert len(SMALL_PRIMES) == 6_542  # pi(2**16)
    assert isqrt(TRIAL_LIMIT**2) == TRIAL_LIMIT > SMALL_PRIMES[-1] == 65_521
