"""A Python environment for each peer, made on demand under `.bench/envs`; versions stand in `table`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.stage import ROOT

ENVIRONMENTS = ROOT / ".bench" / "envs"
NEWEST, OLDEST = 14, 11  # minor versions of Python 3 that are looked for

INSTALLED = """
import json, platform
from importlib.metadata import distributions
found = {each.metadata["Name"]: each.version for each in distributions()}
print(json.dumps({**found, "python": platform.python_version()}))
"""


class Unavailable(Exception):
    """A peer's environment cannot be made here; the message says why."""


def python_of(name: str, requirements: Sequence[str], least: tuple[int, int]) -> str:
    """The path of the Python that has these requirements. Raises: Unavailable."""
    directory = ENVIRONMENTS / name
    python, stamp = directory / "bin" / "python", directory / "made-of.json"
    wanted = json.dumps([list(requirements), list(least)])
    if stamp.is_file() and stamp.read_text() == wanted:
        return str(python)
    base = _base(least)
    shutil.rmtree(directory, ignore_errors=True)
    _run([base, "-m", "venv", str(directory)], f"no environment for {name}")
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    _run(install, f"{name} could not be installed")
    stamp.write_text(wanted)
    return str(python)


def versions(python: str) -> dict[str, str]:
    """What is installed, by name, and the Python itself."""
    told = subprocess.run([python, "-c", INSTALLED], capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = json.loads(told)
    return found


def _run(command: list[str], failure: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{failure}: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")


def _base(least: tuple[int, int]) -> str:
    """This very Python where it is new enough, so that as many as can be run under the same."""
    for candidate in _candidates():
        asked = [candidate, "-c", f"import sys; sys.exit(sys.version_info < {least})"]
        try:
            if subprocess.run(asked, capture_output=True, check=False).returncode == 0:
                return candidate
        except OSError:
            continue
    raise Unavailable(f"no Python {least[0]}.{least[1]} or newer found")


def _candidates() -> Iterator[str]:
    yield getattr(sys, "_base_executable", sys.executable)
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(NEWEST, OLDEST - 1, -1):
        yield f"python3.{minor}"
        yield from map(str, kept.glob(f"3.{minor}.*/bin/python3.{minor}"))
