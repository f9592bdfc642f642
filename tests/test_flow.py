"""The course over time: differences of samples, and quantiles of what was counted between them."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import redis

from slotwise import scripts
from slotwise.counts import BUCKETS
from slotwise.flow import MOST_POINTS, STEP_MS, SUMS, Sample, course, quantile
from slotwise.keys import Keys
from slotwise.lease import LeaseStore

NOBODY = (0,) * (len(BUCKETS) + 1)
AT_0 = Sample(0, cap=10, running=0, waiting=0, sums=dict.fromkeys(SUMS, 0), waits=NOBODY)


def at(ms: int, **sums: int) -> Sample:
    return replace(AT_0, at_ms=ms, sums=AT_0.sums | sums)


def test_what_happened_is_the_difference() -> None:
    points = course([at(0, created=5), at(15_000, created=8), at(31_000, created=8, failed=1)], 0)
    assert [(point.seconds, point.sums["created"], point.sums["failed"]) for point in points] == [
        (15, 3, 0),
        (16, 0, 1),
    ]


def test_a_server_that_lost_its_counts_begins_anew() -> None:
    [point] = course([at(0, created=500), at(15_000, created=8)], 0)
    assert point.sums["created"] == 8


def test_what_a_clock_that_was_ahead_left_is_not_told() -> None:
    points = course([at(0), at(9_000_000, created=1), at(15_000, created=2)], 0)
    assert [(point.first.at_ms, point.last.at_ms) for point in points] == [(0, 15_000)]


def test_a_window_begins_where_it_says_and_ends_now() -> None:
    samples = [at(n * 1_000, created=n) for n in range(10)]
    points = course(samples, 4_500)
    assert (points[0].first.at_ms, points[-1].last.at_ms) == (5_000, 9_000)
    assert course(samples[:1], 0) == course([], 0) == []


@pytest.mark.parametrize("samples", [2, MOST_POINTS, MOST_POINTS + 1, MOST_POINTS + 2, 5_761])
def test_a_long_window_is_told_in_few_points_that_leave_nothing_out(samples: int) -> None:
    points = course([at(n * 1_000, created=n) for n in range(samples)], 0)
    assert len(points) <= MOST_POINTS
    assert points[-1].last.at_ms == (samples - 1) * 1_000
    assert (
        sum(point.sums["created"] for point in points)
        == points[-1].last.sums["created"] - points[0].first.sums["created"]
    )
    assert points[0].first.at_ms < points[0].seconds * 1_000


@pytest.mark.parametrize(
    ("counts", "share", "seconds"),
    [
        ({0: 1}, 0.5, 0.0005),
        ({0: 10}, 0.95, 0.00095),
        ({3: 10}, 0.5, 0.0075),
        ({0: 50, 6: 50}, 0.5, 0.001),
        ({0: 50, 6: 50}, 0.95, 0.05 + 0.05 * 0.9),
        ({17: 3}, 0.5, 1800),
        ({}, 0.5, None),
    ],
)
def test_quantiles(counts: dict[int, int], share: float, seconds: float | None) -> None:
    row = [counts.get(number, 0) for number in range(len(NOBODY))]
    assert quantile(row, share) == pytest.approx(seconds)


def test_one_sample_a_step_whoever_takes_it(redis_url: str) -> None:
    client, keys = redis.Redis.from_url(redis_url), Keys()

    def sample(now: int, most: int = 100) -> None:
        scripts.SAMPLE.run_blocking(client, keys.of_samples, [now, STEP_MS, most, ""])

    for now in (100_000, 100_001, 114_999, 115_000, 129_999, 130_000):
        sample(now)
    taken = [Sample.of(row) for _, row in client.xrange(keys.samples)]
    assert [each.at_ms for each in taken] == [100_000, 115_000, 130_000]
    sample(50_000)  # the clock was set back
    sample(50_001)
    assert client.xlen(keys.samples) == 4
    for now in range(65_000, 65_000 + 500 * STEP_MS, STEP_MS):
        sample(now, most=10)
    assert client.xlen(keys.samples) < 250, "as Redis trims: whole nodes"
    last = 65_000 + 499 * STEP_MS
    assert scripts.SAMPLE.run_blocking(client, keys.of_samples, [last + 1, STEP_MS, 10, ""]) == []
    assert scripts.SAMPLE.run_blocking(client, keys.of_samples, [last + 1, STEP_MS, 10, "tell"])[:2] == [
        b"at",
        last + 1,
    ]
    client.close()


def test_an_observer_takes_them_at_their_pace(redis_url: str) -> None:
    client, keys = redis.Redis.from_url(redis_url), Keys()
    store = LeaseStore(client, keys)
    began = time.monotonic()
    for _ in range(50):
        store.sample()
    calls = int(client.info("commandstats").get("cmdstat_xadd", {"calls": 0})["calls"])
    assert client.xlen(keys.samples) == 1
    store._sample_at = began  # its time has come; another has taken it
    store.sample()
    assert client.info("commandstats")["cmdstat_xadd"]["calls"] == calls
    client.close()
