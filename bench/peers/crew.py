"""The processes of one contender: started in sessions of their own, weighed, stopped with their children."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.peers import environments
from bench.peers.sightings import Witness
from bench.peers.table import ENVIRONMENTS, Contender
from bench.stage import ROOT, process
from tests.facts import wait_until
from tests.servers import Server, free_port

TICKS = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 3.0


class Crew:
    """A contender's workers and its client programs, on one server and under one witness."""

    def __init__(self, contender: Contender, server: Server, witness: Witness, directory: Path) -> None:
        self.contender = contender
        self.server = server
        self.witness = witness
        self._log = directory / "workers.log"
        self._workers: list[subprocess.Popen[bytes]] = []
        self._front: dict[str, str] = {}
        self.python = python_for(contender)

    def _environment(self, cap: int, fleet: int) -> dict[str, str]:
        own = {
            "BENCH_REDIS": self.server.url,
            "BENCH_WITNESS": str(self.witness.path),
            "BENCH_FAST": "1" if self.contender.fast else "0",
            "BENCH_CAP": str(cap),
            "MAX_CONCURRENT_JOBS": str(fleet),
            "MAX_PENDING_JOBS": "100000000",
            "PYTHONPATH": str(ROOT),
        }
        return {**os.environ, **own, **self.contender.environment, **self._front}

    def _command(self, *arguments: str) -> list[str]:
        return [self.python, "-P", "-m", "bench.peers.program", self.contender.peer, *arguments]

    def start(self, cap: int, kind: str, *, workers: int = 1, fleet: int | None = None) -> None:
        """Start workers, `cap` slots each. Slotwise is told the whole fleet's cap, the others know none."""
        with self._log.open("ab") as log:
            for _ in range(workers):
                self._workers.append(
                    subprocess.Popen(
                        self._command("work", str(cap), kind),
                        env=self._environment(cap, cap * workers if fleet is None else fleet),
                        cwd=self._log.parent,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )

    def run(self, *arguments: str, cap: int = 10, within: float = 600) -> Any:
        """What a client program prints."""
        done = subprocess.run(
            self._command(*arguments),
            env=self._environment(cap, cap),
            cwd=self._log.parent,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.contender.name}: {' '.join(arguments)}: {done.stderr[-600:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def fill(self, kind: str, first: int, count: int, argument: float | None = None, *, cap: int = 10) -> float:
        """Seconds that one client took to queue so many jobs."""
        told = "-" if argument is None else repr(argument)
        seconds: float = self.run("fill", kind, str(first), str(count), told, cap=cap)["seconds"]
        return seconds

    @contextmanager
    def front(self, cap: int) -> Iterator[None]:
        """A front end, for those who are spoken to over HTTP."""
        if not self.contender.front:
            yield
            return
        port = free_port()
        env = {**self._environment(cap, cap), "REDIS_URL": self.server.url, "PORT": str(port)}
        with process([sys.executable, "-m", "service"], env):
            wait_until(lambda: listening(port), within=30, what="the front end listens")
            self._front = {"BENCH_FRONT": f"http://127.0.0.1:{port}"}
            yield
            self._front = {}

    def processes(self) -> list[int]:
        """Everything that the workers have become."""
        return descendants([each.pid for each in self._workers])

    def cpu_seconds(self) -> float:
        """What the workers have used, with their children, dead ones too."""
        return sum(map(_cpu, self.processes()))

    def pss(self) -> int:
        """Bytes, shared pages divided among those who share them."""
        return sum(map(_pss, self.processes()))

    def stop(self) -> None:
        """Ask, wait, kill."""
        everybody = self.processes()
        for worker in self._workers:
            worker.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self._workers:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(max(0.0, deadline - time.monotonic()))
        for pid in {*everybody, *self.processes()}:
            if _marked(pid, str(self.witness.path)):  # a number may be another's by now
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for worker in self._workers:
            worker.wait()
        self._workers = []

    def said(self) -> str:
        """The end of the workers' output."""
        return self._log.read_text(errors="replace")[-800:] if self._log.exists() else ""


@contextmanager
def crew(contender: Contender, server: Server, directory: Path) -> Iterator[Crew]:
    """A contender on an empty server; nothing of it is left afterwards."""
    server.client.flushall()
    with tempfile.TemporaryDirectory(dir=directory) as own:
        it = Crew(contender, server, Witness(Path(own, "witness")), Path(own))
        try:
            yield it
        finally:
            it.stop()


def python_for(contender: Contender) -> str:
    """The Python of a contender. Raises: environments.Unavailable."""
    wanted = ENVIRONMENTS[contender.peer]
    if contender.own_python or not wanted.requirements:
        return sys.executable
    return environments.python_of(contender.peer, wanted.requirements, wanted.least_python)


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def descendants(roots: Sequence[int]) -> list[int]:
    """These processes and all that they started, as far as they are still somebody's children."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found, waiting = [], list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, ())
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu(pid: int) -> float:
    return sum(map(int, _stat(pid)[11:15])) / TICKS


def _pss(pid: int) -> int:
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))


def _marked(pid: int, mark: str) -> bool:
    try:
        return mark.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
