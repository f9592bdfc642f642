"""The helper for authors' tests: it says what a worker would."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from arq import Retry
from pydantic import ValidationError

from slotwise import Context, JobError, algorithm, log, testing
from tests import zoo
from tests.fleet import Fleet, ended
from tests.kinds import Point


@algorithm
def Speaks(at: datetime, ctx: Context) -> Point:
    ctx.progress(50, "half")
    ctx.log("seen", year=at.year)
    print("printed")
    log("from below")
    return Point(x=ctx.attempt, at=at)


@algorithm(timeout=0.05)
async def Slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


@algorithm
def Wrong() -> int:
    return "seven"  # type: ignore[return-value]


def test_it_gives_what_a_client_reads_and_what_was_said(capsys: pytest.CaptureFixture[str]) -> None:
    ran = testing.run(Speaks, '{"at": "2030-01-31T12:00:00Z"}', attempt=2)
    assert ran.result == {"x": 2, "at": "2030-01-31T12:00:00Z"}
    assert ran.returned == ran.as_declared() == Point(x=2, at=datetime(2030, 1, 31, 12, tzinfo=UTC))
    assert ran.progress == ((50.0, "half"),)
    assert ran.logs == "seen year=2030\nprinted\nfrom below\n"
    assert capsys.readouterr().out == "printed\n"


async def test_on_an_event_loop() -> None:
    assert (await testing.run_async(Slow, {"seconds": 0}, timeout=30)).result == "done"
    with pytest.raises(JobError) as late:
        await testing.run_async(Slow, {"seconds": 60})
    assert late.value.type == "timeout"
    with pytest.raises(RuntimeError, match="where no job runs"):
        log("after it")


def test_the_context_is_that_of_a_job() -> None:
    assert testing.run(zoo.WhoAmI, job_id="mine", attempt=3).result["job_id"] == "mine"
    with pytest.raises(Retry):
        testing.run(zoo.AsksAgain)
    assert testing.run(zoo.AsksAgain, attempt=2).result == 2


def test_a_result_that_is_not_what_was_declared() -> None:
    ran = testing.run(Wrong)
    assert ran.result == "seven"
    with pytest.raises(ValidationError):
        ran.as_declared()


def test_an_exception_is_the_cause() -> None:
    with pytest.raises(JobError, match="exception: ValueError: no") as failed:
        testing.run(zoo.Raises)
    assert isinstance(failed.value.__cause__, ValueError)
    assert "raise ValueError(message)" in (failed.value.detail or "")
    assert sys.stdout.write("") == 0, "the streams are back"


SAME: list[tuple[Any, dict[str, Any]]] = [
    (zoo.Add, {"a": 1, "b": 2}),
    (zoo.Add, {"a": 1}),
    (zoo.Add, {"a": 1, "b": 2.0}),
    (zoo.Add, {"a": 1, "b": 2, "c": 3}),
    (zoo.Raises, {"message": "no"}),
    (zoo.RaisesOdd, {}),
    (zoo.RaisesUnprintable, {}),
    (zoo.Exits, {"code": 4}),
    (zoo.ExitsAsync, {}),
    (zoo.NotJson, {}),
    (zoo.NotJsonAsync, {}),
    (zoo.NotANumber, {}),
    (zoo.Large, {"size": 2_000_000}),
    (zoo.Nested, {"depth": 300}),
]


def test_it_says_of_each_what_the_service_says(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker()
    for one, params in SAME:
        answer = front.post("/jobs", json={"algorithm": one.name, "params": params})
        try:
            said = {"result": testing.run(one, params).result, "error": None}
        except JobError as error:
            said = {"result": None, "error": error.type}
        if answer.status_code == 422:
            assert said["error"] == "bad_params"
            continue
        job = ended(front, answer.json()["job_id"])
        found = {"result": job["result"], "error": job["error"] and job["error"]["type"]}
        assert (one.name, found) == (one.name, said)
