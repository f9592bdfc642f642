"""How much of the slots is used: ideal makespan over actual, Slotwise beside stock arq.

python -m bench.slots_used            200 jobs of 100 ms at cap 10, three alternating runs
"""

from __future__ import annotations

import argparse
import asyncio
from datetime import datetime

from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.jobs import Job

from bench.stage import ARQ, process, server, spread
from tests.servers import Server

CONTENDERS = {
    "Slotwise": {"BENCH_WORKER": "slotwise"},
    "arq": {},
    "arq, 10 ms poll": {"BENCH_POLL": "0.01"},
}


async def enqueue(pool: ArqRedis, count: int, seconds: float) -> list[Job]:
    jobs = [await pool.enqueue_job("rest", seconds) for _ in range(count)]
    return [job for job in jobs if job is not None]


async def makespan(server: Server, env: dict[str, str], count: int, seconds: float, cap: int) -> float:
    """Seconds from the first start to the last end, as the results tell them."""
    server.client.flushall()
    pool = await create_pool(RedisSettings.from_dsn(server.url))
    jobs = await enqueue(pool, count, seconds)
    own = {"BENCH_REDIS": server.url, "BENCH_CAP": str(cap), "MAX_CONCURRENT_JOBS": str(cap), **env}
    times: list[tuple[datetime, datetime]] = []
    with process([ARQ, "bench.project.WorkerSettings"], own):
        for job in jobs:
            await job.result(timeout=120, poll_delay=0.05)
            info = await job.result_info()
            assert info is not None
            times.append((info.start_time, info.finish_time))
    await pool.aclose()
    assert len(times) == count
    return (max(end for _, end in times) - min(start for start, _ in times)).total_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--cap", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    ideal = given.jobs * given.seconds / given.cap
    used: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    with server() as running:
        for _ in range(given.runs):
            for name, env in CONTENDERS.items():
                span = asyncio.run(makespan(running, env, given.jobs, given.seconds, given.cap))
                used[name].append(ideal / span)
    print(f"{given.jobs} jobs of {given.seconds * 1000:g} ms at cap {given.cap}: share of the slots used")
    for name, shares in used.items():
        print(f"  {name:16} {spread(shares)}")


if __name__ == "__main__":
    main()
