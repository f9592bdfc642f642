"""Slotwise and its peers, side by side on one private server.

python -m bench.peers                 everything, three alternating runs (a few hours)
python -m bench.peers --quick         small sizes, one run
python -m bench.peers --peers Slotwise arq ardiq --workloads noop10 wait
python -m bench.peers --publish       and put tables and plots into docs/benchmarks.md

The first use of a peer makes an environment for it under .bench/envs. Results go to .bench/results.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import traceback
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path

from bench.peers import floors, report, workloads
from bench.peers.crew import crew, python_for
from bench.peers.environments import Unavailable, versions
from bench.peers.table import CONTENDERS, Contender
from bench.peers.workloads import WIDE, Run, Size
from bench.results import Results, machine
from bench.stage import info, server
from tests.servers import Server


def chosen(names: list[str], results: Results) -> list[Contender]:
    """Those that are asked for, by patterns of their names, and can be run here."""
    found = []
    for contender in CONTENDERS:
        if names and not any(fnmatchcase(contender.name.lower(), name.lower()) for name in names):
            continue
        try:
            results.versions[contender.peer] = versions(python_for(contender))
        except Unavailable as why:
            results.absent[contender.name] = str(why)
            print(f"{contender.name} is left out: {why}", flush=True)
        else:
            found.append(contender)
    return found


def takes_part(contender: Contender, workload: str) -> bool:
    if contender.only and workload not in contender.only:
        return False
    return contender.wide or workload not in WIDE


def measured(contender: Contender, workload: workloads.Workload, running: Server, size: Size, log: Path) -> Run:
    """One run. What goes wrong is the run's fault, and is told with the end of the workers' output."""
    with crew(contender, running, log) as it:
        try:
            run = workload(it, size)
        except Exception as failure:
            traceback.print_exc()
            run = Run({}, [f"{type(failure).__name__}: {str(failure)[-300:]}"])
        if run.faults:
            print(f"    {contender.name}: {'; '.join(run.faults)}\n{it.said()}", file=sys.stderr, flush=True)
        return run


def once(
    number: int,
    asked: dict[str, workloads.Workload],
    field: list[Contender],
    size: Size,
    rounds: int,
    into: Results,
) -> None:
    """Each workload by all, one after the other; the first is another in each run."""
    with server() as running, tempfile.TemporaryDirectory() as log:
        about = info(running, "server")
        version = about.get("valkey_version") or about["redis_version"]
        into.server = f"{about.get('server_name', 'redis')} {version}"
        for name, workload in asked.items():
            for floor, run in floors.of(name, running, size, rounds).items():
                into.add(name, floor, asdict(run))
            part = [each for each in field if takes_part(each, name)]
            turn = number % max(1, len(part))
            for contender in part[turn:] + part[:turn]:
                run = measured(contender, workload, running, size, Path(log))
                into.add(name, contender.name, asdict(run))
                told = "  ".join(f"{key} {value:.4g}" for key, value in run.figures.items())
                print(f"  run {number + 1} {name:9} {contender.name:28} {told}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--peers", nargs="+", default=[], help="names, or patterns as 'arq*'")
    parser.add_argument("--workloads", nargs="+", default=[])
    parser.add_argument("--publish", action="store_true")
    given = parser.parse_args()
    size = workloads.QUICK if given.quick else workloads.FULL
    runs = given.runs or (1 if given.quick else 3)
    results = Results(command=shlex.join(["python", "-m", "bench.peers", *sys.argv[1:]]), machine=machine())
    field = chosen(given.peers, results)
    rounds = workloads.rounds_for_cpu() if not given.workloads or {"cpu", "mixed"} & {*given.workloads} else 0
    asked = workloads.workloads(given.workloads, rounds)
    for number in range(runs):
        once(number, asked, field, size, rounds, results)
        results.save("peers")
    text = report.tables(results, {each.name: each for each in CONTENDERS})
    results.write("peers.md", text)
    plots = report.plots(results)
    for name, drawn in plots.items():
        results.write(name, drawn)
    print(text)
    if given.publish:
        results.publish("peers", text, list(plots))
    return 1 if any("Slotwise" in name for name in results.faults()) else 0


if __name__ == "__main__":
    sys.exit(main())
