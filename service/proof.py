"""The endpoint of the proof."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from service import query
from service.answer import Json
from service.front import Front
from service.operation import Answer, operation
from slotwise.admissions import DEFAULT_WINDOW_SECONDS, MAX_WINDOW_SECONDS, prove
from slotwise.tenant import Scope
from slotwise.verdict import Proof

WINDOW: Final = query.Number(
    "window", "Seconds to look back.", default=DEFAULT_WINDOW_SECONDS, most=MAX_WINDOW_SECONDS
)


@operation(
    "read_proof",
    "slots",
    "The admission log, replayed: was the cap kept at every instant?",
    scope=Scope.ADMIN,  # it names jobs, whose tenants nobody knows any more
    query=[WINDOW],
    answers={200: Answer(Proof, "What was checked, how far back, and what was found.")},
)
async def proof(request: Request) -> Response:
    """GET /jobs/concurrency/proof: the admission log of the last `window` seconds, replayed."""
    front: Front = request.state.front
    verdict = await prove(front.store, WINDOW.of(request))
    return Json(verdict.as_dict())
