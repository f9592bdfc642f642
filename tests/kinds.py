"""Algorithms that give back what they get, one for each kind of value and executor, for the round trip."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from pydantic import Base64Bytes, BaseModel, Field
from typing_extensions import TypedDict

from slotwise import Algorithm

ID = UUID("12345678-1234-5678-1234-567812345678")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Point(BaseModel):
    x: int
    at: datetime | None = None


@dataclass
class Order:
    lines: list[Point]
    price: Decimal
    colours: set[Colour] = field(default_factory=set)


class Pair(NamedTuple):
    first: int
    second: str


class Options(TypedDict, total=False):
    depth: int
    label: str


class Blob(BaseModel):
    data: Base64Bytes


NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
JSON_NOON = "2030-01-31T12:00:00Z"
JSON_ORDER = {"lines": [{"x": 1, "at": JSON_NOON}], "price": "1.10", "colours": ["red"]}
ORDER = Order([Point(x=1, at=NOON)], Decimal("1.10"), {Colour.RED})

# name -> (annotation, as JSON, as the function sees it)
KINDS: dict[str, tuple[Any, Any, Any]] = {
    "Model": (Point, {"x": 1, "at": JSON_NOON}, Point(x=1, at=NOON)),
    "Dataclass": (Order, JSON_ORDER, ORDER),
    "Datetime": (datetime, JSON_NOON, NOON),
    "Date": (date, "2030-01-31", date(2030, 1, 31)),
    "Time": (time, "12:30:00", time(12, 30)),
    "Timedelta": (timedelta, "PT1M30S", timedelta(seconds=90)),
    "Decimal": (Decimal, "0.100000000000000000001", Decimal("0.100000000000000000001")),
    "Uuid": (UUID, str(ID), ID),
    "Enum": (Colour, "blue", Colour.BLUE),
    "IntEnum": (Level, 2, Level.HIGH),
    "Set": (set[int], [7], {7}),
    "Frozenset": (frozenset[str], ["a"], frozenset({"a"})),
    "Tuple": (tuple[int, str], [1, "a"], (1, "a")),
    "LongTuple": (tuple[int, ...], [1, 2, 3], (1, 2, 3)),
    "Named": (Pair, [1, "a"], Pair(1, "a")),
    "Bytes": (bytes, "h\u00e9", "h\u00e9".encode()),
    "Base64": (Blob, {"data": "/wA="}, Blob(data=b"/wA=")),
    "Path": (Path, "/tmp/x", Path("/tmp/x")),
    "TypedDict": (Options, {"depth": 3}, {"depth": 3}),
    "Keys": (dict[int, Colour], {"1": "red"}, {1: Colour.RED}),
    "BigInt": (int, 2**200, 2**200),
    "Nested": (
        dict[str, list[tuple[Order, Point | None]]],
        {"a": [[JSON_ORDER, None]]},
        {"a": [(ORDER, None)]},
    ),
    "Bounded": (Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)], [1], [1]),
}


def _same(name: str) -> Algorithm[..., Any]:
    kind, _, expected = KINDS[name]

    def body(value: Any) -> Any:
        assert (type(value), value) == (type(expected), expected), repr(value)
        return value

    body.__annotations__ |= {"value": kind, "return": kind}
    return Algorithm(body, f"Same{name}")


def _same_async(name: str) -> Algorithm[..., Any]:
    same = _same(name).function

    async def body(value: Any) -> Any:
        return same(value)

    body.__annotations__ |= {"value": KINDS[name][0], "return": KINDS[name][0]}
    assert inspect.iscoroutinefunction(body)
    return Algorithm(body, f"Same{name}Async")


globals().update({f"Same{name}": _same(name) for name in KINDS})
globals().update({f"Same{name}Async": _same_async(name) for name in KINDS})
