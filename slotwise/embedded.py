"""The embedded server: starts a Valkey for one data directory, finds a live one, adopts it.

The server asks for a password, which is made at its first start and kept: who comes by its socket without the
right to read the data directory gets nothing. It stands in `server.conf` and `server.json`, of mode 600, and never
on a command line.
`server.lock` is locked exactly as long as the server lives, whoever started it: the server itself inherits the
locked descriptor. `server.json` says where it listens. This module never touches jobs, and never stops a
server that it did not start.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

import redis

from slotwise import datadir, socketdir
from slotwise.binary import find_binary
from slotwise.endpoint import Endpoint
from slotwise.errors import SlotwiseError
from slotwise.part import Child
from slotwise.settings import Settings

State = Literal["ready", "loading", "silent", "gone"]

ANSWER_SECONDS: Final = 2.0  # a live server answers a PING within this
HANDOVER_SECONDS: Final = 5.0  # a server that holds the lock begins to answer, or is gone, within this
LOADING_SECONDS: Final = 120.0  # reading back a large append-only file
STOP_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.02
LOG: Final = "server.log"
LOCK: Final = "server.lock"
RECORD: Final = "server.json"
CONF: Final = "server.conf"
PASSWORD_BYTES: Final = 32
_REQUIRED: Final = re.compile("requirepass ([0-9a-f]{64})\n")


class Server:
    """A server that serves one data directory; ours to stop unless it was adopted."""

    def __init__(self, data: Path, url: str, child: Child | None) -> None:
        self.data: Final = data
        self.url: Final = url
        self.child: Final = child

    @property
    def adopted(self) -> bool:
        return self.child is None

    def state(self) -> State:
        """Whether it answers. `gone`: an adopted one ended. Raises: SlotwiseError `no-server` if ours did."""
        if self.poll() is None:
            return probe(self.url)
        if self.adopted:
            return "gone"
        raise SlotwiseError("no-server", f"the embedded server {self.how()}")

    def poll(self) -> int | None:
        """Exit status, None while it runs; an adopted one that is gone has status 0."""
        if self.child is not None:
            return self.child.poll()
        lock = datadir.lock(self.data, LOCK)
        if lock is None:
            return None
        os.close(lock)
        return 0

    def how(self) -> str:
        """How it ended, with the last line of its log where it gave up by itself."""
        if self.child is None:
            return "that somebody else started is gone"
        ended = self.child.how()
        return ended if (self.child.poll() or 0) <= 0 else f"{ended}: {_last_log_line(self.data)}"

    def terminate(self) -> None:
        if self.child is not None:
            self.child.terminate()

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()

    def stop(self) -> None:
        """End it (it has every write on disk already); an adopted one is left alone."""
        if self.child is not None:
            self.child.terminate()
            if self.child.wait(STOP_SECONDS) is None:
                self.child.kill()
                self.child.wait(STOP_SECONDS)


def redis_url(settings: Settings) -> str:
    """URL of the server to use: the one named, else the embedded one. Raises: SlotwiseError `no-server`."""
    url = settings.redis_url or find(settings.data_dir)
    if url is None:
        raise SlotwiseError(
            "no-server",
            "no Redis: set REDIS_URL, or start `slotwise up` in this directory "
            f"(DATA_DIR={settings.data_dir.absolute()})",
        )
    return url


def find(data_dir: Path) -> str | None:
    """URL of the live server of this data directory, or None. Waits while the server loads its data."""
    url = _recorded_url(data_dir)
    if url is None:
        return None
    deadline = time.monotonic() + LOADING_SECONDS
    while (state := probe(url)) == "loading" and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return None if state == "silent" else url


def start(data_dir: Path, *, find_binary: Callable[[], Path] = find_binary) -> Server:
    """`launch`, and wait until it answers. Raises: SlotwiseError `no-server`, `server-in-use`."""
    server = launch(data_dir, find_binary=find_binary)
    deadline = time.monotonic() + LOADING_SECONDS
    while (state := server.state()) != "ready":
        if state == "gone":  # it was about to end when we adopted it
            server = launch(data_dir, find_binary=find_binary)
        if time.monotonic() > deadline:
            server.stop()
            raise SlotwiseError("no-server", f"the embedded server does not answer; see {server.data / LOG}")
        time.sleep(POLL_SECONDS)
    return server


def launch(data_dir: Path, *, find_binary: Callable[[], Path] = find_binary) -> Server:
    """Start a server or adopt the live one, without waiting until it has loaded its data.

    Raises: SlotwiseError `no-server`, or `server-in-use` if something holds the directory and does not answer.
    """
    data = datadir.prepared(data_dir)
    deadline = time.monotonic() + HANDOVER_SECONDS
    while (lock := datadir.lock(data, LOCK)) is None:
        url = _recorded_url(data)
        if url is not None and probe(url) != "silent":
            return Server(data, url, None)
        if time.monotonic() > deadline:
            raise SlotwiseError("server-in-use", f"{data} is in use by a server that does not answer")
        time.sleep(POLL_SECONDS)
    try:
        return _launch_locked(data, find_binary(), lock)
    finally:
        os.close(lock)  # the server has its own copy


def probe(url: str) -> State:
    """Whether a server answers a PING at `url`."""
    try:
        with Endpoint.of(url).blocking(ANSWER_SECONDS) as client:
            client.ping()
    except redis.BusyLoadingError:
        return "loading"
    except redis.RedisError:
        return "silent"
    return "ready"


def _launch_locked(data: Path, program: Path, lock: int) -> Server:
    socket = socketdir.path_for(data)
    password = _password(data)
    url = f"unix://:{password}@{quote(str(socket))}"
    try:
        datadir.keep(data, CONF, f"requirepass {password}\n")
        log = os.open(data / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            command: list[str | Path] = [program, data / CONF, *_options(data, socket)]
            child = Child(command, output=log, pass_fds=(lock,), umask=0o077)
        finally:
            os.close(log)
        _record(data, url, child)
    except OSError as error:
        raise SlotwiseError("no-server", f"cannot start {program} in {data}: {error.strerror}") from error
    return Server(data, url, child)


def _password(data: Path) -> str:
    """That of the last start: who was connected to that server comes back with it."""
    try:
        kept = _REQUIRED.fullmatch((data / CONF).read_text())
    except (OSError, UnicodeDecodeError):
        kept = None
    return kept[1] if kept else secrets.token_hex(PASSWORD_BYTES)


def _options(data: Path, socket: Path) -> list[str]:
    """The configuration: every write is on disk before it is acknowledged, and nothing is ever evicted."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "logfile": str(data / LOG),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "set-proc-title": "no",  # `ps` shows these options, so whose server it is
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _recorded_url(data: Path) -> str | None:
    url = datadir.noted(data, RECORD).get("url")
    return url if isinstance(url, str) else None


def _record(data: Path, url: str, child: Child) -> None:
    """Say where the server listens: without this nobody finds it."""
    try:
        datadir.note(data, RECORD, {"url": url, "pid": child.pid})
    except SlotwiseError:
        child.kill()
        child.wait(STOP_SECONDS)
        raise


def _last_log_line(data: Path) -> str:
    lines = (data / LOG).read_bytes()[-4096:].decode("utf-8", "replace").strip().splitlines()
    # "4531:M 21 Nov 2026 22:35:32.046 # Bad file format …": only the message is for people.
    return re.sub(r"^\d+:\S .*?\d [*#.-] ", "", lines[-1]) if lines else "its log is empty"
