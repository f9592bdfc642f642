"""Slotwise alone, as it is spread and filled in more ways than its peers can be.

python -m bench.ours                  1, 2, 4 workers; 100 to 1,000,000 queued; 1 and 3 front ends; one client
python -m bench.ours --quick

No-op jobs, the full path, the witness of `bench.peers`. Front ends are loaded by wrk where it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from bench import plot
from bench.peers.crew import Crew, crew
from bench.peers.table import CONTENDERS
from bench.results import RESULTS
from bench.stage import server, spread
from bench.submit import BODY, publish, rate, serving
from tests.servers import Server

US = CONTENDERS[0]
LIMIT_SECONDS = 120.0
CAP = 20


def by_workers(running: Server, directory: Path, workers: int, jobs: int) -> float:
    """No-op jobs a second of a fleet with CAP slots in all."""
    with crew(US, running, directory) as it:
        it.fill("noop", 0, jobs)
        it.start(CAP, "noop", workers=workers, fleet=CAP)
        return _rate(it, jobs, CAP)


def by_depth(running: Server, directory: Path, queued: int, jobs: int) -> float:
    """No-op jobs a second while so many more are queued."""
    with crew(US, running, directory) as it:
        it.fill("noop", 0, queued)
        it.start(CAP, "noop")
        return _rate(it, min(queued, jobs), CAP, whole=queued <= jobs)


def _rate(it: Crew, jobs: int, cap: int, *, whole: bool = True) -> float:
    """Raises: AssertionError for a cap that was passed, a job that was lost or that ran twice."""
    assert it.witness.await_records(2 * jobs, LIMIT_SECONDS), it.said()
    seen = it.witness.seen()
    assert seen.most_alive <= cap and not seen.twice, seen.faults(jobs, cap)
    assert not whole or len(seen.ended) == jobs, seen.faults(jobs, cap)
    return len(seen.ended) / seen.span


def by_fronts(running: Server, fronts: int, seconds: int) -> float:
    """`POST /jobs` a second over so many front ends, 32 connections each."""
    running.client.flushall()
    asyncio.run(publish(running.url))
    with ExitStack() as stack, ThreadPoolExecutor(fronts) as pool:
        urls = [stack.enter_context(serving([sys.executable, "-m", "service"], running)) for _ in range(fronts)]
        return sum(pool.map(lambda url: rate(url, 32, seconds), urls))


def one_by_one(running: Server, jobs: int) -> float:
    """`POST /jobs` a second of one client on one connection, each sent when the one before was answered."""
    return _posted(running, jobs, "/jobs", BODY, 1)


def in_batches(running: Server, jobs: int) -> float:
    """Jobs a second of one client on one connection, a hundred in each `POST /jobs/batch`."""
    return _posted(running, jobs, "/jobs/batch", json.dumps({"jobs": [json.loads(BODY)] * 100}), 100)


def _posted(running: Server, jobs: int, path: str, body: str, each: int) -> float:
    running.client.flushall()
    asyncio.run(publish(running.url))
    with serving([sys.executable, "-m", "service"], running) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        began = time.monotonic()
        for _ in range(jobs // each):
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 202, answer.status
        taken = time.monotonic() - began
        connection.close()
    return jobs / taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int)
    given = parser.parse_args()
    runs = given.runs or (1 if given.quick else 3)
    jobs, seconds = (1_000, 1) if given.quick else (15_000, 5)
    depths = (100, 1_000, 10_000) if given.quick else (100, 1_000, 10_000, 100_000, 1_000_000)
    found: dict[str, list[float]] = {}
    with server() as running, tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        asked: dict[str, Callable[[], float]] = {}
        for workers in (1, 2, 4):
            asked[f"{workers} workers, cap {CAP}"] = lambda n=workers: by_workers(running, directory, n, jobs)  # type: ignore[misc]
        for depth in depths:
            asked[f"{depth:,} queued, cap {CAP}"] = lambda n=depth: by_depth(running, directory, n, jobs)  # type: ignore[misc]
        if shutil.which("wrk"):
            for fronts in (1, 3):
                asked[f"POST /jobs, {fronts} front ends"] = lambda n=fronts: by_fronts(running, n, seconds)  # type: ignore[misc]
        asked["POST /jobs, one client"] = lambda: one_by_one(running, jobs // 10)
        asked["POST /jobs/batch, one client"] = lambda: in_batches(running, jobs)
        for _ in range(runs):
            for name, measure in asked.items():
                found.setdefault(name, []).append(measure())
                print(f"  {name:32} {found[name][-1]:9,.0f} jobs/s", flush=True)
    print(f"{os.cpu_count()} cores, {runs} runs, load {os.getloadavg()[0]:.2f}")
    for name, values in found.items():
        print(f"  {name:32} {spread(values)} jobs/s")
    drawn = {"no-op jobs a second": [max(found[f"{depth:,} queued, cap {CAP}"]) for depth in depths]}
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "depth.svg").write_text(plot.lines("With more jobs queued", depths, drawn, "jobs queued", "jobs/s"))
    (RESULTS / "ours.json").write_text(json.dumps({"cores": os.cpu_count(), "runs": found}, indent=1))


if __name__ == "__main__":
    main()
