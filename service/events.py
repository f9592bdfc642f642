"""The endpoint of what happens to a job, as it happens: server-sent events (HTML standard, section 9.2)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

from pydantic_core import to_json
from sse_starlette import ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from service import accept
from service.front import Front
from service.listening import Listening
from service.operation import NO_SNIFF, Answer, Header, operation
from service.place import FORM, HEADER, Place
from service.stream import MEDIA_TYPE, SEPARATOR, UNHELD, EventStream
from service.tale import Event, end_of
from slotwise.errors import unknown_job
from slotwise.job import TERMINAL
from slotwise.sight import sight
from slotwise.tenant import Scope

TOLD: Final = (
    "Server-sent events `status`, `progress`, `log` and, last, `end` with the job; a comment every 15 s. The `id` "
    "of an event, sent as Last-Event-ID, goes on right behind it, at any front end."
)
LAST_EVENT_ID: Final = Header(
    HEADER,
    "The id of the last event that was seen: what follows is told.",
    {"type": "string", "pattern": f"^(?:{FORM})?$"},
    "1893456000000.0.2.0-0.0",
)


@operation(
    "follow_job",
    "jobs",
    "What happens to a job, as it happens",
    scope=Scope.READ,
    headers=[LAST_EVENT_ID],
    answers={
        200: Answer(None, TOLD, [NO_SNIFF, UNHELD], MEDIA_TYPE),
        204: Answer(None, "All of it was told: do not connect again.", media_type=""),
    },
    problems=["job-not-found", "not-acceptable", "too-many-listeners"],
)
async def events(request: Request) -> Response:
    """GET /jobs/{id}/events"""
    front: Front = request.state.front
    job_id = request.path_params["job_id"]
    accept.check(request.headers, MEDIA_TYPE)
    last = ",".join(request.headers.getlist(HEADER))
    place = Place.parse(last) if last else None
    seen = await sight(front.store, job_id)
    if seen is None:
        raise unknown_job(job_id)
    place = Place.start(seen.job) if place is None else place.within(seen.job)
    if seen.job.state in TERMINAL and place.step >= end_of(seen.job, place).step:
        return Response(status_code=204)  # the one answer after which a browser does not connect again
    front.listening.check_room()
    told = front.listening.follow(front.store, job_id, place, front.caller_holds)
    return Stream(front.listening, told)


class Stream(EventStream):
    """What is told to one listener."""

    def __init__(self, listening: Listening, told: AsyncGenerator[Event]) -> None:
        super().__init__(listening, _encoded(told))


async def _encoded(events: AsyncGenerator[Event]) -> AsyncIterator[ServerSentEvent]:
    async with aclosing(events):
        async for event in events:
            data = to_json(event.data).decode()
            yield ServerSentEvent(data, event=event.name, id=str(event.place), sep=SEPARATOR)
