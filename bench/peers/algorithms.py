"""The measured bodies as Slotwise's algorithms."""

from __future__ import annotations

from bench.peers import bodies
from slotwise import algorithm


@algorithm(name="noop")
async def noop(number: int) -> int:
    return bodies.noop(number)


@algorithm(name="rest")
async def rest(number: int, milliseconds: float) -> int:
    return await bodies.rest(number, milliseconds)


@algorithm(name="burn")
def burn(number: int, rounds: float) -> int:
    return bodies.burn(number, rounds)
