"""A floor: the bodies as tasks of one process. python -m bench.peers.semaphore KIND JOBS MILLISECONDS CAP"""

from __future__ import annotations

import asyncio
import sys

from bench.peers import bodies


async def run(kind: str, jobs: int, milliseconds: float, cap: int) -> None:
    slots = asyncio.Semaphore(cap)

    async def one(number: int) -> None:
        async with slots:
            if kind == "noop":
                bodies.noop(number)
            else:
                await bodies.rest(number, milliseconds)

    await asyncio.gather(*map(one, range(jobs)))


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
