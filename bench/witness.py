"""Proves the cap from outside: each body holds a connection to a witness from its start to its death.

python -m bench.witness               two front ends, three workers, cap 5, 200 jobs in processes of their own
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.stage import server
from tests.fleet import Fleet, ended, submit
from tests.witness import ADDRESS, Witness


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=0.25)
    parser.add_argument("--cap", type=int, default=5)
    parser.add_argument("--workers", type=int, default=3)
    given = parser.parse_args()
    with ExitStack() as stack:
        running = stack.enter_context(server())
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        witness = Witness()
        stack.callback(witness.close)
        fleet = Fleet(running.url, Path(directory))
        stack.callback(fleet.close)
        fleet.settings |= {ADDRESS: witness.address, "MAX_CONCURRENT_JOBS": str(given.cap), "LEASE_SECONDS": "10"}
        fronts = [fleet.front(), fleet.front()]
        fleet.worker(flags=("--burst",)).wait()
        jobs = [submit(fronts[i % 2], "Hold", seconds=given.seconds) for i in range(given.jobs)]
        for _ in range(given.workers):
            fleet.worker()
        began = time.monotonic()
        states = [ended(fronts[0], job_id, within=600)["status"] for job_id in jobs]
        spent = [witness.seconds_at(alive) for alive in range(1, witness.peak + 1)]
        fleet_of = f"{given.workers} workers, 2 front ends, cap {given.cap}"
        print(f"{given.jobs} jobs of {given.seconds:g} s, {fleet_of}: {time.monotonic() - began:.1f} s")
        print(f"  bodies seen by the witness   {witness.seen}, {states.count('completed')} completed")
        print(f"  most alive at once           {witness.peak}")
        print(f"  share of the time at the cap {spent[-1] / sum(spent):.2f}")
        print(f"  alive at the end             {witness.alive}")
        held = witness.peak <= given.cap and states.count("completed") == given.jobs
        print("the cap held" if held else "THE CAP DID NOT HOLD")
        return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
