"""The algorithms that workers have published, as this process last read them (at most a second ago)."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final

from jsonschema import SchemaError
from pydantic import Field
from referencing.exceptions import Unresolvable
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from service.answer import Json
from service.operation import Answer, operation
from service.parameters import Parameters
from slotwise.convoy import Convoy
from slotwise.errors import SlotwiseError, printable
from slotwise.store import Store
from slotwise.tenant import Scope

MAX_AGE_SECONDS: Final = 1.0
MAX_NAMES: Final = 50  # that an error lists


@dataclass(frozen=True)
class Known:
    """A catalogue entry; its schema is compiled when a first job names it, so a bad one harms no other."""

    entry: Mapping[str, Any]

    @cached_property
    def parameters(self) -> Parameters:
        return Parameters(self.entry["parameters"])

    def fits(self, params: dict[str, Any]) -> bool:
        """Whether small parameters are valid; of a schema that is none, nothing is."""
        try:
            return not self.parameters.errors(params)
        except (SlotwiseError, SchemaError, Unresolvable):
            return False


class AlgorithmObject(TypedDict):
    """What a job can be of. Limits are null where it declares none; `parameters` and `result` are JSON Schemas."""

    name: str
    version: str
    description: str
    executor: Annotated[str, Field(description="process, loop or thread")]
    timeout: float | None
    max_attempts: int | None
    memory_mb: int | None
    cpu_seconds: float | None
    open_files: int | None
    file_mb: int | None
    max_concurrent: int | None
    rate: Annotated[str | None, Field(description="As `100/minute`.")]
    parameters: dict[str, Any]
    result: dict[str, Any]
    example: Annotated[dict[str, Any], Field(description="Parameters that work.")]
    served: Annotated[bool, Field(description="Whether a live worker serves it.")]


class Algorithms(TypedDict):
    """The catalogue."""

    algorithms: list[AlgorithmObject]


class Catalogue:
    """A cache of the catalogue.

    Every method raises SlotwiseError `store-unavailable` when it must read and cannot.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Known] = {}
        self._read_at = float("-inf")
        self._reading: Convoy[float, None] = Convoy(self._read, most=sys.maxsize, most_weight=0)

    async def entries(self) -> list[Mapping[str, Any]]:
        """All entries, by name."""
        return [known.entry for known in await self.all()]

    async def all(self) -> Sequence[Known]:
        """All of it, by name."""
        await self._refresh(MAX_AGE_SECONDS)
        return list(self._known.values())

    async def find(self, name: str) -> Known:
        """The algorithm called `name`. Raises: SlotwiseError `algorithm-not-found`."""
        await self._refresh(MAX_AGE_SECONDS)
        if name not in self._known:
            await self._refresh(0)  # published since
        try:
            return self._known[name]
        except KeyError:
            raise SlotwiseError("algorithm-not-found", self._names(name)) from None

    async def get(self, name: str | None) -> Mapping[str, Any] | None:
        """The entry of an algorithm; None where nobody published one of that name, as for a stock function."""
        await self._refresh(MAX_AGE_SECONDS)
        known = self._known.get(name or "")
        return None if known is None else known.entry

    async def _refresh(self, max_age_seconds: float) -> None:
        needed_since = time.monotonic() - max_age_seconds
        if self._read_at < needed_since:
            await self._reading.call(needed_since)

    async def _read(self, needed_since: Sequence[float]) -> Sequence[None]:
        if self._read_at < max(needed_since):  # else those before them have read it meanwhile
            began = time.monotonic()
            entries = await self._store.catalogue()
            self._known = {name: self._updated(name, entry) for name, entry in entries.items()}
            self._read_at = began
        return [None] * len(needed_since)

    def _updated(self, name: str, entry: Mapping[str, Any]) -> Known:
        before = self._known.get(name)
        return before if before is not None and before.entry == entry else Known(entry)

    def _names(self, name: str) -> str:
        text = f"No algorithm is called {printable(name, 100)!r}."
        if not self._known:
            return f"{text} None is known yet: start a worker."
        return f"{text} Known: {', '.join(list(self._known)[:MAX_NAMES])}."


@operation(
    "list_algorithms",
    "algorithms",
    "What jobs can be of",
    scope=Scope.READ,
    answers={200: Answer(Algorithms, "All that workers have published, by name.")},
)
async def listing(request: Request) -> Response:
    """GET /algorithms"""
    return Json({"algorithms": await request.state.front.catalogue.entries()})


@operation(
    "read_algorithm",
    "algorithms",
    "One algorithm",
    scope=Scope.READ,
    answers={200: Answer(AlgorithmObject, "As a worker has published it.")},
    problems=["algorithm-not-found"],
)
async def one(request: Request) -> Response:
    """GET /algorithms/{name}"""
    return Json((await request.state.front.catalogue.find(request.path_params["name"])).entry)
