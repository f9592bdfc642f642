"""Holds every answer that a test gets against the description of the service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from httpx2 import Response
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from service.app import create_app
from service.document import document
from service.operation import JSON, Path
from slotwise.settings import Settings

HERE = "urn:description"
PROBLEM = "application/problem+json"
OF_ANY_PATH = {"/problems/not-found", "/problems/method-not-allowed"}
AT_LARGE = {
    "content-type",
    "content-length",
    "x-request-id",
    "retry-after",
    "cache-control",
    "content-security-policy",
    "referrer-policy",
    "x-content-type-options",
    "connection",
    "date",
    "transfer-encoding",
}


class Contract:
    """The description, to be asked whether it covers an answer."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.document = document(paths)
        self._registry: Any = Registry().with_resource(HERE, Resource(self.document, DRAFT202012))

    def validator(self, *pointer: str) -> Draft202012Validator:
        """Of the schema at this place of the document."""
        at = "/".join(part.replace("~", "~0").replace("/", "~1") for part in pointer)
        return Draft202012Validator({"$ref": f"{HERE}#/{at}"}, registry=self._registry)

    def faults(self, method: str, raw_path: str, answer: Response, *, whole: bool = True) -> Iterator[str]:
        """What the description does not say of an answer; of its body only where `whole`."""
        status, headers = answer.status_code, answer.headers
        media_type = headers.get("content-type", "").partition(";")[0]
        problem = answer.json() if status >= 400 and method != "HEAD" else {}
        if whole and problem:
            yield from (f"the problem: {fault.message}" for fault in self._problem.iter_errors(problem))
        path = next((each for each in self.paths if each.path_regex.match(raw_path) and _has(each, method)), None)
        if path is None:
            if status not in (404, 405) or problem.get("type") not in (*OF_ANY_PATH, None):
                yield "no operation is described"
            return
        described = self.document["paths"][path.path_format][_asked(method)]
        name, told = described["operationId"], described["responses"].get(str(status))
        if told is None:
            yield f"{name} has no answer {status}"
            return
        content = told.get("content", {})
        if media_type != next(iter(content), ""):
            yield f"{name} {status} has the type {media_type}"
        if problem and problem["type"].rpartition("/")[2] not in content[PROBLEM]["examples"]:
            yield f"{name} has no problem {problem['type']}"
        for header in set(headers) - AT_LARGE - {each.lower() for each in told["headers"]}:
            yield f"{name} {status} has the header {header}"
        if whole and media_type == JSON and method != "HEAD":
            where = (
                "paths",
                path.path_format,
                _asked(method),
                "responses",
                str(status),
                "content",
                JSON,
                "schema",
            )
            for fault in self.validator(*where).iter_errors(answer.json()):
                yield f"{name} {status}: {fault.json_path}: {fault.message}"

    @property
    def _problem(self) -> Draft202012Validator:
        return self.validator("components", "schemas", "Problem")

    async def check(self, response: Response) -> None:
        """For the hook of a client."""
        await response.aread()
        request = response.request
        raw_path = request.url.raw_path.decode().partition("?")[0]
        faults = list(self.faults(request.method, raw_path, response))
        assert not faults, f"{request.method} {raw_path}: {'; '.join(faults)}"


def _has(path: Path, method: str) -> bool:
    return path.methods is not None and method in path.methods


def _asked(method: str) -> str:
    """Its key in the document."""
    return "get" if method == "HEAD" else method.lower()


@cache
def contract() -> Contract:
    """Of the service as it is."""
    routes = create_app(Settings(_env_file=None), "unix:///nowhere").routes
    return Contract([route for route in routes if isinstance(route, Path)])
