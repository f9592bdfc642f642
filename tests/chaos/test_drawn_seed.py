"""The whole service, broken on purpose, with a seed that never is the same."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.chaos.cast import Plan
from tests.chaos.clock import LIBRARIES
from tests.chaos.trial import trial
from tests.facts import Tell

SLACK = 5.0  # a machine that does other things as well breaks no promise


@pytest.mark.soak  # two minutes of a machine that does nothing else
@pytest.mark.timeout(900)
@pytest.mark.skipif(not LIBRARIES, reason="no libfaketime (Debian: faketime)")
def test_every_promise_is_kept(tmp_path: Path, tell: Tell) -> None:
    found = trial(Plan(tmp_path, seed=secrets.randbelow(1_000_000), patience=SLACK), SLACK)
    assert found.kept, found.text
    tell(found.text.partition("\n")[0])
