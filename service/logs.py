"""The endpoint of what a job wrote: plain text, live while it runs."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from service import query
from service.front import Front
from service.operation import NO_SNIFF, Answer, operation
from slotwise.errors import unknown_job
from slotwise.said import output
from slotwise.tenant import Scope

MOST_LINES: Final = 1_000_000
TAIL: Final = query.Number("tail", "The last so many lines.", default=MOST_LINES, most=MOST_LINES)


@operation(
    "read_logs",
    "jobs",
    "What a job wrote",
    scope=Scope.READ,
    query=[TAIL],
    answers={200: Answer(None, "The newest that is kept; live while it runs.", [NO_SNIFF], "text/plain")},
    problems=["job-not-found"],
)
async def logs(request: Request) -> Response:
    """GET /jobs/{id}/logs"""
    front: Front = request.state.front
    job_id = request.path_params["job_id"]
    tail = TAIL.of(request)
    found = await output(front.store, job_id)
    if found is None:
        raise unknown_job(job_id)
    text = as_text(*found, tail=tail)
    return PlainTextResponse(text, headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"})


def as_text(cut: int, data: bytes, *, tail: int) -> str:
    """The last `tail` lines of what is kept; what was cut is said where it would stand."""
    text = data.decode("utf-8", "replace")
    lines = text.removesuffix("\n").split("\n")
    if len(lines) > tail:
        return "\n".join(lines[-tail:]) + "\n" * text.endswith("\n")
    return f"[{cut} bytes before this are not kept]\n{text}" if cut else text
