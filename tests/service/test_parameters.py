"""Parameters: the published schema and the strict model that runs in the worker must agree on every case."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field

from service.parameters import THREAD_BYTES, Parameters
from slotwise import Algorithm, JobError
from slotwise.errors import SlotwiseError


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    model_config = ConfigDict(strict=True)

    x: int
    y: int = 0


class Node(BaseModel):
    child: Node | None = None


class Left(BaseModel):
    child: Left | Right | None = None
    side: Literal["left"]


class Right(BaseModel):
    child: Left | Right | None = None
    side: Literal["right"]


Left.model_rebuild()

NUMBER = (
    Annotated[int, Field(json_schema_extra={"x-max-digits": 1_000})]
    | Annotated[str, Field(pattern=r"^-?[0-9]{1,1000}$")]
)
FREEZING = Annotated[str, Field(pattern=r"^(a+)+$")]  # takes a backtracking engine for ever


def taking(kind: Any) -> Algorithm[..., Any]:
    """An algorithm with one parameter `value` of this type."""

    def body(value: Any) -> None: ...

    body.__annotations__["value"] = kind
    return Algorithm(body, "Taking")


async def verdict(algorithm: Algorithm[..., Any], params: dict[str, Any], size: int = 100) -> list[dict[str, str]]:
    try:
        await Parameters(algorithm.describe()["parameters"]).check(params, size)
    except SlotwiseError as error:
        assert (error.code, bool(error.errors)) == ("invalid-request", True)
        return error.errors
    return []


AGREED: list[tuple[Any, Any, bool]] = [
    (int, 7, True),
    (int, -(10**600), True),
    (int, 7.0, False),
    (int, 1e20, False),
    (int, True, False),
    (int, "7", False),
    (int, None, False),
    (int, [7], False),
    (float, 7.5, True),
    (float, 7, True),
    (float, True, False),
    (float, "7.5", False),
    (bool, True, True),
    (bool, 1, False),
    (bool, "true", False),
    (str, "", True),
    (str, "a\0b", True),
    (str, 7, False),
    (None, None, True),
    (None, 0, False),
    (int | None, None, True),
    (int | None, 7.0, False),
    (NUMBER, 10**1000 - 1, True),
    (NUMBER, "-97", True),
    (NUMBER, "9" * 1_000, True),
    (NUMBER, "9" * 1_001, False),
    (NUMBER, "9" * 20 + "\n", False),
    (NUMBER, "0x10", False),
    (NUMBER, "٣", False),
    (NUMBER, 7.0, False),
    (NUMBER, True, False),
    (NUMBER, None, False),
    (Annotated[int, Field(ge=0, le=9)], 9, True),
    (Annotated[int, Field(ge=0, le=9)], 10, False),
    (Annotated[int, Field(gt=0, lt=9)], 0, False),
    (Annotated[int, Field(gt=0, lt=9)], 9, False),
    (Annotated[int, Field(multiple_of=3)], 9, True),
    (Annotated[int, Field(multiple_of=3)], 10, False),
    (Annotated[str, Field(min_length=2, max_length=3)], "a", False),
    (Annotated[str, Field(min_length=2, max_length=3)], "😀😀😀", True),
    (Annotated[str, Field(min_length=2, max_length=3)], "abcd", False),
    (Annotated[list[int], Field(min_length=1, max_length=2)], [], False),
    (Annotated[list[int], Field(min_length=1, max_length=2)], [1, 2, 3], False),
    (list[int], [1, 2], True),
    (list[int], [1, 2.0], False),
    (list[int], {"0": 1}, False),
    (tuple[int, str], [1, "a"], True),
    (tuple[int, str], ["a", 1], False),
    (tuple[int, str], [1], False),
    (tuple[int, str], [1, "a", 2], False),
    (dict[str, int], {"a": 1}, True),
    (dict[str, int], {"a": "1"}, False),
    (dict[Annotated[str, Field(pattern="^k")], int], {"k1": 1}, True),
    (dict[Annotated[str, Field(pattern="^k")], int], {"k1": "1"}, False),
    (Literal["a", "b"], "a", True),
    (Literal["a", "b"], "c", False),
    (Literal["a"], "b", False),
    (Colour, "red", True),
    (Colour, "RED", False),
    (Point, {"x": 1}, True),
    (Point, {"x": 1.0}, False),
    (Point, {"y": 1}, False),
    (Point | None, {"x": "1"}, False),
    (list[Point], [{"x": 1}, {"x": 1, "y": None}], False),
    (Node, {"child": {"child": {"child": None}}}, True),
    (Node, {"child": {"child": {"child": 1}}}, False),
    (Left | Right, {"side": "left", "child": {"side": "right"}}, True),
    (Left | Right, {"side": "left", "child": {"side": "up"}}, False),
    (datetime, "2030-01-31T12:00:00Z", True),
    (datetime, "2030-02-31T12:00:00Z", False),
    (datetime, "soon", False),
    (date, "2030-01-31", True),
    (date, "2030-1-31", False),
    (time, "12:00:00", True),
    (time, "25:00:00", False),
    (timedelta, "P1DT2H", True),
    (timedelta, "two days", False),
    (UUID, "12345678-1234-5678-1234-567812345678", True),
    (UUID, "12345678", False),
    (Decimal, "1.5", True),
    (Decimal, 1.5, True),
    (FREEZING, "a" * 200, True),
    (FREEZING, "a" * 200 + "!", False),
    (Any, {"anything": [1, None, "x"]}, True),
]


@pytest.mark.parametrize(("kind", "value", "fits"), AGREED, ids=lambda each: repr(each)[:50])
async def test_schema_and_model_agree(kind: Any, value: Any, fits: bool) -> None:
    algorithm = taking(kind)
    rows = await verdict(algorithm, {"value": value})
    assert (not rows) is fits, rows
    try:
        algorithm.bind((), {"value": value})
        accepted = True
    except JobError:
        accepted = False
    assert accepted is fits


ROWS: list[tuple[Any, dict[str, Any], dict[str, str]]] = [
    (int, {}, {"#/params/value": "is required"}),
    (int, {"value": 1, "other": 2}, {"#/params/other": "is not known here"}),
    (int, {"value": 1, "a/b~c d": 2}, {"#/params/a~1b~0c%20d": "is not known here"}),
    (int, {"value": "7"}, {"#/params/value": "must be an integer"}),
    (
        int,
        {"value": 7.0},
        {"#/params/value": "must be an integer, written without a decimal point or exponent"},
    ),
    (
        int | str,
        {"value": 7.5},
        {"#/params/value": "must be an integer, written without a decimal point or exponent, or must be a string"},
    ),
    (NUMBER, {"value": 10**1000}, {"#/params/value": "must have at most 1000 digits"}),
    (NUMBER, {"value": "ten"}, {"#/params/value": 'must match the pattern "^-?[0-9]{1,1000}$"'}),
    (Literal["a", "é"], {"value": "c"}, {"#/params/value": 'must be one of ["a", "é"]'}),
    (Annotated[int, Field(ge=3)], {"value": 1}, {"#/params/value": "must be at least 3"}),
    (UUID, {"value": "x"}, {"#/params/value": "must be a valid uuid"}),
    (list[Point], {"value": [{"x": 1}, {"y": 1}]}, {"#/params/value/1/x": "is required"}),
    (Point | None, {"value": {"x": "1"}}, {"#/params/value/x": "must be an integer"}),
    (
        dict[str, int],
        {"value": {"a": "1", "b": True}},
        {"#/params/value/a": "must be an integer", "#/params/value/b": "must be an integer"},
    ),
]


@pytest.mark.parametrize(("kind", "params", "rows"), ROWS, ids=lambda each: repr(each)[:50])
async def test_says_what_is_wrong_and_where(kind: Any, params: dict[str, Any], rows: dict[str, str]) -> None:
    assert {row["pointer"]: row["detail"] for row in await verdict(taking(kind), params)} == rows


async def test_many_faults_are_cut_short() -> None:
    assert len(await verdict(taking(list[int]), {"value": ["x"] * 1_000})) == 20
    assert len(await verdict(taking(int), {"value": 1} | {f"p{n}": 1 for n in range(1_000)})) == 20


async def test_what_is_echoed_is_bounded() -> None:
    [row] = await verdict(
        taking(Point), {"value": {"x": 1, "k" * 100_000: "v" * 100_000}} | {"value": "v" * 100_000}
    )
    assert len(row["detail"]) <= 300
    [row] = await verdict(taking(int), {"value": 1, "k" * 100_000: 1})
    assert len(row["pointer"]) < 1_000


async def test_a_large_body_is_checked_in_a_thread_all_the_same() -> None:
    [row] = await verdict(taking(list[int]), {"value": [1] * 50_000 + ["x"]}, THREAD_BYTES + 1)
    assert row["pointer"] == "#/params/value/50000"


async def test_the_deepest_body_fits_a_recursive_schema() -> None:
    value: dict[str, Any] = {"child": None}
    for _ in range(60):
        value = {"child": value}
    assert await verdict(taking(Node), {"value": value}) == []


async def test_alternatives_within_alternatives_are_not_tried_for_ever() -> None:
    """Each level doubles the work: 2 to the 60th steps without the bound."""
    value: dict[str, Any] = {"side": "up"}
    for _ in range(60):
        value = {"child": value, "side": "right"}
    [row] = await verdict(taking(Left | Right), {"value": value}, 2_000)
    assert row["detail"] == "nests too deeply for this algorithm's schema"


async def test_a_number_beyond_a_double_is_no_server_error() -> None:
    rows = await verdict(taking(Annotated[float, Field(multiple_of=0.5)]), {"value": 10**400})
    assert rows[0]["pointer"].startswith("#/params")


async def test_a_remote_schema_is_never_fetched() -> None:
    schema = {"type": "object", "properties": {"value": {"$ref": "http://localhost:1/schema"}}}
    with pytest.raises(Exception, match="localhost:1/schema"):
        await Parameters(schema).check({"value": 1}, 100)


async def test_a_pattern_that_only_python_knows_is_left_to_the_worker() -> None:
    schema = {"type": "object", "properties": {"value": {"type": "string", "pattern": "^(?=a)b"}}}
    await Parameters(schema).check({"value": "c"}, 100)
