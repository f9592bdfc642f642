"""Is the estimate of a wait calibrated? The share of waits that fell under the p50 and the p90 they were told.

    python -m bench.estimates             per kind of job: 200 jobs of 20 to 60 ms on average, at cap 4

The jobs arrive in bursts, so that they stand in lines of different lengths; each is asked for its estimate as soon
as it is accepted. A calibrated estimate has half of the waits under its p50, and nine of ten under its p90.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from datetime import datetime
from statistics import median

import httpx2

from bench.stage import ARQ, process, server, until_served
from tests.fleet import TERMINAL, submit
from tests.servers import free_port

CAP = 4
Told = list[tuple[float, float, float]]
KINDS: dict[str, Callable[[random.Random], float]] = {
    "all alike": lambda _: 0.04,
    "even spread": lambda chance: chance.uniform(0.02, 0.06),
    "exponential": lambda chance: min(0.4, chance.expovariate(1 / 0.04)),
}


def waits(
    client: httpx2.Client, length: Callable[[random.Random], float], jobs: int, chance: random.Random
) -> Told:
    """For each job that had to wait: (seconds it waited, p50, p90)."""
    told: dict[str, tuple[float, float, float]] = {}
    ids: list[str] = []
    while len(ids) < jobs:
        for _ in range(chance.randint(1, 40)):
            job_id = submit(client, "Sleep", seconds=length(chance))
            ids.append(job_id)
            answer = client.get(f"/jobs/{job_id}/explain").json()
            if answer["status"] == "pending" and answer["eta_seconds"]:
                told[job_id] = (time.time(), answer["eta_seconds"]["p50"], answer["eta_seconds"]["p90"])
        time.sleep(chance.uniform(0, 0.3))
    rows = []
    for job_id in ids:
        while (job := client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=10"}).json())[
            "status"
        ] not in TERMINAL:
            pass
        if job_id in told:
            asked, p50, p90 = told[job_id]
            rows.append((datetime.fromisoformat(job["started_at"]).timestamp() - asked, p50, p90))
    return rows


def _share(rows: Told, at: int) -> float:
    return sum(row[0] <= row[at] for row in rows) / len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    port = free_port()
    print(f"cap {CAP}, {given.runs} runs of {given.jobs} jobs: waits that fell under their p50 and p90")
    for kind, length in KINDS.items():
        under: list[tuple[float, float]] = []
        lines: list[int] = []
        for run in range(given.runs):
            with server() as running:
                env = {"REDIS_URL": running.url, "PORT": str(port), "MAX_CONCURRENT_JOBS": str(CAP)}
                with (
                    process([sys.executable, "-m", "service"], env),
                    process([ARQ, "worker.settings.WorkerSettings"], env),
                    httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
                ):
                    until_served(client)
                    chance = random.Random(run)
                    waits(client, length, 50, chance)  # so that there is something measured
                    rows = waits(client, length, given.jobs, chance)
            under.append((_share(rows, 1), _share(rows, 2)))
            lines.append(len(rows))
        p50, p90 = (median(share) for share in zip(*under, strict=True))
        print(f"  {kind:12} p50 {p50:.2f}   p90 {p90:.2f}   ({median(lines):.0f} jobs waited)")


if __name__ == "__main__":
    main()
