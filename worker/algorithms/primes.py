"""Arithmetic of primes: is a number prime, by which method, is that proven, and what are its factors?

Knows nothing of jobs and reads no clock: whoever asks for factors passes a function that says when to stop.
Must never call a verdict proven that is not, and never search without an end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from math import gcd, isqrt
from typing import Final, Literal

Method = Literal["definition", "trial division", "Miller-Rabin (deterministic bases)", "Baillie-PSW"]

TRIAL_LIMIT: Final = 2**16
"""Primes below this are tried one by one, so every number below its square is settled by division alone."""

PROVEN_BASES: Final = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
PROVEN_BELOW: Final = 3_317_044_064_679_887_385_961_981
"""The least composite that is a strong probable prime to all of PROVEN_BASES: below it they decide.

J. Sorenson, J. Webster, "Strong pseudoprimes to twelve prime bases", 2015, arXiv:1509.00864.
"""

RHO_BATCH: Final = 128
"""Steps of Pollard's rho between two gcds, and between two looks at the deadline."""


@dataclass(frozen=True)
class Verdict:
    """Is it prime, which method decided, and does that method prove what it says?"""

    is_prime: bool
    method: Method
    proven: bool


def decide(n: int) -> Verdict:
    """Decide whether any integer is prime. Only a "prime" from Baillie-PSW is not proven."""
    if n < 2:
        return Verdict(False, "definition", proven=True)
    divisor = next((p for p in SMALL_PRIMES if n % p == 0), None)
    if divisor is not None or n < TRIAL_LIMIT**2:
        return Verdict(divisor in (None, n), "trial division", proven=True)
    if n < PROVEN_BELOW:
        prime = all(is_strong_probable_prime(n, base) for base in PROVEN_BASES)
        return Verdict(prime, "Miller-Rabin (deterministic bases)", proven=True)
    prime = is_baillie_psw_prime(n)
    return Verdict(prime, "Baillie-PSW", proven=not prime)


def factorise(n: int, expired: Callable[[], bool]) -> list[int] | None:
    """The prime factors of n in ascending order, with multiplicity; [] below 2.

    None when `expired()` turned true first, or when a factor is only a probable prime: each one listed is
    proven. Factors below TRIAL_LIMIT are found whatever the time.
    """
    if n < 2:
        return []
    factors, rest = divide_out_small_primes(n)
    pending = [rest] if rest > 1 else []
    while pending:
        part = pending.pop()
        verdict = decide(part)
        if verdict.is_prime and verdict.proven:
            factors.append(part)
            continue
        divisor = None if verdict.is_prime else find_divisor(part, expired)
        if divisor is None:
            return None
        pending += [divisor, part // divisor]
    return sorted(factors)


def is_strong_probable_prime(n: int, base: int) -> bool:
    """One round of Miller-Rabin. False proves n composite; n is odd and above 2."""
    odd, twos = _odd_part(n - 1)
    x = pow(base, odd, n)
    if x == 1 or base % n == 0:  # a multiple of n can bear no witness
        return True
    for _ in range(twos):
        if x == n - 1:
            return True
        x = x * x % n
    return False


def is_baillie_psw_prime(n: int) -> bool:
    """Strong test to base 2, then strong Lucas test. False proves n composite; n is odd and above 2.

    No composite that passes is known, yet none has been ruled out, so True proves nothing. R. Baillie,
    S. S. Wagstaff Jr., "Lucas pseudoprimes", Math. Comp. 35 (1980), 1391-1417.
    """
    return is_strong_probable_prime(n, 2) and is_strong_lucas_probable_prime(n)


def is_strong_lucas_probable_prime(n: int) -> bool:
    """Strong Lucas test, Selfridge's parameters. False proves n composite; n is odd and above 2.

    With n + 1 = odd * 2**twos, a prime n divides U(odd) or one of V(odd * 2**r), 0 <= r < twos: Baillie and
    Wagstaff, as above.
    """
    d = selfridge_discriminant(n)
    if d is None:
        return False
    odd, twos = _odd_part(n + 1)
    u, v, q_power = _lucas_terms(odd, d, n)
    if u == 0:
        return True
    for _ in range(twos):
        if v == 0:
            return True
        v, q_power = (v * v - 2 * q_power) % n, q_power * q_power % n
    return False


def selfridge_discriminant(n: int) -> int | None:
    """The first D of 5, -7, 9, -11, ... with Jacobi symbol (D/n) = -1; None for a square, which has none."""
    if isqrt(n) ** 2 == n:
        return None
    d = 5
    while jacobi(d, n) != -1:
        d = -d - 2 if d > 0 else 2 - d
    return d


def jacobi(a: int, n: int) -> int:
    """The Jacobi symbol (a/n) for odd n > 0, by quadratic reciprocity."""
    sign, a = 1, a % n
    while a:
        a, twos = _odd_part(a)
        if twos % 2 and n % 8 in (3, 5):
            sign = -sign
        if a % 4 == n % 4 == 3:
            sign = -sign
        a, n = n % a, a
    return sign if n == 1 else 0


def divide_out_small_primes(n: int) -> tuple[list[int], int]:
    """The factors of n > 0 found by trial division, and what is left.

    What is left is 1, a prime, or a number without a factor below TRIAL_LIMIT.
    """
    factors = []
    for p in SMALL_PRIMES:
        if p * p > n:
            break
        while n % p == 0:
            factors.append(p)
            n //= p
    return factors, n


def find_divisor(n: int, expired: Callable[[], bool]) -> int | None:
    """A divisor of a composite n that is neither 1 nor n, or None once `expired()`.

    n must have no factor below TRIAL_LIMIT: the roots tried rely on it.
    """
    root = perfect_root(n)
    if root is not None:
        return root
    walks = (_walk_rho(n, constant, expired) for constant in count(1))
    return next(divisor for divisor in walks if divisor != n)  # n: all met in one batch, so walk another way


def perfect_root(n: int) -> int | None:
    """The r with r**k == n for the least prime k, if there is one with r of TRIAL_LIMIT or more."""
    for exponent in SMALL_PRIMES:
        if TRIAL_LIMIT**exponent > n:
            return None
        root = floor_root(n, exponent)
        if root**exponent == n:
            return root
    return None


def floor_root(n: int, exponent: int) -> int:
    """The largest r with r**exponent <= n, for n > 0: Newton's iteration from above."""
    root = 1 << -(-n.bit_length() // exponent)
    while True:
        closer = ((exponent - 1) * root + n // root ** (exponent - 1)) // exponent
        if closer >= root:
            return root
        root = closer


def _walk_rho(n: int, constant: int, expired: Callable[[], bool]) -> int | None:
    """Walk x -> x*x + constant until two steps agree modulo a divisor; that divisor, which may be n.

    R. P. Brent, "An improved Monte Carlo factorization algorithm", BIT 20 (1980), 176-184.
    """
    hare, lap = 2, 1
    while True:
        tortoise = hare
        for done in range(0, lap, RHO_BATCH):
            if expired():
                return None
            product = 1
            for _ in range(min(RHO_BATCH, lap - done)):
                hare = (hare * hare + constant) % n
                product = product * (tortoise - hare) % n
            divisor = gcd(product, n)
            if divisor > 1:
                return divisor
        lap *= 2


def _lucas_terms(index: int, d: int, n: int) -> tuple[int, int, int]:
    """U(index), V(index) and Q**index modulo an odd n, where P = 1 and Q = (1 - d) / 4; index > 0."""
    q = (1 - d) // 4
    u, v, q_power = 1, 1, q % n
    for bit in f"{index:b}"[1:]:
        u, v, q_power = u * v % n, (v * v - 2 * q_power) % n, q_power * q_power % n
        if bit == "1":
            u, v, q_power = _half(u + v, n), _half(d * u + v, n), q_power * q % n
    return u, v, q_power


def _half(a: int, n: int) -> int:
    """a / 2 modulo an odd n."""
    return (a if a % 2 == 0 else a + n) // 2 % n


def _odd_part(n: int) -> tuple[int, int]:
    """n > 0 as (odd, twos) with n == odd * 2**twos."""
    twos = (n & -n).bit_length() - 1
    return n >> twos, twos


def _primes_below(limit: int) -> Iterator[int]:
    """The sieve of Eratosthenes."""
    is_candidate = bytearray([1]) * limit
    for n in range(2, limit):
        if is_candidate[n]:
            yield n
            is_candidate[n * n :: n] = bytes(len(range(n * n, limit, n)))


SMALL_PRIMES: Final = tuple(_primes_below(TRIAL_LIMIT))
