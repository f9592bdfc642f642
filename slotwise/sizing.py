"""Advice as people and programs read it: sentences, a table, and the JSON of `GET /jobs/concurrency/advice`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final, TypeVar, cast

from typing_extensions import TypedDict

from slotwise.advice import Advice, Binds, Kind, Limit, Outlook, kind_of
from slotwise.demand import Host, Load

KINDS: Final = {"cpu_bound": "CPU-bound", "mixed": "mixed", "io_bound": "I/O-bound", None: "unknown"}
UNKNOWN: Final = ("For", "How", "CPU", "Memory")  # how a text begins that tells what was not measured


Row = TypeVar("Row", Outlook, Host)


class LoadObject(TypedDict):
    """Jobs of late; null for what was not measured."""

    jobs_per_second: float | None
    hold_seconds: float | None
    slots_in_use: float | None
    kind: Kind | None
    cpu_share: float | None
    peak_memory_mb: float | None
    max_concurrent: int | None


class Sizing(TypedDict):
    """What the cap binds on, and what another one would do. `missing` says what was not measured."""

    max_concurrent: int
    binds: Binds
    enough: int | None
    because: Limit | None
    text: list[str]
    limits: dict[Limit, int | None]
    load: LoadObject
    outlook: list[Outlook]
    algorithms: dict[str, LoadObject]
    hosts: list[Host]
    missing: list[str]


def as_dict(advice: Advice) -> Sizing:
    """Plain JSON values; null for what was not measured."""
    return {
        "max_concurrent": advice.demand.cap,
        "binds": advice.binds,
        "enough": advice.enough,
        "because": advice.because,
        "text": list(sentences(advice)),
        "limits": {"cap": advice.demand.cap, **advice.limits},
        "load": _load(advice.load),
        "outlook": [_plain(outlook) for outlook in advice.outlooks],
        "algorithms": {load.name: _load(load) for load in advice.demand.loads},
        "hosts": [_plain(host) for host in advice.demand.hosts],
        "missing": list(advice.missing),
    }


def _plain(row: Row) -> Row:
    """Its plain JSON values, under the type that says which those are."""
    return cast(Row, asdict(row))


def _load(load: Load) -> LoadObject:
    return {
        "jobs_per_second": load.per_second,
        "hold_seconds": load.hold_seconds,
        "slots_in_use": load.offered,
        "kind": kind_of(load),
        "cpu_share": load.cpu_share,
        "peak_memory_mb": load.peak_memory_mb,
        "max_concurrent": load.max_concurrent,
    }


def as_text(advice: Advice) -> str:
    """For a terminal."""
    lines = list(sentences(advice))
    if advice.outlooks:
        lines += ["", f"{'cap':>7}{'in use':>9}{'wait p95':>12}"]
        lines += [_row(outlook) for outlook in advice.outlooks]
    if advice.demand.loads:
        lines += ["", f"{'jobs/s':>9}{'slot s':>9}{'slots':>8}{'CPU':>6}{'MB':>7}  {'kind':<11}algorithm"]
        lines += [_algorithm(load) for load in advice.demand.loads]
    return "\n".join(lines)


def _row(outlook: Outlook) -> str:
    wait = "grows" if outlook.wait_p95_seconds is None else seconds(outlook.wait_p95_seconds)
    return f"{outlook.max_concurrent:>7}{outlook.utilisation:>9.0%}{wait:>12}"


def _algorithm(load: Load) -> str:
    figures = [(load.per_second, 9, ".3g"), (load.hold_seconds, 9, ".3g"), (load.offered, 8, ".3g")]
    figures += [(load.cpu_share, 6, ".0%"), (load.peak_memory_mb, 7, ".0f")]
    cells = ["-".rjust(width) if value is None else f"{value:>{width}{form}}" for value, width, form in figures]
    return f"{''.join(cells)}  {KINDS[kind_of(load)]:<11}{load.name}"


def sentences(advice: Advice) -> Iterator[str]:
    """What it comes to."""
    yield _binding(advice)
    now = advice.now
    if now is not None:
        yield f"At cap {now.max_concurrent}, {_wait(now)}."
    if advice.enough is not None:
        yield f"More than {advice.enough} gains nothing: {_reason(advice)}."
        then = next((one for one in advice.outlooks if one.max_concurrent == advice.enough), None)
        if then is not None and then is not now:
            yield f"At cap {then.max_concurrent}, {_wait(then)}."
    for text in advice.missing:
        yield f"Not known yet: {text[0].lower()}{text[1:]}" if text.startswith(UNKNOWN) else text


def _binding(advice: Advice) -> str:
    demand, limits = advice.demand, advice.limits
    texts = {
        "no_worker": "No worker is there: nothing runs at any cap.",
        "paused": "The cap is 0: nothing starts.",
        "demand": f"The cap of {demand.cap} does not bind: there are slots for all the jobs that come.",
        "cap": f"The cap of {demand.cap} binds{_beyond(advice)}.",
        "worker_slots": f"The workers bind: they have {limits['worker_slots']} slots, the cap is {demand.cap}.",
        "cpu": f"CPU time binds: {_cores(advice) if advice.binds == 'cpu' else ''}.",
        "memory": f"Memory binds: {_memory(advice) if advice.binds == 'memory' else ''}.",
    }
    waiting = f" {demand.pending} jobs wait." if demand.pending else ""
    return texts[advice.binds] + waiting


def _beyond(advice: Advice) -> str:
    bearable = [slots for name in ("worker_slots", "cpu", "memory") if (slots := advice.limits[name]) is not None]
    return f": the workers could bear {min(bearable)}" if bearable and min(bearable) > advice.demand.cap else ""


def _reason(advice: Advice) -> str:
    if advice.because == "cpu":
        return _cores(advice)
    if advice.because == "memory":
        return _memory(advice)
    if advice.because == "worker_slots":
        return "the workers' own slots are no more (WORKER_SLOTS)"
    load = advice.load
    return (
        f"{load.offered or 0:.3g} slots are in use on average ({load.per_second or 0:.3g} jobs a second x "
        f"{seconds(load.hold_seconds or 0)}), and with so many 19 of 20 jobs start at once"
    )


def _cores(advice: Advice) -> str:
    share = advice.load.cpu_share or 0.0
    return (
        f"{advice.demand.cores:g} cores, and jobs that are {KINDS[kind_of(advice.load)]} (a core is busy for "
        f"{share:.0%} of a job's time): {advice.limits['cpu']} slots keep them busy"
    )


def _memory(advice: Advice) -> str:
    loads = [load for load in advice.demand.loads if load.peak_memory_mb is not None]
    largest = max(loads, key=lambda load: load.peak_memory_mb or 0.0)
    free = sum(host.memory_free_mb or 0 for host in advice.demand.hosts)
    return (
        f"{free} MB were free, and a job takes up to {largest.peak_memory_mb:.0f} MB ({largest.name}): "
        f"{advice.limits['memory']} fit"
    )


def _wait(outlook: Outlook) -> str:
    if outlook.wait_p95_seconds is None:
        return "more jobs come than its slots can do, and the line grows"
    if outlook.wait_p95_seconds == 0:
        return "19 of 20 jobs would start at once"
    return f"19 of 20 jobs would start within about {seconds(outlook.wait_p95_seconds)}"


def seconds(value: float) -> str:
    """In a unit that reads well."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 100 else f"{value / 60:.0f} min"
