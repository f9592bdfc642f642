"""The commands of API keys, and a client that has one."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from slotwise.cli import main


def run(url: str, *arguments: str, status: int = 0) -> str:
    result = CliRunner(env={"REDIS_URL": url}).invoke(main, ["keys", *arguments])
    assert result.exit_code == status, (arguments, result.output)
    return result.stdout if status == 0 else result.output


def test_a_key_is_made_listed_and_revoked(redis_url: str) -> None:
    secret = run(redis_url, "create", "billing", "--scope", "submit", "--max-running", "5", "--rate", "100/minute")
    assert secret.startswith("slw_") and len(secret.strip()) > 40
    assert "revoke it first" in run(redis_url, "create", "billing", "--scope", "read", status=2)
    made = json.loads(run(redis_url, "create", "ops", "--scope", "operate", "--json"))
    assert made["key"].startswith("slw_")
    listed = run(redis_url, "list")
    assert "billing" in listed and "100/minute" in listed
    assert secret.strip() not in listed
    rows = [json.loads(row) for row in run(redis_url, "list", "--json").splitlines()]
    assert [(row["name"], row["scope"], row["max_running"], row["revoked_at"]) for row in rows] == [
        ("billing", "submit", 5, None),
        ("ops", "operate", None, None),
    ]
    assert json.loads(run(redis_url, "revoke", "billing", "--json"))["revoked_at"] is not None
    assert "No key is called 'billing'" in run(redis_url, "revoke", "billing", status=2)
    run(redis_url, "create", "billing", "--scope", "read")
    run(redis_url, "reset", "--yes")
    assert run(redis_url, "list", "--json") == ""


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "a:b", "a@b", "x" * 65, "é", "a\n"])
def test_names_that_are_none(redis_url: str, name: str) -> None:
    assert "A key's name" in run(redis_url, "create", name, "--scope", "read", status=2)


@pytest.mark.parametrize("rate", ["1", "0/minute", "1/week", "-1/day"])
def test_rates_that_are_none(redis_url: str, rate: str) -> None:
    assert "--rate" in run(redis_url, "create", "a", "--scope", "read", "--rate", rate, status=2)
