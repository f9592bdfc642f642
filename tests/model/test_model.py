"""Spin on the slot protocol (slots.pml): what is promised holds, and each rule that is taken out is missed.

What is explored, 2 workers and 2 jobs (states stored, depth, time and memory of the search on 2 shared cores):

    safety, any number of faults       4,132,517 states   depth 173,575   17 s   500 MB
    liveness, one fault                  158,701 states   depth   1,095    4 s    75 MB
    liveness, two faults (--full)      1,725,182 states   depth   1,837   79 s   375 MB

By hand: spin -a slots.pml && cc -O2 -DSAFETY -o pan pan.c && ./pan -m400000 -w23
         spin -a -DFAULTS=1 slots.pml && cc -O2 -DNFAIR=3 -o pan pan.c && ./pan -a -f -m400000 -w22
What happened on the way to an error: spin -t -p slots.pml
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).with_name("slots.pml")
TOOLS = ("spin", "cc")
MEMORY_MB = 1500
DEPTH = 400_000
SAFETY = ("-DSAFETY",)
SHORTEST = ("-DSAFETY", "-DBFS")
LIVENESS = ("-DNFAIR=3",)  # weak fairness over the six processes


pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True)
def tools() -> None:
    """spin and a C compiler: in CI a missing one is a failure."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        why = f"the model needs {' and '.join(missing)} (Debian: apt-get install spin gcc libc6-dev)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)


def search(directory: Path, rules: tuple[str, ...], options: tuple[str, ...], *arguments: str) -> str:
    """What Spin reports of a search of the model with these macros defined."""
    shutil.copy(MODEL, directory)
    output_of(directory, "spin", "-a", *rules, MODEL.name)
    output_of(directory, "cc", "-O2", "-w", f"-DMEMLIM={MEMORY_MB}", *options, "-o", "pan", "pan.c")
    return output_of(directory, "nice", "-n", "10", "./pan", *arguments)


def output_of(directory: Path, *command: str) -> str:
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True, timeout=500).stdout


def assert_holds(report: str) -> None:
    """No error, and nothing left unexplored."""
    assert "errors: 0" in report, report
    for limit in ("max search depth too small", "out of memory", "Search not completed", "hash-compact"):
        assert limit not in report, report


def test_no_number_of_faults_breaks_the_cap_or_ends_a_job_twice(tmp_path: Path) -> None:
    report = search(tmp_path, (), SAFETY, f"-m{DEPTH}", "-w23")
    assert_holds(report)
    assert states(report) > 1_000_000, "the model lost most of what it explored"


@pytest.mark.parametrize("faults", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_every_job_ends_and_every_slot_comes_back(tmp_path: Path, faults: int) -> None:
    report = search(tmp_path, (f"-DFAULTS={faults}",), LIVENESS, "-a", "-f", f"-m{DEPTH}", "-w22")
    assert_holds(report)
    assert "acceptance   cycles \t+ (fairness enabled)" in report, report


@pytest.mark.parametrize("rule", ["NO_FENCING", "NO_KILL", "EARLY_REAP"])
def test_without_a_rule_a_body_starts_that_has_no_slot(tmp_path: Path, rule: str) -> None:
    report = search(tmp_path, (f"-D{rule}",), SHORTEST, "-w22")
    assert "errors: 1" in report, report
    assert "assertion violated (alive<=taken)" in report, report


def test_a_slot_that_nobody_lists_comes_back_by_the_renewals_alone(tmp_path: Path) -> None:
    report = search(tmp_path, ("-DFAULTS=1", "-DNO_MISSED"), LIVENESS, "-a", "-f", f"-m{DEPTH}", "-w22")
    assert "errors: 1" in report, report
    assert "acceptance cycle" in report, report


def states(report: str) -> int:
    found = re.search(r"(\d+) states, stored", report)
    assert found, report
    return int(found[1])
