"""The command `slotwise`, as a real process in an empty directory."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from slotwise import embedded
from slotwise.keys import Keys
from slotwise.settings import Settings
from tests.commands.shell import Result, slotwise
from tests.servers import Server


def refused(result: Result, status: int = 2) -> str:
    """The one line of a command that did not do what it was asked."""
    assert result.returncode == status, result
    assert result.stderr.startswith("slotwise: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.strip()


def test_version(tmp_path: Path) -> None:
    result = slotwise(tmp_path, "--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("slotwise 0.")


def test_settings_lists_every_setting(tmp_path: Path) -> None:
    result = slotwise(tmp_path, "settings")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [name.upper() for name in Settings.model_fields]
    for line, field in zip(lines, Settings.model_fields.values(), strict=True):
        assert line.endswith(str(field.description))
    assert "now:" not in result.stdout


def test_settings_shows_what_differs_and_no_password(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=8123\n")
    result = slotwise(
        tmp_path, "settings", REDIS_URL="redis://me:secret@store:1/2", ALGORITHMS="a,b", HOST="127.0.0.1"
    )
    now = [line.split("now: ")[1] for line in result.stdout.splitlines() if "now: " in line]
    assert now == ["redis://…@store:1/2", "8123", "a,b"]


def test_settings_are_listed_although_one_is_wrong(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PROT=8123\n")
    result = slotwise(tmp_path, "settings")
    assert refused(result) == "slotwise: PROT in .env is not a setting (see `slotwise settings`)"
    assert "PORT" in result.stdout


@pytest.mark.parametrize("command", ["up", "status"])
def test_a_malformed_value_is_one_line(command: str, tmp_path: Path) -> None:
    assert "PORT='x'" in refused(slotwise(tmp_path, command, PORT="x"))


def test_status_finds_the_embedded_server(tmp_path: Path) -> None:
    server = embedded.start(tmp_path / ".slotwise")
    try:
        plain, asjson = slotwise(tmp_path, "status"), slotwise(tmp_path, "status", "--json")
    finally:
        server.stop()
    assert json.loads(asjson.stdout) == {"max_concurrent": 10, "available_slots": 10, "running_jobs": 0}
    assert [line.split() for line in plain.stdout.splitlines()] == [
        ["max_concurrent", "10"],
        ["available_slots", "10"],
        ["running_jobs", "0"],
    ]
    assert plain.stderr == asjson.stderr == ""


def test_status_without_a_server_is_one_line(tmp_path: Path) -> None:
    assert "no Redis: set REDIS_URL, or start `slotwise up`" in refused(slotwise(tmp_path, "status"))


def test_status_of_a_server_that_is_away_is_one_line(tmp_path: Path) -> None:
    refused(slotwise(tmp_path, "status", REDIS_URL="redis://localhost:1"), 3)
    refused(slotwise(tmp_path, "status", REDIS_URL=f"unix://{tmp_path}/none.sock"), 3)


def test_prove_tells_by_its_exit_status(tmp_path: Path, redis_url: str, server: Server) -> None:
    empty = slotwise(tmp_path, "prove", REDIS_URL=redis_url)
    assert (empty.returncode, empty.stderr) == (0, "")
    assert empty.stdout.startswith("Nothing to check: the admission log holds no entry.\n")

    log, now = Keys().log, round(time.time() * 1000)
    step = {"at": now, "move": "claim", "ids": '["a"]', "running": 1, "cap": 1}
    server.client.xadd(log, step)
    server.client.xadd(log, step | {"move": "finish", "running": 0})
    kept = slotwise(tmp_path, "prove", "--window", "60", REDIS_URL=redis_url)
    assert (kept.returncode, kept.stderr) == (0, "")
    assert kept.stdout.startswith("No violation in 2 steps of the admission log.\ncovered since      20")

    server.client.xadd(log, step | {"ids": '["b","c"]', "running": 2})
    server.client.xadd(log, step | {"move": "reap", "ids": '["b","c"]', "running": 0})
    broken = slotwise(tmp_path, "prove", REDIS_URL=redis_url)
    assert (broken.returncode, broken.stderr) == (1, "")
    assert broken.stdout.startswith("1 violation in 4 steps of the admission log.\n")
    assert "over-cap: a claim of 2 left 2 running under a cap of 1\n" in broken.stdout
    asjson = slotwise(tmp_path, "prove", "--json", REDIS_URL=redis_url)
    assert asjson.returncode == 1
    assert [row["kind"] for row in json.loads(asjson.stdout)["violations"]] == ["over-cap"]


@pytest.mark.parametrize("window", ["0", "604801", "-1", "1.5", "x", ""])
def test_prove_refuses_other_windows(tmp_path: Path, window: str) -> None:
    result = slotwise(tmp_path, "prove", "--window", window)
    assert (result.returncode, result.stdout) == (2, "")
    assert "--window" in result.stderr


def test_prove_without_a_server_is_one_line(tmp_path: Path) -> None:
    refused(slotwise(tmp_path, "prove"))
    refused(slotwise(tmp_path, "prove", REDIS_URL="redis://localhost:1"), 3)
