"""What a process of its own costs a job, under the stock `arq` command, beside a bare fork.

python -m bench.start_cost            1,000 empty jobs, one at a time, as a process and as a coroutine; three runs

A job's time is taken in the worker, from arq's `on_job_start` to its `on_job_end`; the start cost is what an empty
plain function takes beyond an empty coroutine. The floor is fork, exit and wait from a process of the same kind.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from arq.connections import RedisSettings, create_pool
from arq.jobs import Job

from bench.stage import ARQ, percentile, process, server
from slotwise import wire
from tests.facts import wait_until
from tests.servers import Server

NOOP = """
from slotwise import algorithm

@algorithm
def Process() -> None: pass

@algorithm
async def Loop() -> None: pass
"""
STAMPED = """
import json, os, time
from worker.settings import WorkerSettings

stamps = {}

async def begun(ctx):
    stamps[ctx["job_id"]] = [time.perf_counter()]

async def ended(ctx):
    stamps[ctx["job_id"]].append(time.perf_counter())

async def write(ctx):
    with open(os.environ["STAMPS"], "w") as file:
        json.dump(stamps, file)

WorkerSettings.on_job_start, WorkerSettings.on_job_end, WorkerSettings.on_shutdown = begun, ended, write
"""
FEW = 20  # jobs that go before, uncounted


async def run(url: str, algorithm: str, count: int) -> None:
    settings = RedisSettings.from_dsn(url)
    pool = await create_pool(settings, job_serializer=wire.serialize, job_deserializer=wire.deserialize)
    jobs = [await pool.enqueue_job(algorithm, _job_id=f"{algorithm}-{i}") for i in range(count)]
    for job in filter(None, jobs):
        await Job(job.job_id, pool, _deserializer=wire.deserialize).result(timeout=120, poll_delay=0.05)
    await pool.aclose()


def milliseconds(running: Server, count: int) -> dict[str, list[float]]:
    """Of each job, by algorithm."""
    running.client.flushall()
    with tempfile.TemporaryDirectory() as directory:
        stamps = Path(directory) / "stamps"
        env = {"REDIS_URL": running.url, "ALGORITHMS": "noop", "MAX_CONCURRENT_JOBS": "1", "STAMPS": str(stamps)}
        command = [ARQ, "stamped.WorkerSettings"]
        with process(command, env, {"noop.py": NOOP, "stamped.py": STAMPED}):
            for algorithm in ("Process", "Loop"):
                asyncio.run(run(running.url, algorithm, FEW + count))
        wait_until(stamps.exists, what="the worker's stamps")
        taken: dict[str, list[float]] = {"Process": [], "Loop": []}
        for job_id, (began, ended) in json.loads(stamps.read_text()).items():
            algorithm, _, number = job_id.partition("-")
            if int(number) >= FEW:
                taken[algorithm].append((ended - began) * 1000)
    return taken


def forks(count: int) -> list[float]:
    """Milliseconds of fork, exit and wait, from this process, which has loaded much the same."""
    gc.collect()
    gc.freeze()
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        if (pid := os.fork()) == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        taken.append((time.perf_counter() - began) * 1000)
    gc.unfreeze()
    return taken


def told(rows: Iterable[list[float]]) -> str:
    """Medians, over the runs, of p50 and p99."""
    each = list(rows)
    p50, p99 = (median(percentile(row, share) for row in each) for share in (0.5, 0.99))
    return f"p50 {p50:6.2f} ms   p99 {p99:6.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    jobs, floors = [], []
    with server() as running:
        for _ in range(given.runs):
            jobs.append(milliseconds(running, given.jobs))
            floors.append(forks(given.jobs))
    costs = [[each - median(run["Loop"]) for each in run["Process"]] for run in jobs]
    print(f"{os.cpu_count()} cores, {given.jobs} empty jobs one at a time, medians of {given.runs} runs")
    print(f"  an empty plain function        {told(run['Process'] for run in jobs)}")
    print(f"  an empty coroutine             {told(run['Loop'] for run in jobs)}")
    print(f"  start cost: the difference     {told(costs)}")
    print(f"  bare fork, exit and wait       {told(floors)}")


if __name__ == "__main__":
    main()
