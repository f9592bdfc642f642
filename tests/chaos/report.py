"""What a run found, for people."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos import of_fleet, of_hooks, of_jobs, of_slots  # noqa: F401 - they put their checks into the table
from tests.chaos.cast import Plan
from tests.chaos.oracle import Story
from tests.chaos.recovery import by_kind
from tests.chaos.verdict import Verdict, verdicts

Judge = Callable[[Story, float], list[Verdict]]


@dataclass
class Report:
    text: str
    kept: bool
    verdicts: list[Verdict]


def report(plan: Plan, slack: float, seconds: float, judge: Judge = verdicts) -> Report:
    story = Story.read(plan.directory)
    judged = judge(story, slack)
    kinds = by_kind(story)
    size = f"{len(story.promised)} jobs, {len(story.spells)} faults of {len(kinds)} kinds, {seconds:.0f} s"
    lines = [f"seed {plan.seed}: {size}", ""]
    for each in judged:
        lines.append(f"{'kept  ' if each.kept else 'BROKEN'}  {each.promise}: {each.found}")
        lines += [f"          {case}" for case in each.cases]
    lines += ["", *(f"{kind:42} {told}" for kind, told in kinds.items()), "", f"again: {command(plan)}", ""]
    return Report("\n".join(lines), all(each.kept for each in judged), judged)


def command(plan: Plan) -> str:
    """What draws the same faults and jobs again."""
    words = ["python", "-m", "tests.chaos"]
    for name, default in (("jobs", 5_000), ("faults", 60), ("lease", 3.0), ("cap", 16), ("workers", 4)):
        if getattr(plan, name) != default:
            words += [f"--{name}", f"{getattr(plan, name):g}"]
    if plan.failover:
        words += ["--failover", plan.failover]
    for kind in plan.only:
        words += ["--only", kind]
    if plan.previous:
        words += ["--previous", plan.previous]
    return shlex.join([*words, "--seed", str(plan.seed)])
