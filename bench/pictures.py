"""Takes the pictures of docs/dashboard.md: a fleet of three workers that works for four minutes.

python -m bench.pictures        writes docs/dashboard.png and docs/job.png
"""

from __future__ import annotations

import random
import shutil
import time
from contextlib import ExitStack
from typing import Any

import httpx2
from playwright.sync_api import Browser, sync_playwright

from bench.page import FLAGS, FRONT, ready
from bench.stage import ARQ, ROOT, process, server, until_served
from tests.facts import wait_until
from tests.servers import free_port

WORKERS = 3
CONFIGURED = 12
# for how many seconds, jobs a second, and the cap after it with its reason
PHASES = [
    (60, 1.0, 8, "backup"),
    (45, 1.5, 16, "backup is done"),
    (75, 0.9, 11, "a machine less"),
    (40, 2.5, None, ""),
]
SIZE = {"width": 1360, "height": 960}


def submit(client: httpx2.Client) -> None:
    if random.random() < 0.2:
        body: dict[str, Any] = {"algorithm": "Transcribe", "params": {"minutes": random.randint(10, 40)}}
    else:
        body = {"algorithm": "Render", "params": {"frames": random.randint(10, 80)}}
    client.post("/jobs", json=body).raise_for_status()


def work(client: httpx2.Client) -> None:
    for seconds, rate, cap, reason in PHASES:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            submit(client)
            time.sleep(random.expovariate(rate))
        if cap is not None:
            client.put("/jobs/concurrency", json={"max_concurrent": cap, "reason": reason}).raise_for_status()


def take(browser: Browser, address: str, scheme: Any, shows: dict[str, str], name: str) -> None:
    """A picture of the page once it shows each of these texts, by where it stands."""
    page = browser.new_context(viewport=SIZE, color_scheme=scheme).new_page()
    page.goto(address)
    for where, text in shows.items():
        page.locator(where, has_text=text).first.wait_for(timeout=60_000)
    page.mouse.move(0, 0)
    page.screenshot(path=ROOT / "docs" / name)
    page.context.close()


def main() -> None:
    with ExitStack() as stack:
        running, port = stack.enter_context(server()), free_port()
        env = {"REDIS_URL": running.url, "ALGORITHMS": "bench.media", "MAX_CONCURRENT_JOBS": str(CONFIGURED)}
        stack.enter_context(process(FRONT, env | {"PORT": str(port)}))
        client = stack.enter_context(httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30))
        wait_until(lambda: ready(client), within=60, what="a front end is ready")
        for _ in range(WORKERS):
            stack.enter_context(process([ARQ, "worker.settings.WorkerSettings"], env))
        until_served(client)
        playwright = stack.enter_context(sync_playwright())
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        work(client)
        page = f"http://127.0.0.1:{port}/#/"
        shown = {".pulse": "live", ".badge": "cap kept", ".cell.taken": ", peak", ".flow": "Kept since"}
        take(browser, f"{page}?window=900", "light", shown, "dashboard.png")
        recording = {
            "algorithm": "Transcribe",
            "params": {"minutes": 30},
            "priority": 9,
            "labels": {"team": "media"},
        }
        job_id = client.post("/jobs", json=recording).json()["job_id"]
        shown = {".pulse": "live", "p.progress": "minute 12 of 30", ".facts": "memory now"}
        take(browser, f"{page}jobs/{job_id}", "dark", shown, "job.png")
        browser.close()


if __name__ == "__main__":
    main()
