"""The whole service, broken on purpose: one seed that is always the same, and one that never is."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path

import pytest

from tests.chaos.cast import Plan
from tests.chaos.clock import LIBRARIES
from tests.chaos.phases import Run
from tests.chaos.report import report
from tests.facts import Tell

SLACK = 5.0  # a machine that does other things as well breaks no promise


@pytest.mark.soak  # two minutes each, of a machine that does nothing else
@pytest.mark.timeout(900)
@pytest.mark.skipif(not LIBRARIES, reason="no libfaketime (Debian: faketime)")
@pytest.mark.parametrize("seed", ["fixed", "drawn"])
def test_every_promise_is_kept(seed: str, tmp_path: Path, tell: Tell) -> None:
    plan = Plan(tmp_path, seed=8 if seed == "fixed" else secrets.randbelow(1_000_000))
    begun = time.monotonic()
    asyncio.run(Run(plan).play())
    found = report(plan, SLACK, time.monotonic() - begun)
    assert found.kept, found.text
    tell(found.text.partition("\n")[0])
