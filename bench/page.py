"""How quick the dashboard stays: 1,000,000 jobs, 500 slots taken, 200 jobs a second that start or end.

python -m bench.page                  --jobs 1000000 --slots 500 --rate 200 --seconds 20 (1.2 GB, some minutes)

Told are, of a real Chromium: the first paint and when the board (or the list) stands, from the start of the
navigation, medians of several; and the longest tasks of the page's main thread while it loads and while it stands,
by the clock and in CPU time. Browser, service, store and load share this machine's cores: where others do too, the
clock tells of them as well, and the CPU time of the page alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import shutil
import sys
import time
from statistics import median
from typing import Any

import httpx2
from playwright.async_api import async_playwright
from redis import Redis
from redis.exceptions import RedisError

from bench.stage import process, server
from slotwise.errors import SlotwiseError
from slotwise.job import Submission
from slotwise.store import MAX_BATCH, Store
from tests.facts import wait_until
from tests.hand import Hand
from tests.servers import Server, free_port

FRONT = [sys.executable, "-m", "service"]
LEASE_MS = 3_600_000
TICK_SECONDS = 0.05
LOADS = 5
FLAGS = ["--no-sandbox", "--disable-gpu"]
TRACED = ["toplevel", "disabled-by-default-devtools.timeline"]
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
LONG_MS = 50
PANELS = {"#/": ".cell.taken", "#/jobs": "tbody tr", "#/failures": ".notice, .card"}


class Load:
    """A worker by hand that keeps so many slots taken, by jobs that come and go."""

    def __init__(self, store: Store, redis: Redis, slots: int) -> None:
        self.hand, self.slots, self.moved = Hand(store, redis), slots, 0
        self.hand.leases.enlist(self.hand.incarnation, LEASE_MS, {"name": "by hand", "slots": str(slots)}, ())

    async def fill(self) -> None:
        while len(self.hand.granted) < self.slots:
            await self.hand.claim(min(100, self.slots - len(self.hand.granted)))

    async def run(self, rate: int) -> None:
        """Half of `rate` ends, half of it starts, a second."""
        each, due = max(1, round(rate * TICK_SECONDS / 2)), time.monotonic()
        while True:
            try:
                await self._move(each)
            except (SlotwiseError, RedisError) as error:  # the machine was too busy to answer in time
                print(f"the load paused: {error}")
            due += TICK_SECONDS
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _move(self, each: int) -> None:
        some = dict(list(self.hand.granted.items())[:each])
        ending = [self.hand.finish_of(grant) for grant in some.values()]
        try:
            await self.hand.store.claims.finish(self.hand.incarnation, ending)
        except SlotwiseError:
            self.hand.granted |= some
            raise
        await self.hand.claim(each)
        self.moved += 2 * each


async def seeded(store: Store, jobs: int) -> None:
    for at in range(0, jobs, MAX_BATCH):
        some = [
            Submission(id=secrets.token_hex(16), algorithm="Prime", params={"number": 7}, timeout=300.0)
            for _ in range(min(MAX_BATCH, jobs - at))
        ]
        await store.submit(some, max_pending=10_000_000)


async def measured(url: str, load: Load, given: argparse.Namespace) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        running = asyncio.create_task(load.run(given.rate))
        try:
            for panel, stands in PANELS.items():
                await one(browser, f"{url}/{panel}", stands, load, given.seconds)
                if running.done():
                    running.result()  # which raises what ended it
        finally:
            running.cancel()
            await browser.close()


async def one(browser: Any, address: str, stands: str, load: Load, seconds: float) -> None:
    paints, drawn = [], []
    for number in range(LOADS):
        context = await browser.new_context(viewport={"width": 1440, "height": 900})
        page = await context.new_page()
        if number == LOADS - 1:
            await browser.start_tracing(page=page, categories=TRACED)
        await page.goto(address)
        await page.wait_for_selector(stands)
        drawn.append(await page.evaluate("performance.now()"))
        paints.append(await page.evaluate(PAINT))
        if number < LOADS - 1:
            await context.close()
    loading = tasks(await browser.stop_tracing())
    await browser.start_tracing(page=page, categories=TRACED)
    moved, began = load.moved, time.monotonic()
    await asyncio.sleep(seconds)
    rate = (load.moved - moved) / (time.monotonic() - began)
    standing = tasks(await browser.stop_tracing())
    await context.close()
    name = address.partition("/#")[2] or "/"
    print(f"{name:12} first paint {median(paints):4.0f} ms, drawn after {median(drawn):4.0f} ms")
    print(f"{'':12} while it loads: {told(loading)}")
    print(f"{'':12} {seconds:.0f} s at {rate:.0f} events/s: {told(standing)}")


def tasks(trace: bytes) -> list[tuple[float, float]]:
    """Of the thread that runs the page: how long each took by the clock, and of the CPU, in ms."""
    events = json.loads(trace)["traceEvents"]
    main = {
        (each["pid"], each["tid"])
        for each in events
        if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
    }
    return [
        (each["dur"] / 1000, each.get("tdur", 0) / 1000)
        for each in events
        if each["name"] in ("RunTask", "ThreadControllerImpl::RunTask") and (each["pid"], each["tid"]) in main
        if "dur" in each
    ]


def told(lengths: list[tuple[float, float]]) -> str:
    clock, cpu = (sorted(column, reverse=True) for column in zip(*lengths, strict=True))
    long = sum(each > LONG_MS for each in clock)
    return f"longest {clock[0]:.0f} ms, of CPU {cpu[0]:.0f} ms; over {LONG_MS} ms {long} of {len(clock):,}"


async def bench(running: Server, given: argparse.Namespace) -> None:
    store = await Store.connect(running.url)
    await store.configure(given.slots, by="bench")
    redis = Redis.from_url(running.url)
    load = Load(store, redis, given.slots)
    began = time.monotonic()
    await seeded(store, given.jobs)
    print(f"{given.jobs:,} jobs seeded in {time.monotonic() - began:.0f} s, {os.cpu_count()} cores")
    await load.fill()
    port = free_port()
    env = {"REDIS_URL": running.url, "PORT": str(port), "ALGORITHMS": "", "MAX_CONCURRENT_JOBS": str(given.slots)}
    with process(FRONT, env), httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
        wait_until(lambda: ready(client), within=60, what="a front end is ready")
        await measured(str(client.base_url).rstrip("/"), load, given)
    await store.close()


def ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx2.TransportError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--slots", type=int, default=500)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    with server() as running:
        asyncio.run(bench(running, given))


if __name__ == "__main__":
    main()
