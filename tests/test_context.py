"""What a body may know and say: the context, as an argument and from anywhere below."""

from __future__ import annotations

import asyncio
import math
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Optional

import pytest

import slotwise
from slotwise import Context, SlotwiseError, algorithm
from slotwise import context as contexts


class Heard:
    """A voice that remembers."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.wanted = False

    def progress(self, percent: float, message: str) -> None:
        self.said.append((percent, message))

    def log(self, output: bytes) -> None:
        self.said.append(output)

    def cancelled(self) -> bool:
        return self.wanted


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.mark.parametrize("percent", [math.nan, math.inf, -0.1, 100.1, "50", None, True, Decimal(5), 1j])
def test_a_percent_that_is_none_is_refused(heard: Heard, percent: Any) -> None:
    with pytest.raises(ValueError, match="from 0 to 100"):
        Context.until("j", 1, 1, heard).progress(percent)
    assert heard.said == []


def test_progress_and_log(heard: Heard) -> None:
    context = Context.until("j", 1, 1, heard)
    context.progress(0)
    context.progress(100, "done \ud800" + "ä" * 1_000)
    context.log("step", n=1, at=datetime(2026, 1, 2, tzinfo=UTC), why="a b", odd=object)
    context.log("lone \ud800")
    first, second, line, lone = heard.said
    assert first == (0.0, "")
    assert second[0] == 100.0
    assert second[1].startswith("done ?ä")
    assert len(second[1].encode()) <= contexts.MESSAGE_BYTES
    assert line == b'step n=1 at="2026-01-02T00:00:00Z" why="a b" odd="<class \'object\'>"\n'
    assert lone == b"lone \\ud800\n"


def test_the_deadline_and_the_time_left(heard: Heard) -> None:
    context = Context.until("j", 2, 60, heard)
    assert context.deadline is not None
    assert timedelta(seconds=55) < context.deadline - datetime.now(UTC) <= timedelta(seconds=60)
    assert 55 < context.remaining_seconds() <= 60
    endless = Context.until("j", 2, None)
    assert (endless.deadline, endless.remaining_seconds()) == (None, math.inf)
    assert Context.until("j", 1, 1e12).deadline is None
    assert not context.cancelled
    heard.wanted = True
    assert context.cancelled


def test_where_no_job_runs_it_says_so() -> None:
    for call in (lambda: slotwise.progress(1), lambda: slotwise.log("x")):
        with pytest.raises(RuntimeError, match="no job runs"):
            call()


async def test_it_is_found_below_the_body_and_not_beside_it(heard: Heard) -> None:
    other = Heard()

    async def body(voice: Heard, name: str) -> None:
        here = contexts.begin(lambda: Context.until(name, 1, 1, voice))
        await asyncio.to_thread(slotwise.log, name)
        await asyncio.create_task(asyncio.to_thread(slotwise.progress, 5))
        contexts.end(here)
        with pytest.raises(RuntimeError):
            slotwise.log("after")

    await asyncio.gather(body(heard, "one"), body(other, "two"))
    assert (heard.said, other.said) == ([b"one\n", (5.0, "")], [b"two\n", (5.0, "")])


def test_in_a_process_of_its_own_every_thread_is_the_jobs(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "_whole_process", [])
    contexts.own_process(Context.until("j", 1, 1, heard))
    thread = threading.Thread(target=slotwise.log, args=("from a thread",))
    thread.start()
    thread.join()
    assert heard.said == [b"from a thread\n"]


def test_it_is_asked_for_by_its_type_under_any_name_and_is_no_parameter(heard: Heard) -> None:
    @algorithm
    def Last(a: int, me: Context) -> str:
        return f"{a} {me.job_id}"

    @algorithm
    def First(job: Optional[Context] = None, a: int = 2) -> str:  # noqa: UP045
        return f"{a} {job and job.job_id}"

    context = Context.until("j", 1, 1, heard)
    for one in (Last, First):
        assert list(one.describe()["parameters"]["properties"]) == ["a"]
        assert one.call([1], {}, lambda: context) == "1 j"
    assert First() == "2 None"


def test_another_parameter_called_ctx_is_a_parameter() -> None:
    @algorithm
    def Plain(ctx: int) -> int:
        return ctx

    assert Plain.call([], {"ctx": 5}, lambda: Context("j")) == 5


def test_asked_for_twice_it_is_refused() -> None:
    @algorithm
    def Twice(a: Context, b: Context) -> None: ...

    with pytest.raises(SlotwiseError, match="twice: a, b"):
        Twice.describe()
