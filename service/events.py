"""The endpoint of what happens to a job, as it happens: server-sent events (HTML standard, section 9.2)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

from pydantic_core import to_json
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service import accept
from service.front import Front
from service.listening import Listening
from service.operation import NO_SNIFF, Answer, Header, operation
from service.place import FORM, HEADER, Place
from service.tale import Event, end_of
from slotwise.errors import unknown_job
from slotwise.job import TERMINAL
from slotwise.sight import sight

MEDIA_TYPE: Final = "text/event-stream"
PING_SECONDS: Final = 15
SEND_SECONDS: Final = 30.0  # for which a listener may leave what it was sent unread
GRACE_SECONDS: Final = 3.0  # to end a stream by itself when the service stops; below uvicorn's own
SEPARATOR: Final = "\n"
TOLD: Final = (
    "Server-sent events `status`, `progress`, `log` and, last, `end` with the job; a comment every 15 s. The `id` "
    "of an event, sent as Last-Event-ID, goes on right behind it, at any front end."
)
UNHELD: Final = Header("X-Accel-Buffering", "Asks proxies to pass on each event.", {"const": "no"})
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
    headers=[LAST_EVENT_ID],
    answers={
        200: Answer(None, TOLD, [NO_SNIFF, UNHELD], MEDIA_TYPE),
        204: Answer(None, "All of it was told: do not connect again.", media_type=""),
    },
    problems=["job-not-found", "not-acceptable", "too-many-listeners"],
)
async def events(request: Request) -> Response:
    """GET /jobs/{id}/events"""
    front: Front = request.app.state.front
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
    return Stream(front.listening, job_id, place)


class Stream(EventSourceResponse):
    """The events behind `place`, for one listener."""

    def __init__(self, listening: Listening, job_id: str, place: Place) -> None:
        super().__init__(
            _encoded(listening.follow(job_id, place)),
            headers={"X-Content-Type-Options": "nosniff"},
            ping=PING_SECONDS,
            ping_message_factory=lambda: ServerSentEvent(comment="ping", sep=SEPARATOR),
            sep=SEPARATOR,
            send_timeout=SEND_SECONDS,
            shutdown_grace_period=GRACE_SECONDS,
        )
        self._listening = listening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._listening.enter()
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            raise ClientDisconnect from None  # it does not read: as if it had hung up
        finally:
            await self._listening.leave()


async def _encoded(events: AsyncGenerator[Event]) -> AsyncIterator[ServerSentEvent]:
    async with aclosing(events):
        async for event in events:
            data = to_json(event.data).decode()
            yield ServerSentEvent(data, event=event.name, id=str(event.place), sep=SEPARATOR)
