"""The oracle bites: each fault planted in the product is found within three seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.cast import Plan
from tests.chaos.planted import PLANTED
from tests.chaos.releases import copy
from tests.chaos.trial import trial
from tests.facts import Tell

SEEDS = (1, 2, 3)
SLACK = 5.0  # a slow machine must not be taken for the fault


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_to_be_broken_is_there(name: str, tmp_path: Path) -> None:
    """Seen in every run: the search for the faults itself takes long."""
    copy(tmp_path, PLANTED[name].changes)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str, tmp_path: Path, tell: Tell) -> None:
    planted = PLANTED[name]
    release = copy(tmp_path / "release", planted.changes)
    for seed in SEEDS:
        directory = tmp_path / str(seed)
        directory.mkdir()
        plan = Plan(
            directory, seed=seed, jobs=planted.jobs, faults=planted.faults, release=release, only=planted.kinds
        )
        broken = [each.promise for each in trial(plan, SLACK).verdicts if not each.kept]
        if broken:
            tell(f"seed {seed}: {'; '.join(broken)}")
            return
    pytest.fail(f"nothing was seen of it with seeds {SEEDS}")
