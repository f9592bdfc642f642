"""What an observer may conclude from what it sees: never that a lease stood still for longer than it did."""

from __future__ import annotations

from slotwise.lease import Watch

LENGTH = 10.0
STILL = {"w": "7 10000"}


def looks(watch: Watch, leases: dict[str, str], start: float, end: float) -> list[tuple[str, str]]:
    """Look every half second, each look taking no time: what was found dead, and nothing after."""
    at = start
    while at <= end:
        dead = watch.look(leases, at, at)
        if dead:
            return dead
        at += 0.5
    return []


def test_a_lease_that_stands_still_for_its_whole_length_is_dead() -> None:
    watch = Watch()
    assert looks(watch, STILL, 100.0, 109.5) == []
    assert watch.look(STILL, 110.0, 110.0) == [("w", "7 10000")]


def test_a_lease_that_moves_lives() -> None:
    watch = Watch()
    for sequence in range(10):
        assert looks(watch, {"w": f"{sequence} 10000"}, 100 + sequence * 9.0, 108.5 + sequence * 9.0) == []


def test_each_lease_is_judged_by_its_own_length() -> None:
    watch = Watch()
    both = {"short": "1 2000", "long": "1 60000"}
    at = 100.0
    while not (dead := watch.look(both, at, at)):
        at += 0.1
    assert dead == [("short", "1 2000")]
    assert 101.9 < at < 102.2


def test_the_time_that_a_look_takes_is_not_counted() -> None:
    watch = Watch()
    watch.look(STILL, 100.0, 102.0)  # the server may have answered at 102
    assert looks(watch, STILL, 102.5, 111.5) == []
    assert watch.look(STILL, 112.0, 112.0) == [("w", "7 10000")]


def test_an_observer_that_was_away_begins_anew() -> None:
    watch = Watch()
    watch.look(STILL, 100.0, 100.0)
    assert watch.look(STILL, 130.0, 130.0) == [], "it was stopped itself, and knows nothing of the time between"
    assert looks(watch, STILL, 130.5, 139.5) == []
    assert watch.look(STILL, 140.0, 140.0) != []


def test_a_failed_look_begins_anew() -> None:
    watch = Watch()
    assert looks(watch, STILL, 100.0, 105.0) == []
    watch.forget()
    assert looks(watch, STILL, 105.5, 115.0) == []
    assert watch.look(STILL, 115.5, 115.5) != []


def test_a_lease_that_ended_is_forgotten() -> None:
    watch = Watch()
    looks(watch, STILL, 100.0, 109.0)
    assert watch.look({}, 109.5, 109.5) == []
    assert watch.look(STILL, 110.0, 110.0) == [], "the same incarnation again: a new lease"
