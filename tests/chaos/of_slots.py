"""Promise 5: no slot stays empty while work waits. Before the storm, after it, and in it outside recovery.

From outside it is known which bodies were alive (a slot whose body is about to start, or has just ended, is not
empty: hence the blinks), which jobs were accepted and had not begun, and when faults were done. Which slots a dead
worker still holds is not: until its lease is over, and for as long as recovery may take, nothing is judged.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from tests.chaos import recovery
from tests.chaos.oracle import Story
from tests.chaos.verdict import Verdict, check

SHARE = 0.05
BLINK = 0.1  # seconds on either side for which a slot may change hands
AWAY = 1.0  # seconds after a fault of the server, or of all, in which nothing is judged
LEAST = 2.0  # seconds of a storm, below which they tell nothing
TAKES_NO_SLOT = (
    "receiver",
    "clock of a process",
)  # what kinds of fault begin with that leave all slots as they are
HELD = {  # kinds after which a worker's slots are held until its lease is over
    "worker killed",
    "worker stopped beyond its lease",
    "worker's main process stopped",
    "link silent beyond the lease",
}


@check
def idle(story: Story, slack: float) -> Verdict:
    shares = [_share_of_phase(story, name) for name in ("warm", "steady again")]
    storm, seconds = _share_of_storm(story, 2 * BLINK * slack)
    if seconds >= LEAST:
        shares.append(storm)
    worst, bound = max(shares), min(0.5, SHARE * slack)
    told = f"{worst:.1%} (bound {bound:.0%}); in the storm {storm:.1%} of {seconds:.1f} s"
    return Verdict("no slot stays empty while work waits", worst <= bound, told, [])


def _share_of_phase(story: Story, name: str) -> float:
    """From when every slot is full until the last body starts. 1 if they never are."""
    begun = story.time_of("phase", name=name)
    over = min((each["at"] for each in story.of("phase") if each["at"] > begun), default=begun)
    starts = [body for body in story.bodies if begun <= body.at < over]
    full = next((body.at for body in starts if body.alive + 1 >= story.first_cap), None)
    return 1.0 if full is None else _share(story, full, starts[-1].at)


def _share(story: Story, begin: float, end: float) -> float:
    """The share of slot time for which a slot was empty for longer than a blink."""
    steps = [begin + n * BLINK / 4 for n in range(max(1, int((end - begin) / (BLINK / 4))))]
    changes = sorted(
        [(body.at, 1) for body in story.bodies] + [(body.ended, -1) for body in story.bodies if body.ended]
    )
    counts, alive, at = [], 0, 0
    for step in steps:
        while at < len(changes) and changes[at][0] <= step:
            alive += changes[at][1]
            at += 1
        counts.append(alive)
    near = [max(counts[max(0, n - 4) : n + 5]) for n in range(len(counts))]
    return sum(max(0, story.first_cap - most) for most in near) / (story.first_cap * len(near))


def _share_of_storm(story: Story, seconds: float) -> tuple[float, float]:
    """The share of the slots that were empty for so long while jobs waited; of how many seconds.

    Jobs are short there: at most as many slots were used as bodies were alive at the begin, or started then.
    """
    starts = sorted(body.at for body in story.bodies)
    ends = sorted(body.ended for body in story.bodies if body.ended)
    waits = sorted(_waits(story))
    gone = list(_recoveries(story))
    at, over = story.time_of("phase", name="storm"), story.time_of("phase", name="heal")
    empty, seen = 0, 0
    while at + seconds < min(over, story.last):
        until = at + seconds
        calm = not any(begun < until and back > at for begun, back in gone)
        if calm and any(since < at and begin > until for since, begin in waits):
            used = bisect_right(starts, until) - bisect_right(ends, at)
            empty, seen = empty + max(0, story.first_cap - used), seen + 1
        at += 2 * BLINK
    return empty / max(1, seen * story.first_cap), seen * 2 * BLINK


def _waits(story: Story) -> Iterator[tuple[float, float]]:
    """From the promise of each job that was not cancelled to its first start."""
    for job, each in story.promised.items():
        if job not in story.cancels:
            yield each["at"], story.first_starts.get(job, float("inf"))


def _recoveries(story: Story) -> Iterator[tuple[float, float]]:
    """What takes slots away, from its begin to when they must all be back."""
    leases = {each["target"]: each["lease"] for each in story.of("start")}
    for begun, over, each in story.spells:
        kind, target = each["kind"], each["target"]
        if target.startswith("front") or kind.startswith(TAKES_NO_SLOT):
            continue
        back = leases[target] + recovery.BEYOND_LEASE if kind in HELD else AWAY
        yield begun, over + back
