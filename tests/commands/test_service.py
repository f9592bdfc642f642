"""The commands that speak with the service: what they print for people and for scripts, and how they exit."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from slotwise.cli import main
from tests.commands.shell import SLOTWISE, Result, environment, on_a_terminal, slotwise
from tests.facts import wait_until
from tests.fleet import Fleet
from tests.servers import Server, free_port


class Shell:
    """Commands against one front end, in this process: each of its own costs half a second."""

    def __init__(self, cwd: Path, url: str) -> None:
        self.cwd = cwd
        self.env = {"SLOTWISE_URL": url}

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """What it prints, on standard error where it has another status than 0."""
        result = CliRunner(env=self.env).invoke(main, arguments)
        assert result.exit_code == status, (arguments, result.output)
        assert (result.stderr == "") == (status == 0), result.stderr
        return result.stderr if status else result.stdout

    def json(self, *arguments: str) -> dict[str, object]:
        value: dict[str, object] = json.loads(self(*arguments, "--json"))
        return value


@pytest.fixture
def shell(fleet: Fleet, tmp_path: Path) -> Shell:
    fleet.worker()
    return Shell(tmp_path, str(fleet.front().base_url))


def rows(text: str) -> dict[str, str]:
    """Lines of a name and a value."""
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in text.splitlines() if line}


@pytest.mark.slow
def test_jobs(shell: Shell) -> None:
    assert shell("submit", "Add", "a=1", "b=2", "--wait") == "3\n"
    assert shell("submit", "Echo", 'value="7"', "--wait") == '"7"\n'
    assert shell("submit", "Echo", "--params", '{"value": [1]}', "value=é", "--wait") == '"é"\n'
    job_id = shell("submit", "Echo", "value={}", "--label", "team=blue", "--priority", "3").strip()
    assert shell("wait", job_id, "--timeout", "20") == "{}\n"
    told = shell.json("status", job_id)
    assert (told["status"], told["labels"], told["priority"]) == ("completed", {"team": "blue"}, 3)
    shown = rows(shell("status", job_id))
    assert (shown["status"], shown["algorithm"]) == ("completed", "Echo") and "error" not in shown
    same = [shell("submit", "Add", "a=1", "b=2", "--idempotency-key", "k") for _ in range(2)]
    assert same[0] == same[1]

    failed = shell("submit", "Raises", "message=no\x1bsuch", "--wait", status=1)
    assert failed.endswith(" failed: exception: ValueError: no\\x1bsuch\n") and failed.startswith("slotwise: job ")
    job_id = failed.split()[2]
    assert shell("retry", job_id) == "pending\n"
    ended = slotwise(shell.cwd, "wait", job_id, "--json", **shell.env)
    assert (ended.returncode, json.loads(ended.stdout)["status"]) == (1, "failed")

    held = shell("submit", "Hold", "seconds=60").strip()
    assert "has not ended within 0.1 s" in shell("wait", held, "--timeout", "0.1", status=5)
    wait_until(lambda: shell.json("status", held)["status"] == "running", what="it runs")
    assert shell("cancel", held) == "it was told to end\n"
    assert "was cancelled" in shell("wait", held, status=1)
    assert shell("cancel", held) == "cancelled\n"
    assert shell("cancel", job_id, status=4).startswith("slotwise: already-finished: ")
    assert "running_seconds" in shell("explain", held) and shell.json("explain", held)["status"] == "cancelled"

    assert shell("status", "nobody", status=4).startswith("slotwise: job-not-found: ")
    assert "#/params/a: must be an integer" in shell("submit", "Add", "a=x", "b=1", status=4)
    for wrong in (("submit", "Add", "a"), ("submit", "Add", "--params", "[]"), ("submit", "Add", "--params", "{")):
        assert "Error: " in shell(*wrong, status=2)
    assert shell("submit", "Echo", "value=NaN", "--wait") == '"NaN"\n', "what is no JSON is a string"


@pytest.mark.slow
def test_logs(fleet: Fleet, tmp_path: Path) -> None:
    fleet.worker(ALGORITHMS="tests.talkers")
    shell = Shell(tmp_path, str(fleet.front().base_url))
    job_id = shell("submit", "SayAll").strip()
    followed = shell("logs", "-f", job_id)
    assert shell("logs", job_id) == followed and "printed\n" in followed
    assert shell("logs", job_id, "--tail", "2").count("\n") <= 2
    assert "leave out --tail" in shell("logs", "-f", "--tail", "1", job_id, status=2)


@pytest.mark.slow
def test_events(shell: Shell) -> None:
    begun = json.loads(shell("events", "--count", "1", "--json"))
    assert (begun["event"], begun["data"]["running_jobs"]) == ("slots", 0)
    job_id = shell("submit", "Raises", "message=no").strip()
    shell("wait", job_id, status=1)
    shown = shell("events", "--last", begun["id"], "--count", "4")
    words = [line.split()[1:] for line in shown.splitlines()]
    assert words == [
        ["pending", job_id, "Raises", "attempt", "0", "queued"],
        ["running", job_id, "Raises", "attempt", "1"],
        ["failed", job_id, "Raises", "attempt", "1", "exception"],
        ["slots", "0", "of", "10", "taken,", "10", "free,", "0", "waiting"],
    ]
    assert "Last-Event-ID" in shell("events", "--last", "x", status=4)


@pytest.mark.slow
def test_slots_and_workers(shell: Shell) -> None:
    assert rows(shell("status")) == {"max_concurrent": "10", "available_slots": "10", "running_jobs": "0"}
    assert list(shell.json("status")) == ["max_concurrent", "available_slots", "running_jobs"]
    assert rows(shell("cap"))["max_concurrent"] == "10"
    assert rows(shell("cap", "4", "--dry-run"))["to"] == "4"
    told = rows(shell("cap", "3", "--reason", "night batch", "--ttl", "60"))
    assert told["max_concurrent"] == "3"
    assert told["override"].startswith("3 by http ") and told["override"].endswith(": night batch")
    assert shell.json("cap")["max_concurrent"] == 3
    assert rows(shell("cap", "--clear"))["max_concurrent"] == "10"
    assert rows(shell("cap", "1", "--algorithm", "Add"))["max_concurrent"] == "1"
    cleared = rows(shell("cap", "--clear", "--algorithm", "Add"))
    assert "override" not in cleared and cleared["max_concurrent"] == "none of its own"
    for wrong in (("1", "--clear"), ("--ttl", "1"), ("--dry-run",), ("-1",), ("x",)):
        shell("cap", *wrong, status=2)

    heading, worker = shell("workers").splitlines()
    assert heading.split() == ["name", "host", "version", "slots", "running", "last_seen_seconds", "draining"]
    name = worker.split()[0]
    assert shell.json("workers")["name"] == name
    assert rows(shell("drain", name))["draining"] == "true"
    assert shell.json("resume", name)["draining"] is False
    assert shell("drain", "nobody", status=4).startswith("slotwise: worker-not-found: ")


@pytest.mark.slow
def test_on_a_terminal(shell: Shell) -> None:
    job_id = shell("submit", "Add", "a=1", "b=2").strip()
    shell("wait", job_id)
    status, told = on_a_terminal(shell.cwd, "status", job_id, **shell.env)
    assert (status, "\x1b[32mcompleted\x1b[0m" in told) == (0, True)
    status, told = on_a_terminal(shell.cwd, "status", job_id, NO_COLOR="1", **shell.env)
    assert (status, "completed" in told, "\x1b" in told) == (0, True, False)
    status, told = on_a_terminal(shell.cwd, "submit", "Hold", "seconds=1.5", "name=x", "--wait", **shell.env)
    assert status == 0 and told.endswith('"x"\r\n')
    assert "[------------------------------]" in told and "running" in told

    held = shell("submit", "Hold", "seconds=60").strip()
    process = subprocess.Popen(
        [SLOTWISE, "wait", held], cwd=shell.cwd, env=environment(shell.env), stderr=subprocess.PIPE
    )
    wait_until(lambda: shell.json("status", held)["status"] == "running", what="it runs")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    shell("cancel", held)
    shell("wait", held, status=1)


def one_line(result: Result, status: int) -> str:
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (status, "", 1), result
    return result.stderr


def test_nobody_is_there(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    for command in (("submit", "Add"), ("status",)):
        said = one_line(slotwise(tmp_path, *command, "--url", url), 3)
        assert said.startswith("slotwise: no answer to ")
    assert "must begin with http" in one_line(slotwise(tmp_path, "cap", "--url", "localhost"), 2)


def test_doctor(tmp_path: Path, redis_url: str, server: Server) -> None:
    server.client.zadd("other", {"a": 1})
    told = slotwise(tmp_path, "doctor", "--queue", "other", REDIS_URL=redis_url)
    assert (told.returncode, told.stderr) == (1, "")
    assert "1 x job in the queue whose payload is gone (lost-payload)" in told.stdout
    asjson = json.loads(slotwise(tmp_path, "doctor", "--json", "--redis", redis_url).stdout)
    assert (asjson["healthy"], [each["code"] for each in asjson["findings"]]) == (False, ["no-aof"])
    one_line(slotwise(tmp_path, "doctor", "--redis", f"redis://127.0.0.1:{free_port()}"), 3)
    one_line(slotwise(tmp_path, "doctor", "--redis", "http://x"), 2)
    server.client.delete("other")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, tmp_path: Path) -> None:
    made = slotwise(tmp_path, "completion", shell)
    assert made.returncode == 0
    assert "_SLOTWISE_COMPLETE" in made.stdout
    words = {"bash": {"COMP_WORDS": "slotwise d", "COMP_CWORD": "1"}}.get(
        shell, {"COMP_WORDS": "slotwise d", "COMP_CWORD": "1" if shell == "zsh" else "d"}
    )
    asked = slotwise(tmp_path, _SLOTWISE_COMPLETE=f"{shell}_complete", **words)
    assert "doctor" in asked.stdout and "drain" in asked.stdout and "submit" not in asked.stdout


def test_bash_completes(tmp_path: Path) -> None:
    """By bash itself: the options of a command."""
    script = (
        'eval "$(slotwise completion bash)"; COMP_WORDS=(slotwise cap --d); COMP_CWORD=2; '
        '_slotwise_completion slotwise; echo "${COMPREPLY[@]}"'
    )
    env = environment({"PATH": f"{SLOTWISE.parent}:/usr/bin:/bin"})
    result = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.stdout.split() == ["--dry-run"], result


def test_help_states_the_exit_statuses(tmp_path: Path) -> None:
    told = slotwise(tmp_path, "--help").stdout
    for status in (0, 1, 2, 3, 4, 5, 130):
        assert f"\n    {status:<5}" in told
