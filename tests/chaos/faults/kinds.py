"""The table of kinds of fault, and what each may be done to."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from tests.chaos.cast import Member
from tests.chaos.clients import Clients
from tests.chaos.stage import Stage

Target = Literal["worker", "front", "member", "server", "clocked", "nobody"]


@dataclass
class Scene:
    """What a fault has at hand.

    `alive` are the bodies that the referee saw start and not end, `started` is how many it saw start.
    """

    stage: Stage
    clients: Clients
    rng: random.Random
    alive: Callable[[], list[dict[str, Any]]]
    started: Callable[[], int]

    def seconds(self, least: float, most: float) -> float:
        return self.rng.uniform(least, most)


Do = Callable[[Scene, Member], Awaitable[None]]


@dataclass(frozen=True)
class Kind:
    name: str
    target: Target
    do: Do
    storm: bool = True  # drawn in the storm; the others have a place of their own


KINDS: dict[str, Kind] = {}


def fault(name: str, target: Target, *, storm: bool = True) -> Callable[[Do], Do]:
    """Put a kind into the table. A fault of nobody and of the server gets any member, and must not mind it."""

    def put(do: Do) -> Do:
        KINDS[name] = Kind(name, target, do, storm)
        return do

    return put
