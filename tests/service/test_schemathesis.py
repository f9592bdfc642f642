"""Schemathesis, with all its checks and links, over every operation of a service with a worker."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet import ROOT, Fleet

HERE = Path(__file__).parent
REQUEST_SECONDS = 8  # also for how long a stream is read that does not end


def run(fleet: Fleet, tmp_path: Path, *, seconds: int, examples: int, seed: int) -> None:
    """Fails with what Schemathesis found. Fuzzing and links share what is left of `seconds`."""
    fleet.settings["ALGORITHMS"] = "tests.service.plain"
    fleet.worker()
    front = fleet.front()
    command = [str(Path(sys.executable).with_name("schemathesis"))]
    command += ["--config-file", str(HERE / "schemathesis.toml"), "run", f"{front.base_url}/openapi.json"]
    command += [
        "--checks",
        "all",
        "--max-time",
        str(seconds),
        "--max-examples",
        str(examples),
        "--seed",
        str(seed),
    ]
    command += ["--generation-database", "none", "--request-timeout", str(REQUEST_SECONDS), "--no-color"]
    hooks = {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.service.schemathesis_hooks"}
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **hooks}, capture_output=True, text=True, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in fleet.processes[-1].said()


@pytest.mark.slow
def test_finds_nothing(fleet: Fleet, tmp_path: Path) -> None:
    run(fleet, tmp_path, seconds=18, examples=5, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_finds_nothing_for_minutes(fleet: Fleet, tmp_path: Path) -> None:
    run(fleet, tmp_path, seconds=600, examples=200, seed=secrets.randbelow(2**32))
