"""The results as Markdown tables and plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from bench import plot
from bench.peers.floors import LUA, PROCESSES, SEMAPHORE
from bench.peers.table import ENVIRONMENTS, Contender
from bench.plot import number_of
from bench.results import Results, Values

Show = Callable[[Values], str]


def ranged(values: Values) -> str:
    """The median, and the least and the most where there are several."""
    if len(values) == 1:
        return number_of(values[0])
    return f"{number_of(median(values))} ({number_of(min(values))}-{number_of(max(values))})"


def middle(values: Values) -> str:
    return number_of(median(values))


def most(values: Values) -> str:
    return number_of(max(values))


@dataclass(frozen=True)
class Column:
    title: str
    workload: str
    figure: str
    show: Show = ranged
    over: str = ""  # a floor: the share of it, in the same run


@dataclass(frozen=True)
class Table:
    """One table; its rows are ordered by the first column, the best first."""

    title: str
    columns: tuple[Column, ...]
    more_is_better: bool = True
    killable: bool = False


TABLES = (
    Table(
        "No-op jobs, results kept, all queued before the worker starts",
        (
            Column("jobs/s, cap 10", "noop10", "jobs/s"),
            Column("of the script alone", "noop10", "jobs/s", middle, LUA),
            Column("worker CPU µs a job", "noop10", "CPU us"),
            Column("jobs/s, cap 100", "noop100", "jobs/s"),
            Column("of the script alone", "noop100", "jobs/s", middle, LUA),
        ),
    ),
    Table(
        "Slots used at cap 10: ideal makespan / actual",
        (
            Column("jobs of 50 ms", "rest50", "used"),
            Column("of the Semaphore", "rest50", "used", middle, SEMAPHORE),
            Column("10 ms", "rest10", "used"),
            Column("of the Semaphore", "rest10", "used", middle, SEMAPHORE),
            Column("1 ms", "rest1", "used"),
            Column("of the Semaphore", "rest1", "used", middle, SEMAPHORE),
        ),
    ),
    Table(
        "An idle worker, jobs one at a time (ms)",
        (
            Column("start p50", "wait", "start p50"),
            Column("p95", "wait", "start p95", middle),
            Column("p99", "wait", "start p99", middle),
            Column("max", "wait", "start max", most),
            Column("over 50 ms", "wait", "over 50 ms", most),
            Column("result seen p50", "wait", "result p50"),
            Column("p95", "wait", "result p95", middle),
        ),
        more_is_better=False,
    ),
    Table(
        "40 jobs of about 80 ms of pure Python, cap 2: ideal makespan / actual",
        (Column("used", "cpu", "used"), Column("of two bare processes", "cpu", "used", ranged, PROCESSES)),
        killable=True,
    ),
    Table(
        "One worker at cap 10, one job in ten of 80 ms of pure Python, the others at rest for 50 ms",
        (
            Column("used", "mixed", "used"),
            Column("the others late by p50 (ms)", "mixed", "late p50", middle),
            Column("p95 (ms)", "mixed", "late p95", middle),
        ),
    ),
    Table(
        "One client queues no-ops, batched where the peer can; what a job weighs in Redis",
        (Column("jobs/s", "enqueue", "jobs/s"), Column("bytes a job", "enqueue", "bytes", middle)),
    ),
    Table(
        "Ten workers of ten slots that watch 85 long jobs; an idle worker's memory (PSS)",
        (
            Column("Redis commands/s", "watching", "commands/s"),
            Column("with those inside scripts", "watching", "with scripts", middle),
            Column("idle worker MB", "wait", "PSS MB", middle),
        ),
        more_is_better=False,
    ),
)


def tables(results: Results, contenders: Mapping[str, Contender]) -> str:
    """Everything, as Markdown."""
    return "\n".join([*_head(results), *_tables(results, contenders), *_faults(results), *_versions(results)])


def _head(results: Results) -> Iterator[str]:
    of = results.machine
    yield f"`{results.command}`, {results.began}. {of['processor']}, {of['cores']} cores, {of['system']};"
    runs = max((len(runs) for rows in results.runs.values() for runs in rows.values()), default=0)
    yield f"Python {of['python']}, server {results.server}, no persistence. {runs} alternating runs: the median,"
    yield f"and the least and the most. Highest load of a minute that was seen: {results.load():g}."
    yield ""


def _tables(results: Results, contenders: Mapping[str, Contender]) -> Iterator[str]:
    for table in TABLES:
        columns = [column for column in table.columns if column.workload in results.runs]
        if not columns:
            continue
        names = {name for column in columns for name in results.runs[column.workload]}
        yield f"### {table.title}\n"
        yield (
            "| | " + " | ".join(column.title for column in columns) + (" | killable |" if table.killable else " |")
        )
        yield "|---|" + "---|" * (len(columns) + table.killable)
        for name in _ordered(names, table, columns[0], results):
            cells = [_cell(results, name, column) for column in columns]
            if table.killable:
                contender = contenders.get(name)
                cells.append("-" if contender is None else "yes" if contender.killable else "no")
            label = f"**{name}**" if name.startswith("Slotwise") else name
            yield f"| {label} | " + " | ".join(cells) + " |"
        yield ""


def _cell(results: Results, name: str, column: Column) -> str:
    if column.over:
        values = results.shares(column.workload, name, column.figure, column.over)
    else:
        values = results.values(column.workload, name, column.figure)
    return column.show(values) if values else "-"


def _ordered(names: set[str], table: Table, first: Column, results: Results) -> list[str]:
    def rank(name: str) -> tuple[bool, float]:
        value = results.middle(first.workload, name, first.figure)
        if value is None:
            return True, 0.0
        return False, -value if table.more_is_better else value

    return sorted(names, key=rank)


def _faults(results: Results) -> Iterator[str]:
    found = results.faults()
    yield "### What the witness found wrong\n"
    if not found:
        yield "Nothing: every run kept the cap, lost no job and ran none twice."
    for name, faults in sorted(found.items()):
        yield f"- {name}: {'; '.join(sorted(faults))}"
    for name, why in sorted(results.absent.items()):
        yield f"- {name} was left out: {why}"
    yield ""


def _versions(results: Results) -> Iterator[str]:
    yield "### Versions\n"
    told = []
    for peer, installed in results.versions.items():
        names = [
            each.partition("=")[0].partition("[")[0].partition(">")[0] for each in ENVIRONMENTS[peer].requirements
        ]
        pairs = [f"{name} {installed[name]}" for name in names if name in installed] or ["Slotwise: this tree"]
        told.append(f"{', '.join(pairs)} (Python {installed['python']})")
    yield "; ".join(told) + "."


PLOTS = {
    "noop10.svg": ("No-op jobs a second, cap 10", "noop10", "jobs/s", ""),
    "noop100.svg": ("No-op jobs a second, cap 100", "noop100", "jobs/s", ""),
    "rest10.svg": ("Slots used: 10 ms jobs, cap 10", "rest10", "used", ""),
    "start.svg": ("Queued to started on an idle worker, p50, logarithmic", "wait", "start p50", "ms"),
    "result.svg": ("Ended to seen by a client that waits, p50, logarithmic", "wait", "result p50", "ms"),
    "cpu.svg": ("CPU-bound jobs, cap 2: ideal makespan / actual", "cpu", "used", ""),
}


def plots(results: Results) -> dict[str, str]:
    """SVG by file name."""
    drawn = {}
    for file, (title, workload, figure, unit) in PLOTS.items():
        rows = {name: results.middle(workload, name, figure) for name in results.runs.get(workload, {})}
        known = {name: value for name, value in rows.items() if value is not None}
        if known:
            drawn[file] = plot.bars(title, known, unit, less_is_better=unit == "ms")
    return drawn
