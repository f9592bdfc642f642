"""Has it become slow? Ratios only, each against something measured in the same run.

python -m bench.guard                 exit status 1 when a ratio stays under its floor in three tries

The floors are low, so that a busy machine passes: they catch a step that became slower by half, not one by a
tenth. Needs nothing but this project's own environment, and wrk for `POST /jobs`.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.cpu_jobs import bare, rounds_of
from bench.peers import floors
from bench.peers.crew import crew
from bench.peers.table import CONTENDERS, Contender
from bench.peers.workloads import CPU_CAP, CPU_JOBS, CPU_SECONDS, Run, Size, cpu, noop, rest
from bench.stage import server
from bench.submit import BARE, publish, rate, serving
from tests.servers import Server

TRIES = 3
SMALL = Size(seconds=0.5, waits=0, queued=0, watch_seconds=0)
US = CONTENDERS[0]
STOCK = Contender("arq, 10 ms poll", "arq", 1_500, fast=True, own_python=True)


class Missing(Exception):
    """What a ratio needs is not installed here."""


@dataclass(frozen=True)
class Ratio:
    name: str
    floor: float
    measure: Callable[[Server, Path], float]


def no_ops(running: Server, directory: Path) -> float:
    """No-op jobs a second at cap 10, over stock arq's with a poll of 10 ms."""
    return _jobs(US, running, directory) / _jobs(STOCK, running, directory)


def _jobs(contender: Contender, running: Server, directory: Path) -> float:
    with crew(contender, running, directory) as it:
        return _checked(noop(it, SMALL, 10))["jobs/s"]


def of_the_semaphore(running: Server, directory: Path) -> float:
    """Slots used by 10 ms jobs at cap 10, over a bare asyncio.Semaphore's."""
    with crew(US, running, directory) as it:
        ours = _checked(rest(it, SMALL, 10.0))["used"]
    return ours / _checked(floors.semaphore("rest", SMALL, 10, 10.0))["used"]


def of_bare_processes(running: Server, directory: Path) -> float:
    """CPU-bound jobs, over two bare processes with the same loops."""
    rounds = rounds_of(CPU_SECONDS)
    alone = bare(CPU_CAP, CPU_JOBS, rounds)
    with crew(US, running, directory) as it:
        ours = _checked(cpu(it, rounds))["used"]
    return alone / (CPU_JOBS * CPU_SECONDS / CPU_CAP / ours)


def of_a_bare_endpoint(running: Server, directory: Path) -> float:
    """`POST /jobs` a second, over an endpoint that does one Redis write."""
    if shutil.which("wrk") is None:
        raise Missing("wrk is not installed")
    running.client.flushall()
    with serving([sys.executable, "bare.py"], running, {"bare.py": BARE}) as url:
        least = rate(url, 32, 2)
    running.client.flushall()
    asyncio.run(publish(running.url))
    with serving([sys.executable, "-m", "service"], running) as url:
        return rate(url, 32, 2) / least


def _checked(run: Run) -> dict[str, float]:
    """The figures of a run that did nothing wrong. Raises: AssertionError."""
    assert not run.faults, run.faults
    return run.figures


RATIOS = (
    Ratio("no-op jobs/s over stock arq, 10 ms poll", 2.0, no_ops),
    Ratio("10 ms jobs: slots used, over a bare Semaphore", 0.5, of_the_semaphore),
    Ratio("CPU jobs, over two bare processes", 0.5, of_bare_processes),
    Ratio("POST /jobs, over a bare endpoint", 0.35, of_a_bare_endpoint),
)


def held(ratio: Ratio, running: Server, directory: Path, tries: int) -> bool:
    """Whether it reached its floor in one of the tries, or cannot be measured here."""
    for _ in range(tries):
        began = time.monotonic()
        try:
            found = ratio.measure(running, directory)
        except Missing as what:
            print(f"  {ratio.name:46} not measured: {what}", flush=True)
            return True
        told = f"{found:6.2f}, floor {ratio.floor:g}   ({time.monotonic() - began:.0f} s)"
        print(f"  {ratio.name:46} {told}", flush=True)
        if found >= ratio.floor:
            return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=TRIES)
    given = parser.parse_args()
    with server() as running, tempfile.TemporaryDirectory() as directory:
        slow = [each.name for each in RATIOS if not held(each, running, Path(directory), given.tries)]
    for name in slow:
        print(f"guard: {name}: under its floor in {given.tries} tries", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
