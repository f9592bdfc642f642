"""The stage: a real server with its AOF, front ends and workers by their real commands, a proxy on each link.

A member that ends is started again, as a supervisor does; an end that nobody caused is written down.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

import httpx2
import redis

from tests.chaos.bodies import ADDRESS, MEMBER
from tests.chaos.cast import Member, Plan
from tests.chaos.clock import LEFT, LIBRARIES, Clock
from tests.chaos.ledger import BODIES, FAULTS, Ledger
from tests.chaos.links import Links
from tests.chaos.receivers import Receiver, new_secret
from tests.chaos.releases import ROOT, previous
from tests.chaos.tree import tree
from tests.facts import wait_for, wait_until
from tests.fleet import MARK, Process, marked
from tests.servers import Server, free_port

SHRUGS_OFF_SIGXFSZ = ("sh", "-c", 'trap "" XFSZ; exec "$@"', "sh")  # a full disk is an error, not a signal
RECEIVERS = 3  # of webhooks
MEMORY = Path("/dev/shm")  # where a sync costs nothing


class Stage:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.directory = plan.directory
        self.faults = Ledger(self.directory / FAULTS)
        self.short = Path(tempfile.mkdtemp(prefix="chaos-"))  # a socket's path is at most 107 bytes
        self.mark = uuid.uuid4().hex
        self.clock = Clock(self.directory / "server-clock")
        data = Path(tempfile.mkdtemp(prefix="chaos-", dir=MEMORY if MEMORY.is_dir() else None))
        self.data = data
        self.server = Server(
            data,
            aof=True,
            env=self.clock.of_a_program if LIBRARIES else {},
            wrapper=SHRUGS_OFF_SIGXFSZ,
        )
        self._server_pids: list[int] = []
        self.server_lock = asyncio.Lock()
        self.clocks: dict[str, Clock] = {}
        self.members: list[Member] = []
        self.urls: list[str] = []
        self._watching: asyncio.Task[None] | None = None
        self._secret = new_secret()
        self.receivers = [
            Receiver(f"receiver-{n}", free_port(), self.directory, self._secret, ROOT) for n in range(RECEIVERS)
        ]

    @property
    def workers(self) -> list[Member]:
        return [each for each in self.members if each.is_worker]

    @property
    def fronts(self) -> list[Member]:
        return [each for each in self.members if not each.is_worker]

    @property
    def hooks(self) -> list[str]:
        """Where jobs may have their ends told."""
        return [each.url for each in self.receivers]

    async def open(self) -> None:
        plan = self.plan
        self.faults.write("plan", cap=plan.cap, workers=plan.workers, lease=plan.lease, faults=plan.faults)
        self.before = previous(self.directory / "before", self.plan.previous)
        address = str(self.short / "referee")
        self.referee = subprocess.Popen(  # noqa: ASYNC220 - before anything else runs
            [sys.executable, "-m", "tests.chaos.referee", address, str(self.directory / BODIES)], cwd=ROOT
        )
        wait_until(Path(address).exists, what="the referee listens")
        for receiver in self.receivers:
            receiver.start()
        self._open_server()
        self.links = Links(self.server.port, ROOT)
        for number in range(self.plan.workers):
            # the last one's lease is longer than the others', which observers have to obey
            lease = self.plan.lease * (2 if number == self.plan.workers - 1 else 1)
            self._cast(f"worker-{number}", lease, address)
        for number in range(2):
            self._cast(f"front-{number}", self.plan.lease, address)
        for member in self.members:
            self.start(member)
        for receiver in self.receivers:
            receiver.listens()
        for url in self.urls:
            await self.ready(url)
        client = self.client()
        await wait_for(
            lambda: client.hlen("slotwise:arq:queue:leases") == self.plan.workers,
            within=60 * plan.patience,
            what="every worker's lease",
        )
        client.close()
        self._watching = asyncio.create_task(self._watch())

    def _open_server(self) -> None:
        self.server.start()
        self._note_server()

    def _cast(self, name: str, lease: float, referee: str) -> None:
        is_worker = name.startswith("worker")
        port = self.links.order(name, "open")["port"]
        path = [str(self.plan.release)] if self.plan.release else []
        if name.endswith("-0"):
            self.clocks[name] = Clock(self.directory / f"{name}-clock")
            path.append(str(self.clocks[name].of_python))
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
        env = inherited | {
            "REDIS_URL": f"redis://127.0.0.1:{port}",
            "ALGORITHMS": "tests.chaos.bodies",
            "LEASE_SECONDS": str(lease),
            "MAX_CONCURRENT_JOBS": str(self.plan.cap),
            "DRAIN_SECONDS": "2",
            "WEBHOOK_ALLOW": "127.0.0.1",
            "WEBHOOK_SECRET": self._secret,
            "PYTHONPATH": ":".join([*path, str(ROOT)]),
            MARK: self.mark,
            ADDRESS: referee,
            MEMBER: name,
        }
        command = [str(Path(sys.executable).with_name("arq")), "worker.settings.WorkerSettings"]
        if not is_worker:
            env["PORT"] = str(free_port())
            self.urls.append(f"http://127.0.0.1:{env['PORT']}")
            command = [sys.executable, "-m", "service"]
        self.members.append(Member(name, command, env, lease))

    def start(self, member: Member) -> None:
        env = dict(member.env)
        if member.old_release:
            env["PYTHONPATH"] = f"{self.before}:{env['PYTHONPATH']}"
        log = self.directory / f"{member.name}-{member.starts}.log"
        member.process = Process(member.command, env, self.directory, log)
        member.starts += 1
        member.ends_by_us = False
        self.faults.write("start", target=member.name, pid=member.pid, lease=member.lease)

    async def _watch(self) -> None:
        while True:
            for member in self.members:
                if not member.alive:
                    self._ended(member)
                    self.start(member)
            await asyncio.sleep(0.1)

    def _ended(self, member: Member) -> None:
        assert member.process is not None
        status = member.process.popen.returncode
        self.faults.write("exit", target=member.name, status=status, by_us=member.ends_by_us)
        member.process.close()

    async def ready(self, url: str) -> None:
        """Until the front end there is, and the store, and the algorithms are known."""

        async def is_ready() -> bool:
            return await asyncio.to_thread(_answers, f"{url}/algorithms/Hostile")

        await wait_for(is_ready, within=60 * self.plan.patience, what=f"{url} is ready")

    def client(self) -> redis.Redis:
        """Straight to the server, past every proxy."""
        return redis.Redis(port=self.server.port, socket_timeout=10 * self.plan.patience)

    async def call(self, *words: str | int) -> object:
        """A command, straight to the server."""

        def ask() -> object:
            client = self.client()
            try:
                return client.execute_command(*words)
            finally:
                client.close()

        return await asyncio.to_thread(ask)

    async def server_starts(self) -> None:
        await asyncio.to_thread(self.server.start)
        self._note_server()
        self.faults.write("back")

    def _note_server(self) -> None:
        assert self.server.process is not None
        self._server_pids.append(self.server.process.pid)

    def kill(self, member: Member, number: signal.Signals) -> None:
        """End it by a signal. Whoever watches starts it again."""
        member.ends_by_us = True
        if member.process is not None and member.process.alive:
            member.process.kill(number)

    async def stop(self) -> list[int]:
        """Stop every member as an operator does: the processes that it left behind, after a while."""
        patience = self.plan.patience
        if self._watching is not None:
            self._watching.cancel()
        for member in self.members:
            self.kill(member, signal.SIGTERM)
        with suppress(AssertionError):
            await wait_for(lambda: not any(member.alive for member in self.members), within=20 * patience)
        for member in self.members:
            if member.process is not None and member.alive:
                self.faults.write("exit", target=member.name, status="did not stop", by_us=False)
                member.process.kill()
                member.process.wait()
        with suppress(AssertionError):
            await wait_for(lambda: not marked(self.mark), within=10 * patience)
        return marked(self.mark)

    def close(self) -> None:
        """End what is left of a run, however it went."""
        for member in self.members:
            if member.process is not None:
                for pid in tree(member.pid) if member.alive else ():
                    _kill(pid)
                member.process.close()
        for pid in marked(self.mark):
            _kill(pid)
        if hasattr(self, "links"):
            self.links.close()
        for receiver in self.receivers:
            receiver.close()
        self.server.stop()
        self.referee.terminate()
        self.referee.wait()
        self.faults.close()
        for pid in self._server_pids:
            for name in LEFT:
                (MEMORY / name.format(pid)).unlink(missing_ok=True)
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.short, ignore_errors=True)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).status_code == 200
    except httpx2.TransportError:
        return False
