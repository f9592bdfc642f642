"""What docs/client.md shows runs as it stands there, and what it lists is all that there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from slotwise import Client
from slotwise.commands import exits
from slotwise.doctor.report import ILLNESSES
from tests.commands.shell import SLOTWISE, environment
from tests.fleet import ROOT, Fleet

PAGE = (ROOT / "docs" / "client.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_examples_run(fleet: Fleet, tmp_path: Path) -> None:
    fleet.worker()
    url = str(fleet.front().base_url)
    path = f"{SLOTWISE.parent}:{os.environ['PATH']}"
    env = environment({"SLOTWISE_URL": url, "REDIS_URL": fleet.url, "PATH": path})
    said = []
    for command, language in (([sys.executable, "-c"], "python"), (["bash", "-euc"], "bash")):
        for block in blocks(language):
            told = subprocess.run(
                [*command, block], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
            )
            assert (told.returncode, told.stderr) == (0, ""), told
            said.append(told.stdout)
    assert len(said) == 4
    assert said[0].startswith("True\n") and "cancelled" in said[0]
    assert "'is_prime': False" in said[1]
    assert '"is_prime": true' in said[2]
    assert "no-aof" in said[3]


def test_everything_is_listed() -> None:
    names = [name for name in vars(Client) if not name.startswith("_") and name != "close"]
    assert [name for name in names if not re.search(rf"[`, |]{name}[`(]", PAGE)] == []
    assert [code for code in ILLNESSES if f"`{code}`" not in PAGE] == []
    for status, what in exits.TABLE.items():
        assert re.search(rf"^\| {status} \| {re.escape(what.split(';')[0])[:20]}", PAGE, re.MULTILINE), status
