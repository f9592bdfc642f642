"""A client that a generator makes of the description works, as typed, against the running service."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.fleet import Fleet

NAME = "generated_slotwise"
TEXT = "a\0b \U0001f600"


def generated(description: bytes, folder: Path) -> None:
    """Write a package of that name; a schema that the generator does not understand is a failure."""
    (folder / "openapi.json").write_bytes(description)
    # It knows text and bytes: the dashboard's icon is described as what it is.
    told = "content_type_overrides:\n  image/svg+xml: application/octet-stream\n"
    (folder / "config.yaml").write_text("post_hooks: []\n" + told)
    command = [str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--meta", "none"]
    paths = ["--path", "openapi.json", "--output-path", NAME, "--config", "config.yaml", "--fail-on-warning"]
    done = subprocess.run([*command, *paths], cwd=folder, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_submits_a_job_and_reads_it(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.worker()
    front = fleet.front()
    generated(front.get("/openapi.json").content, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def module(name: str) -> ModuleType:
        return importlib.import_module(f"{NAME}.{name}")

    models: Any = module("models")
    with module("client").Client(base_url=str(front.base_url), timeout=30) as client:
        asked = models.JobRequest.from_dict({"algorithm": "Echo", "params": {"value": TEXT}, "labels": {"a": "b"}})
        made = module("api.jobs.submit_job").sync(client=client, body=asked, idempotency_key="once")
        assert isinstance(made, models.JobObject)
        again = module("api.jobs.submit_job").sync(client=client, body=asked, idempotency_key="once")
        read = module("api.jobs.read_job").sync(made.job_id, client=client, prefer="wait=30")
        assert (again.job_id, read.status, read.result) == (made.job_id, "completed", TEXT)
        assert read.labels.to_dict() == {"a": "b"}
        slots = module("api.slots.read_slots").sync(client=client)
        assert (slots.max_concurrent, slots.running_jobs) == (10, 0)
        finished = module("api.jobs.cancel_job").sync(made.job_id, client=client)
        assert isinstance(finished, models.Problem)
        assert finished.type_ == "/problems/already-finished"
        assert module("api.jobs.erase_job").sync_detailed(made.job_id, client=client).status_code == 204
        assert module("api.jobs.read_job").sync(made.job_id, client=client).status == 404
