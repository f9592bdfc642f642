"""What is released: made with or without a tag, and from the sdist; whole; and it runs where nothing else is."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import check_release
from slotwise.settings import Settings
from tests.facts import wait_until
from tests.fleet import ROOT


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run(
        ["bash", ROOT / "scripts" / "release.sh", directory], check=True, capture_output=True, timeout=220
    )
    yield directory


@pytest.mark.slow
def test_what_is_missing_or_too_much_is_found(dist: Path, tmp_path: Path) -> None:
    copies = [shutil.copy(file, tmp_path) for file in dist.iterdir()]
    assert list(check_release.faults(tmp_path)) == []
    (parts,) = (Path(copy) for copy in copies if str(copy).endswith(".json"))
    told = json.loads(parts.read_text())
    assert (told["bomFormat"], told["metadata"]["component"]["name"]) == ("CycloneDX", "slotwise")
    told["components"].pop()
    parts.write_text(json.dumps(told))
    assert list(check_release.faults(tmp_path)) == [f"{parts.name} lists other packages than requirements.lock"]
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as whole:
        kept = {name: whole.read(name) for name in whole.namelist() if name != "slotwise/py.typed"}
    with zipfile.ZipFile(wheel, "w") as other:
        for name, content in (kept | {".gitignore": b""}).items():
            other.writestr(name, content)
    assert list(check_release.faults(tmp_path))[:2] == [
        "slotwise/py.typed is not in the wheel",
        ".gitignore is in the wheel",
    ]


@pytest.mark.soak
def test_the_wheel_runs_where_nothing_else_is(dist: Path, tmp_path: Path) -> None:
    """`slotwise up` and a job, in an environment that has the wheel and what it asks for, far from this tree."""
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True, timeout=60)
    # the versions that are locked, as anybody may have them: pip takes no wheel without a hash beside hashes
    locked = re.findall(r"^[a-z0-9.-]+==[^\\\n]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    (tmp_path / "locked").write_text("\n".join(locked))
    (wheel,) = dist.glob("*.whl")
    install = [python, "-m", "pip", "install", "-q", "-c", tmp_path / "locked", f"{wheel}[embedded]"]
    subprocess.run(install, check=True, timeout=100, cwd=tmp_path, capture_output=True)
    (tmp_path / "mine.py").write_text(
        "from slotwise import algorithm\n\n@algorithm\ndef Twice(n: int) -> int:\n    return 2 * n\n"
    )
    names = {name.upper() for name in Settings.model_fields} | {"PYTHONPATH"}
    env = {name: value for name, value in os.environ.items() if name.upper() not in names}
    log = tmp_path / "up.log"
    with log.open("wb") as out:
        up = subprocess.Popen(
            [python.with_name("slotwise"), "up"],
            cwd=tmp_path,
            env=env | {"PORT": "0", "ALGORITHMS": "mine"},
            stdout=out,
            stderr=out,
        )
    try:
        url = wait_until(lambda: re.search(r"ready on (\S+)", log.read_text()), within=60, what="it is ready")[1]
        body = json.dumps({"algorithm": "Twice", "params": {"n": 21}}).encode()
        headers = {"Content-Type": "application/json", "Prefer": "wait=20"}
        with urllib.request.urlopen(urllib.request.Request(f"{url}/jobs", body, headers), timeout=30) as answer:
            assert json.load(answer)["result"] == 42
    finally:
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0, log.read_text()
