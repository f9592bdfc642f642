"""What is measured: one function a workload, the same for every contender.

Each takes a crew on an empty server and gives figures; the witness says what the run did wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.cpu_jobs import rounds_of
from bench.peers.crew import Crew
from bench.peers.program import ONE_IN, REST_MS
from bench.stage import info, percentile, sent_by_clients
from slotwise.keys import Keys
from tests.facts import wait_until

Figures = dict[str, float]
LIMIT_SECONDS = 180.0  # of one run
CPU_JOBS, CPU_CAP, CPU_SECONDS = 40, 2, 0.08
WATCHERS, WATCHED = 10, 85


@dataclass(frozen=True)
class Run:
    """One run of one contender."""

    figures: Figures
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Size:
    """How much is run: `seconds` of work at a contender's pace, `waits` jobs one at a time, `queued` jobs."""

    seconds: float
    waits: int
    queued: int
    watch_seconds: float


FULL = Size(seconds=3.0, waits=100, queued=10_000, watch_seconds=5.0)
QUICK = Size(seconds=0.4, waits=15, queued=1_000, watch_seconds=1.0)


def jobs_for(pace: float, size: Size, least: int) -> int:
    """Whole hundreds, so that the batches of all are full."""
    return max(least, round(pace * size.seconds / 100) * 100)


def noop(crew: Crew, size: Size, cap: int) -> Run:
    """Jobs a second from the first start to the last end, with all of them queued before the worker starts."""
    jobs = jobs_for(crew.contender.pace, size, 100)
    crew.fill("noop", 0, jobs, cap=cap)
    crew.start(cap, "noop")
    crew.witness.await_records(2 * jobs // 10, LIMIT_SECONDS)  # what a start costs is in the first of them
    before, then = crew.cpu_seconds(), crew.witness.records // 2
    crew.witness.await_records(2 * jobs, LIMIT_SECONDS)
    used, done = crew.cpu_seconds() - before, crew.witness.records // 2 - then
    seen = crew.witness.seen()
    faults = seen.faults(jobs, cap)
    if not seen.ended:
        return Run({}, faults)
    return Run({"jobs/s": len(seen.ended) / seen.span, "CPU us": used / max(1, done) * 1e6}, faults)


def rest(crew: Crew, size: Size, milliseconds: float, cap: int = 10) -> Run:
    """The share of the slots that is used: the ideal makespan over the actual one."""
    jobs = rests_for(milliseconds, size, cap, crew.contender.pace)
    crew.fill("rest", 0, jobs, milliseconds, cap=cap)
    crew.start(cap, "rest")
    crew.witness.await_records(2 * jobs, LIMIT_SECONDS)
    seen = crew.witness.seen()
    faults = seen.faults(jobs, cap)
    return Run({"used": len(seen.ended) * milliseconds / 1000 / cap / seen.span} if seen.ended else {}, faults)


def rests_for(milliseconds: float, size: Size, cap: int, pace: float) -> int:
    """As many as the slots could run in the time, or the contender at its pace."""
    return int(max(5 * cap, min(size.seconds * 1000 / milliseconds * cap, size.seconds * pace)))


def wait(crew: Crew, size: Size) -> Run:
    """An idle worker: how soon it starts a job, and how soon who waits sees its result. Also what it weighs."""
    crew.start(10, "noop")
    warm = 20
    waits = size.waits if crew.contender.pace > 300 else max(10, size.waits // 3)
    with crew.front(10):
        if crew.contender.front:
            published(crew)
        crew.fill("noop", 0, warm)
        crew.witness.await_records(2 * warm, LIMIT_SECONDS)
        time.sleep(1.0)  # idle
        weight = crew.pss()
        rows = crew.run("wait", str(warm + 1), str(waits))
    seen = crew.witness.seen()
    faults = seen.faults(warm + waits + 1, 10)
    picked = [(seen.began[number] - queued) / 1e6 for number, queued, _ in rows if number in seen.began]
    told = [(at - seen.ended[number]) / 1e6 for number, _, at in rows if number in seen.ended]
    figures = {"PSS MB": weight / 1e6}
    if picked and told:
        figures |= {f"start p{share}": percentile(picked, share / 100) for share in (50, 95, 99)}
        figures |= {"start max": max(picked), "over 50 ms": sum(each > 50 for each in picked)}
        figures |= {f"result p{share}": percentile(told, share / 100) for share in (50, 95)}
    return Run(figures, faults)


def cpu(crew: Crew, rounds: int) -> Run:
    """Jobs of pure Python at a cap of two: the ideal makespan over the actual one."""
    crew.fill("burn", 0, CPU_JOBS, rounds, cap=CPU_CAP)
    if crew.contender.cpu == "itself":
        crew.start(CPU_CAP, "burn")
    else:
        crew.start(1, "burn", workers=CPU_CAP)
    crew.witness.await_records(2 * CPU_JOBS, LIMIT_SECONDS)
    seen = crew.witness.seen()
    faults = seen.faults(CPU_JOBS, CPU_CAP)
    return Run({"used": len(seen.ended) * CPU_SECONDS / CPU_CAP / seen.span} if seen.ended else {}, faults)


def rounds_for_cpu() -> int:
    """How many rounds take CPU_SECONDS in a process that is alone."""
    return rounds_of(CPU_SECONDS)


def enqueue(crew: Crew, size: Size) -> Run:
    """One client, nobody who runs them: jobs a second, and what one weighs in Redis."""
    if crew.contender.front:
        crew.start(10, "noop")
        published(crew)
        crew.stop()
    with crew.front(10):
        crew.fill("noop", 0, 100)
        before = info(crew.server, "memory")["used_memory"]
        seconds = crew.fill("noop", 100, size.queued)
        after = info(crew.server, "memory")["used_memory"]
    return Run({"jobs/s": size.queued / seconds, "bytes": (after - before) / size.queued})


def published(crew: Crew) -> None:
    """Return once the front end can know the algorithms."""
    wait_until(lambda: bool(crew.server.client.exists(Keys().catalogue)), within=30, what="the catalogue")


def watching(crew: Crew, size: Size) -> Run:
    """Commands a second that ten workers send while all that they do is to watch long jobs."""
    crew.start(10, "rest", workers=WATCHERS)
    crew.fill("rest", 0, WATCHED, 600_000.0)
    crew.witness.await_records(WATCHED, 60)  # who keeps jobs beside its slots starts fewer
    faults = []
    if missing := WATCHED - crew.witness.records:
        faults.append(f"{missing} of {WATCHED} long jobs did not start while slots were free")
    time.sleep(1.0)
    before, began = carried_out(crew), time.monotonic()
    time.sleep(size.watch_seconds)
    inside = (carried_out(crew) - before) / (time.monotonic() - began)
    sent = sent_by_clients(crew.server, size.watch_seconds)
    return Run({"commands/s": sent, "with scripts": inside}, faults)


def carried_out(crew: Crew) -> int:
    """How many commands the server has carried out, those inside scripts too."""
    done: int = info(crew.server, "stats")["total_commands_processed"]
    return done


def mixed(crew: Crew, size: Size, rounds: int) -> Run:
    """One worker at cap 10, one job in ten of pure Python (80 ms), the others at rest for 50 ms.

    How much of the slots is used, and how much longer than 50 ms the others took: a blocked loop shows here.
    """
    cap, jobs = 10, int(max(100, min(100 * size.seconds, size.seconds * crew.contender.pace // 10 * 10)))
    crew.fill("mixed", 0, jobs, rounds, cap=cap)
    crew.start(cap, "mixed")
    crew.witness.await_records(2 * jobs, LIMIT_SECONDS)
    seen = crew.witness.seen()
    faults = seen.faults(jobs, cap)
    late = [(at - seen.began[number]) / 1e6 - REST_MS for number, at in seen.ended.items() if number % ONE_IN]
    if not late:
        return Run({}, faults)
    ideal = (jobs / ONE_IN * CPU_SECONDS + jobs * (1 - 1 / ONE_IN) * REST_MS / 1000) / cap
    shares = {f"late p{share}": percentile(late, share / 100) for share in (50, 95)}
    return Run({"used": ideal / seen.span, **shares}, faults)


Workload = Callable[[Crew, Size], Run]


def workloads(names: Sequence[str], rounds: int) -> dict[str, Workload]:
    """By name."""
    known: dict[str, Workload] = {
        "noop10": lambda crew, size: noop(crew, size, 10),
        "noop100": lambda crew, size: noop(crew, size, 100),
        "rest50": lambda crew, size: rest(crew, size, 50),
        "rest10": lambda crew, size: rest(crew, size, 10),
        "rest1": lambda crew, size: rest(crew, size, 1),
        "wait": wait,
        "cpu": lambda crew, size: cpu(crew, rounds),
        "mixed": lambda crew, size: mixed(crew, size, rounds),
        "enqueue": enqueue,
        "watching": watching,
    }
    return {name: known[name] for name in names or known}


WIDE = frozenset({"noop100", "watching"})  # not for those with a process a slot
