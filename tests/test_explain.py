"""Why a job waits, by the rules, and by what the server shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slotwise.attempt import Grant
from slotwise.explain import Facts, Waiting, why
from slotwise.store import Store
from tests.hand import Hand, submitted

NOW = 1_800_000_000_000.0
FREE = Facts(
    now=NOW,
    score=NOW - 1000,
    hidden=False,
    parked=False,
    alone=False,
    ahead=0,
    cap=2,
    running=0,
    served=1,
    own_cap=None,
    own_running=0,
    own_ahead=0,
    rate_count=None,
    rate_window=None,
    rate_starts=0,
    rate_opens=None,
    slots=None,
    own_n=0,
    own_mean=0,
    own_square=0,
    n=0,
    mean=0,
    square=0,
    holders=("a", "b"),
    own_holders=("c",),
)
RULES: list[tuple[str, dict[str, Any], str | None]] = [
    ("a slot is free", {}, None),
    ("all slots are taken", {"running": 2}, "cap"),
    ("the cap was lowered below what runs", {"running": 2, "cap": 1}, "cap"),
    ("paused", {"cap": 0}, "paused"),
    ("paused, with jobs that drain", {"cap": 0, "running": 2}, "paused"),
    ("nobody serves it", {"served": 0}, "no_worker"),
    ("its algorithm is full", {"own_cap": 1, "own_running": 1, "parked": True}, "algorithm_cap"),
    ("both are full", {"own_cap": 1, "own_running": 1, "running": 2}, "algorithm_cap"),
    ("its algorithm is not full", {"own_cap": 2, "own_running": 1, "running": 2}, "cap"),
    ("its rate is used up", {"rate_count": 3, "rate_window": 1000, "rate_opens": 400.0}, "rate"),
    ("its rate is not used up", {"rate_count": 3, "rate_window": 1000, "rate_starts": 2}, None),
    ("the workers are full", {"slots": 1, "running": 1}, "worker_slots"),
    ("it is to run alone", {"alone": True, "running": 2}, "worker_slots"),
]


@pytest.mark.parametrize(("facts", "blocking"), [row[1:] for row in RULES], ids=[row[0] for row in RULES])
def test_which_limit_binds(facts: dict[str, Any], blocking: str | None) -> None:
    answer = why(replace(FREE, **facts), NOW - 1000)
    assert answer.blocking == blocking
    assert answer.text.endswith(".")


def test_a_scheduled_job_has_no_position() -> None:
    answer = why(replace(FREE, running=2), NOW + 2500)
    assert (answer.blocking, answer.position, answer.eta) == ("scheduled", None, (2.5, 2.5))


def test_nothing_measured_is_no_estimate() -> None:
    assert why(replace(FREE, running=2, ahead=3), NOW).eta is None


def eta(position: int, **measured: float) -> tuple[float, float]:
    facts = replace(FREE, running=2, ahead=position - 1, n=9, **measured)
    answer = why(facts, NOW)
    assert answer.position == position
    assert answer.eta is not None
    return answer.eta


def test_the_estimate_of_even_jobs() -> None:
    """Two slots, jobs of exactly 1 s: the 5th in line starts when the 5th slot comes free."""
    p50, p90 = eta(5, mean=1000, square=1000**2)
    assert p50 == pytest.approx(2.25)
    assert p90 == pytest.approx(2.25 + 1.2816 / 12**0.5)


def test_uneven_jobs_widen_the_estimate() -> None:
    even, uneven = (eta(16, mean=1000, square=square * 1000**2) for square in (1, 2))
    assert even[0] == uneven[0]
    assert uneven[1] - uneven[0] == pytest.approx(1.2816 * ((16 + 16**2 / 9) / 4 + 1 / 12) ** 0.5)


def test_a_line_behind_a_rate_starts_in_rounds() -> None:
    facts = replace(FREE, rate_count=2, rate_window=1000, rate_starts=2, rate_opens=300.0, own_ahead=4)
    answer = why(facts, NOW)
    assert answer.eta is not None
    assert answer.eta[0] == pytest.approx(2.3)


async def took(store: Store, grant: Grant, ms: float) -> None:
    """Make it so that the job was admitted so long ago."""
    await store.redis.zincrby(store.keys.running, -ms, grant.id)


async def asked(store: Store, job_id: str) -> Waiting:
    facts = await store.explain(job_id)
    assert facts is not None
    return why(facts, facts.score)


async def test_the_holders_and_the_place_in_the_line(store: Store, hand: Any) -> None:
    await store.configure(1, by="test")
    first, second, third = await submitted(store, 3)
    worker: Hand = hand(serves=["Add"])
    grant = await worker.claim_one()
    for position, job_id in enumerate((second, third), start=1):
        answer = await asked(store, job_id)
        assert (answer.blocking, answer.position, answer.holders) == ("cap", position, (first,))
    await took(store, grant, 4000)
    await worker.finish(grant, own_end=True)
    grant = await worker.claim_one()
    answer = await asked(store, third)
    assert answer.position == 1
    assert answer.eta == pytest.approx((2.0, 2.0 + 1.2816 * 4 / 12**0.5), rel=0.01)
    await took(store, grant, 1000)
    await worker.finish(grant, own_end=True)
    facts = await store.explain(third)
    assert facts is not None
    assert (facts.n, facts.mean, facts.square) == (
        2,
        pytest.approx(2500, rel=0.01),
        pytest.approx((4000**2 + 1000**2) / 2, rel=0.01),
    )
    await worker.finish(await worker.claim_one())
    assert await store.explain(third) is None


async def test_a_parked_job_has_its_own_line(store: Store, hand: Any) -> None:
    await store.redis.hset(store.keys.limits, "declared:A", 1)
    running, next_up, last = await submitted(store, 3, algorithm="A")
    await submitted(store, 1, algorithm="B")
    worker: Hand = hand(serves=["A", "B"])
    await worker.claim(4)
    assert set(worker.granted) > {running}
    for position, job_id in enumerate((next_up, last), start=1):
        answer = await asked(store, job_id)
        assert (answer.blocking, answer.position, answer.holders) == ("algorithm_cap", position, (running,))
    for _ in range(3):
        for grant in list(worker.granted.values()):
            await worker.finish(grant)
        await worker.claim(4)


async def test_workers_with_slots_of_their_own(store: Store, hand: Any) -> None:
    first, second = await submitted(store, 2)
    worker: Hand = hand(serves=["Add"])
    await store.redis.hset(store.keys.worker(worker.incarnation), "slots", 1)
    grant = await worker.claim_one()
    assert (await asked(store, second)).blocking == "worker_slots"
    await worker.finish(grant)
    assert (await asked(store, second)).blocking is None
    await worker.finish(await worker.claim_one())
    assert first != second


async def test_a_place_far_down_the_line(store: Store) -> None:
    ids = await submitted(store, 300)
    answer = await asked(store, ids[-1])
    assert (answer.blocking, answer.position) == ("no_worker", 300)
    for job_id in ids:
        await store.cancel(job_id, keep_ms=1000)
