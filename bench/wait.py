"""How soon a waiting client sees a job's end: `Prefer: wait`, over HTTP on loopback.

python -m bench.wait                  300 async jobs of 20 ms, one at a time, three runs; again beside 500 waiters

A job's result is the time at which its body ended. From there to the client: the finish in Redis, the news of it,
one read, the answer. `completed_at` is Redis's own time of the finish, in whole milliseconds, so half of one is
taken off.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from datetime import datetime
from statistics import median

import httpx2

from bench.stage import ARQ, percentile, process, server, until_served
from tests.servers import free_port

BODY = """
import asyncio, time
from slotwise import algorithm

@algorithm
async def Tick(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return time.time()
"""


async def seen(client: httpx2.AsyncClient, seconds: float) -> tuple[float, float]:
    """Milliseconds from the body's end, and from the finish, until the client had the answer."""
    job = {"algorithm": "Tick", "params": {"seconds": seconds}}
    answer = await client.post("/jobs", json=job, headers={"Prefer": "wait=60"})
    now = time.time()
    told = answer.json()
    finished = datetime.fromisoformat(told["completed_at"]).timestamp()
    return (now - told["result"]) * 1000, (now - finished) * 1000 - 0.5


async def run(url: str, jobs: int, others: int) -> list[tuple[float, float]]:
    limits = httpx2.Limits(max_connections=others + 10)
    async with httpx2.AsyncClient(base_url=url, timeout=90, limits=limits) as client:
        waiting = [asyncio.create_task(seen(client, 30)) for _ in range(others)]
        if others:
            await asyncio.sleep(5)  # they are all there
        found = [await seen(client, 0.02) for _ in range(jobs)]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--others", type=int, default=500)
    given = parser.parse_args()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    rows: dict[int, list[list[tuple[float, float]]]] = {0: [], given.others: []}
    with server() as running:
        env = {"REDIS_URL": running.url, "PORT": str(port), "MAX_CONCURRENT_JOBS": "1000", "ALGORITHMS": "ticks"}
        for others, found in rows.items():
            for _ in range(given.runs):
                running.client.flushall()
                with (
                    process([sys.executable, "-m", "service"], env),
                    process([ARQ, "worker.settings.WorkerSettings"], env, {"ticks.py": BODY}),
                    httpx2.Client(base_url=url, timeout=90) as client,
                ):
                    until_served(client)
                    found.append(asyncio.run(run(url, given.jobs, others)))
    print(f"{os.cpu_count()} cores, {given.jobs} jobs one at a time, medians of {given.runs} runs")
    for others, found in rows.items():
        for name, at in (("the body's end", 0), ("the finish", 1)):
            p50, p95 = (
                median(percentile([row[at] for row in run], share) for run in found) for share in (0.5, 0.95)
            )
            print(f"  {others:4} other waiters, after {name:15} p50 {p50:6.2f} ms   p95 {p95:6.2f} ms")


if __name__ == "__main__":
    main()
