"""`slotwise up`: the embedded server, the front end and one worker, kept running until Ctrl-C.

Starts, watches and ends processes, and says so. Never touches jobs: what a job is, its parts know.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from slotwise import datadir, embedded
from slotwise.address import SHUT, Address
from slotwise.binary import find_binary
from slotwise.bind import check_bind
from slotwise.errors import SlotwiseError
from slotwise.part import Child, Part
from slotwise.settings import Settings
from slotwise.signals import Signals

STOP_SECONDS: Final = 5.0  # from Ctrl-C to the last SIGKILL of front end and worker
DRAIN_SECONDS: Final = 3.5  # of these, for running jobs; the rest is for handing back what did not finish
PATIENCE_SECONDS: Final = 20.0  # without being ready, until the next line that says what is missing
POLL_SECONDS: Final = 0.1  # between looks at what sends no signal, while it starts
ADOPTED_POLL_SECONDS: Final = 1.0  # a server that is not our child sends no signal when it ends
STDERR: Final = 2
REFUSED: Final = 2  # exit status of a part whose settings are wrong: starting it again changes nothing


def run(settings: Settings, *, find_binary: Callable[[], Path] = find_binary) -> int:
    """Run until told to stop; the exit status. Raises: SlotwiseError, before or while the first start."""
    data = datadir.prepared(settings.data_dir)
    with Signals() as signals, _alone(data) as claim:
        address = Address.free(settings.host, settings.port)
        claim(address.url)
        return Supervisor(settings, data, address, signals, find_binary).run()


class Supervisor:
    """The parts, and the loop that tends them."""

    def __init__(
        self,
        settings: Settings,
        data: Path,
        address: Address,
        signals: Signals,
        find_binary: Callable[[], Path],
    ) -> None:
        self._settings = settings
        self._data = data
        self._address = address
        self._signals = signals
        self._find_binary = find_binary
        self._own_redis = settings.redis_url is None
        self._server = Part("server", self._launch_server)
        self._front_end = Part("front end", lambda: Child(_front_end(), env=_env(PORT=str(address.port))))
        drain = str(min(DRAIN_SECONDS, settings.drain_seconds))
        self._worker = Part("worker", lambda: Child(_worker(), env=_env(DRAIN_SECONDS=drain)))
        self._parts = (self._server, self._front_end, self._worker)
        self._ready = False
        self._patience = time.monotonic() + PATIENCE_SECONDS

    def run(self) -> int:
        """Exit status: 0 after a clean stop, 1 after a hurried one, 2 if a part refused its settings."""
        try:
            self._start()
            while not self._signals.stops:
                if self._tend() == REFUSED:
                    return REFUSED
                self._look()
                self._signals.wait(self._pause())
        finally:
            clean = self._stop()
        return 0 if clean else 1

    def _launch_server(self) -> embedded.Server:
        return embedded.launch(self._data, find_binary=self._find_binary)

    def _start(self) -> None:
        """Start everything, the server first: the others look for it once, and give up without it."""
        if self._own_redis:
            self._server.start(time.monotonic())
            while not self._signals.stops and not self._server_ready():
                self._grumble("the server")
                self._signals.wait(POLL_SECONDS / 4)
        if not self._signals.stops:
            self._check_bind()
            self._front_end.start(time.monotonic())
            self._worker.start(time.monotonic())

    def _check_bind(self) -> None:
        if not self._settings.open_without_keys:
            asyncio.run(check_bind(self._settings, embedded.redis_url(self._settings)))

    def _server_ready(self) -> bool:
        server = self._server.running
        state = server.state() if isinstance(server, embedded.Server) else "gone"
        if state == "gone":  # it was about to end when we adopted it
            self._server.start(time.monotonic())
        return state == "ready"

    def _adopted(self) -> bool:
        server = self._server.running
        return isinstance(server, embedded.Server) and server.adopted

    def _tend(self) -> int:
        """Notice ends, start again what is due; REFUSED if a part will never start."""
        for part in self._parts:
            line = part.tend(time.monotonic())
            if line is not None:
                if part.status == REFUSED and part.starts == 1 and not self._ready:
                    return REFUSED  # it has said why
                say(line)
        return 0

    def _look(self) -> None:
        """Say once that it is ready, or now and then what is missing."""
        if self._ready:
            return
        if self._address.get("/readyz") is None:
            self._grumble("the front end")
        elif self._worker.running is None or not _served(self._address.get("/algorithms")):
            self._grumble("a worker")
        else:
            self._ready = True
            self._greet()

    def _grumble(self, missing: str) -> None:
        now = time.monotonic()
        if now >= self._patience:
            self._patience = now + PATIENCE_SECONDS
            say(f"still waiting for {missing}")

    def _greet(self) -> None:
        url = self._address.url
        say(f"ready on {url}")
        say(
            f'try: curl -X POST {url}/jobs -H "Content-Type: application/json" '
            """-d '{"algorithm": "PrimeChecker", "params": {"number": 97}}'"""
        )
        say(f"the data is in {self._data}" if self._own_redis else "the data is in the server of REDIS_URL")

    def _pause(self) -> float | None:
        """Seconds until there is something to do that no signal announces; None: for ever."""
        waits = [part.due - time.monotonic() for part in self._parts if part.due is not None]
        if not self._ready:
            waits.append(POLL_SECONDS)
        if self._adopted():
            waits.append(ADOPTED_POLL_SECONDS)
        return max(0.0, min(waits)) if waits else None

    def _stop(self) -> bool:
        """End everything, the server last; whether all ended when asked to."""
        hurry = 2 if self._signals.stops else 1  # the first signal may be the one that brought us here
        if self._signals.stops:
            say(f"stopping, in at most {STOP_SECONDS:.0f} s; Ctrl-C again ends everything at once")
        for part in self._parts:
            part.abandon()
        clean = self._end((self._front_end, self._worker), STOP_SECONDS, hurry)
        if not self._adopted():
            clean &= self._end((self._server,), embedded.STOP_SECONDS, hurry)
        if self._signals.stops:
            say("stopped")
        return clean

    def _end(self, parts: Sequence[Part], seconds: float, hurry: int) -> bool:
        for part in parts:
            if part.running is not None:
                part.running.terminate()
        if self._ended(parts, seconds, hurry):
            return True
        for part in parts:
            if part.running is not None:
                part.running.kill()
        self._ended(parts, seconds, sys.maxsize)
        return False

    def _ended(self, parts: Sequence[Part], seconds: float, hurry: int) -> bool:
        """Wait until all have ended; False after `seconds`, or as soon as that many signals came."""
        deadline = time.monotonic() + seconds
        while not all(part.ended() for part in parts):
            left = deadline - time.monotonic()
            if left <= 0 or self._signals.stops >= hurry:
                return False
            self._signals.wait(left)
        return True


def say(line: str) -> None:
    """One line for whoever runs `up`, on standard error as the errors are; a closed terminal ends nothing."""
    with suppress(OSError):
        os.write(STDERR, f"slotwise: {line}\n".encode())


def _front_end() -> list[str]:
    return [sys.executable, "-P", "-m", "service"]  # -P: a `service` in the working directory is not ours


def _worker() -> list[str]:
    script = Path(sys.executable).with_name("arq")
    command = [str(script)] if script.exists() else [sys.executable, "-P", "-m", "arq"]
    return [*command, "worker.settings.WorkerSettings"]


def _env(**ours: str) -> dict[str, str]:
    """This process's environment, passed on, with a few names set in place of any spelling of them."""
    return {name: value for name, value in os.environ.items() if name.upper() not in ours} | ours


def _served(catalogue: object) -> bool:
    if catalogue is SHUT:  # it answers, and does not say: the worker was started
        return True
    algorithms = catalogue.get("algorithms") if isinstance(catalogue, dict) else None
    return isinstance(algorithms, list) and any(
        isinstance(algorithm, dict) and algorithm.get("served") is True for algorithm in algorithms
    )


@contextmanager
def _alone(data: Path) -> Iterator[Callable[[str], None]]:
    """Be the only `up` of this data directory; yields what notes our URL for the next one's error line."""
    lock = datadir.lock(data, "up.lock")
    if lock is None:
        first = datadir.noted(data, "up.json")
        raise SlotwiseError(
            "server-in-use",
            f"`slotwise up` already runs here: {first.get('url')}, process {first.get('pid')} (DATA_DIR={data})",
        )
    try:
        yield lambda url: datadir.note(data, "up.json", {"url": url, "pid": os.getpid()})
    finally:
        os.close(lock)
