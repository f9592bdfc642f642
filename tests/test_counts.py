"""The counts of a fleet, as the hash in Redis spells them."""

from __future__ import annotations

from slotwise.counts import BUCKETS, Counts


def test_labels_and_totals() -> None:
    counts = Counts({b"stale": b"2.000", b"completed:failed:a:b": b"1.000", b"created:a:b": b"3.000"})
    assert counts.total("stale") == 2
    assert counts.total("nothing") == 0
    assert list(counts.labelled("completed", 2)) == [(["failed", "a:b"], 1)]
    assert list(counts.labelled("created")) == [(["a:b"], 3)]


def test_a_histogram_is_cumulative() -> None:
    counts = Counts({b"ran:1:A": b"2", b"ran:3:A": b"1", b"ran:18:A": b"4", b"ran_sum:A": b"1500500"})
    found = counts.histograms("ran")["A"]
    assert len(found.cumulative) == len(BUCKETS) + 1
    assert found.cumulative[:4] == (2, 2, 3, 3)
    assert found.cumulative[-2:] == (3, 7)
    assert found.sum_seconds == 1.5005
