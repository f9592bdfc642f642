"""`slotwise up`, as people run it: real processes, real signals, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from slotwise import embedded
from slotwise.cli import main
from slotwise.keys import Keys
from slotwise.settings import Settings
from tests.facts import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

SLOTWISE = [str(Path(sys.executable).with_name("slotwise")), "up"]
MARK = "SLOTWISE_TEST_MARK"
READY_SECONDS = 30.0


class Up:
    """One `slotwise up`, with its processes told from all others by a mark in their environment."""

    def __init__(self, cwd: Path, command: list[str], env: dict[str, str]) -> None:
        self.cwd = cwd
        self.mark = uuid.uuid4().hex
        self._log = cwd / f"up-{self.mark}.log"
        names = {name.upper() for name in Settings.model_fields}
        clean = {name: value for name, value in os.environ.items() if name.upper() not in names}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                env=clean | {"PORT": "0", MARK: self.mark} | env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def lines(self) -> list[str]:
        """What `up` itself said."""
        said = self._log.read_text(errors="replace").splitlines()
        return [line.removeprefix("slotwise: ") for line in said if line.startswith("slotwise: ")]

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def said(self, pattern: str) -> str:
        """The first line of its own that matches; fails with the log once `up` has ended or time is over."""

        def line() -> str:
            return next((line for line in self.lines() if re.search(pattern, line)), "")

        with suppress(AssertionError):
            wait_until(lambda: line() or self.process.poll() is not None, within=READY_SECONDS)
        assert line(), f"{pattern!r} is not in:\n{self.log()}"
        return line()

    def ready(self) -> str:
        """Its URL, once it is ready."""
        return self.said("^ready on ").removeprefix("ready on ")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, within: float = 30.0) -> int:
        """Its exit status."""
        return self.process.wait(within)

    def left(self) -> dict[int, str]:
        """Every process that carries our mark, zombies apart: pid and command line."""
        return dict(marked(self.mark))

    def kill_all(self) -> None:
        for pid in self.left():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.left(), what="the end of everything")

    def pid(self, part: str) -> int:
        """The process of a part, among `up`'s own children; 0 if there is none (never kill that: it is us)."""
        word = {"front end": "service", "worker": "worker.settings", "server": "valkey"}[part]
        children = (pid for pid, command in self.left().items() if word in command)
        return next((pid for pid in children if parent(pid) == self.process.pid), 0)


def marked(mark: str) -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                yield int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def post(url: str, **body: object) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{url}/jobs", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return dict(json.load(answer))


def prime(url: str, number: int) -> bool:
    """The answer of a PrimeChecker job: the whole service, end to end."""
    job = post(url, algorithm="PrimeChecker", params={"number": number})
    done = wait_until(
        lambda: (now := get(f"{url}/jobs/{job['job_id']}"))["status"] in ("completed", "failed") and now,
        within=30,
        what="the end of a job",
    )
    assert isinstance(done, dict)
    return bool(done["result"]["is_prime"])


def works(url: str) -> bool:
    """Whether a job gets through; not while a part is being started again."""
    try:
        return prime(url, 97)
    except OSError:
        return False


Start = Callable[..., Up]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an `up`; after the test whatever it still runs is killed."""
    started: list[Up] = []

    def one(*, cwd: Path = tmp_path, command: list[str] = SLOTWISE, **env: str) -> Up:
        started.append(Up(cwd, command, env))
        return started[-1]

    yield one
    for up in started:
        up.process.kill()
        up.process.wait()
        up.kill_all()


def busy(start: Start, cwd: Path) -> Up:
    """An `up` with a job that outlasts every test."""
    (cwd / "endless.py").write_text(
        "import time\nfrom slotwise import algorithm\n\n\n"
        "@algorithm\ndef Endless() -> None:\n    time.sleep(3600)\n"
    )
    up = start(ALGORITHMS="endless")
    url = up.ready()
    job = post(url, algorithm="Endless", params={})
    wait_until(lambda: get(f"{url}/jobs/{job['job_id']}")["status"] == "running", what="a running job")
    return up


def refused(up: Up) -> str:
    """The one line of an `up` that exited with status 2 and left nothing."""
    assert up.ended(within=READY_SECONDS) == 2, up.log()
    assert up.left() == {}
    assert up.log().count("\n") == 1, up.log()
    return up.lines()[0]


def test_it_says_when_it_is_ready_and_what_to_try(start: Start, tmp_path: Path) -> None:
    for ours in ("service", "worker", "slotwise"):  # what else is called so here is not what it runs
        (tmp_path / f"{ours}.py").write_text("raise SystemExit('not ours')\n")
    up = start()
    url = up.ready()
    assert re.fullmatch(r"http://localhost:\d+", url)
    attempt = shlex.split(up.said("^try: ").removeprefix("try: "))
    assert attempt[:4] == ["curl", "-X", "POST", f"{url}/jobs"]
    assert attempt[4:7] == ["-H", "Content-Type: application/json", "-d"]
    job = post(url, **json.loads(attempt[7]))
    assert job["algorithm"] == "PrimeChecker"
    assert up.said("^the data is in ").endswith(str(tmp_path / ".slotwise"))
    assert prime(url, 97)
    assert len(up.lines()) == 3, up.log()
    up.signal(signal.SIGINT)
    assert up.ended() == 0, up.log()
    assert up.left() == {}
    assert up.lines()[3:] == ["stopping, in at most 5 s; Ctrl-C again ends everything at once", "stopped"]


@pytest.mark.slow
def test_data_survives_a_restart(start: Start, tmp_path: Path) -> None:
    first = start()
    job = post(first.ready(), algorithm="PrimeChecker", params={"number": 7})
    with redis.Redis.from_url(embedded.find(tmp_path / ".slotwise") or "") as connection:
        connection.set("a key", "of ours", ex=600)
    first.signal(signal.SIGTERM)
    assert first.ended() == 0, first.log()
    second = start()
    url = second.ready()
    with redis.Redis.from_url(embedded.find(tmp_path / ".slotwise") or "") as connection:
        assert connection.get("a key") == b"of ours"
    assert get(f"{url}/jobs/{job['job_id']}")["job_id"] == job["job_id"]


@pytest.mark.slow
def test_ctrl_c_drains_for_five_seconds_and_leaves_nothing(start: Start, tmp_path: Path) -> None:
    up = busy(start, tmp_path)
    began = time.monotonic()
    up.signal(signal.SIGINT)
    assert up.ended(within=15) == 0, up.log()
    assert time.monotonic() - began < 6.0
    assert up.left() == {}
    server = embedded.start(tmp_path / ".slotwise")
    try:
        with redis.Redis.from_url(server.url) as connection:
            assert connection.zcard(Keys().running) == 0, "the job was not handed back"
    finally:
        server.stop()


@pytest.mark.slow
def test_a_second_ctrl_c_ends_everything_at_once(start: Start, tmp_path: Path) -> None:
    up = busy(start, tmp_path)
    up.signal(signal.SIGINT)
    up.said("^stopping")
    began = time.monotonic()
    up.signal(signal.SIGINT)
    assert up.ended() == 1
    assert time.monotonic() - began < 1.0
    wait_until(lambda: not up.left(), within=2, what="the end of everything")


@pytest.mark.slow
def test_nothing_outlives_a_killed_up(start: Start, tmp_path: Path) -> None:
    up = busy(start, tmp_path)
    up.signal(signal.SIGKILL)
    up.ended()
    wait_until(lambda: not up.left(), within=8, what="the end of everything")


@pytest.mark.slow
@pytest.mark.parametrize("part", ["front end", "worker", "server"])
def test_a_part_that_dies_is_started_again_with_one_line(part: str, start: Start) -> None:
    up = start()
    url = up.ready()
    before = up.pid(part)
    assert before != 0
    os.kill(before, signal.SIGKILL)
    up.said(f"^{part} was ended by SIGKILL; starting it again now$")
    wait_until(lambda: up.pid(part) not in (0, before), what=f"a new {part}")
    wait_until(lambda: works(url), within=30, what="a job that gets through")
    assert len(up.lines()) == 4, up.log()
    up.signal(signal.SIGINT)
    assert up.ended() == 0, up.log()
    assert up.left() == {}


@pytest.mark.slow
def test_a_server_that_it_did_not_start_is_used_not_stopped_and_replaced(start: Start, tmp_path: Path) -> None:
    server = embedded.start(tmp_path / ".slotwise")
    try:
        up = start()
        up.ready()
        assert up.pid("server") == 0
        up.signal(signal.SIGINT)
        assert up.ended() == 0, up.log()
        assert server.state() == "ready"
        up = start()
        url = up.ready()
    finally:
        server.stop()
    up.said("^server that somebody else started is gone; starting it again now$")
    wait_until(lambda: works(url), within=30, what="a job that gets through")
    assert up.pid("server") != 0


def test_with_redis_url_it_starts_no_server(start: Start, tmp_path: Path) -> None:
    server = embedded.start(tmp_path / "elsewhere")
    try:
        up = start(REDIS_URL=server.url)
        assert prime(up.ready(), 97)
        assert up.pid("server") == 0
        assert embedded.find(tmp_path / ".slotwise") is None
        up.said("^the data is in the server of REDIS_URL$")
        up.signal(signal.SIGINT)
        assert up.ended() == 0, up.log()
        assert server.state() == "ready"
    finally:
        server.stop()


def test_where_there_are_keys_it_is_ready_beyond_loopback(start: Start, redis_url: str) -> None:
    made = CliRunner(env={"REDIS_URL": redis_url}).invoke(main, ["keys", "create", "me", "--scope", "admin"])
    assert made.exit_code == 0
    up = start(REDIS_URL=redis_url, HOST="0.0.0.0")
    url = up.ready()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        get(url + "/jobs")
    up.signal(signal.SIGINT)
    assert up.ended() == 0


def test_a_second_start_in_the_same_directory_names_the_first(start: Start) -> None:
    first = start()
    url = first.ready()
    line = refused(start())
    assert url in line
    assert f"process {first.process.pid} " in line


def test_a_taken_port_is_one_line(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(start(PORT=str(port)))
    assert line == f"cannot listen on HOST=127.0.0.1 PORT={port}: Address already in use"
    assert not (tmp_path / ".slotwise" / "server.json").exists()


def test_a_missing_binary_is_one_line(start: Start, tmp_path: Path) -> None:
    program = (
        "from slotwise import binary, settings, up\n"
        "try:\n"
        "    up.run(settings.load(), find_binary=lambda: binary.find_binary(bundled=lambda: None))\n"
        "except settings.SlotwiseError as error:\n"
        "    settings.exit_with(error)\n"
    )
    (tmp_path / "nothing").mkdir()
    line = refused(start(command=[sys.executable, "-c", program], PATH=str(tmp_path / "nothing")))
    assert "pip install 'slotwise[embedded]'" in line


def test_wrong_settings_are_one_line(start: Start, tmp_path: Path) -> None:
    assert "MAX_CONCURRENT_JOBS='many'" in refused(start(MAX_CONCURRENT_JOBS="many"))
    assert "ALLOW_UNAUTHENTICATED" in refused(start(HOST="0.0.0.0"))
    assert "DATA_DIR=/proc/here" in refused(start(DATA_DIR="/proc/here"))
    (tmp_path / ".env").write_text("MAX_CONCURENT_JOBS=20\n")
    assert "MAX_CONCURENT_JOBS in .env is not a setting" in refused(start())


def test_a_broken_append_only_file_is_one_line(start: Start, tmp_path: Path) -> None:
    server = embedded.start(tmp_path / ".slotwise")
    with redis.Redis.from_url(server.url) as connection:
        connection.set("key", "value")
    server.stop()
    (log,) = (tmp_path / ".slotwise" / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"this is no command\r\n" + log.read_bytes())
    assert "Bad file format reading the append only file" in refused(start())


def test_a_part_that_refuses_its_settings_ends_everything(start: Start) -> None:
    up = start(ALGORITHMS="no_such_module")
    assert up.ended(within=READY_SECONDS) == 2
    assert up.left() == {}
    assert len(up.lines()) == 1, up.log()
    assert "no_such_module" in up.lines()[0]
