"""How long it took, after each kind of fault, until work went on."""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.chaos.oracle import Body, Story

BEYOND_LEASE = 2.0  # seconds: 12 s at the default lease of 10
FIRST_START = 2.0  # seconds
OF_ANY_WORKER = {
    "job's process killed",
    "job's process told to go",
    "poison job",
    "rolling restart, with the release before",
}


@dataclass
class Recovery:
    """From the death of a body to the start of its job's next one; time without a server does not count."""

    kind: str
    seconds: float
    beyond_lease: float


def recoveries(story: Story) -> Iterator[Recovery]:
    leases = {each["target"]: each["lease"] for each in story.of("start")}
    for bodies in story.bodies_of.values():
        for body, later in itertools.pairwise(bodies):
            if body.said or body.ended is None or later.at < body.ended:
                continue
            seconds = later.at - _counted_from(story, body.ended, later.at)
            yield Recovery(cause(story, body), seconds, max(0.0, seconds - leases[body.member]))


def _counted_from(story: Story, death: float, again: float) -> float:
    """While the server is away nothing can run, and who observes leases begins anew when it is back."""
    for begun, over, each in sorted(story.spells, key=lambda spell: spell[0]):
        if each["target"] == "server" and begun < again and over > death:
            death = min(over, again)
    return death


def cause(story: Story, body: Body) -> str:
    """The latest fault that was being done to this body's worker, else to all, when it died."""
    assert body.ended is not None
    found = [
        (each["target"] == body.member, begun, each["kind"])
        for begun, over, each in story.spells
        if begun <= body.ended <= over + 1
        and (each["target"] in (body.member, "server") or each["kind"] in OF_ANY_WORKER)
    ]
    return max(found, default=(False, 0.0, "other"))[2]


def first_starts(story: Story) -> list[float]:
    """From each return of the server to the next start of a body, where a job waited for one."""
    times = []
    begins = [begun for begun, _, each in story.spells if each["target"] == "server"]
    for back in (each["at"] for each in story.of("back") if each["at"] < story.last):
        start = story.first_start_after(back)
        if story.waited(back) and not any(back < begun < start for begun in begins):
            times.append(start - back)
    return times


def by_kind(story: Story) -> dict[str, str]:
    """For each kind of fault: how often it was done, bodies that it ended, how soon their jobs ran again."""
    times = defaultdict(list)
    for found in recoveries(story):
        times[found.kind].append(found.seconds)
    counts: dict[str, int] = defaultdict(int)
    starts = defaultdict(list)
    for _, over, each in story.spells:
        counts[each["kind"]] += 1
        start = story.first_start_after(over)
        away = any(
            begun < start and until > over
            for begun, until, other in story.spells
            if other["target"] == "server" and other is not each
        )
        if story.waited(over) and not away:
            starts[each["kind"]].append(start - over)
    lines = {}
    for kind in sorted(counts):
        told = [f"{counts[kind]:3} x"]
        if starts[kind]:
            told.append(
                f"a body starts {statistics.median(starts[kind]):.2f} s after it (at most {max(starts[kind]):.2f})"
            )
        if times[kind]:
            median = statistics.median(times[kind])
            told.append(f"{len(times[kind])} dead run again in p50 {median:.2f} p99 {p99(times[kind]):.2f} s")
        lines[kind] = ", ".join(told)
    return lines


def p99(times: Sequence[float]) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] if ordered else 0.0
