"""A webhook that is tried in vain to the end: how often, when, and what is left to see of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import httpx2
import pytest

from tests.fleet import Fleet
from tests.receiver import Receiver, receiving
from tests.worker.test_webhooks import all_told, attempts, due_now, logged, submit
from worker.webhooks import JITTER, SCHEDULE

pytestmark = pytest.mark.slow


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def test_the_tenth_attempt_is_the_last(fleet: Fleet, receiver: Receiver) -> None:
    """Each waits for as long as the table says, and is then brought forward; at the end it is let go, and told."""
    receiver.answer = 503
    fleet.settings |= {"WEBHOOK_ALLOW": "127.0.0.1"}
    front = fleet.front()
    worker = fleet.worker()
    job_id = submit(front, receiver.url())
    for count in range(1, 10):
        attempts(front, job_id, count)
        due_now(fleet)
    rows = attempts(front, job_id, 10)
    assert [row["outcome"] for row in rows] == ["failed"] * 9 + ["given_up"]
    assert {(row["event"], row["status_code"], row["error"]) for row in rows} == {
        ("job.completed", 503, "status 503")
    }
    for row, seconds in zip(rows, SCHEDULE, strict=False):
        assert seconds * (1 - JITTER) <= passed(row["at"], row["next_at"]) <= seconds * (1 + JITTER) + 15
    assert rows[-1]["next_at"] is None
    all_told(fleet)
    assert fleet.redis.zcard(fleet.keys.due_of + receiver.url("")) == 0
    assert logged(worker, "webhook_given_up") == [receiver.url("")]
    assert len(receiver.told) == 10 and len({told.id for told in receiver.told}) == 1
    assert outcomes(front) == {"failed": 9, "given_up": 1}
    assert front.get(f"/jobs/{job_id}").json()["status"] == "completed", "the job is none the worse for it"

    receiver.answer = 200
    assert front.post(f"/jobs/{job_id}/webhooks/redeliver").status_code == 202
    assert attempts(front, job_id, 11)[-1]["outcome"] == "delivered"
    all_told(fleet)
    assert receiver.told[-1].id == receiver.told[0].id and receiver.told[-1].body == receiver.told[0].body
    assert outcomes(front) == {"failed": 9, "given_up": 1, "delivered": 1}


def passed(begin: str, end: str) -> float:
    """Seconds."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def outcomes(front: httpx2.Client) -> dict[str, float]:
    """The attempts that are counted."""
    rows = re.findall(
        r'^webhook_deliveries_total{outcome="(\w+)"} (\S+)$', front.get("/metrics").text, re.MULTILINE
    )
    return {name: float(value) for name, value in rows if float(value)}
