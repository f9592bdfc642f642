"""A class with an `on_task` method as an algorithm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slotwise import JobError, testing
from slotwise.errors import SlotwiseError
from slotwise.lepton import Worker, as_algorithm
from tests.fleet import ROOT, Fleet, ended

SOURCE = '''
import os
from slotwise.lepton import Worker, as_algorithm

class Summariser(Worker):
    """Shortens."""
    worker_max_concurrency = 3

    def init(self):
        self.loaded_in = os.getpid()

    def on_task(self, task_id, text: str, words: int = 2):
        return {"task": task_id, "text": " ".join(text.split()[:words]), "shared": self.loaded_in == os.getppid()}

class Any(Worker):
    save_result = False
    async def on_task(self, task_id, **payload):
        assert payload == {"a": 1, "b": [2]}
        return payload

Summarise = as_algorithm(Summariser, name="Summarise")
Anything = as_algorithm(Any)
'''


def test_it_runs_in_the_service_with_its_start_up_shared(fleet: Fleet) -> None:
    (fleet.directory / "moved.py").write_text(SOURCE)
    front = fleet.front()
    fleet.worker(ALGORITHMS="moved", PYTHONPATH=f"{ROOT}:{fleet.directory}")
    answer = front.post("/jobs", json={"algorithm": "Summarise", "params": {"text": "to be or not"}})
    job = ended(front, answer.json()["job_id"])
    assert (job["error"], job["result"]) == (None, {"task": job["job_id"], "text": "to be", "shared": True})
    entry = front.get("/algorithms/Summarise").json()
    assert (entry["max_concurrent"], entry["description"]) == (3, "Shortens.")
    assert set(entry["parameters"]["properties"]) == {"text", "words"}
    answer = front.post("/jobs", json={"algorithm": "Any", "params": {"a": 1, "b": [2]}})
    job = ended(front, answer.json()["job_id"])
    assert (job["error"], job["status"], job["result"]) == (None, "completed", None)
    assert front.post("/jobs", json={"algorithm": "Summarise", "params": {"words": 1}}).status_code == 422


class Plain:
    """No base class is needed."""

    def on_task(self, task_id: str, ctx: int, other) -> list[Any]:  # type: ignore[no-untyped-def]
        return [task_id, ctx, other]


def test_a_class_without_a_base_and_with_untyped_parameters() -> None:
    one = as_algorithm(Plain, timeout=30)
    assert (one.name, one.timeout, one.max_concurrent) == ("Plain", 30, None)
    assert testing.run(one, {"ctx": 1, "other": {"x": None}}, job_id="j").result == ["j", 1, {"x": None}]
    with pytest.raises(JobError, match="bad_params"):
        testing.run(one, {"ctx": "1", "other": 2})


class NoTask:
    pass


class NoId:
    def on_task(self, text: str) -> None: ...


def test_options_go_before_what_the_class_says() -> None:
    class Busy(Worker):
        worker_max_concurrency = 8

        def on_task(self, task_id: str, **payload: Any) -> Any: ...

    assert as_algorithm(Busy).max_concurrent == 8
    assert as_algorithm(Busy, max_concurrent=2).max_concurrent == 2


@pytest.mark.parametrize(("worker", "said"), [(NoTask, "has no method on_task"), (NoId, "takes no task_id")])
def test_a_class_that_cannot_be_one(worker: Callable[..., Any], said: str) -> None:
    with pytest.raises(SlotwiseError, match=said):
        as_algorithm(worker)  # type: ignore[arg-type]
