"""The examples of docs/api.md run as they stand, and answer what the page says."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from service.problems import TABLE
from tests.fleet import ROOT, Fleet

PAGE = (ROOT / "docs" / "api.md").read_text()
# a block of bash, and what it prints, where the page says so
EXAMPLE = re.compile(r"^```bash\n(.*?)^```\n(?:```(?:json|text)\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
MARK = "--- end of an example ---"


def fits(told: Any, seen: Any) -> bool:
    """Whether `seen` has all that is told; a … stands for anything, also at the end of a text."""
    if isinstance(told, dict):
        return isinstance(seen, dict) and all(name in seen and fits(told[name], seen[name]) for name in told)
    if isinstance(told, list):
        return isinstance(seen, list) and len(told) <= len(seen) and all(map(fits, told, seen))
    if isinstance(told, str) and told.endswith("…"):
        return seen is not None and str(seen).startswith(told[:-1])
    return bool(told == seen and type(told) is type(seen))


@pytest.mark.slow
def test_the_examples_run_one_after_the_other(fleet: Fleet) -> None:
    examples = EXAMPLE.findall(PAGE)
    assert len(examples) > 10
    front = fleet.front(ALGORITHMS="")
    fleet.worker(ALGORITHMS="")
    script = f"\necho; echo '{MARK}'\n".join(code for code, _ in examples)
    script = script.replace("http://localhost:8000", str(front.base_url).rstrip("/"))
    ran = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    printed = ran.stdout.split(MARK)
    assert len(printed) == len(examples)
    for (code, told), said in zip(examples, printed, strict=True):
        if not told:
            continue
        last = said.strip().splitlines()[-1]
        assert fits(json.loads(told), json.loads(last)), f"{code}\nprinted {last}"


def test_every_problem_is_on_the_page() -> None:
    _, _, errors = PAGE.partition("## Errors")
    rows = re.findall(r"^\| ([0-9, ]+) \| (.*) \|$", errors, re.MULTILINE)
    told = {
        (int(status), name)
        for statuses, text in rows
        for status in statuses.split(", ")
        for name in re.findall(r"`([a-z-]+)`", text)
    }
    assert {(status, code) for code, (status, _) in TABLE.items()} <= told
    assert {name for _, name in told} <= set(TABLE)
