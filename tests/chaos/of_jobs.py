"""What was promised of jobs: none lost, one end, one body at a time, and never too many."""

from __future__ import annotations

import itertools

from tests.chaos.oracle import Body, Story
from tests.chaos.verdict import Verdict, check, none_of

HARMFUL = {"Hostile", "Poison"}


@check
def lost(story: Story, slack: float) -> Verdict:
    """Promise 1."""
    cases = [f"{job} ({each['algorithm']})" for job, each in story.promised.items() if job not in story.ends]
    return none_of("a job answered 202 is never lost", cases, f" of {len(story.promised)}")


@check
def ended_once(story: Story, slack: float) -> Verdict:
    """Promise 2: whoever looked, and whenever, saw the same end."""
    cases = []
    for job, ends in story.ends.items():
        seen = {(each["status"], each["completed_at"], each["type"], each["nonce"]) for each in ends}
        if len(seen) > 1:
            cases.append(f"{job}: {sorted(map(str, seen))}")
    for each in story.of("metrics"):
        if each["completed"] != len(story.ends):
            cases.append(f"{each['completed']:g} ends were counted, of {len(story.ends)} jobs")
    return none_of("a job ends once", cases)


@check
def ended_well(story: Story, slack: float) -> Verdict:
    """Each end is one that the job can have: its own result, of a body that came to its end."""
    killed = {each["pid"] for each in story.of("body")}
    done = {body.nonce for body in story.bodies if body.said}
    cases = []
    for job, ends in story.ends.items():
        promised = story.promised.get(job)
        if promised is None:
            continue
        for end in ends[:1]:
            bodies = story.bodies_of.get(job, [])
            harmful = promised["algorithm"] in HARMFUL
            fits = {
                "completed": not harmful and end["n"] == promised["n"] and end["nonce"] in done,
                "cancelled": job in story.cancels,
                "failed": harmful or _may_fail(end["type"], bodies, killed),
            }
            if not fits[end["status"]]:
                cases.append(f"{job} ({promised['algorithm']}): {end}")
    return none_of("every end is the job's own", cases)


def _may_fail(kind: str | None, bodies: list[Body], killed: set[int]) -> bool:
    if kind == "lost":  # three workers died under it
        return any(not body.said for body in bodies)
    return kind == "crashed" and any(body.pid in killed for body in bodies)


@check
def cap(story: Story, slack: float) -> Verdict:
    """Promise 3."""
    cases = [
        f"{body.job} came to {body.alive} others at {body.at:.2f}"
        for body in story.bodies
        if body.alive >= story.cap_at(body.at)
    ]
    peak = max((body.alive + 1 for body in story.bodies), default=0)
    return none_of("no body starts while cap-many are alive", cases, f" of {len(story.bodies)}, peak {peak}")


@check
def twins(story: Story, slack: float) -> Verdict:
    """A job's next body starts when the last one is dead."""
    cases = [
        f"{job}: at {later.at:.2f}, on {later.member}; the other, on {body.member}, ended at {body.ended}"
        for job, bodies in story.bodies_of.items()
        for body, later in itertools.pairwise(bodies)
        if body.ended is None or body.ended > later.at
    ]
    return none_of("no job has two bodies at once", cases)


@check
def cancelled(story: Story, slack: float) -> Verdict:
    """A job that was cancelled while it waited never runs, and stays cancelled."""
    cases = []
    for job, cancels in story.cancels.items():
        at = min((each["at"] for each in cancels if each["status"] == 200), default=float("inf"))
        cases += [f"{job} started after its cancel" for body in story.bodies_of.get(job, []) if body.at > at]
        if at < float("inf"):
            cases += [f"{job} is {end['status']}" for end in story.ends[job] if end["status"] != "cancelled"]
    return none_of("what is cancelled stays so", cases, f" of {len(story.cancels)}")
