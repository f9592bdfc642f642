"""The endpoint of what happens to all jobs and to the slots, as it happens: server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from service import accept
from service.front import Front
from service.operation import NO_SNIFF, Answer, Header, operation
from service.place import HEADER
from service.position import FORM, Position
from service.stream import MEDIA_TYPE, UNHELD, EventStream

TOLD: Final = (
    "Server-sent events: `slots`, the numbers as they are; then `job` for each state that a job comes into, in "
    "the order in which they do, and `slots` after changes; a comment every 15 s. The `id` of an event, sent as "
    "Last-Event-ID, goes on right behind it, at any front end; where what came behind it is not kept any more, "
    "`reset` and then `slots`."
)
LAST_EVENT_ID: Final = Header(
    HEADER,
    "The id of the last event that was seen: what follows is told.",
    {"type": "string", "pattern": f"^(?:{FORM})?$"},
    "1893456000000-0.2",
)


@operation(
    "follow_fleet",
    "slots",
    "What happens to all jobs and to the slots, as it happens",
    headers=[LAST_EVENT_ID],
    answers={200: Answer(None, TOLD, [NO_SNIFF, UNHELD], MEDIA_TYPE)},
    problems=["not-acceptable", "too-many-listeners"],
)
async def events(request: Request) -> Response:
    """GET /events"""
    front: Front = request.state.front
    accept.check(request.headers, MEDIA_TYPE)
    last = ",".join(request.headers.getlist(HEADER))
    position = Position.parse(last, HEADER) if last else None
    front.broadcast.check_room()
    start = await front.broadcast.start()
    return EventStream(front.broadcast, _while_held(front, front.broadcast.follow(position, start)))


async def _while_held(front: Front, told: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    """To the end of `told`, or of the listener's key."""
    async with aclosing(told):
        async for each in told:
            if not await front.caller_holds():
                return
            yield each
