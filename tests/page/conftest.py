"""A real Chromium before a real fleet: one of each for a file of tests, since both take seconds to start.

A test fails where the page logs an error, or asks anybody but the service for anything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from tests.facts import wait_until
from tests.fleet import ROOT, Fleet
from tests.servers import Server
from tests.witness import ADDRESS, Witness

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
VENDOR = ROOT / "service" / "static" / "vendor" / "preact.js"
FLAGS = [
    "--no-sandbox",  # which root cannot have
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass
class House:
    """The service: its fleet, and a client of its front end."""

    fleet: Fleet
    client: httpx2.Client
    url: str

    def submit(self, algorithm: str, labels: dict[str, str] | None = None, /, **params: Any) -> str:
        body = {"algorithm": algorithm, "params": params, "labels": labels or {}}
        answer = self.client.post("/jobs", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.client.get(f"/jobs/{job_id}").json())

    def wait(self, job_id: str, status: str) -> None:
        wait_until(lambda: self.job(job_id)["status"] == status, within=20, what=f"{job_id} is {status}")

    def command(self, *arguments: str) -> str:
        """What `slotwise` says, before this fleet's store."""
        command = [sys.executable, "-m", "slotwise.cli", *arguments]
        env = {"PATH": os.environ["PATH"], **self.fleet.settings}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.strip()

    def clear(self) -> None:
        """Let nothing run or wait, and the cap be as configured."""
        matched = self.client.post("/jobs/cancel", json={"filter": {}, "dry_run": True}).json()["matched"]
        self.client.post("/jobs/cancel", json={"filter": {}, "expected": matched})
        self.client.delete("/jobs/concurrency")
        wait_until(lambda: self.fleet.running() == 0, within=20, what="nothing runs")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory, server, witness = (
        tmp_path_factory.mktemp("page"),
        Server(tmp_path_factory.mktemp("store")),
        Witness(),
    )
    server.start()
    fleet = Fleet(server.url, directory)
    fleet.settings |= {ADDRESS: witness.address, "ALGORITHMS": "tests.zoo,tests.talkers"}
    client = fleet.front()
    fleet.worker()
    yield House(fleet, client, str(client.base_url).rstrip("/"))
    fleet.close()
    wait_until(lambda: not fleet.strays(), within=10, what="no process of the fleet is left")
    witness.close()
    server.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    missing = [name for name, there in (("chromium", CHROMIUM), ("axe-core", AXE.exists())) if not there]
    if missing or not VENDOR.exists():
        why = (
            f"no {' and no '.join(missing) or 'libraries'} (Debian: apt-get install chromium; scripts/browser.sh)"
        )
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Tab:
    """A tab, what went wrong in it, and what it asked for."""

    page: Any
    url: str
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)  # statuses that a browser logs as errors, and that are meant

    def watch(self) -> None:
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

        def logged(message: Any) -> None:
            meant = any(f"status of {status}" in message.text for status in self.expected)
            if message.type in ("error", "warning") and not meant:
                self.faults.append(f"{message.type}: {message.text} {message.location['url']}")

        self.page.on("console", logged)

    def go(self, address: str) -> None:
        self.page.goto(f"{self.url}/{address}")

    def axe(self) -> list[str]:
        """What axe finds on the page as it stands."""
        found = self.page.evaluate("async () => (await axe.run()).violations")
        return [f"{each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}" for each in found]

    def overflows(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))

    def elsewhere(self) -> list[str]:
        return [url for url in self.requests if not url.startswith(self.url + "/")]


@pytest.fixture
def tab(house: House, chromium: Any) -> Iterator[Tab]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    # as the browser's own, so that the page's policy stays what it is
    context.add_init_script(path=AXE)
    tab = Tab(context.new_page(), house.url)
    tab.watch()
    yield tab
    context.close()
    house.clear()
    assert tab.faults == []
    assert tab.elsewhere() == []
