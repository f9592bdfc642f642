"""From a cancel to the free slot, beside the time to kill the same process by hand.

python -m bench.cancel                200 cancels with no grace of a job that sleeps, spins or ignores signals

A cap of 1 and two jobs: the second starts in the slot that the first gives back. Taken from the moment before the
request to the start of the second body, whose process reads the machine's monotonic clock; so a cancel's HTTP, the
kill of the tree, the finish, the claim and the second job's start are all in it. By hand: SIGKILL and wait, of a
process of the same kind.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx2

from bench.stage import ARQ, percentile, process, server, until_served
from tests.facts import wait_until
from tests.fleet import submit
from tests.servers import free_port

BODY = """
import os, signal, time
from pathlib import Path
from slotwise import algorithm

def began(path):
    Path(path + ".new").write_text(str(time.monotonic()))
    os.rename(path + ".new", path)

@algorithm(cancel_grace=0, kill_grace=0)
def Sleeps(path: str) -> None:
    began(path)
    time.sleep(600)

@algorithm(cancel_grace=0, kill_grace=0)
def Spins(path: str) -> None:
    began(path)
    while True:
        pass

@algorithm(cancel_grace=0, kill_grace=0)
def Tree(path: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    began(path)
    time.sleep(600)
"""
KINDS = ("Sleeps", "Spins", "Tree")


def cancels(client: httpx2.Client, kind: str, count: int, directory: Path) -> list[float]:
    """Milliseconds of each."""

    def add(number: int) -> str:
        return submit(client, kind, path=str(directory / f"{kind}-{number}"))

    taken, running = [], add(0)
    for number in range(count):
        following = add(number + 1)
        wait_until((directory / f"{kind}-{number}").exists, within=30, what="it runs")
        next_one = directory / f"{kind}-{number + 1}"
        asked = time.monotonic()
        client.post(f"/jobs/{running}/cancel").raise_for_status()
        wait_until(next_one.exists, within=30, what="the next runs")
        taken.append((float(next_one.read_text()) - asked) * 1000)
        running = following
    client.post(f"/jobs/{running}/cancel").raise_for_status()
    return taken


def by_hand(count: int) -> list[float]:
    """Milliseconds of SIGKILL and wait."""
    taken = []
    for _ in range(count):
        with subprocess.Popen(
            [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(600)"], stdout=-1
        ) as one:
            assert one.stdout is not None
            one.stdout.readline()
            began = time.monotonic()
            one.send_signal(signal.SIGKILL)
            one.wait()
            taken.append((time.monotonic() - began) * 1000)
    return taken


def told(rows: list[list[float]]) -> str:
    p50, p99 = (median(percentile(row, share) for row in rows) for share in (0.5, 0.99))
    return f"p50 {p50:6.1f} ms   p99 {p99:6.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    port = free_port()
    rows: dict[str, list[list[float]]] = {kind: [] for kind in (*KINDS, "by hand")}
    with server() as running, tempfile.TemporaryDirectory() as temporary:
        env = {"REDIS_URL": running.url, "PORT": str(port), "MAX_CONCURRENT_JOBS": "1", "ALGORITHMS": "bodies"}
        with (
            process([sys.executable, "-m", "service"], env),
            process([ARQ, "worker.settings.WorkerSettings"], env, {"bodies.py": BODY}),
            httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=90) as client,
        ):
            until_served(client)
            for run in range(given.runs):
                for kind in KINDS:
                    directory = Path(temporary, f"{kind}-{run}")
                    directory.mkdir()
                    rows[kind].append(cancels(client, kind, given.count, directory))
                rows["by hand"].append(by_hand(given.count))
    print(f"{os.cpu_count()} cores, grace 0, {given.count} cancels, medians of {given.runs} runs")
    for kind, each in rows.items():
        print(f"  {kind:8} {told(each)}")


if __name__ == "__main__":
    main()
