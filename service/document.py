"""The description of the service, made of its routes and the models that validate and answer.

Says nothing that is said elsewhere: what an operation takes and gives stands beside it (`service/operation.py`),
what problems are in `service/problems.py`, what a job's parameters are in the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, get_args

from service.batch import Batch
from service.catalogue import Algorithms, Known
from service.concurrency import WorkerObject, Workers
from service.examples import examples, message, problem
from service.listing import JobList
from service.operation import JSON, RATE, Answer, Header, Operation, Path
from service.problems import TABLE, Problem
from service.schemas import Models, Published
from slotwise.errors import Code
from slotwise.view import JobObject
from slotwise.webhook import PREFIX, Message, Type

MEDIA_TYPE: Final = "application/problem+json"
ABOUT: Final = (
    "Jobs over HTTP, with a concurrency cap that is exact over the whole fleet. Every error is a problem (RFC "
    "9457). What a job's `params` may be is its algorithm's to say: `x-algorithms` names their schemas. "
    "An integer is one that is written without a decimal point or an exponent."
)
REQUEST_ID: Final = Header("X-Request-Id", "Names the request; its answer and the log repeat it.", example="r-17")
RETRY_AFTER: Final = Header("Retry-After", "Seconds.", {"type": "string", "pattern": "^[0-9]+$"})
SIGNED: Final = (  # the headers of Standard Webhooks
    Header("webhook-id", "Names what is told: the same however often it is sent.", example="msg_0f4c1d2e_1-0"),
    Header("webhook-timestamp", "When it was sent: seconds since the epoch.", example="1893456000"),
    Header("webhook-signature", "`v1,` and the base64 of an HMAC-SHA256; one for each secret.", example="v1,K5oZ"),
)
RETRIED: Final[tuple[Code, ...]] = (
    *("result-not-ready", "queue-full", "rate-limited", "too-many-listeners"),
    *("store-unavailable", "store-damaged"),
)
CHALLENGE: Final = Header("WWW-Authenticate", "`Bearer`.")
SECURITY: Final = "key"
KEYS: Final = (
    "An API key, as `slotwise keys create` makes it. Each operation names the scope that it needs; read, submit, "
    "operate and admin include each other in this order. Where no key was made, none is asked for."
)
TEXT: Final = {"type": "string"}
LETTERS: Final = {"type": "string", "minLength": 1}
STREAM: Final = "text/event-stream"

# Of an answer: the paths that go on from it, their parameter, and where the answer holds its value.
LINKS: Final[Mapping[Any, tuple[str, str, str]]] = {
    JobObject: ("/jobs/{job_id}", "job_id", "/job_id"),
    Batch: ("/jobs/{job_id}", "job_id", "/jobs/0/job_id"),
    JobList: ("/jobs/{job_id}", "job_id", "/jobs/0/job_id"),
    WorkerObject: ("/workers/{name}", "name", "/name"),
    Workers: ("/workers/{name}", "name", "/workers/0/name"),
    Algorithms: ("/algorithms/{name}", "name", "/algorithms/0/name"),
}


@dataclass(frozen=True)
class Place:
    """An operation with its method and its path."""

    method: str
    path: Path
    operation: Operation

    @property
    def problems(self) -> Iterator[Code]:
        """All that it may answer with."""
        one = self.operation
        yield from one.problems
        yield "invalid-request"  # the query, if nothing else
        yield "internal"
        if one.needs_store:
            yield from ("store-unavailable", "store-damaged")
        if self.path.param_convertors:
            yield "not-found"  # a part of the path that is no UTF-8
        if one.body is not None:
            yield from ("invalid-json", "unsupported-media-type")
        if self.method != "GET":
            yield "payload-too-large"
        if one.public != "always":
            yield from ("unauthorized", "forbidden", "misdirected-request")
            if self.method != "GET":
                yield "cross-site"

    @property
    def security(self) -> list[dict[str, list[str]]]:
        """The scope that a key must have; {}: nobody is asked for one where none was made."""
        return [] if self.operation.public == "always" else [{SECURITY: [self.operation.scope.value]}, {}]


def document(paths: Sequence[Path], known: Sequence[Known] = ()) -> dict[str, Any]:
    """As plain JSON values, with these algorithms."""
    places = [Place(method, path, one) for path in paths for method, one in path.operations.items()]
    writer = _Writer(places, Published(known))
    written: dict[str, dict[str, Any]] = {}
    for place in places:
        written.setdefault(place.path.path_format, {})[place.method.lower()] = writer.operation(place)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Slotwise",
            "version": version("slotwise"),
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(place.operation.tag for place in places)],
        "paths": written,
        "webhooks": writer.webhooks(),
        "components": writer.components(),
        "x-algorithms": writer.published.index,
    }


class _Writer:
    """Writes one operation after another."""

    def __init__(self, places: Sequence[Place], published: Published) -> None:
        self._places = places
        self._models = Models(_models(place.operation for place in places))
        self.published = published

    def components(self) -> dict[str, Any]:
        return {
            "schemas": self._models.components | self.published.components,
            "securitySchemes": {
                SECURITY: {"type": "http", "scheme": "bearer", "bearerFormat": "slw_…", "description": KEYS}
            },
            "examples": {code: {"value": problem(code)} for code in TABLE},
        }

    def webhooks(self) -> dict[str, Any]:
        """What is sent to the URL that a job names, by its type."""
        return {
            type: {
                "post": {
                    "operationId": f"tell_{type.removeprefix(PREFIX)}",
                    "tags": ["webhooks"],
                    "summary": f"A job's webhook is told {type}",
                    "parameters": [{"name": each.name, "in": "header"} | _header(each) for each in SIGNED],
                    "requestBody": {
                        "required": True,
                        "content": {JSON: {"schema": self._models.schema(Message), "examples": message(type)}},
                    },
                    "responses": {
                        "2XX": {"description": "It was received."},
                        "410": {"description": "It is not sent again."},
                    },
                }
            }
            for type in get_args(Type)
        }

    def operation(self, place: Place) -> dict[str, Any]:
        one = place.operation
        written: dict[str, Any] = {
            "operationId": one.id,
            "tags": [one.tag],
            "summary": one.summary,
            "security": place.security,
            "parameters": _parameters(place),
            "responses": {
                **{str(status): self._answer(answer) for status, answer in one.answers.items()},
                **self._problems(place),
            },
        }
        if one.text:
            written["description"] = one.text
        if one.body is not None:
            shown = examples(one.body) | self.published.examples(one.body)
            content = {"schema": self._models.schema(one.body), "examples": shown}
            written["requestBody"] = {"required": True, "content": {JSON: content}}
        return written

    def _answer(self, answer: Answer) -> dict[str, Any]:
        written: dict[str, Any] = {
            "description": answer.text,
            "headers": {header.name: _header(header) for header in (*answer.headers, REQUEST_ID)},
        }
        if answer.model is not None:
            content = {"schema": self._models.schema(answer.model), "examples": examples(answer.model)}
            written["content"] = {answer.media_type: content}
        elif answer.media_type:
            # OpenAPI 3.1 has no schema for one event after another
            written["content"] = {answer.media_type: {} if answer.media_type == STREAM else {"schema": TEXT}}
        if links := self._links(answer.model):
            written["links"] = links
        return written

    def _links(self, model: Any) -> dict[str, Any]:
        prefix, name, pointer = LINKS.get(model, ("", "", ""))
        return {
            place.operation.id: {
                "operationId": place.operation.id,
                "parameters": {name: f"$response.body#{pointer}"},
            }
            for place in self._places
            if prefix and place.path.path_format.startswith(prefix)
        }

    def _problems(self, place: Place) -> dict[str, Any]:
        by_status: dict[int, list[Code]] = {}
        for code in dict.fromkeys(place.problems):
            by_status.setdefault(TABLE[code][0], []).append(code)
        return {str(status): self._problem(codes) for status, codes in sorted(by_status.items())}

    def _problem(self, codes: Sequence[Code]) -> dict[str, Any]:
        headers = [REQUEST_ID]
        if set(codes) & set(RETRIED):
            headers.append(RETRY_AFTER)
        if "rate-limited" in codes:
            headers += RATE
        if "unauthorized" in codes:
            headers.append(CHALLENGE)
        shown = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
        return {
            "description": ". ".join(TABLE[code][1] for code in codes) + ".",
            "headers": {header.name: _header(header) for header in headers},
            "content": {MEDIA_TYPE: {"schema": self._models.schema(Problem), "examples": shown}},
        }


def _models(operations: Iterable[Operation]) -> Iterator[tuple[Any, bool]]:
    """Every model that is answered with, or taken (True)."""
    yield Problem, False
    yield Message, False
    for one in operations:
        if one.body is not None:
            yield one.body, True
        yield from ((answer.model, False) for answer in one.answers.values() if answer.model is not None)


def _parameters(place: Place) -> list[dict[str, Any]]:
    one = place.operation
    return [
        *(
            {"name": name, "in": "path", "required": True, "description": "Percent-encoded.", "schema": LETTERS}
            for name in place.path.param_convertors
        ),
        *(
            {"name": each.name, "in": "query", "description": each.text, "schema": each.schema}
            for each in one.query
        ),
        *({"name": each.name, "in": "header"} | _header(each) for each in (*one.headers, REQUEST_ID)),
    ]


def _header(header: Header) -> dict[str, Any]:
    shown = {} if header.example is None else {"example": header.example}
    return {"description": header.text, "schema": header.schema, **shown}
