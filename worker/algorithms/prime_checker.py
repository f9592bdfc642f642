"""The algorithm PrimeChecker: what a client may send, and how the arithmetic of `primes` is told back.

Owns the form of the numbers and the time spent on factors; decides nothing about primes itself.
"""

from __future__ import annotations

import time
from typing import Annotated, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict  # pydantic refuses typing's own before Python 3.12

from slotwise import Context, JobError, algorithm
from worker.algorithms.primes import Method, Verdict, decide, factorise

MAX_DIGITS: Final = 1_000
MAX_FACTORING_SECONDS: Final = 5.0
FACTORING_SHARE: Final = 0.8  # of the time the job has left: the rest is for handing in the result

Number = (
    Annotated[int, Field(json_schema_extra={"x-max-digits": MAX_DIGITS})]
    | Annotated[str, Field(pattern=rf"^-?[0-9]{{1,{MAX_DIGITS}}}$")]
)


class PrimeResult(TypedDict):
    """`number` and `factors` are integers, or strings where the number was sent as a string.

    `factors` is null unless every one was found and is proven prime; `certainty` is about `is_prime`.
    """

    number: int | str
    is_prime: bool
    factors: list[int] | list[str] | None
    algorithm: Method
    certainty: Literal["proven", "probable"]


@algorithm(name="PrimeChecker", version="1", example={"number": 97})
def check_prime(number: Number, ctx: Context) -> PrimeResult:
    """Tell whether an integer of up to 1,000 digits is prime, by which method, and what its factors are.

    Send a string of decimal digits where your JSON library would round a large integer: the answer then has
    strings too. `certainty` is "probable" only for a prime of 25 digits or more that passed Baillie-PSW.
    `factors` is null when a factor is no more than probably prime, or cannot be found in 5 seconds or 80 % of
    the time the job has left, whichever is less.
    """
    value = int(number)
    if abs(value) >= 10**MAX_DIGITS:
        raise JobError("bad_params", f"number: it may have at most {MAX_DIGITS:,} digits.")
    stop = time.monotonic() + min(MAX_FACTORING_SECONDS, FACTORING_SHARE * ctx.remaining_seconds())
    verdict = decide(value)
    factors = _factors(value, verdict, stop)
    return {
        "number": number,
        "is_prime": verdict.is_prime,
        "factors": [str(factor) for factor in factors] if factors and isinstance(number, str) else factors,
        "algorithm": verdict.method,
        "certainty": "proven" if verdict.proven else "probable",
    }


def _factors(value: int, verdict: Verdict, stop: float) -> list[int] | None:
    """The proven prime factors of a number that was decided, or None; `stop` is on the monotonic clock."""
    if verdict.is_prime:
        return [value] if verdict.proven else None
    return factorise(value, expired=lambda: time.monotonic() >= stop)
