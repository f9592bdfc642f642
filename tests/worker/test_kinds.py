"""What parameters and results may be: there and back through the whole service, in processes and on the loop."""

from __future__ import annotations

from typing import Any

from tests.fleet import Fleet, ended
from tests.kinds import KINDS


def test_each_kind_of_value_comes_as_it_was_declared_and_goes_back_as_json(fleet: Fleet) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="8")
    fleet.worker(ALGORITHMS="tests.kinds")
    names = [f"Same{name}{how}" for name in KINDS for how in ("", "Async")]
    asked: dict[str, Any] = {}
    for name in names:
        value = KINDS[name.removeprefix("Same").removesuffix("Async")][1]
        answer = front.post("/jobs", json={"algorithm": name, "params": {"value": value}})
        assert answer.status_code == 202, answer.text
        asked[name] = answer.json()["job_id"], value
    for name, (job_id, value) in asked.items():
        job = ended(front, job_id)
        assert (name, job["error"], job["result"]) == (name, None, value)
    schema = front.get("/algorithms/SameDecimal").json()["result"]
    assert schema["type"] == "string"


def test_what_does_not_fit_is_refused_before_it_is_queued(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker(flags=("--burst",), ALGORITHMS="tests.kinds").wait()
    params = {"value": {"lines": [{"x": 1, "at": "soon"}], "price": "1.10"}}
    answer = front.post("/jobs", json={"algorithm": "SameDataclass", "params": params})
    assert answer.status_code == 422
    assert [row["pointer"] for row in answer.json()["errors"]] == ["#/params/value/lines/0/at"]
