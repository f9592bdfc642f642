"""The query of a request: each parameter known, given once, and read to the letter."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from starlette.requests import Request

from service.problems import invalid, parameter
from slotwise.errors import SlotwiseError, printable

_WHOLE: Final = re.compile("[1-9][0-9]*")
_FLAGS: Final = {"true": True, "false": False}


class Parameter(Protocol):
    """A query parameter as the description of the service shows it; `schema` is JSON Schema."""

    @property
    def name(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def schema(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Flag:
    """`true` or `false`; false when left out."""

    name: str
    text: str

    @property
    def schema(self) -> Mapping[str, Any]:
        return {"type": "boolean", "default": False}

    def of(self, request: Request) -> bool:
        """Raises: SlotwiseError `invalid-request`."""
        return flag(request, self.name)


@dataclass(frozen=True)
class Given:
    """One that its endpoint reads with others."""

    name: str
    text: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Number:
    """A whole number from 1 to `most`; `default`, when left out."""

    name: str
    text: str
    default: int
    most: int

    @property
    def schema(self) -> Mapping[str, Any]:
        return {"type": "integer", "minimum": 1, "maximum": self.most, "default": self.default}

    def of(self, request: Request) -> int:
        """Raises: SlotwiseError `invalid-request`."""
        return number(request, self.name, default=self.default, most=self.most)


def check(request: Request, known: Collection[str]) -> None:
    """Raises: SlotwiseError `invalid-request` for a parameter that nobody reads, or that is given twice."""
    if not request.scope["query_string"]:
        return
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    odd = next((name for name in names if name not in known or names.count(name) > 1), None if names else "")
    if odd is None:
        return
    if odd in known:
        raise wrong(odd, "must be given once")
    name, takes = printable(odd, 100), f"takes only {', '.join(known)}" if known else "takes no query parameters"
    detail = f"The query is not valid: this endpoint {takes}; leave out {name or request.url.query!r}."
    raise invalid(detail, {parameter(name): f"is not a parameter of this endpoint, which {takes}"})


def flag(request: Request, name: str) -> bool:
    """`true` or `false`; false when left out. Raises: SlotwiseError `invalid-request`."""
    text = request.query_params.get(name, "false")
    if text not in _FLAGS:
        raise wrong(name, "must be true or false")
    return _FLAGS[text]


def number(request: Request, name: str, *, default: int, most: int) -> int:
    """A whole number from 1 to `most`. Raises: SlotwiseError `invalid-request`."""
    text = request.query_params.get(name, str(default))
    if not (_WHOLE.fullmatch(text) and len(text) <= len(str(most)) and int(text) <= most):
        raise wrong(name, f"must be a whole number from 1 to {most}")
    return int(text)


def wrong(name: str, what: str) -> SlotwiseError:
    """The error of a parameter whose value is wrong."""
    return invalid(f"The query is not valid: {name} {what}.", {parameter(name): what})
