"""Clocks that jump: no wall clock decides who owns a job, whichever host it is on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.facts import wait_until
from tests.fleet import ROOT, TERMINAL, Fleet, job, submit
from tests.servers import Server
from tests.witness import ADDRESS, Witness

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not LIBRARIES and not os.environ.get("CI"), reason="no libfaketime (Debian: faketime)"),
]
HOUR = 3600
LEASE = "10"  # the jump is to try it, not what else the machine does


FAKE = """
import time
from pathlib import Path

def off():
    return int(Path({file!r}).read_text())

real, real_ns = time.time, time.time_ns
time.time = lambda: real() + off()
time.time_ns = lambda: real_ns() + off() * 10**9
"""


class Clock:
    """The wall clock of other processes; their monotonic clocks go on as they are."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / "clock"
        self.set(0)

    def set(self, seconds: int) -> None:
        """So far from the real time."""
        self._file.write_text(f"{seconds:+d}")

    @property
    def of_a_program(self) -> Mapping[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    @property
    def of_python(self) -> Mapping[str, str]:
        """By a module that Python imports at its start: libfaketime breaks its sleeps."""
        (self._directory / "sitecustomize.py").write_text(FAKE.format(file=str(self._file)))
        return {"PYTHONPATH": f"{self._directory}:{ROOT}"}


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def jumping(clock: Clock, witness: Witness, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet on a server whose clock can be set."""
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server", env=clock.of_a_program)
    server.start()
    fleet = Fleet(server.url, tmp_path)
    fleet.settings |= {ADDRESS: witness.address, "LEASE_SECONDS": LEASE}
    yield fleet
    fleet.close()
    server.stop()


def seconds(fleet: Fleet) -> int:
    told: tuple[int, int] = fleet.redis.time()  # type: ignore[assignment]
    return told[0]


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_the_servers_clock_jumps(jumping: Fleet, clock: Clock, witness: Witness, jump: int) -> None:
    front = jumping.front(MAX_CONCURRENT_JOBS="2")
    jumping.worker()
    jobs = [submit(front, "Hold", seconds=3) for _ in range(2)] + [
        submit(front, "Hold", seconds=0.1) for _ in "abcd"
    ]
    wait_until(lambda: witness.alive == 2, what="two run and four wait")
    before = seconds(jumping)
    clock.set(jump)
    wait_until(lambda: abs(seconds(jumping) - before - jump) < 60, what="the jump")
    assert jumping.running() == 2, "a jump took slots away"
    late = submit(front, "Hold", seconds=0.1)
    wait_until(
        lambda: all(job(front, job_id)["status"] in TERMINAL for job_id in [*jobs, late]),
        within=30,
        what="all ended",
    )
    assert {job(front, job_id)["status"] for job_id in [*jobs, late]} == {"completed"}
    assert {job(front, job_id)["attempt"] for job_id in [*jobs, late]} == {1}
    assert (witness.seen, witness.peak) == (7, 2), "a body was started twice, or too many at once"


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_workers_clock_jumps(fleet: Fleet, clock: Clock, witness: Witness, jump: int) -> None:
    fleet.settings["LEASE_SECONDS"] = LEASE
    front = fleet.front(MAX_CONCURRENT_JOBS="2")
    fleet.worker(**clock.of_python)
    fleet.worker()
    jobs = [submit(front, "Hold", seconds=3) for _ in range(2)] + [
        submit(front, "Hold", seconds=0.1) for _ in "abcd"
    ]
    wait_until(lambda: witness.alive == 2, what="two run and four wait")
    clock.set(jump)
    wait_until(
        lambda: all(job(front, job_id)["status"] in TERMINAL for job_id in jobs), within=30, what="all ended"
    )
    assert {job(front, job_id)["status"] for job_id in jobs} == {"completed"}
    assert {job(front, job_id)["attempt"] for job_id in jobs} == {1}
    assert (witness.seen, witness.peak) == (6, 2), "a body was started twice, or too many at once"
