"""What was promised of webhooks: each end is told at least once, last of all, and provably by us."""

from __future__ import annotations

from tests.chaos.oracle import Story
from tests.chaos.receivers import PATH
from tests.chaos.verdict import Verdict, check, none_of

ENDS = {"job.completed", "job.failed", "job.cancelled"}


@check
def told(story: Story, slack: float) -> Verdict:
    """Every receiver is in order at the end, and each delivery that a receiver spoiled is due again until then."""
    well = {(each["job"], each["type"]) for each in story.told if each["manner"] == "well"}
    hooked = [job for job, each in story.promised.items() if each.get("hook")]
    cases = [
        f"{job} is {story.ends[job][0]['status']}"
        for job in hooked
        if job in story.ends and (job, f"job.{story.ends[job][0]['status']}") not in well
    ]
    return none_of("a job's end is told to its webhook", cases, f" of {len(hooked)}")


@check
def told_in_order(story: Story, slack: float) -> Verdict:
    """By when each message came first: it may come again."""
    came: dict[str, dict[str, str]] = {}
    for each in story.told:
        came.setdefault(each["job"], {}).setdefault(each["id"], each["type"])
    cases = []
    for job, messages in came.items():
        types = list(messages.values())
        if any(kind in ENDS for kind in types[:-1]):
            cases.append(f"{job}: {types}")
    return none_of("a webhook is told one end, and nothing after it", cases, f" of {len(came)}")


@check
def told_by_us(story: Story, slack: float) -> Verdict:
    cases = [f"{each['receiver']}: {each['error']}" for each in story.forged]
    cases += [f"{each['receiver']}: {each['path']}" for each in story.told if each["path"] != PATH]
    return none_of("webhooks are signed, and follow no redirect", cases, f" of {len(story.told)} requests")
