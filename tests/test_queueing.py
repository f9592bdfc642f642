"""The formulas of waiting, against their closed forms, tables, and a simulation."""

from __future__ import annotations

import heapq
import math
import random

import pytest

from slotwise.queueing import slots_without_waiting, wait_seconds, waiting_share


@pytest.mark.parametrize(
    ("slots", "load", "share"),
    [
        (1, 0.5, 0.5),  # one slot: the share that waits is the load
        (1, 0.9, 0.9),
        (2, 1.0, 1 / 3),  # a^2 / (2 + a) of two slots
        (2, 1.6, 1.6**2 / 3.6),
        (10, 8.0, 0.4092),  # Erlang's table
        (5, 5.0, 1.0),
        (5, 7.0, 1.0),
    ],
)
def test_erlangs_c(slots: int, load: float, share: float) -> None:
    assert waiting_share(slots, load) == pytest.approx(share, abs=1e-4)


def test_one_slot_and_exponential_times_is_exact() -> None:
    """M/M/1: those that wait do so for an exponential time of mean S / (1 - a)."""
    assert wait_seconds(1, 0.5, 2.0, 1.0, 0.95) == pytest.approx(4 * math.log(10))


def test_equal_times_wait_half_as_long() -> None:
    varied, equal = wait_seconds(4, 3.5, 1.0, 1.0, 0.95), wait_seconds(4, 3.5, 1.0, 0.0, 0.95)
    assert varied is not None
    assert equal == pytest.approx(varied / 2)


def test_more_than_the_slots_can_do() -> None:
    assert wait_seconds(4, 4.0, 1.0, 1.0, 0.95) is None


def test_where_fewer_wait_than_are_asked_about() -> None:
    assert wait_seconds(10, 1.0, 1.0, 1.0, 0.95) == 0.0
    assert slots_without_waiting(0.01, 0.95, 100) == 1
    assert slots_without_waiting(8.0, 0.95, 100) == 14
    assert waiting_share(14, 8.0) <= 0.05 < waiting_share(13, 8.0)


def test_a_large_fleet_is_reckoned_with() -> None:
    enough = slots_without_waiting(10_000.0, 0.95, 100_000)
    assert enough is not None
    assert 10_000 < enough < 10_300
    assert waiting_share(100_000, 10_000.0) == pytest.approx(0)


@pytest.mark.parametrize("load", [1.0, 80.0, 150.0, 1_000.0])
def test_a_recursion_from_further_down_says_the_same(load: float) -> None:
    blocked, most = 1.0, int(load * 1.2) + 3
    for slots in range(1, most):
        blocked = load * blocked / (slots + load * blocked)
        expected = 1.0 if load >= slots else blocked / (1 - load / slots * (1 - blocked))
        assert waiting_share(slots, load) == pytest.approx(expected, rel=1e-12)


def test_no_load_is_reckoned_with_beyond_the_most_slots_there_may_be() -> None:
    """Nor step by step: for the last of these that would never end."""
    assert slots_without_waiting(8.0, 0.95, 14) == 14
    assert [slots_without_waiting(load, 0.95, 13) for load in (8.0, 12.9, 13.0, 1e15, math.inf)] == [None] * 5


@pytest.mark.parametrize("variation", [0.0, 1.0])
def test_it_foretells_what_a_simulation_sees(variation: float) -> None:
    """Within a fifth: 40,000 jobs before three slots that are busy for 0.8 of the time."""
    chance, slots, load, waits = random.Random(7), 3, 2.4, []
    free, now = [0.0] * slots, 0.0
    for _ in range(40_000):
        now += chance.expovariate(load)
        start = max(now, heapq.heappop(free))
        waits.append(start - now)
        heapq.heappush(free, start + (chance.expovariate(1.0) if variation else 1.0))
    seen = sorted(waits)[int(0.95 * len(waits))]
    assert wait_seconds(slots, load, 1.0, variation, 0.95) == pytest.approx(seen, rel=0.2)
