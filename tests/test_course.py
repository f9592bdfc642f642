"""The steps of a job, derived from its record alone: the same whenever one looks, and never renumbered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slotwise.attempt import NO_ACCOUNT, Account, KillStep
from slotwise.course import Step, course
from slotwise.job import Attempt, Job, Reason, State
from slotwise.keys import RECORD
from slotwise.said import Output
from slotwise.sight import sight
from slotwise.store import Store
from tests.hand import KEEP_MS, Hand, submitted

JOB = Job("id", State.PENDING, "Add", created_ms=10, due_ms=10)
RETRIED = Attempt(20, 30, "w", "retry")
LONG = Account(kill_steps=(KillStep(1, "SIGKILL"),) * 30)
RELEASED = Attempt(20, 30, "w", "release")

Row = tuple[int, str, str | None, int, int | None]


def rows(job: Job) -> list[Row]:
    return [(step.number, step.state, step.reason, step.attempt, step.at_ms) for step in course(job)]


FIRST: Row = (1, "pending", "queued", 0, 10)

COURSES: dict[str, tuple[dict[str, Any], list[Row]]] = {
    "queued": ({}, [FIRST]),
    "scheduled": ({"due_ms": 99}, [(1, "pending", "scheduled", 0, 10)]),
    "running": (
        {"state": State.RUNNING, "attempt": 1, "started_ms": 20},
        [FIRST, (2, "running", None, 1, 20)],
    ),
    "a retry": (
        {"attempt": 1, "history": (RETRIED,), "due_ms": 99, "reason": Reason.RETRYING},
        [(1, "pending", None, 0, 10), (2, "running", None, 1, 20), (3, "pending", "retrying", 1, 30)],
    ),
    "a release does not count": (
        {"state": State.RUNNING, "attempt": 1, "started_ms": 40, "history": (RELEASED,)},
        [FIRST, (2, "running", None, 1, 20), (3, "pending", "queued", 0, 30), (4, "running", None, 1, 40)],
    ),
    "its attempts began at two, as a stock client says": (
        {"state": State.COMPLETED, "attempt": 2, "started_ms": 20, "ended_ms": 30},
        [(1, "pending", "queued", 1, 10), (2, "running", None, 2, 20), (3, "completed", None, 2, 30)],
    ),
    "cancelled before it ran": (
        {"state": State.CANCELLED, "ended_ms": 15, "ended_waiting": True},
        [FIRST, (2, "cancelled", None, 0, 15)],
    ),
    "cancelled between two attempts": (
        {
            **{"state": State.CANCELLED, "attempt": 1, "started_ms": 20, "ended_ms": 50, "ended_waiting": True},
            "history": (RETRIED,),
        },
        [
            (1, "pending", None, 0, 10),
            (2, "running", None, 1, 20),
            (3, "pending", "retrying", 1, 30),
            (4, "cancelled", None, 1, 50),
        ],
    ),
    "a history without room": (
        {
            **{"state": State.RUNNING, "attempt": 4, "started_ms": 60, "ready_ms": 50, "forgotten": 2},
            "history": (RETRIED,),
        },
        [
            (1, "pending", None, 0, 10),
            (2, "running", None, 1, 20),
            (3, "pending", "retrying", 1, 30),
            (7, "pending", None, 3, 50),
            (8, "running", None, 4, 60),
        ],
    ),
    "another life": ({"reopened_ms": 70, "due_ms": 70}, [(1, "pending", "queued", 0, 70)]),
}


@pytest.mark.parametrize("name", COURSES)
def test_course(name: str) -> None:
    fields, expected = COURSES[name]
    assert rows(replace(JOB, **fields)) == expected


@pytest.mark.parametrize(
    ("step", "word", "before"),
    [
        (Step(1, State.PENDING, None, 0, 50, 0), (1, 40), True),
        (Step(2, State.RUNNING, None, 1, 50, 1), (1, 50), True),
        (Step(3, State.PENDING, None, 1, 50, 1), (1, 50), False),
        (Step(3, State.PENDING, None, 0, 50, 1), (1, 51), True),  # of the attempt after a release
        (Step(4, State.RUNNING, None, 2, 50, 2), (1, 90), False),  # a clock was set back
        (Step(4, State.RUNNING, None, 2, 50, 2), (2, 40), False),
        (Step(3, State.PENDING, None, 1, 50, 1), (2, 40), True),
        (Step(5, State.FAILED, None, 2, 50, 2), (2, 90), False),  # nothing is said after the end
    ],
)
def test_what_came_first(step: Step, word: tuple[int, int], before: bool) -> None:
    attempt, ms = word
    assert step.precedes(Output(f"{ms}-0", attempt, 0, b"x")) is before


async def test_every_step_keeps_its_number_while_the_job_moves(store: Store, hand: Any) -> None:
    """Also past what the history has room for."""
    (job_id,) = await submitted(store)
    worker: Hand = hand()
    await store.redis.hset(RECORD + job_id, "history", _filled(16_000))
    seen: dict[int, tuple[str, int]] = {}
    latest = 0

    async def look() -> None:
        nonlocal latest
        found = await sight(store, job_id)
        assert found is not None
        steps = course(found.job)
        for step in steps:
            assert seen.setdefault(step.number, (step.state, step.attempt)) == (step.state, step.attempt)
        assert steps[-1].number == (latest or steps[-1].number - 1) + 1
        latest = steps[-1].number

    await look()
    for attempt in range(1, 8):
        grant = await worker.claim_one()
        await look()
        account = LONG if attempt == 2 else NO_ACCOUNT  # the next would find room again
        await worker.finish(grant, "retry" if attempt % 2 else "release", account=account)
        await look()
    found = await sight(store, job_id)
    assert found is not None
    assert found.job.forgotten == 6
    assert await store.cancel(job_id, keep_ms=KEEP_MS) == "cancelled"
    await look()


def _filled(size: int) -> str:
    row = '{"started_ms":1,"ended_ms":2,"worker":"w","outcome":"release"}'
    return ",".join([row] * (size // (len(row) + 1)))


async def test_a_stock_clients_job_is_seen_whole(store: Store, hand: Any) -> None:
    call = b'{"t":null,"f":"Add","a":[],"k":{},"et":5'
    worker: Hand = hand(serves=["Add"])
    await store.redis.set("arq:job:stock", call + b"}", ex=60)
    await store.redis.zadd(store.keys.queue, {"stock": 5})

    async def seen() -> tuple[int | None, list[str]]:
        found = await sight(store, "stock")
        assert found is not None
        return found.job.created_ms, [step.state.value for step in course(found.job)]

    assert await seen() == (5, ["pending"])
    grant = await worker.claim_one()
    assert await seen() == (5, ["pending", "running"])
    await worker.finish(grant, envelope=call + b',"s":true,"r":3,"st":6,"ft":7,"q":"arq:queue","id":"stock"}')
    assert await seen() == (5, ["pending", "running", "completed"])
    assert await sight(store, "nobody") is None
