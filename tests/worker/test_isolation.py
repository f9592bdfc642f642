"""What one job leaves, the next never sees; nor does the disk keep it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.facts import wait_until
from tests.fleet import ROOT, Fleet, ended, submit
from tests.witness import Witness
from worker.scratch import Scratch

# a generator that a fork copies, as numpy's
NUMPY = """
import random as plain
generator = plain.Random(1)
seed, random = generator.seed, generator.random
"""


@pytest.fixture
def front(fleet: Fleet) -> httpx2.Client:
    (fleet.directory / "numpy").mkdir()
    (fleet.directory / "numpy" / "__init__.py").touch()
    (fleet.directory / "numpy" / "random.py").write_text(NUMPY)
    temporary = fleet.directory / "tmp"
    temporary.mkdir()
    fleet.settings |= {
        "ALGORITHMS": "tests.zoo,tests.leaky",
        "PYTHONPATH": f"{fleet.directory}:{ROOT}",
        "TMPDIR": str(temporary),
        "MAX_CONCURRENT_JOBS": "1",
    }
    return fleet.front()


def of_jobs(fleet: Fleet) -> list[Path]:
    """The temporary files of jobs that are there."""
    return list((fleet.directory / "tmp").glob("*/*/*"))


def test_the_next_job_finds_what_the_first_found(fleet: Fleet, front: httpx2.Client) -> None:
    fleet.worker()
    first, second, third = (ended(front, submit(front, "Leak"))["result"] for _ in range(3))
    assert first == second == third
    assert first["globals"] == {}
    assert first["temporary"] == []
    assert first["position"] == 0
    wait_until(lambda: not of_jobs(fleet), what="temporary files are gone")


def test_temporary_files_of_a_killed_job_are_removed(fleet: Fleet, front: httpx2.Client, witness: Witness) -> None:
    fleet.worker()
    job_id = submit(front, "Leak", stay=True)
    wait_until(lambda: witness.alive == 1, what="it has left its files")
    assert of_jobs(fleet)
    front.post(f"/jobs/{job_id}/cancel")
    assert ended(front, job_id)["status"] == "cancelled"
    wait_until(lambda: not of_jobs(fleet), what="temporary files are gone")


def test_each_job_draws_its_own_random_numbers(fleet: Fleet, front: httpx2.Client) -> None:
    fleet.worker()
    drawn = [ended(front, submit(front, "Draw"))["result"] for _ in range(3)]
    for generator in zip(*drawn, strict=True):
        assert len(set(generator)) == 3


@pytest.mark.slow
def test_temporary_files_of_a_killed_worker_are_removed(
    fleet: Fleet, front: httpx2.Client, witness: Witness
) -> None:
    worker = fleet.worker()
    job_id = submit(front, "Leak", stay=True)
    wait_until(lambda: witness.alive == 1, what="it has left its files")
    [left] = {path.parent.parent for path in of_jobs(fleet)}
    fleet.worker()
    front.post(f"/jobs/{job_id}/cancel")
    worker.kill(signal.SIGKILL)
    wait_until(lambda: not left.exists(), what="nothing of the worker is left")
    assert ended(front, job_id)["status"] == "cancelled"
    wait_until(lambda: fleet.redis.hlen(fleet.keys.leases) == 1, what="nothing of it is left in Redis either")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path


def test_the_next_start_removes_what_nobody_holds_and_nothing_else(temporary: Path) -> None:
    alive, dead = Scratch(), Scratch()
    kept, left = alive.new(), dead.new()
    (left / "deep").mkdir(parents=True)
    (left / "deep").chmod(0)
    kept.mkdir()
    (temporary / "slotwise-file").touch()
    dead.pass_on()  # nobody holds its lock any more
    own = Scratch()
    remover = own.sweep()
    assert remover is not None
    os.waitpid(remover, 0)
    assert own.sweep() is None
    assert sorted(temporary.iterdir()) == sorted([alive.path, own.path, temporary / "slotwise-file"])
    assert kept.exists()
    for scratch in (alive, own):
        scratch.pass_on()


def test_a_directory_too_deep_for_a_walk_is_removed(temporary: Path) -> None:
    scratch = Scratch()
    deep = scratch.new()
    for _ in range(300):
        deep /= "d"
    deep.mkdir(parents=True)
    scratch.remove()
    assert not scratch.path.exists()
    scratch.pass_on()
