"""What an endpoint says of itself, beside its code: the one source of its route, its checks and its description.

    @operation("cancel_job", "jobs", "Cancel a job", answers={200: Answer(JobObject, "It waited.")}, problems=[…])
    async def cancel(request: Request) -> Response: …

The path and the method stand in the table of routes (`service/app.py`); `service/openapi.py` reads both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from service import query
from service.tracing import spanned
from slotwise.errors import Code
from slotwise.tenant import Scope

if TYPE_CHECKING:
    from service.front import Front

Endpoint = Callable[[Request], Awaitable[Response]]
# Operations that need no API key: always, or while the setting of this name says so.
Public = Literal["always", "metrics_public", "health_public"]

JSON: Final = "application/json"


@dataclass(frozen=True)
class Header:
    """Of a request or an answer. `schema` is JSON Schema."""

    name: str
    text: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    example: str | None = None


NO_SNIFF: Final = Header("X-Content-Type-Options", "A browser takes the type as it stands.", {"const": "nosniff"})

RATE: Final = [
    Header("RateLimit-Policy", "Of a key with a rate of its own: `q` jobs in `w` seconds."),
    Header("RateLimit", "What is left of that: `r` jobs; it is whole again in `t` seconds."),
]


@dataclass(frozen=True)
class Answer:
    """A success. `model` is a type that pydantic has a schema for; None: `media_type` is text, "" is no body."""

    model: Any
    text: str
    headers: Sequence[Header] = ()
    media_type: str = JSON


@dataclass(frozen=True)
class Operation:
    """An endpoint that knows what it takes and gives; called only with a query that it knows."""

    endpoint: Endpoint
    id: str
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    problems: Sequence[Code]
    query: Sequence[query.Parameter]
    headers: Sequence[Header]
    body: type[BaseModel] | None
    needs_store: bool
    text: str
    scope: Scope
    public: Public | None

    async def __call__(self, request: Request) -> Response:
        request.state.front = await self._admitted(request)
        query.check(request, [parameter.name for parameter in self.query])
        return await self.endpoint(request)

    async def _admitted(self, request: Request) -> Front:
        """What the endpoint may use. Raises: SlotwiseError `store-unavailable`, and what the door says."""
        front: Front = request.app.state.front
        if self.public is not None and front.is_public(self.public):
            return front
        caller = await front.door.admit(request, self.scope, needs_store=self.needs_store)
        return front.seen_by(caller)


def operation(
    id: str,
    tag: str,
    summary: str,
    *,
    answers: Mapping[int, Answer],
    problems: Sequence[Code] = (),
    query: Sequence[query.Parameter] = (),
    headers: Sequence[Header] = (),
    body: type[BaseModel] | None = None,
    needs_store: bool = True,
    text: str = "",
    scope: Scope = Scope.ADMIN,
    public: Public | None = None,
) -> Callable[[Endpoint], Operation]:
    """Describe an endpoint.

    `problems` are those of its own: what any request may meet, and what its body, its path and its need of the
    store bring with them, are added. `id` is what generated clients call it. `scope`: of the API key that it
    needs; `public`: when it needs none all the same. Who says nothing has made it for admins.
    """

    def described(endpoint: Endpoint) -> Operation:
        told = (answers, problems, query, headers, body, needs_store, text, scope, public)
        return Operation(endpoint, id, tag, summary, *told)

    return described


class Path(Route):
    """A path and its operations, by method: one route, so that a 405 names them all."""

    def __init__(self, path: str, operations: Mapping[str, Operation]) -> None:
        self.operations = operations
        super().__init__(path, self._answer, methods=[*operations], name=path)

    async def handle(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Starlette's, with a span for what changes something."""
        await spanned(scope["app"].state.front.spans, self.path_format, super().handle, scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        chosen = self.operations.get(request.method) or self.operations["GET"]  # HEAD is a GET without its body
        return await chosen(request)
