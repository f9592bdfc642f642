"""What is wrong with a parameter, in words for the client: a row {pointer, detail} for each schema error."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any, Final

from jsonschema import ValidationError

from service.problems import pointer
from slotwise.errors import printable

MAX_DETAIL_CHARS: Final = 300

_KINDS: Final = {
    "array": "an array",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}

_SENTENCES: Final = {
    "const": "must be {}",
    "enum": "must be one of {}",
    "exclusiveMaximum": "must be less than {}",
    "exclusiveMinimum": "must be more than {}",
    "format": "must be a valid {}",
    "maxItems": "must have at most {} items",
    "maxLength": "must have at most {} characters",
    "maximum": "must be at most {}",
    "minItems": "must have at least {} items",
    "minLength": "must have at least {} characters",
    "minimum": "must be at least {}",
    "multipleOf": "must be a multiple of {}",
    "pattern": "must match the pattern {}",
    "x-max-digits": "must have at most {} digits",
}


def row(error: ValidationError) -> tuple[str, str]:
    """Where the error is, below `#/params`, and what to do about it."""
    at = _closest(error)
    return pointer("params", *at.absolute_path), printable(_detail(at), MAX_DETAIL_CHARS)


def _closest(error: ValidationError) -> ValidationError:
    """Of alternatives, the first error within the only one whose type fits; else the error itself."""
    branches = [list(branch) for _, branch in groupby(error.context, lambda each: each.relative_schema_path[0])]
    fitting = [branch for branch in branches if not any(map(_is_of_another_type, branch))]
    return _closest(fitting[0][0]) if len(fitting) == 1 else error


def _is_of_another_type(error: ValidationError) -> bool:
    return error.validator == "type" and not error.relative_path


def _detail(error: ValidationError) -> str:
    rule, value = str(error.validator), error.validator_value
    if rule == "type":
        return _must_be(value, error.instance)
    if rule in _SENTENCES:
        told = value if rule == "format" else json.dumps(value, ensure_ascii=False)
        return _SENTENCES[rule].format(told)
    if error.context:
        return ", or ".join(dict.fromkeys(_detail(each) for each in error.context if not each.relative_path))
    return str(error.message)


def _must_be(kinds: Any, value: object) -> str:
    names = [kinds] if isinstance(kinds, str) else kinds
    text = "must be " + " or ".join(_KINDS.get(name, name) for name in names)
    if isinstance(value, float) and "integer" in names:
        return text + ", written without a decimal point or exponent"
    return text
