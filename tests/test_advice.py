"""Sizing on given figures: the guidance, what binds, and what is said while something is unknown."""

from __future__ import annotations

from typing import Any

import pytest

from slotwise import sizing
from slotwise.advice import Advice, advise, kind_of
from slotwise.demand import Demand, Host, Load


def host(**fields: Any) -> Host:
    return Host(**{"name": "h", "workers": 1, "slots": None, "cores": 4.0} | {"memory_mb": 8192} | fields)


def load(share: float | None = 0.125, **fields: Any) -> Load:
    """Jobs of 2 s, of which a core is busy for `share`."""
    cpu = None if share is None else 2 * share
    known = {"name": "A", "jobs": 50, "per_second": 5.0, "hold_seconds": 2.0, "hold_square": 8.0}
    return Load(**known | {"cpu_seconds": cpu, "peak_memory_mb": 50.0} | fields)


def advice(*loads: Load, hosts: Any = None, cap: int = 10, asked: Any = (), **fields: Any) -> Advice:
    hosts = (host(memory_free_mb=8000),) if hosts is None else hosts
    demand = Demand(**{"cap": cap, "running": 0, "pending": 0, "hosts": hosts, "loads": loads} | fields)
    return advise(demand, asked)


def test_the_worked_example() -> None:
    """4 cores, 8 GB, I/O-bound at x 8, 50 MB a job: min(32, 160) = 32."""
    of = advice(load(per_second=100.0))
    assert (of.limits["cpu"], of.limits["memory"]) == (32, 160)
    assert (of.enough, of.because) == (32, "cpu")


@pytest.mark.parametrize(
    ("share", "kind", "slots"),
    [
        (1.2, "cpu_bound", 6),  # two threads of its own
        (1.0, "cpu_bound", 6),
        (0.7, "cpu_bound", 6),
        (0.5, "mixed", 8),
        (1 / 3, "mixed", 12),
        (0.2, "io_bound", 20),
        (0.1, "io_bound", 40),
        (0.01, "io_bound", 40),
        (0.0, "io_bound", 40),
        (None, None, None),
    ],
)
def test_the_guidance_by_the_measured_share_of_cpu_time(share: float | None, kind: Any, slots: int | None) -> None:
    one = load(share)
    assert (kind_of(one), advice(one).limits["cpu"]) == (kind, slots)


def test_memory_is_that_of_the_largest_kind_of_job_on_each_host() -> None:
    hosts = (host(name="a", memory_free_mb=1000), host(name="b", memory_free_mb=590))
    of = advice(load(), load(name="Large", peak_memory_mb=300.0, per_second=0.1), hosts=hosts)
    assert of.limits["memory"] == 3 + 1
    assert (of.enough, of.because) == (4, "memory")
    text = "1590 MB were free, and a job takes up to 300 MB (Large): 4 fit"
    assert f"More than 4 gains nothing: {text}." in list(sizing.sentences(of))


def test_a_tiny_job_takes_what_a_process_takes() -> None:
    assert advice(load(peak_memory_mb=0.1)).limits["memory"] == 2000


def test_littles_law_and_the_wait_at_other_caps() -> None:
    """5 jobs a second of 2 s: ten slots in use on average; at cap 10 the line grows."""
    of = advice(load(), asked=[12])
    assert of.load.offered == pytest.approx(10)
    by_cap = {one.max_concurrent: one for one in of.outlooks}
    assert by_cap[10].wait_p95_seconds is None
    assert by_cap[12].wait_p95_seconds == pytest.approx(2.19, abs=0.01)
    assert by_cap[20].wait_p95_seconds == 0.0
    assert (of.enough, of.because, of.limits["demand"]) == (17, "demand", 17)
    assert by_cap[17].waiting_share <= 0.05
    assert of.binds == "cap"
    said = list(sizing.sentences(of))
    assert said[0] == "The cap of 10 binds: the workers could bear 32."
    assert said[1] == "At cap 10, more jobs come than its slots can do, and the line grows."
    assert said[2].startswith("More than 17 gains nothing: 10 slots are in use on average (5 jobs a second x ")


def test_slots_past_those_that_keep_the_cores_busy_do_no_work() -> None:
    """Two cores and jobs that use nothing else: 4 at once last twice as long."""
    hosts = (host(cores=2.0, memory_free_mb=8000),)
    of = advice(load(1.0, per_second=1.5), hosts=hosts, cap=8)
    assert {one.max_concurrent: one.usable for one in of.outlooks}[8] == 2
    assert of.now is not None
    assert of.now.wait_p95_seconds is None
    assert (of.binds, of.enough, of.because) == ("cpu", 3, "cpu")


def test_a_line_is_drained_by_the_slots_that_are_to_spare() -> None:
    of = advice(load(per_second=4.0), pending=30, running=10)
    assert of.now is not None
    assert of.now.drained_seconds == pytest.approx(30 / ((10 - 8) / 2))
    assert of.binds == "cap"


@pytest.mark.parametrize(
    ("binds", "fields"),
    [
        ("no_worker", {"hosts": ()}),
        ("paused", {"cap": 0}),
        ("demand", {"cap": 30}),
        ("worker_slots", {"cap": 30, "hosts": (host(slots=6, memory_free_mb=8000),)}),
        ("memory", {"cap": 30, "hosts": (host(memory_free_mb=400),)}),
        ("cpu", {"cap": 30, "hosts": (host(cores=1.0, memory_free_mb=8000),)}),
        ("cap", {"cap": 16, "pending": 4, "running": 16}),  # enough on average, and not now
    ],
)
def test_what_binds(binds: str, fields: dict[str, Any]) -> None:
    of = advice(load(), **fields)
    assert of.binds == binds
    assert next(iter(sizing.sentences(of)))


def test_workers_that_follow_the_cap_have_no_slots_of_their_own() -> None:
    both = (host(slots=3, memory_free_mb=8000), host(name="b", memory_free_mb=8000))
    assert advice(load(), hosts=both).limits["worker_slots"] is None


def test_nothing_measured_yet() -> None:
    of = advice()
    told = sizing.as_dict(of)
    assert told["limits"] == {"cap": 10, "worker_slots": None, "cpu": None, "memory": None, "demand": None}
    assert (told["enough"], told["because"], told["outlook"], told["binds"]) == (None, None, [], "demand")
    assert told["load"] == dict.fromkeys(told["load"])
    assert told["missing"] == ["For how long jobs hold their slots: none has ended yet."]
    assert "Not known yet: for how long jobs hold their slots" in sizing.as_text(of)


def test_what_is_missing_is_said_and_the_rest_is_told() -> None:
    of = advice(load(None, per_second=None, peak_memory_mb=None), hosts=(host(cores=None, memory_free_mb=None),))
    assert of.enough is None
    assert [text.partition(":")[0] for text in of.missing] == [
        "A worker does not tell its cores.",
        "How often jobs come",
        "CPU time and memory of a job",
        "The free memory of a host",
    ]


def test_more_comes_than_any_cap_may_offer() -> None:
    of = advice(load(per_second=1e6), hosts=(host(cores=None, memory_free_mb=2000),), cap=30)
    assert (of.limits["demand"], of.binds, of.because) == (None, "cap", "memory")
    assert "More jobs come than 100000 slots would start at once, and no cap may offer more." in of.missing


def test_threads_tell_their_cpu_time_and_not_their_memory() -> None:
    of = advice(load(0.5, peak_memory_mb=None))
    assert (of.limits["cpu"], of.limits["memory"]) == (8, None)
    assert "Not known yet: memory of a job" in sizing.as_text(of)


def test_what_was_not_measured_of_one_algorithm_is_that_of_the_others() -> None:
    """The share of CPU time is that of the slots' time of which it is known; the rates add up."""
    of = advice(load(0.5), load(None, name="OnTheLoop", per_second=20.0, hold_seconds=0.5, hold_square=0.25))
    assert of.load.cpu_share == pytest.approx(0.5)
    assert of.load.offered == pytest.approx(10 + 10)
    assert of.load.variation == pytest.approx((0.2 * 8 + 0.8 * 0.25) / 0.8**2 - 1)


def test_people_get_a_table() -> None:
    text = sizing.as_text(advice(load(name="Résumé"), load(None, name="Quiet", per_second=None)))
    assert "    cap   in use    wait p95" in text
    assert "     10     100%       grows" in text
    assert "        5        2      10   12%     50  I/O-bound  Résumé" in text
    assert "  unknown    Quiet" in text
