"""What a failover to a replica may cost, and nothing beyond: docs/reliability.md says what.

A write counts for nothing if it was acknowledged while the primary was being lost, or just before that: nobody
had sent it on. What was accepted, ended or cancelled then may be forgotten. Until a lease later, when workers
have learned what became of their grants, bodies may be too many. All else holds as ever.
"""

from __future__ import annotations

import itertools

from tests.chaos import of_fleet, of_hooks, of_jobs
from tests.chaos.oracle import Story
from tests.chaos.verdict import Verdict, none_of

LAG = 1.0  # seconds that a replica may be behind its primary
LEARN = 2.0  # seconds beyond a lease


class Excuse:
    """When promises were off."""

    def __init__(self, story: Story, slack: float) -> None:
        lease = max(each["lease"] for each in story.of("start"))
        self._spells = [(begun - LAG * slack, over) for begun, over, _ in story.spells]
        self._learn = (lease + LEARN) * slack

    def forgets(self, at: float) -> bool:
        """What was acknowledged then."""
        return any(begun <= at <= over for begun, over in self._spells)

    def doubles(self, at: float) -> bool:
        """Bodies that start then may be too many."""
        return any(begun <= at <= over + self._learn for begun, over in self._spells)


def verdicts(story: Story, slack: float) -> list[Verdict]:
    excuse = Excuse(story, slack)
    strict = (of_fleet.acts, of_fleet.slots_given_back, of_fleet.nothing_left, of_fleet.exits, of_jobs.ended_well)
    lax = (lost, ended_once, cap, twins, cancelled, told, answers)
    return [
        *(check(story, slack) for check in (*strict, of_hooks.told_by_us)),
        *(judge(story, excuse) for judge in lax),
    ]


def lost(story: Story, excuse: Excuse) -> Verdict:
    gone = {job: each for job, each in story.promised.items() if job not in story.ends}
    # accepted between the request and the answer
    cases = [f"{job}, {each['at']:.2f}" for job, each in gone.items() if not excuse.forgets(each["at"])]
    return none_of("what was replicated is never lost", cases, f"; {len(gone)} of {len(story.promised)} were not")


def ended_once(story: Story, excuse: Excuse) -> Verdict:
    """An end that was told while the primary was being lost may be another one later."""
    cases, others = [], 0
    for job, ends in story.ends.items():
        for one, next_one in itertools.pairwise(sorted(ends, key=lambda each: each["at"])):
            if _end(one) != _end(next_one):
                others += 1
                if not excuse.forgets(one["at"]):
                    cases.append(f"{job}: {_end(one)} at {one['at']:.2f}, then {_end(next_one)}")
    return none_of("an end that was replicated stays", cases, f"; {others} were not")


def _end(entry: dict[str, object]) -> tuple[object, ...]:
    return tuple(entry[name] for name in ("status", "completed_at", "type", "nonce"))


def cap(story: Story, excuse: Excuse) -> Verdict:
    over = [body for body in story.bodies if body.alive >= story.cap_at(body.at)]
    cases = [f"{body.job} came to {body.alive} at {body.at:.2f}" for body in over if not excuse.doubles(body.at)]
    return none_of("the cap holds but for a failover", cases, f"; {len(over)} bodies too many in one")


def twins(story: Story, excuse: Excuse) -> Verdict:
    pairs = [
        (job, later)
        for job, bodies in story.bodies_of.items()
        for body, later in itertools.pairwise(bodies)
        if body.ended is None or body.ended > later.at
    ]
    cases = [f"{job} at {later.at:.2f}" for job, later in pairs if not excuse.doubles(later.at)]
    return none_of("no job has two bodies but for a failover", cases, f"; {len(pairs)} in one")


def cancelled(story: Story, excuse: Excuse) -> Verdict:
    cases = []
    for job, cancels in story.cancels.items():
        at = min((each["at"] for each in cancels if each["status"] == 200), default=float("inf"))
        if at < float("inf") and not excuse.forgets(at):
            cases += [f"{job} started after its cancel" for body in story.bodies_of.get(job, []) if body.at > at]
            cases += [f"{job} is {end['status']}" for end in story.ends[job] if end["status"] != "cancelled"]
    return none_of("a cancel that was replicated stays", cases, f" of {len(story.cancels)}")


def told(story: Story, excuse: Excuse) -> Verdict:
    well = {each["job"] for each in story.told if each["manner"] == "well" and each["type"] in of_hooks.ENDS}
    stay = {job for job, ends in story.ends.items() if not all(excuse.forgets(end["at"]) for end in ends)}
    hooked = [job for job, each in story.promised.items() if each.get("hook") and job in stay]
    cases = [job for job in hooked if job not in well]
    return none_of("a job's end is told to its webhook", cases, f" of {len(hooked)}")


def answers(story: Story, excuse: Excuse) -> Verdict:
    """Nobody knows a job that was lost."""
    gone = {job for job, each in story.promised.items() if excuse.forgets(each["at"])}
    cases = [each for each in story.refusals if each["event"] != "unknown" or each["id"] not in gone]
    return none_of("no client is answered 500, or refused", map(str, cases))
