"""Does work inside the service slow its status endpoint or its async jobs? Against the same load outside it.

    python -m bench.status_latency        four jobs burn 10 s of pure Python each; then four bare processes do

Reports the status endpoint's p50 and p99 in each case, and with nothing else running; and by how much short async
jobs on the same worker outlast their sleep.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from statistics import median

import httpx2

from bench.stage import ARQ, percentile, process, server, until_served
from tests.fleet import TERMINAL, submit
from tests.servers import free_port

BURN = "import time; end = time.monotonic() + {}\nwhile time.monotonic() < end: pass"


def latencies(client: httpx2.Client, seconds: float) -> list[float]:
    """Milliseconds of the status endpoint, asked every 5 ms or so."""
    taken, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        client.get("/jobs/concurrency/status").raise_for_status()
        taken.append((time.perf_counter() - began) * 1000)
        time.sleep(0.005)
    return taken


def lateness(client: httpx2.Client, count: int) -> list[float]:
    """Milliseconds by which async jobs of 50 ms outlast their sleep, by the service's own times."""
    over = []
    for _ in range(count):
        job_id = submit(client, "Sleep", seconds=0.05)
        while (job := client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=10"}).json())[
            "status"
        ] not in TERMINAL:
            pass
        started, ended = (datetime.fromisoformat(job[name]) for name in ("started_at", "completed_at"))
        over.append((ended - started).total_seconds() * 1000 - 50)
    return over


@contextmanager
def outside(processes: int, seconds: float) -> Iterator[None]:
    burning = [subprocess.Popen([sys.executable, "-c", BURN.format(seconds)]) for _ in range(processes)]
    yield
    for one in burning:
        one.kill()
        one.wait()


@contextmanager
def inside(client: httpx2.Client, processes: int, seconds: float) -> Iterator[None]:
    jobs = [submit(client, "Burn", seconds=seconds) for _ in range(processes)]
    while client.get("/jobs/concurrency/status").json()["running_jobs"] < processes:
        time.sleep(0.01)
    yield
    for job_id in jobs:
        client.post(f"/jobs/{job_id}/cancel")
    while client.get("/jobs/concurrency/status").json()["running_jobs"]:
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    given = parser.parse_args()
    figures: dict[str, list[list[float]]] = {"alone": [], "load outside": [], "load inside": []}
    late: dict[str, list[float]] = {name: [] for name in figures}
    port = free_port()
    with server() as running:
        env = {"REDIS_URL": running.url, "PORT": str(port), "LOG_LEVEL": "WARNING"}
        with (
            process([sys.executable, "-m", "service"], env),
            process([ARQ, "worker.settings.WorkerSettings"], env),
            httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
        ):
            until_served(client)
            for _ in range(given.runs):
                for name, runs in figures.items():
                    load = {
                        "alone": lambda: outside(0, 0),
                        "load outside": lambda: outside(4, 600),
                        "load inside": lambda: inside(client, 4, 600),
                    }[name]
                    with load():
                        runs.append(latencies(client, given.seconds))
                        late[name] += lateness(client, 20)
    print(f"{os.cpu_count()} cores; status endpoint in ms (median of {given.runs} runs), async jobs of 50 ms")
    for name, runs in figures.items():
        p50, p99 = (median(percentile(run, share) for run in runs) for share in (0.5, 0.99))
        print(f"  {name:14} p50 {p50:7.2f}  p99 {p99:7.2f}   jobs late by {median(late[name]):6.2f} (median)")


if __name__ == "__main__":
    main()
