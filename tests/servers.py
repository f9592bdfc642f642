"""A real server of the test's own, on a private port and socket: started, killed, started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import redis

from slotwise import binary
from tests.facts import wait_until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


USERS: Final = Path(__file__).parents[1] / "deploy" / "redis" / "users.acl"


def with_users(directory: Path) -> Path:
    """A file of the users of least rights, and of the default one, which may do everything: the tests' own."""
    rules = USERS.read_text()
    assert "user default off" in rules
    file = directory / "users.acl"
    file.write_text(rules.replace("user default off", "user default on nopass ~* &* +@all"))
    return file


def as_user(url: str, user: str) -> str:
    """A server's address for one of them."""
    return url.replace("//", f"//{user}:CHANGE-{user}@")


class Server:
    """Valkey (or Redis) with its data in `directory`; with `aof`, every write is on disk before its answer."""

    def __init__(
        self,
        directory: Path,
        *,
        aof: bool = False,
        options: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
        wrapper: tuple[str, ...] = (),
        conf: Path | None = None,
        password: str | None = None,
    ) -> None:
        """`wrapper`: the words of a command that becomes the server, whose own command is appended. `conf`: the
        file that it begins with, and `password` the one that is asked for there.
        """
        self._directory = directory
        self._wrapper = wrapper
        self._env = {**os.environ, **(env or {})}
        self._options = (*(("--appendonly", "yes", "--appendfsync", "always") if aof else ()), *options)
        self.port = free_port()
        self._conf = () if conf is None else (str(conf),)
        if conf is None and "--aclfile" not in options:
            self._options = (*self._options, "--aclfile", str(with_users(directory)))
        self.url = f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(port=self.port, password=password, socket_timeout=30)

    def start(self) -> None:
        command = [
            str(binary.find_binary()),
            *self._conf,
            "--port",
            str(self.port),
            "--dir",
            str(self._directory),
            "--save",
            "",
        ]
        self.process = subprocess.Popen(
            [*self._wrapper, *command, *self._options], env=self._env, stdout=subprocess.DEVNULL
        )
        wait_until(self._answers, within=20, what="the server answers")

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        self.client.close()
        self.kill()
