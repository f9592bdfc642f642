"""Every shell and Python block of every page runs, from the first to the last, on a service of the page's own.

A Python block that begins with `# name.py` is that file; its algorithms are served. Lines that cannot run here are
listed below, each with the test that has them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.shell import environment
from tests.fleet import ROOT, Fleet, ended, submit

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])
OF_THEIR_OWN = {  # pages whose blocks another test runs, and tells what they print
    "docs/api.md": "tests/test_api_page.py",
    "docs/client.md": "tests/client/test_page.py",
    "docs/webhooks.md": "tests/test_webhooks_page.py",
}
PYTHON_OF_ITS_OWN = {"docs/algorithms.md": "tests/test_docs.py"}
ELSEWHERE = {
    r"(\w+=\S+ )*slotwise up": "runs until Ctrl-C: tests/test_up.py",
    r"\./scripts/run_dev\.sh": "the same, in an environment of its own: tests/test_up.py",
    r"arq worker\.settings\.WorkerSettings": "runs until Ctrl-C: every worker of the tests is started so",
    r"curl -N localhost:8000/events": "never ends: tests/service/test_fleet_events.py",
    r"pip install": "tests/test_release.py installs the wheel so",
    r"export COMPOSE_FILE|(\w+=\S+ )*docker ": (
        "needs an engine: scripts/test-containers.sh; the files: tests/test_deploy.py"
    ),
    r"kubectl ": "needs a cluster; the manifests: tests/test_deploy.py",
    r"apt-get |systemctl |sed .* deploy/sentinel/|echo \"replicaof": (
        "changes the machine; the files: tests/test_sentinel.py"
    ),
    r"useradd |python3 -m venv /opt|install -D|cp deploy/systemd|/opt/slotwise": (
        "changes the machine; the units: tests/test_deploy.py"
    ),
}
REFUSED = {"docs/listing.md": {"count-differs"}}  # problems that are what the page tells of
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text."""
    return BLOCK.findall(page.read_text())


def commands(text: str) -> list[str]:
    """The lines of a shell block, each with those that continue it."""
    return re.findall(r"(?:.*\\\n)*.*\n", text)


def elsewhere(command: str) -> str | None:
    """The pattern for which a command is not run here."""
    return next((pattern for pattern in ELSEWHERE if re.match(pattern, command)), None)


def lines_of(page: Path) -> Iterator[str]:
    yield from (line for language, text in blocks(page) if language == "bash" for line in commands(text))


READ_HERE = [page for page in PAGES if name_of(page) not in OF_THEIR_OWN]
RUN_HERE = [
    page
    for page in READ_HERE
    if any(language == "python" for language, _ in blocks(page))
    or any(elsewhere(line) is None for line in lines_of(page))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN_HERE, ids=name_of)
def test_its_blocks_run(page: Path, fleet: Fleet, tmp_path: Path) -> None:
    files = {}
    for language, text in blocks(page):
        if language == "python" and (named := re.match(r"# (\w+)\.py\n", text)):
            files[named[1]] = text
            (tmp_path / f"{named[1]}.py").write_text(text)
    serve = ",".join(name for name, text in files.items() if "slotwise" in text)
    fleet.settings |= {"DRAIN_SECONDS": "0", "PYTHONPATH": f"{ROOT}:{tmp_path}", "ALGORITHMS": serve}
    front = fleet.front()
    fleet.worker()
    url = str(front.base_url).rstrip("/")
    done = submit(front, "PrimeChecker", number=97)
    ended(front, done)
    env = environment(
        {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SLOTWISE_URL": url,
            "REDIS_URL": fleet.url,
            "ID": done,
            "NAME": front.get("/workers").json()["workers"][0]["name"],
        }
    )
    for language, text in blocks(page):
        if language == "python":
            if text in files.values() or name_of(page) in PYTHON_OF_ITS_OWN:
                continue
            command = [sys.executable, "-c", text]
        else:
            script = "".join(line for line in commands(text) if elsewhere(line) is None)
            command = ["bash", "-euo", "pipefail", "-c", re.sub(r"(http://)?localhost:8000", url, script)]
        ran = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=180, check=False
        )
        assert ran.returncode == 0, f"{text}\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
        # a curl that was refused is content with that
        problems = set(re.findall(r'"type":"/problems/([a-z-]+)', ran.stdout))
        assert problems <= REFUSED.get(name_of(page), set()), f"{text}\n{ran.stdout[-2000:]}"


def test_what_cannot_run_is_only_what_is_listed() -> None:
    found = {elsewhere(line) for page in READ_HERE for line in lines_of(page)} - {None}
    assert found == set(ELSEWHERE)
    assert {*OF_THEIR_OWN, *PYTHON_OF_ITS_OWN} <= {name_of(page) for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_its_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]*)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        assert to.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", to.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, target
