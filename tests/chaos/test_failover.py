"""A failover costs what the documents say that it may cost, and no more."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.chaos.cast import Plan
from tests.chaos.trial import FAILOVERS, trial
from tests.facts import Tell

SLACK = 5.0  # a machine that does other things as well breaks no promise


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", FAILOVERS)
def test_only_what_was_not_replicated_is_lost(kind: str, tmp_path: Path, tell: Tell) -> None:
    seed = secrets.randbelow(1_000_000)
    plan = Plan(tmp_path, seed=seed, jobs=600, faults=4, workers=3, failover=kind, patience=SLACK)
    found = trial(plan, SLACK)
    assert found.kept, found.text
    lost = next(each for each in found.verdicts if each.promise == "what was replicated is never lost")
    tell(f"{found.text.partition(chr(10))[0]}; {lost.promise}: {lost.found}")
