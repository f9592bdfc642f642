"""What a move and a read cost as the work grows: with few and with many jobs waiting, and few and many running.

python -m bench.growth                10 to 1,000,000 jobs wait; 10 to 5,000 run (about 1.2 GB, five minutes)

Each figure is the median, over rounds of 20 calls, of the time that the server itself took for a call (INFO
commandstats), so that what grows is not hidden beneath what a client costs. Calls of all kinds alternate.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from statistics import median

from bench import plot
from bench.results import RESULTS
from bench.stage import info, server
from slotwise.job import Submission
from slotwise.listing import Filter, Place, page
from slotwise.steering import Steering
from slotwise.store import MAX_BATCH, Store
from tests.hand import Hand
from tests.servers import Server

CALLS: int = 20
DEEP: int = 1_000  # pages
PAGE: int = 50  # jobs

Call = Callable[[], Awaitable[object]]


class Field:
    """A server with jobs on it, and each call that is measured."""

    def __init__(self, running: Server, store: Store) -> None:
        self.running, self.store = running, store
        self.steering = Steering(store.redis, store.keys)
        self.ids: list[str] = []
        self.deep: Place | None = None
        self.hand = Hand(store, running.client)

    async def fill(self, waiting: int) -> None:
        """Have so many jobs wait."""
        while len(self.ids) < waiting:
            ids = [secrets.token_hex(16) for _ in range(min(MAX_BATCH, waiting - len(self.ids)))]
            jobs = [Submission(id=id, algorithm="Prime", params={"number": 7}, timeout=300.0) for id in ids]
            await self.store.submit(jobs, max_pending=10_000_000)
            self.ids += ids

    async def walk(self) -> None:
        """Find page 1,000, or the last one."""
        self.deep = None
        for _ in range(DEEP - 1):
            after = (await page(self.store, Filter(), most=PAGE, after=self.deep)).after
            if after is None:
                return
            self.deep = after

    async def run(self, jobs: int) -> None:
        """Have so many jobs run, beside those that are measured."""
        while len(self.hand.granted) < jobs:
            await self.hand.claim(min(100, jobs - len(self.hand.granted)))

    async def claim_and_finish(self) -> None:
        before = set(self.hand.granted)
        await self.hand.claim()
        [new] = set(self.hand.granted) - before
        await self.hand.finish(self.hand.granted[new])

    def calls(self) -> dict[str, Call]:
        return {
            "GET /jobs/{id}": lambda: self.store.job(random.choice(self.ids)),
            "GET /jobs/concurrency/status": self.store.slots,
            "GET /jobs/concurrency": self.steering.snapshot,
            "a claim of one and its finish": self.claim_and_finish,
            f"GET /jobs, page 1 of {PAGE}": lambda: page(self.store, Filter(), most=PAGE),
            f"GET /jobs, page {DEEP:,}": lambda: page(self.store, Filter(), most=PAGE, after=self.deep),
        }

    async def measure(self, rounds: int) -> dict[str, float]:
        """Microseconds of the server a call."""
        calls = self.calls()
        found: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                self.running.client.config_resetstat()
                for _ in range(CALLS):
                    await call()
                found[name].append(self.spent() / CALLS)
        return {name: median(values) for name, values in found.items()}

    def spent(self) -> float:
        stats: dict[str, dict[str, float]] = info(self.running, "commandstats")
        inside = {"cmdstat_info", "cmdstat_config|resetstat"}
        scripts = [each["usec"] for name, each in stats.items() if name.startswith("cmdstat_eval")]
        return sum(scripts) if scripts else sum(each["usec"] for name, each in stats.items() if name not in inside)


def table(title: str, columns: Sequence[str], rows: Sequence[dict[str, float]]) -> None:
    print(f"{title:34}" + "".join(f"{name:>12}" for name in columns) + "   last / first")
    for name in rows[0]:
        values = [row[name] for row in rows]
        told = "".join(f"{value:9.0f} us" for value in values)
        print(f"  {name:32}{told}   {values[-1] / values[0]:.2f}")


def draw(name: str, title: str, across: str, sizes: Sequence[int], rows: Sequence[dict[str, float]]) -> None:
    """The same as a plot, among the results."""
    series = {call: [row[call] for row in rows] for call in rows[0]}
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / name).write_text(plot.lines(title, sizes, series, across, "us"))


async def grown(running: Server, sizes: Sequence[int], rounds: int) -> None:
    running.client.flushall()
    store = await Store.connect(running.url)
    await store.configure(10_000, by="bench")
    field = Field(running, store)
    field.hand.enlist()
    rows = []
    for waiting in sizes:
        await field.fill(waiting + rounds * CALLS)
        await field.walk()
        rows.append(await field.measure(rounds))
    table("jobs that wait", [f"{size:,}" for size in sizes], rows)
    draw("waiting.svg", "What a call costs the server as jobs wait", "jobs that wait", sizes, rows)
    memory = info(running, "memory")["used_memory"]
    print(f"  bytes of Redis a job: {memory / len(field.ids):.0f}")
    await store.close()


async def crowded(running: Server, sizes: Sequence[int], rounds: int) -> None:
    running.client.flushall()
    store = await Store.connect(running.url)
    await store.configure(10_000, by="bench")
    field = Field(running, store)
    field.hand.enlist()
    rows = []
    for busy in sizes:
        await field.fill(busy + rounds * CALLS * (len(sizes) + 1))
        await field.run(busy)
        await field.walk()
        rows.append(await field.measure(rounds))
    table("jobs that run", [f"{size:,}" for size in sizes], rows)
    draw("running.svg", "What a call costs the server as jobs run", "jobs that run", sizes, rows)
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, nargs="+", default=[10, 1_000, 100_000, 1_000_000])
    parser.add_argument("--running", type=int, nargs="+", default=[10, 500, 5_000])
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    with server() as running:
        print(f"{os.cpu_count()} cores, {given.rounds} rounds of {CALLS} calls, medians of the server's own time")
        asyncio.run(grown(running, given.waiting, given.rounds))
        asyncio.run(crowded(running, given.running, given.rounds))


if __name__ == "__main__":
    main()
