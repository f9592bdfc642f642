"""How soon a waiting client sees a job's end: `Prefer: wait`, over HTTP on loopback.

python -m bench.wait                  300 async jobs of 20 ms, one at a time, three runs; again beside 500 waiters

A job's result is the time at which its body ended. From there to the client: the finish in Redis, the news of it,
one read, the answer, and the client's own part: that of the standard library, and that of the SDK. `completed_at`
is Redis's own time of the finish, in whole milliseconds, so half of one is taken off.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import product
from statistics import median

import httpx2

from bench.stage import ARQ, percentile, process, server, until_served
from slotwise import Client
from tests.servers import free_port

BODY = """
import asyncio, time
from slotwise import algorithm

@algorithm
async def Tick(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return time.time()
"""


Row = tuple[float, float]  # milliseconds from the body's end, and from the finish, until the client had the answer


def bare(port: int, jobs: int) -> list[Row]:
    """By the standard library's client, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    job = json.dumps({"algorithm": "Tick", "params": {"seconds": 0.02}})
    found = []
    for _ in range(jobs):
        connection.request("POST", "/jobs", job, {"Prefer": "wait=60", "Content-Type": "application/json"})
        answer = connection.getresponse().read()
        now, told = time.time(), json.loads(answer)
        found.append(row(now, told["result"], datetime.fromisoformat(told["completed_at"])))
    connection.close()
    return found


def by_the_sdk(port: int, jobs: int) -> list[Row]:
    found = []
    with Client(f"http://127.0.0.1:{port}") as client:
        for _ in range(jobs):
            job = client.wait(client.submit("Tick", {"seconds": 0.02}).job_id, timeout=60)
            now = time.time()
            assert job.completed_at is not None
            found.append(row(now, float(str(job.result)), job.completed_at))
    return found


def row(now: float, ended: float, finished: datetime) -> Row:
    return (now - ended) * 1000, (now - finished.timestamp()) * 1000 - 0.5


@asynccontextmanager
async def waiters(url: str, others: int) -> AsyncIterator[None]:
    """So many others, who wait for jobs of half a minute."""
    limits, job = httpx2.Limits(max_connections=others + 10), {"algorithm": "Tick", "params": {"seconds": 30}}
    async with httpx2.AsyncClient(base_url=url, timeout=90, limits=limits) as client:
        asked = (client.post("/jobs", json=job, headers={"Prefer": "wait=60"}) for _ in range(others))
        waiting = [asyncio.create_task(each) for each in asked]
        if others:
            await asyncio.sleep(5)  # they are all there
        yield
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def run(port: int, jobs: int, others: int) -> dict[str, list[Row]]:
    async with waiters(f"http://127.0.0.1:{port}", others):
        return {
            "http.client": await asyncio.to_thread(bare, port, jobs),
            "the SDK": await asyncio.to_thread(by_the_sdk, port, jobs),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--others", type=int, default=500)
    given = parser.parse_args()
    port = free_port()
    runs: dict[int, list[dict[str, list[Row]]]] = {0: [], given.others: []}
    with server() as running:
        env = {"REDIS_URL": running.url, "PORT": str(port), "MAX_CONCURRENT_JOBS": "1000", "ALGORITHMS": "ticks"}
        for others, found in runs.items():
            for _ in range(given.runs):
                running.client.flushall()
                with (
                    process([sys.executable, "-m", "service"], env),
                    process([ARQ, "worker.settings.WorkerSettings"], env, {"ticks.py": BODY}),
                    httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=90) as client,
                ):
                    until_served(client)
                    found.append(asyncio.run(run(port, given.jobs, others)))
    print(f"{os.cpu_count()} cores, {given.jobs} jobs one at a time, medians of {given.runs} runs")
    for others, found in runs.items():
        for client_name, (name, at) in product(found[0], (("the body's end", 0), ("the finish", 1))):
            p50, p95 = (
                median(percentile([each[at] for each in rows[client_name]], share) for rows in found)
                for share in (0.5, 0.95)
            )
            who = f"{others:4} other waiters, by {client_name:11}, after {name:14}"
            print(f"  {who} p50 {p50:6.2f} ms   p95 {p95:6.2f} ms")


if __name__ == "__main__":
    main()
