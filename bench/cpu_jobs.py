"""CPU-bound jobs under a cap of as many as there are cores, against bare processes in the same run.

python -m bench.cpu_jobs              40 jobs of about 80 ms of pure Python, cap 2, three alternating runs

The share is the time of two bare processes, each with half of the loops and nothing else, over the time from the
first start to the last end of the jobs, as the service tells it. A bare process counts from when it has loaded.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from datetime import datetime

import httpx2

from bench.stage import ARQ, process, server, spread, until_served
from tests.fleet import submit
from tests.servers import free_port

BODY = """
from slotwise import algorithm

def loop(rounds):
    total = 0
    for i in range(rounds):
        total += i * i % 7
    return total

@algorithm
def Work(rounds: int) -> int:
    return loop(rounds)
"""
BARE = (
    BODY.partition("@algorithm")[0].replace("from slotwise import algorithm", "")
    + """
import sys
print("ready", flush=True)
sys.stdin.readline()
for _ in range({jobs}):
    loop({rounds})
"""
)


def bare(processes: int, jobs: int, rounds: int) -> float:
    """Seconds until all have done their share."""
    program = BARE.replace("{jobs}", str(jobs // processes)).replace("{rounds}", str(rounds))
    started = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for one in started:
        assert one.stdout is not None
        one.stdout.readline()
    began = time.monotonic()
    for one in started:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    for one in started:
        one.communicate()
    return time.monotonic() - began


def rounds_of(seconds: float) -> int:
    """Loops that take about so long in one process."""
    probe = 10_000_000  # a process takes milliseconds to end: little beside these
    return round(probe * seconds / bare(1, 1, probe))


def makespan(client: httpx2.Client, jobs: int, rounds: int) -> float:
    """Seconds from the first start to the last end."""
    ids = [submit(client, "Work", rounds=rounds) for _ in range(jobs)]
    found = [client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=60"}).json() for job_id in ids]
    assert {job["status"] for job in found} == {"completed"}
    first = min(datetime.fromisoformat(job["started_at"]) for job in found)
    return (max(datetime.fromisoformat(job["completed_at"]) for job in found) - first).total_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--milliseconds", type=float, default=80)
    parser.add_argument("--cap", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    port = free_port()
    shares, alone, jobs = [], [], []
    with server() as running:
        env = {
            "REDIS_URL": running.url,
            "PORT": str(port),
            "MAX_CONCURRENT_JOBS": str(given.cap),
            "ALGORITHMS": "bodies",
        }
        with (
            process([sys.executable, "-m", "service"], env),
            process([ARQ, "worker.settings.WorkerSettings"], env, {"bodies.py": BODY}),
            httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=90) as client,
        ):
            until_served(client)
            rounds = rounds_of(given.milliseconds / 1000)
            for _ in range(given.runs):
                alone.append(bare(given.cap, given.jobs, rounds))
                jobs.append(makespan(client, given.jobs, rounds))
                shares.append(alone[-1] / jobs[-1])
    print(f"{os.cpu_count()} cores, {given.jobs} jobs of about {given.milliseconds:g} ms, cap {given.cap}")
    print(f"  {given.cap} bare processes   {spread(alone)} s")
    print(f"  the jobs           {spread(jobs)} s")
    print(f"  share              {spread(shares)}")


if __name__ == "__main__":
    main()
