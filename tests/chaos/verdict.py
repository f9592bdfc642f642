"""A verdict on each promise: what was found beside what may be, and the first cases of what may not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.chaos.oracle import Story


@dataclass
class Verdict:
    promise: str
    kept: bool
    found: str
    cases: list[str]


Check = Callable[[Story, float], Verdict]
CHECKS: list[Check] = []


def check(judge: Check) -> Check:
    CHECKS.append(judge)
    return judge


def verdicts(story: Story, slack: float) -> list[Verdict]:
    """Of every promise. `slack` is what every bound on time is multiplied by: a slow machine breaks no promise."""
    return [judge(story, slack) for judge in CHECKS]


def none_of(promise: str, cases: Iterable[str], of: str = "") -> Verdict:
    """A promise that nothing of this kind ever happens."""
    found = list(cases)
    return Verdict(promise, not found, f"{len(found)}{of}", found[:5])


def at_most(promise: str, seconds: float, bound: float, of: str = "") -> Verdict:
    return Verdict(promise, seconds <= bound, f"{seconds:.2f} s (bound {bound:g} s){of}", [])
