"""`python -m tests.chaos`: breaks a whole service on purpose, and says whether its promises held."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from tests.chaos.cast import Plan
from tests.chaos.trial import FAILOVERS, trial


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=5_000)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, help="what faults and jobs are drawn from; else a new one")
    parser.add_argument("--lease", type=float, default=3.0, help="LEASE_SECONDS of the fleet")
    parser.add_argument("--cap", type=int, default=16)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--slack", type=float, default=1.0, help="what every bound on time is multiplied by")
    parser.add_argument(
        "--only", action="append", default=[], metavar="KIND", help="this kind of fault; may be said again"
    )
    parser.add_argument("--previous", metavar="REVISION", help="the release beside this one in a rolling restart")
    parser.add_argument(
        "--failover",
        choices=FAILOVERS,
        help="the faults are losses of the primary: with servers as they are, or with the settings recommended",
    )
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="where ledgers and logs stay (a new one)")
    return parser.parse_args(words)


def main() -> int:
    asked = arguments()
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        directory = asked.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=asked.keep is None)
        plan = Plan(
            directory,
            seed=seed,
            jobs=asked.jobs,
            faults=asked.faults,
            lease=asked.lease,
            cap=asked.cap,
            workers=asked.workers,
            previous=asked.previous,
            only=tuple(asked.only),
            failover=asked.failover,
            patience=max(1.0, asked.slack),
        )
        found = trial(plan, asked.slack)
    sys.stdout.write(found.text)
    return 0 if found.kept else 1


if __name__ == "__main__":
    sys.exit(main())
