"""What every benchmark stands on: a server without persistence, processes that end with it, medians."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any, cast

import httpx2

from tests.facts import wait_until
from tests.servers import Server

ROOT = Path(__file__).resolve().parents[1]
ARQ = str(Path(sys.executable).with_name("arq"))


@contextmanager
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def process(
    command: list[str], env: Mapping[str, str], files: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a directory of its own, with these files in it; told to stop at the end."""
    full = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    with tempfile.TemporaryDirectory() as directory:
        for name, text in (files or {}).items():
            (Path(directory) / name).write_text(text)
        started = subprocess.Popen(
            command, env=full, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(30)


def until_served(client: httpx2.Client) -> None:
    """Return once the front end answers and a worker serves something."""

    def served() -> bool:
        try:
            return any(entry["served"] for entry in client.get("/algorithms").json()["algorithms"])
        except (httpx2.TransportError, KeyError):
            return False

    wait_until(served, within=60, what="the service is up")


def info(running: Server, section: str) -> dict[str, Any]:
    """A section of what the server tells of itself."""
    return cast(dict[str, Any], running.client.info(section))


def sent_by_clients(running: Server, seconds: float) -> float:
    """How many commands a second clients send; those that scripts carry out are none of them. Costs the server."""
    until, heard = time.monotonic() + seconds, bytearray()
    with socket.create_connection(("127.0.0.1", running.port), timeout=0.2) as link:
        link.sendall(b"MONITOR\r\n")
        while time.monotonic() < until:
            with suppress(TimeoutError):
                heard += link.recv(1 << 20)
    rows = heard.split(b"\r\n")[1:-1]  # without the answer to MONITOR
    return sum(b" lua] " not in row for row in rows) / seconds


def spread(values: list[float]) -> str:
    """Median, and the least and the most."""
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
