"""Schemas as components of the description: of our own models, and those that algorithms have published."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from service.catalogue import Known
from service.submission import JobRequest

COMPONENTS: Final = "#/components/schemas/"
_DEFINED: Final = "#/$defs/"
_UNFIT: Final = re.compile("[^A-Za-z0-9._-]")  # for the name of a component
_BY_NAME: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
_VALUES: Final = frozenset({"const", "default", "enum", "example", "examples"})  # no schemas, whatever is in them


class Models:
    """Our own. A model that is taken, and one that is answered with, may differ in what may be left out."""

    def __init__(self, models: Iterable[tuple[Any, bool]]) -> None:
        asked: dict[Any, tuple[Any, JsonSchemaMode, TypeAdapter[Any]]] = {
            model: (model, "validation" if taken else "serialization", TypeAdapter(model))
            for model, taken in models
        }
        found, defined = TypeAdapter.json_schemas(asked.values(), ref_template=COMPONENTS + "{model}")
        self._schemas = {model: schema for (model, _), schema in found.items()}
        self.components: dict[str, Any] = defined.get("$defs", {})

    def schema(self, model: Any) -> dict[str, Any]:
        return self._schemas[model]


class Published:
    """Of the algorithms that are known. One whose schema is none, or reaches beyond itself, shows as any."""

    def __init__(self, known: Sequence[Known]) -> None:
        self.components: dict[str, Any] = {}
        self.index: dict[str, dict[str, Any]] = {}
        self.examples_by_algorithm: dict[str, Any] = {}
        for one in known:
            self._add(one)

    def examples(self, model: Any) -> dict[str, Any]:
        """Of a request: one for each algorithm whose own example fits it."""
        return self.examples_by_algorithm if model is JobRequest else {}

    def _add(self, one: Known) -> None:
        name, params = one.entry["name"], one.entry.get("example") or {}
        key = self._free(_UNFIT.sub("_", name))
        parameters = self._component(key + "Parameters", one.entry.get("parameters"))
        result = self._component(key + "Result", one.entry.get("result"))
        self.index[name] = {
            "parameters": {"$ref": COMPONENTS + parameters},
            "result": {"$ref": COMPONENTS + result},
        }
        if self.components[parameters] and one.fits(params):
            self.examples_by_algorithm[key] = {"summary": name, "value": {"algorithm": name, "params": params}}

    def _free(self, key: str) -> str:
        number, free = 1, key
        while free + "Parameters" in self.components:
            number += 1
            free = f"{key}.{number}"
        return free

    def _component(self, key: str, schema: Any) -> str:
        try:
            self.components |= _moved(schema, key)
        except (LookupError, AttributeError, TypeError, RecursionError):
            self.components[key] = {}
        return key


def _moved(schema: dict[str, Any], key: str) -> dict[str, Any]:
    """A schema as the component `key`, and what it defines as components beside it.

    Raises: LookupError for a reference to anything else, and what a schema that is none brings about.
    """
    defined = schema.get("$defs", {})
    names = {_DEFINED + name: f"{COMPONENTS}{key}.{_UNFIT.sub('_', name)}" for name in defined}
    names["#"] = COMPONENTS + key
    whole = {name: value for name, value in schema.items() if name != "$defs"}
    moved = {f"{key}.{_UNFIT.sub('_', name)}": _renamed(each, names) for name, each in defined.items()}
    return {key: _renamed(whole, names)} | moved


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """The schema with its references as `names` has them."""
    if isinstance(schema, list):
        return [_renamed(each, names) for each in schema]
    if not isinstance(schema, dict):
        return schema
    renamed: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword == "$ref":
            renamed[keyword] = names[value]
        elif keyword in _VALUES:
            renamed[keyword] = value
        elif keyword in _BY_NAME:
            renamed[keyword] = {name: _renamed(each, names) for name, each in value.items()}
        elif keyword != "discriminator":  # it refers too, and only repeats what the alternatives say
            renamed[keyword] = _renamed(value, names)
    return renamed
