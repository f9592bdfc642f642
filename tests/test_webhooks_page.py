"""The receiver of docs/webhooks.md runs as it stands there, and believes the service and nobody else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from slotwise.settings import Settings
from tests.commands.shell import SLOTWISE, environment
from tests.facts import wait_until
from tests.fleet import ROOT, Fleet
from tests.servers import free_port
from worker.webhooks import MOST, OF_RECEIVER, SCHEDULE, VISIBLE_MS

PAGE = (ROOT / "docs" / "webhooks.md").read_text()
SECRET = "whsec_" + "c" * 32


@pytest.mark.slow
def test_the_receiver_runs(fleet: Fleet, tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    fleet.settings |= {"WEBHOOK_SECRET": SECRET, "WEBHOOK_ALLOW": "127.0.0.1"}
    front, port, said = fleet.front(), free_port(), tmp_path / "said"
    fleet.worker()
    env = {**os.environ, "WEBHOOK_SECRET": SECRET, "PORT": str(port)}
    with said.open("w") as out:
        receiver = subprocess.Popen(
            [sys.executable, "-c", program], env=env, stdout=out, stderr=subprocess.DEVNULL
        )
        try:
            url = f"http://127.0.0.1:{port}/"

            def refuses() -> bool:
                try:
                    return httpx2.post(url, json={}).status_code == 401
                except httpx2.TransportError:
                    return False

            wait_until(refuses, what="the receiver is up, and refuses what is not signed")
            told = environment({"SLOTWISE_URL": str(front.base_url)})
            submit = [str(SLOTWISE), "submit", "Add", "a=1", "b=2", "--webhook", url]
            asked = [*submit, "--webhook-event", "job.running", "--webhook-event", "job.completed"]
            subprocess.run(asked, env=told, check=True, capture_output=True)
            wait_until(lambda: "job.completed" in said.read_text(), what="it is told")
            wait_until(lambda: not fleet.redis.exists(fleet.keys.receivers), what="nothing is left to tell")
        finally:
            receiver.terminate()
            receiver.wait(10)
    assert said.read_text().splitlines() == [
        "job.running {'a': 1, 'b': 2} None",
        "job.completed {'a': 1, 'b': 2} 3",
    ]


def test_the_figures_are_those_of_the_code() -> None:
    seconds = {"s": 1, "min": 60, "h": 3600}
    rows = re.findall(r"^\| [0-9, ]+ \| (.*) \|$", PAGE, re.MULTILINE)
    pauses = [float(n) * seconds[unit] for row in rows for n, unit in re.findall(r"(\d+) (s|min|h)\b", row)]
    assert tuple(pauses) == SCHEDULE
    assert f"at most {MOST} at a time, {OF_RECEIVER} of one receiver" in PAGE
    assert f"after {VISIBLE_MS // 1000} s by another" in PAGE
    assert {"WEBHOOK_SECRET", "WEBHOOK_ALLOW"} <= {name.upper() for name in Settings.model_fields}
