"""How soon is a raised cap filled? From the PUT to the start of every job that it let in, over three workers.

    python -m bench.raised_cap            from 3 to 30 slots, five times, with 40 async jobs waiting

The time is taken outside: from just before the PUT is sent until a witness has seen the last of the 27 new bodies.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack

import httpx2

from bench.stage import ARQ, process, server, spread, until_served
from tests.facts import wait_until
from tests.fleet import submit
from tests.servers import free_port
from tests.witness import ADDRESS, Witness

LOW, HIGH, JOBS = 3, 30, 40


def filled_after(client: httpx2.Client, witness: Witness) -> float:
    """Milliseconds, with the cap back at LOW and nothing running afterwards."""
    ids = [submit(client, "HoldAsync", seconds=60) for _ in range(JOBS)]
    wait_until(lambda: witness.alive == LOW, what="as many as the cap run")
    began = time.perf_counter()
    client.put("/jobs/concurrency", json={"max_concurrent": HIGH}).raise_for_status()
    while witness.alive < HIGH:
        time.sleep(0.0002)
    taken = (time.perf_counter() - began) * 1000
    client.put("/jobs/concurrency", json={"max_concurrent": LOW}).raise_for_status()
    for job_id in reversed(ids):
        client.post(f"/jobs/{job_id}/cancel")
    wait_until(lambda: witness.alive == 0, what="nothing runs")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=3)
    given = parser.parse_args()
    port, witness = free_port(), Witness()
    with ExitStack() as stack:
        running = stack.enter_context(server())
        env = {
            "REDIS_URL": running.url,
            "PORT": str(port),
            "MAX_CONCURRENT_JOBS": str(LOW),
            "ALGORITHMS": "tests.zoo",
            ADDRESS: witness.address,
        }
        stack.enter_context(process([sys.executable, "-m", "service"], env))
        for _ in range(given.workers):
            stack.enter_context(process([ARQ, "worker.settings.WorkerSettings"], env))
        client = stack.enter_context(httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60))
        until_served(client)
        wait_until(lambda: len(client.get("/workers").json()["workers"]) == given.workers, within=60)
        taken = [filled_after(client, witness) for _ in range(given.runs)]
    witness.close()
    print(f"cap {LOW} to {HIGH} over {given.workers} workers: filled after {spread(taken)} ms")


if __name__ == "__main__":
    main()
