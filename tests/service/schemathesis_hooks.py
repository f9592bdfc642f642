"""What Schemathesis needs to know beyond the description: which jobs can be run, and how a stream ends."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote

import requests
import schemathesis

BODIES: list[dict[str, Any]] = [
    {"algorithm": "Add", "params": {"a": 1, "b": 2}},
    {"algorithm": "Echo", "params": {"value": [None, "\0", {}]}},
    {"algorithm": "Raises"},
]


def whole(value: Any) -> Any:
    """JSON Schema takes 7.0 for an integer, and can say nothing else; the service does not (docs/openapi.md)."""
    if isinstance(value, dict):
        return {name: whole(each) for name, each in value.items()}
    if isinstance(value, list):
        return [whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def is_plain(body: dict[str, Any]) -> bool:
    return isinstance(body.get("algorithm"), str) and isinstance(body.get("params", {}), dict)


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Half of the jobs become ones that run: made-up algorithms only show one problem. What was wrong stays so."""
    body = whole(body)
    if context.operation.label == "POST /jobs":
        return runnable(body)
    if (
        context.operation.label == "POST /jobs/batch"
        and isinstance(body, dict)
        and isinstance(body.get("jobs"), list)
    ):
        return body | {"jobs": [runnable(each) for each in body["jobs"]]}
    return body


def runnable(job: Any) -> Any:
    pick = random.Random(repr(job))
    if isinstance(job, dict) and is_plain(job) and pick.random() < 0.5:
        return job | pick.choice(BODIES)
    return job


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """A stream lasts as long as its job: a job that waits is cancelled, so that there is an end to read.

    And no schema can say that a cursor is one that was given.
    """
    if case.operation.label == "GET /jobs" and isinstance(case.query, dict):
        case.query.pop("cursor", None)
    if case.operation.label == "GET /jobs/{job_id}/events" and case.method == "GET":
        job = quote(str((case.path_parameters or {}).get("job_id")), safe="")
        requests.post(f"{case.operation.base_url}/jobs/{job}/cancel", timeout=10)
