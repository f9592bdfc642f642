"""The machine can fail: it finds each of the faults in `mutants`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hiredis
import pytest

from slotwise import scripts
from tests.facts import Tell
from tests.protocol.driver import Driver
from tests.protocol.machine import Protocol
from tests.protocol.mutants import MUTANTS
from tests.protocol.test_protocol import walk

MOST_STEPS = 60_000


@pytest.fixture
def broken(request: pytest.FixtureRequest) -> Iterator[None]:
    name, line, instead = MUTANTS[request.param]
    (script,) = (script for script in scripts.ALL if script.name == name)
    source, parts = script.source, vars(script)
    assert source.count(line) == 1, "the line to break is not there, or more than once"
    parts["source"] = source.replace(line, instead)
    parts.pop("sha", None)
    yield
    parts["source"] = source
    parts.pop("sha", None)


@pytest.mark.parametrize("broken", MUTANTS, indirect=True)
def test_the_line_to_break_is_there(broken: None) -> None:
    """Seen in every run: the search for the faults itself takes long."""


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("broken", MUTANTS, indirect=True)
def test_a_fault_is_found(broken: None, socket: Path, tell: Tell) -> None:
    driver = Driver(socket)
    with pytest.raises((AssertionError, ExceptionGroup, hiredis.ReplyError)):
        walk(driver, MOST_STEPS, 1, shrink=False)
    driver.close()
    tell(f"{Protocol.steps:,} steps")
