"""What a benchmark found: kept as JSON with machine, load, versions and command; put into docs/benchmarks.md."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.stage import ROOT

RESULTS = ROOT / ".bench" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
KEPT = ROOT / "docs" / "benchmarks"

Values = list[float]


@dataclass
class Results:
    """Runs by workload and contender: each has `figures`, `faults`, `load`."""

    command: str
    machine: dict[str, str]
    server: str = ""
    began: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)

    def add(self, workload: str, contender: str, run: dict[str, Any]) -> None:
        """Keep a run, with the machine's load of the last minute."""
        row = {**run, "load": round(os.getloadavg()[0], 2)}
        self.runs.setdefault(workload, {}).setdefault(contender, []).append(row)

    def values(self, workload: str, contender: str, figure: str) -> Values:
        """One figure over the runs that have it."""
        runs = self.runs.get(workload, {}).get(contender, [])
        return [run["figures"][figure] for run in runs if figure in run["figures"]]

    def shares(self, workload: str, contender: str, figure: str, floor: str) -> Values:
        """The figure over a floor's of the same run."""
        rows = self.runs.get(workload, {})
        pairs = zip(rows.get(contender, []), rows.get(floor, []), strict=False)
        return [a["figures"][figure] / b["figures"][figure] for a, b in pairs if figure in a["figures"]]

    def middle(self, workload: str, contender: str, figure: str) -> float | None:
        values = self.values(workload, contender, figure)
        return median(values) if values else None

    def faults(self) -> dict[str, list[str]]:
        """What went wrong, by contender: each as "workload: what"."""
        found: dict[str, list[str]] = {}
        for workload, rows in self.runs.items():
            for contender, runs in rows.items():
                for fault in {fault for run in runs for fault in run["faults"]}:
                    found.setdefault(contender, []).append(f"{workload}: {fault}")
        return found

    def load(self) -> float:
        """The most that was seen before or during a run."""
        return max(
            (run["load"] for rows in self.runs.values() for runs in rows.values() for run in runs), default=0
        )

    def save(self, name: str) -> None:
        self.write(f"{name}.json", json.dumps(asdict(self), indent=1))

    def write(self, name: str, text: str) -> None:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / name).write_text(text)

    def publish(self, name: str, text: str, plots: list[str]) -> None:
        """Put tables and plots into the page, in place of those before, and the figures beside it."""
        KEPT.mkdir(exist_ok=True)
        for each in [f"{name}.json", *plots]:
            shutil.copy(RESULTS / each, KEPT / each)
        begin, end = f"<!-- {name}: written by bench.results -->", f"<!-- end of {name} -->"
        shown = "\n\n".join(f"![{each.removesuffix('.svg')}](benchmarks/{each})" for each in plots)
        section = f"{begin}\n\n## Results\n\n{text.strip()}\n\n{shown}\n\n{end}"
        page = PAGE.read_text()
        if begin in page:
            page = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: section, page, flags=re.DOTALL)
        else:
            page = f"{page.rstrip()}\n\n{section}\n"
        PAGE.write_text(page)


def machine() -> dict[str, str]:
    """What it runs on, as far as it tells."""
    try:
        rows = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((row.partition(":")[2].strip() for row in rows if row.startswith("model name")), "")
    except OSError:
        model = platform.processor()
    return {
        "cores": str(os.cpu_count()),
        "processor": model or platform.machine(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
    }
