"""The scripts against the reference: see `machine` for what a step is.

The brief and the long walk are the same in each run, so that CI fails for a change and not for a draw of luck; the
million steps are new ones each time, and say their seeds. To repeat one of them: `walk(driver, steps, seed)`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.facts import Tell
from tests.protocol.driver import Driver
from tests.protocol.machine import Protocol

STEPS_AN_EXAMPLE = 60
EXAMPLES_A_SEED = 500


@pytest.fixture
def driver(socket: Path) -> Iterator[Driver]:
    driver = Driver(socket)
    yield driver
    driver.close()


def walk(driver: Driver, steps: int, first_seed: int, *, shrink: bool = True) -> str:
    """At least `steps` steps; how many, in words. Raises: AssertionError with the shortest way to a difference."""
    began, number, Protocol.driver, Protocol.steps = time.monotonic(), first_seed, driver, 0
    while Protocol.steps < steps:
        left = (steps - Protocol.steps) // STEPS_AN_EXAMPLE
        run_state_machine_as_test(
            seed(number)(type("Protocol", (Protocol,), {})),
            settings=settings(
                max_examples=max(1, min(EXAMPLES_A_SEED, left)),
                stateful_step_count=STEPS_AN_EXAMPLE,
                deadline=None,
                database=None,
                report_multiple_bugs=shrink,
                phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
                suppress_health_check=list(HealthCheck),
            ),
        )
        number += 1
    seconds = time.monotonic() - began
    return f"{Protocol.steps:,} steps of the protocol in {seconds:.1f} s, seeds {first_seed} to {number - 1}"


def test_briefly(driver: Driver, tell: Tell) -> None:
    tell(walk(driver, 3_000, 1))


@pytest.mark.slow
def test_at_length(driver: Driver, tell: Tell) -> None:
    tell(walk(driver, 20_000, 1_000, shrink=False))


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_for_a_million_steps(driver: Driver, tell: Tell) -> None:
    tell(walk(driver, 1_000_000, random.SystemRandom().randrange(1_000_000, 10**9)))
