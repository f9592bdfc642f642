"""What is read from a function's annotations; how those that cannot be used are told."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import Field

from slotwise import Algorithm, Context, JobError, algorithm
from slotwise.errors import SlotwiseError


def job() -> Context:
    return Context("x")


class Plain:
    """Nothing that JSON could carry."""


def no_type(a: int, b) -> None: ...  # type: ignore[no-untyped-def]


def of_a_class(a: int, thing: Plain) -> None: ...


def nested(things: dict[str, list[Plain]]) -> None: ...


def callback(call: Callable[[int], int]) -> None: ...


def unknown(a: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def unknown_beside_the_context(job: Context | None, a: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def two_contexts(job: Context, ctx: Context) -> None: ...


def unknown_result() -> Missing: ...  # type: ignore[name-defined]  # noqa: F821


def starred(*values: int) -> None: ...


def by_place(a: int, /) -> None: ...


UNUSABLE = {
    no_type: "parameter 'b' needs a type annotation",
    of_a_class: "the type of parameter 'thing' cannot be used: PydanticSchemaGenerationError: Unable to generate",
    nested: "the type of parameter 'things' cannot be used",
    callback: "the type of parameter 'call' cannot be used: PydanticInvalidForJsonSchema",
    unknown: "the type of parameter 'a' cannot be used: NameError: name 'Missing' is not defined",
    unknown_beside_the_context: "the type of parameter 'a' cannot be used: NameError: name 'Missing'",
    two_contexts: "it asks for the Context twice: job, ctx",
    unknown_result: "the type of its result cannot be used: NameError: name 'Missing' is not defined",
    starred: "parameter 'values' must be one that can be given by name",
    by_place: "parameter 'a' must be one that can be given by name",
}


@pytest.mark.parametrize("function", UNUSABLE, ids=lambda each: each.__name__)
def test_an_annotation_that_cannot_be_used_is_told_by_function_and_parameter(function: Any) -> None:
    with pytest.raises(SlotwiseError) as refused:
        algorithm(function).describe()
    assert refused.value.code == "invalid-algorithms"
    said = refused.value.message
    assert said.startswith(f"algorithm {function.__name__!r} cannot be used: {UNUSABLE[function]}")
    assert said.endswith(f"({__file__}:{function.__code__.co_firstlineno})")
    assert "\n" not in said


def awkward(json: int, copy: str, model_config: int, _x: int, self: int, schema: int = 7) -> Any:
    return locals()


def test_parameters_may_have_the_names_of_a_models_attributes() -> None:
    given = {"json": 1, "copy": "c", "model_config": 2, "_x": 3, "self": 4}
    one = Algorithm(awkward, "Awkward")
    assert one.call((), given, job) == given | {"schema": 7}
    assert set(one.describe()["parameters"]["properties"]) == {*given, "schema"}
    with pytest.raises(JobError, match="json: Input should be a valid integer"):
        one.bind((), given | {"json": "1"})


def with_field(a: int = Field(3, ge=1, description="how many"), copy: int = Field(4, le=9)) -> tuple[int, int]:
    return a, copy


def test_a_default_may_be_a_field() -> None:
    one = Algorithm(with_field, "WithField")
    assert one.call((), {}, job) == (3, 4)
    properties = one.describe()["parameters"]["properties"]
    assert (properties["a"]["description"], properties["copy"]["maximum"]) == ("how many", 9)
    with pytest.raises(JobError, match="copy: Input should be less than or equal to 9"):
        one.bind((), {"copy": 10})


def with_others(a: int, **others: float) -> Any:
    return a, others


def test_parameters_of_any_name_for_who_declares_them() -> None:
    one = Algorithm(with_others, "WithOthers")
    assert one.call((), {"a": 1, "x": 2.5, "json": 3}, job) == (1, {"x": 2.5, "json": 3})
    assert one.describe()["parameters"]["additionalProperties"] == {"type": "number"}
    with pytest.raises(JobError, match="x: Input should be a valid number"):
        one.bind((), {"a": 1, "x": "2.5"})
    with pytest.raises(JobError, match="WithOthers takes a"):
        one.bind((1, 2), {})


def test_positional_arguments_are_those_of_a_stock_client() -> None:
    one = Algorithm(lambda a, b: (a, b), "Two")
    one.function.__annotations__ |= {"a": int, "b": str}
    assert one.bind((1,), {"b": "x"}) == {"a": 1, "b": "x"}
    for args, params in [((1, "x", 2), {}), ((1,), {"a": 1, "b": "x"})]:
        with pytest.raises(JobError, match="Two takes a, b"):
            one.bind(args, params)


@algorithm(timeout=60)
def Documented(a: int, ctx: Context, b: str = "x") -> str:
    """What it does.

    At length.
    """
    return b * a


def test_an_algorithm_looks_like_its_function() -> None:
    assert str(inspect.signature(Documented)) == "(a: 'int', ctx: 'Context', b: 'str' = 'x') -> 'str'"
    assert (Documented.__name__, Documented.__module__) == ("Documented", __name__)  # type: ignore[attr-defined]
    assert (Documented.__doc__ or "").startswith("What it does.")
    assert set(Documented.describe()["parameters"]["properties"]) == {"a", "b"}
