"""A job's parameters against its algorithm's JSON Schema, before anything is queued.

The schema comes from the strict model that has the last word in the worker, and is read here as that model
reads JSON: 7.0 is no integer, patterns are those of pydantic's linear-time engine (a backtracking one would let
a client stop the event loop). Never fetches a remote schema, never runs code of an algorithm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any, Final, cast
from uuid import UUID

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from pydantic import TypeAdapter
from pydantic_core import SchemaError, SchemaValidator, core_schema, to_json
from referencing import Registry

from service.faults import row
from service.problems import MAX_ROWS, invalid
from slotwise.errors import SlotwiseError

THREAD_BYTES: Final = 16_384  # a larger body is checked in a thread: it may take tens of milliseconds
FORMATS: Final = {
    "date-time": datetime,
    "date": date,
    "time": time,
    "duration": timedelta,
    "uuid": UUID,
}


class TooIntertwinedError(Exception):
    """A recursive schema of alternatives would be tried in too many combinations."""


_references_left: ContextVar[list[int]] = ContextVar("references_left")


class Parameters:
    """One algorithm's parameters: a compiled schema. Raises: jsonschema.SchemaError for one that is none."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        _Validator.check_schema(schema)
        self._validator: Validator = _Validator(schema, registry=Registry(), format_checker=_FORMAT_CHECKER)

    async def check(self, params: dict[str, Any], body_bytes: int) -> None:
        """Raises: SlotwiseError `invalid-request` with a row for each of the first faults."""
        if body_bytes > THREAD_BYTES:
            errors = await asyncio.to_thread(self.errors, params, body_bytes)
        else:
            errors = self.errors(params, body_bytes)
        if errors:
            raise invalid("The parameters do not fit the algorithm.", dict(map(row, errors)))

    def errors(self, params: dict[str, Any], body_bytes: int = 0) -> list[ValidationError]:
        """The first faults. Raises: SlotwiseError `invalid-request` where that cannot be told."""
        # Each value needs a reference or two; only alternatives that nest in each other need many more.
        _references_left.set([1_000 + body_bytes])
        try:
            return list(islice(self._validator.iter_errors(params), MAX_ROWS))
        except (TooIntertwinedError, RecursionError):
            raise _unreadable("nests too deeply for this algorithm's schema") from None
        except OverflowError:
            raise _unreadable("holds a number that is too large for this algorithm's schema") from None


def _unreadable(why: str) -> SlotwiseError:
    return invalid("The parameters do not fit the algorithm.", {"#/params": why})


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _required(validator: Any, names: list[str], value: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(value, "object"):
        for name in names:
            if name not in value:
                yield ValidationError("is required", path=[name])


def _additional(validator: Any, allowed: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(value, "object"):
        return
    patterns = [_pattern(text) for text in schema.get("patternProperties", ())]
    for name, child in value.items():
        if name in schema.get("properties", ()) or any(matches(name) for matches in patterns):
            continue
        if allowed is False:
            yield ValidationError("is not known here", path=[name])
        elif isinstance(allowed, dict):
            yield from validator.descend(child, allowed, path=name)


def _pattern_properties(validator: Any, patterns: Any, value: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(value, "object"):
        for text, schema in patterns.items():
            for name in filter(_pattern(text), value):
                yield from validator.descend(value[name], schema, path=name, schema_path=text)


def _matches(validator: Any, text: str, value: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(value, "string") and not _pattern(text)(value):
        yield ValidationError("does not match")


def _max_digits(validator: Any, digits: int, value: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(value, "integer") and abs(value) >= 10**digits:
        yield ValidationError("has too many digits")


def _reference(validator: Any, target: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    left = _references_left.get()
    left[0] -= 1
    if left[0] < 0:
        raise TooIntertwinedError
    yield from Draft202012Validator.VALIDATORS["$ref"](validator, target, value, schema)


@lru_cache(maxsize=1_024)
def _pattern(text: str) -> Callable[[str], bool]:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=text)).isinstance_python
    except SchemaError:
        return lambda _: True  # a model with Python's own engine: the worker has the last word


def _format_checker() -> FormatChecker:
    checker = FormatChecker(formats=())
    for name, kind in FORMATS.items():
        checker.checks(name, raises=ValueError)(_reads_as(TypeAdapter(kind)))
    return checker


def _reads_as(adapter: TypeAdapter[Any]) -> Callable[[object], bool]:
    def reads(value: object) -> bool:
        if isinstance(value, str):
            adapter.validate_json(to_json(value), strict=True)
        return True

    return reads


_FORMAT_CHECKER: Final = _format_checker()
_Validator: Final = cast(Any, extend)(
    Draft202012Validator,
    {
        "$ref": _reference,
        "required": _required,
        "additionalProperties": _additional,
        "patternProperties": _pattern_properties,
        "pattern": _matches,
        "x-max-digits": _max_digits,
    },
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)
