"""GET /openapi.json: the description of the service as OpenAPI 3.1, kept until the catalogue changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from service.catalogue import Known
from service.document import document
from service.front import Front
from service.operation import JSON, Answer, Path, operation
from slotwise.tenant import Scope


class Description:
    """Of these routes, and of the algorithms that are known; in bytes."""

    def __init__(self, routes: Sequence[object]) -> None:
        self._paths = [route for route in routes if isinstance(route, Path)]
        self._known: list[Known] | None = None
        self._written = b""

    async def written(self, known: Sequence[Known]) -> bytes:
        if self._known != list(known):
            # the two change together, between two awaits: nobody is given the one with the other of before
            written = await asyncio.to_thread(lambda: to_json(document(self._paths, known)))
            self._known, self._written = list(known), written
            return written
        return self._written


@operation(
    "read_description",
    "service",
    "This description",
    scope=Scope.READ,
    answers={200: Answer(dict[str, Any], "OpenAPI 3.1, with the algorithms that are known now.")},
)
async def openapi(request: Request) -> Response:
    """GET /openapi.json"""
    front: Front = request.state.front
    description: Description = request.app.state.description
    return Response(await description.written(await front.catalogue.all()), media_type=JSON)
