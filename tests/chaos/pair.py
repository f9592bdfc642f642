"""A primary, its replica and three sentinels: when the primary is lost its replica leads, and gets one itself."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import redis

from slotwise import binary
from tests.chaos.tree import send
from tests.facts import wait_until
from tests.servers import Server, free_port

NAME, SENTINELS, QUORUM = "jobs", 3, 2
DOWN_MS, FAILOVER_MS = 1_000, 5_000
PROMOTED = 60.0  # seconds at most, until the replica leads


class Pair:
    """`primary` and `replica`, whoever they are by now."""

    def __init__(self, directory: Path, options: tuple[str, ...] = ()) -> None:
        self._options = ("--repl-diskless-sync-delay", "0", *options)
        self._directory = directory
        self._made = 0
        self._all: list[Server] = []
        self.primary = self._server()
        self.replica = self._server(self.primary)
        self._ports = [free_port() for _ in range(SENTINELS)]
        self._sentinels: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        return f"redis+sentinel://{hosts}/{NAME}/0"

    def start(self) -> None:
        """Return when the replica has all, and the sentinels know everybody."""
        self.primary.start()
        self.replica.start()
        self._in_step()
        for port in self._ports:
            directory = self._directory / f"sentinel-{port}"
            directory.mkdir()
            conf = directory / "sentinel.conf"
            lines = [
                f"port {port}\nbind 127.0.0.1",
                f"sentinel monitor {NAME} 127.0.0.1 {self.primary.port} {QUORUM}",
                f"sentinel down-after-milliseconds {NAME} {DOWN_MS}",
                f"sentinel failover-timeout {NAME} {FAILOVER_MS}",
            ]
            conf.write_text("\n".join(lines) + "\n")
            words = [str(binary.find_binary()), str(conf), "--sentinel"]
            self._sentinels.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, cwd=directory))
        self._known()

    def lose_primary(self) -> None:
        """For good, with all that it had not sent on. Return when the replica leads."""
        self.primary.kill()
        self._promoted()

    def stop_primary(self) -> None:
        """Until the replica leads; then it goes on as if nothing had been, until a sentinel tells it."""
        old = self.primary
        assert old.process is not None
        send([old.process.pid], signal.SIGSTOP)
        self._promoted()
        send([old.process.pid], signal.SIGCONT)
        wait_until(lambda: _role(old) == "slave", within=PROMOTED, what="the old primary follows")
        old.kill()

    def repair(self) -> None:
        """A replica for the one that leads now; return when it has all, and the sentinels know it."""
        self.primary, self.replica = self.replica, self._server(self.replica)
        self.replica.start()
        self._in_step()
        for port in self._ports:  # who is gone is no replica
            with redis.Redis(port=port) as sentinel:
                sentinel.sentinel_reset(NAME)
        self._known()

    def close(self) -> None:
        for process in self._sentinels:
            process.kill()
            process.wait()
        for server in self._all:
            if server.process is not None:
                send([server.process.pid], signal.SIGCONT)
            server.stop()

    def _server(self, of: Server | None = None) -> Server:
        directory = self._directory / f"data-{self._made}"
        directory.mkdir()
        self._made += 1
        follows = ("--replicaof", f"127.0.0.1 {of.port}") if of else ()
        self._all.append(Server(directory, aof=True, options=(*self._options, *follows)))
        return self._all[-1]

    def _in_step(self) -> None:
        def follows() -> bool:
            return bool(self.replica.client.info("replication")["master_link_status"] == "up")

        wait_until(follows, within=PROMOTED, what="the replica follows")

    def _known(self) -> None:
        wait_until(lambda: all(map(_knows_all, self._ports)), within=PROMOTED, what="the sentinels know everybody")

    def _promoted(self) -> None:
        wait_until(lambda: _role(self.replica) == "master", within=PROMOTED, what="the replica leads")


def _role(server: Server) -> str:
    try:
        return str(server.client.info("replication")["role"])
    except redis.RedisError:
        return ""


def _knows_all(port: int) -> bool:
    try:
        with redis.Redis(port=port) as sentinel:
            state = sentinel.sentinel_master(NAME)
            return int(state["num-other-sentinels"]) == SENTINELS - 1 and int(state["num-slaves"]) >= 1
    except redis.RedisError:
        return False
