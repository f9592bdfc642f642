"""How long jobs wait before c slots, by the theory of queues: M/G/c, in closed form.

Jobs come at random (a Poisson process); each holds a slot for a time of mean S and squared coefficient of
variation v (the variance over the mean's square). The offered load a = rate x S is the number of slots in use on
average (J. D. C. Little, 1961). The share of jobs that wait at all is Erlang's C formula (A. K. Erlang, 1917); the
mean wait is that of exponential times, multiplied by (1 + v) / 2: the approximation of Allen and Cunneen (A. O.
Allen, Probability, Statistics, and Queueing Theory, 2nd ed., 1990). It is exact for one slot and for exponential
times. The waits of those that wait are taken as exponential.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

REACH: Final = 10.0  # standard deviations, sqrt(load)
NEGLIGIBLE: Final = 1e-17


def _waiting_shares(load: float) -> Iterator[tuple[int, float]]:
    """(slots, share of jobs that wait), slot by slot; those left out before are all too few for the load.

    Erlang's B, by its recursion. Up to as many slots as the load, each step leaves slots / load of whatever
    error it began with: from REACH standard deviations below, none is left that a float could show.
    """
    slots, blocked = max(0, int(load - REACH * math.sqrt(load))), 1.0
    while True:
        slots += 1
        blocked = load * blocked / (slots + load * blocked)
        busy = load / slots
        yield slots, 1.0 if busy >= 1 else blocked / (1 - busy * (1 - blocked))


def waiting_share(slots: int, load: float) -> float:
    """Erlang's C: the share of jobs that find all slots taken."""
    if load >= slots:
        return 1.0
    return next(share for at, share in _waiting_shares(load) if at == slots or share < NEGLIGIBLE)


def wait_seconds(
    slots: int, load: float, service_seconds: float, variation: float, quantile: float
) -> float | None:
    """The wait that this share of the jobs does not exceed; None where more comes than `slots` can do.

    `variation` is the squared coefficient of variation of the service times.
    """
    if load >= slots:
        return None
    waits = waiting_share(slots, load)
    if waits <= 1 - quantile:
        return 0.0
    of_those_that_wait = service_seconds / (slots - load) * (1 + variation) / 2
    return of_those_that_wait * math.log(waits / (1 - quantile))


def slots_without_waiting(load: float, quantile: float, most: int) -> int | None:
    """The fewest slots with which this share of the jobs starts at once; None where `most` are too few."""
    if load >= most:
        return None
    enough = next(slots for slots, share in _waiting_shares(load) if share <= 1 - quantile or slots > most)
    return enough if enough <= most else None
