"""A fleet of real processes: workers by the `arq` command, front ends, all killed and accounted for at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import httpx2
import redis

from slotwise.keys import Keys
from tests.facts import wait_until
from tests.servers import as_user, free_port

ROOT = Path(__file__).resolve().parents[1]
MARK = "SLOTWISE_TEST_FLEET"
TERMINAL = {"completed", "failed", "cancelled"}


class Process:
    """One process of the fleet, in a session of its own, with what it wrote."""

    def __init__(self, command: list[str], env: Mapping[str, str], cwd: Path, log: Path) -> None:
        self.log = log
        self._out: IO[bytes] = log.open("wb")
        self.popen = subprocess.Popen(
            command, env=env, cwd=cwd, stdout=self._out, stderr=subprocess.STDOUT, start_new_session=True
        )

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.popen.send_signal(number)

    def wait(self, within: float = 60) -> int:
        return self.popen.wait(within)

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def close(self) -> None:
        if self.alive:
            self.kill()
            self.wait()
        self._out.close()


class Fleet:
    """Starts the parts on one server, with settings that tests can bear (leases of 2 s).

    With `as_users` they come to a server of `tests.servers` as its users of least rights.
    """

    def __init__(self, url: str, directory: Path) -> None:
        self.url = url
        self.as_users = False
        self.directory = directory
        self.mark = uuid.uuid4().hex
        self.redis = redis.Redis.from_url(url)
        self.keys = Keys()
        self.processes: list[Process] = []
        self.fronts: list[httpx2.Client] = []
        self.settings: dict[str, str] = {
            "REDIS_URL": url,
            "ALGORITHMS": "tests.zoo",
            "LEASE_SECONDS": "2",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            MARK: self.mark,
        }

    def _start(self, command: list[str], user: str, settings: Mapping[str, str]) -> Process:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        env = {**inherited, **self.settings, **settings}
        if env["REDIS_URL"] == self.url and self.as_users:
            env["REDIS_URL"] = as_user(self.url, user)
        log = (
            self.directory
            / f"{len(self.processes)}-{Path(command[1 if command[0] == sys.executable else 0]).name}.log"
        )
        process = Process(command, env, self.directory, log)
        self.processes.append(process)
        return process

    def worker(
        self, *, target: str = "worker.settings.WorkerSettings", flags: tuple[str, ...] = (), **settings: str
    ) -> Process:
        """A worker by the real command; returns when it has a lease (unless it was told to do something else)."""
        known = set(self.redis.hkeys(self.keys.leases))
        process = self._start([str(Path(sys.executable).with_name("arq")), target, *flags], "worker", settings)
        if not flags:
            wait_until(
                lambda: set(self.redis.hkeys(self.keys.leases)) - known or not process.alive,
                within=60,
                what="a worker's lease",
            )
            assert process.alive, process.said()
        return process

    def front(self, **settings: str) -> httpx2.Client:
        """A front end; returns a client of it when it is ready."""
        port = free_port()
        process = self._start([sys.executable, "-m", "service"], "frontend", {"PORT": str(port), **settings})
        client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self.fronts.append(client)

        def ready() -> bool:
            assert process.alive, process.said()
            try:
                return client.get("/readyz").status_code == 200
            except httpx2.TransportError:
                return False

        wait_until(ready, within=60, what="a front end is ready")
        return client

    def running(self) -> int:
        return int(self.redis.zcard(self.keys.running))

    def strays(self) -> list[int]:
        """Processes of this fleet that are alive and are none of those that it started itself."""
        known = {process.popen.pid for process in self.processes}
        return [pid for pid in marked(self.mark) if pid not in known]

    def close(self) -> None:
        for client in self.fronts:
            client.close()
        for process in self.processes:
            if process.alive:
                process.kill(signal.SIGTERM)
        deadline = time.monotonic() + 15
        for process in self.processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        for process in self.processes:
            process.close()
        self.redis.close()


def marked(mark: str) -> list[int]:
    """Processes whose environment carries this fleet's mark."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def submit(client: httpx2.Client, algorithm: str, /, **params: Any) -> str:
    """Submit one job: its id."""
    answer = client.post("/jobs", json={"algorithm": algorithm, "params": params})
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def job(client: httpx2.Client, job_id: str) -> dict[str, Any]:
    answer = client.get(f"/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(client: httpx2.Client, job_id: str, within: float = 60) -> dict[str, Any]:
    """The job once it has reached a terminal state."""
    wait_until(lambda: job(client, job_id)["status"] in TERMINAL, within=within, what=f"job {job_id} ends")
    return job(client, job_id)
