"""How long blocking jobs take under a cap, sent over HTTP, by the service's own times.

python -m bench.blocking              2 jobs of 2 s and 8 jobs of 1 s, both at cap 2, three runs
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime

import httpx2

from bench.stage import ARQ, process, server, spread, until_served
from tests.fleet import submit
from tests.servers import free_port

CASES = ((2, 2.0), (8, 1.0))
CAP = 2
BODY = """
import time
from slotwise import algorithm

@algorithm
def Block(seconds: float) -> None:
    time.sleep(seconds)
"""


def makespan(client: httpx2.Client, jobs: int, seconds: float) -> float:
    """Seconds from the first submit to the last end."""
    ids = [submit(client, "Block", seconds=seconds) for _ in range(jobs)]
    ended = [client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=60"}).json() for job_id in ids]
    assert {job["status"] for job in ended} == {"completed"}
    first = min(datetime.fromisoformat(job["created_at"]) for job in ended)
    return (max(datetime.fromisoformat(job["completed_at"]) for job in ended) - first).total_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    port = free_port()
    with server() as running:
        env = {"REDIS_URL": running.url, "PORT": str(port), "MAX_CONCURRENT_JOBS": str(CAP), "ALGORITHMS": "block"}
        with (
            process([sys.executable, "-m", "service"], env),
            process([ARQ, "worker.settings.WorkerSettings"], env, {"block.py": BODY}),
            httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=90) as client,
        ):
            until_served(client)
            print(f"{os.cpu_count()} cores, cap {CAP}, blocking jobs over HTTP: seconds (ideal)")
            for jobs, seconds in CASES:
                spans = [makespan(client, jobs, seconds) for _ in range(given.runs)]
                print(f"  {jobs} x {seconds:g} s   {spread(spans)}   ({jobs * seconds / CAP:g})")


if __name__ == "__main__":
    main()
