"""What a peer's own Python runs: the same commands for every peer.

python -m bench.peers.program PEER work CAP KIND                     serve jobs at this cap until told to stop
python -m bench.peers.program PEER fill KIND FIRST COUNT ARGUMENT    queue jobs as fast as one client can
python -m bench.peers.program PEER wait FIRST COUNT                  no-ops one by one: queued at, result seen at

A peer's module has `work(cap, kind)` and `client()`, an async context manager that gives a `Client`. The kinds
are the names of the functions in `bodies`: noop, rest (doze where there is no event loop), burn; `fill` also
knows mixed. Figures are printed as JSON. BENCH_REDIS is the server's URL; BENCH_FAST asks for the settings that
the peer's documentation calls faster.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

REDIS = os.environ.get("BENCH_REDIS", "")
FAST = os.environ.get("BENCH_FAST") == "1"
CAP = int(os.environ.get("BENCH_CAP", "10"))  # for peers whose worker is a command that loads a module
ONE_IN, REST_MS = 10, 50.0  # of "mixed": each tenth job burns, the others rest
BATCH = 100  # jobs in one call, where a peer can queue several at once


class Client(Protocol):
    """A producer, by the peer's own API."""

    async def fill(self, kind: str, numbers: Sequence[int], argument: float | None) -> None:
        """Queue one job for each number."""

    async def one(self, number: int) -> Any:
        """Queue a no-op and wait for its result, as the peer's documentation says."""


class Peer(Protocol):
    """What a peer's module offers."""

    def work(self, cap: int, kind: str) -> None:
        """Serve jobs, at most `cap` at a time, until told to stop."""

    def client(self) -> AbstractAsyncContextManager[Client]:
        """A producer, connected."""


async def fill(peer: Peer, kind: str, first: int, count: int, argument: float | None) -> dict[str, float]:
    """Seconds that queueing took, connecting left out."""
    async with peer.client() as client:
        began = time.monotonic()
        if kind == "mixed":
            for number in range(first, first + count, ONE_IN):
                await client.fill("burn", [number], argument)
                await client.fill("rest", range(number + 1, number + ONE_IN), REST_MS)
        else:
            await client.fill(kind, range(first, first + count), argument)
        return {"seconds": time.monotonic() - began}


async def wait(peer: Peer, first: int, count: int) -> list[tuple[int, int, int]]:
    """(number, queued at, result seen at) of each, in monotonic ns. The pauses keep in step with nobody's poll."""
    rows = []
    async with peer.client() as client:
        await client.one(first - 1)  # connections are made
        for number in range(first, first + count):
            await asyncio.sleep(random.uniform(0.02, 0.06))
            began = time.monotonic_ns()
            await client.one(number)
            rows.append((number, began, time.monotonic_ns()))
    return rows


def main() -> None:
    name, command, *given = sys.argv[1:]
    peer: Any = importlib.import_module(f"bench.peers.{name}")
    if command == "work":
        peer.work(int(given[0]), given[1])
        return
    told: Any
    if command == "fill":
        kind, first, count, argument = given
        value = None if argument == "-" else float(argument)
        told = asyncio.run(fill(peer, kind, int(first), int(count), value))
    else:
        told = asyncio.run(wait(peer, int(given[0]), int(given[1])))
    print(json.dumps(told), flush=True)
    os._exit(0)  # a peer's own threads may crash a process that winds up: that is not measured


def batches(numbers: Sequence[int]) -> list[Sequence[int]]:
    """The numbers in runs of BATCH."""
    return [numbers[at : at + BATCH] for at in range(0, len(numbers), BATCH)]


def arguments(number: int, argument: float | None) -> tuple[float, ...]:
    """A body's positional arguments."""
    return (number,) if argument is None else (number, argument)


if __name__ == "__main__":
    main()
