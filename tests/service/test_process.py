"""`python -m service` as a process of its own: how it starts, what it says, how it stops."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "service"]
POST = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"algorithm": "Rest"}'
JSON = {"Content-Type": "application/json"}

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(redis_url: str, tmp_path: Path) -> Iterator[Start]:
    """Start a front end with these settings, in a directory of its own."""
    processes: list[subprocess.Popen[str]] = []

    def run(**settings: str) -> subprocess.Popen[str]:
        root = Path(__file__).parents[2]
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        env = inherited | {"PYTHONPATH": str(root), "REDIS_URL": redis_url, "PORT": "0"} | settings
        process = subprocess.Popen(COMMAND, env=env, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def port(start: Start, catalogue: None) -> int:
    return port_of(start())


def port_of(process: subprocess.Popen[str]) -> int:
    """The port that a started front end says it listens on."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if match := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
            return int(match[1])
    raise AssertionError(f"it ended: {said}")


def ask(port: int, method: str, path: str, **given: Any) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, **given)
    response = connection.getresponse()
    response.content = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


def refused(process: subprocess.Popen[str]) -> str:
    """The one line of a front end that did not start."""
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    [line] = said.splitlines()
    return line


def test_serves(port: int) -> None:
    made = ask(port, "POST", "/jobs", body=BODY, headers=JSON)
    assert made.status == 202
    assert made.getheader("Server") is None
    assert made.getheader("X-Request-Id")
    assert ask(port, "GET", made.getheader("Location") or "").status == 200


@pytest.mark.parametrize("path", ["/jobs/a%2Fb", "/jobs/%63oncurrency", "/jobs/..%2F..", "/jobs/%00"])
def test_ids_are_read_from_the_raw_path(port: int, path: str) -> None:
    problem = json.loads(ask(port, "GET", path).content)  # type: ignore[attr-defined]
    assert (problem["type"], problem["instance"]) == ("/problems/job-not-found", path)


def test_a_body_in_chunks_is_limited_too(port: int) -> None:
    chunks = (b" " * 65_536 for _ in range(5))
    assert ask(port, "POST", "/jobs", body=chunks, headers=JSON).status == 413
    assert ask(port, "POST", "/jobs", body=iter([BODY]), headers=JSON).status == 202


def test_a_body_that_never_comes_whole_harms_nobody(port: int) -> None:
    head = POST + b"Content-Length: 100\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(head + BODY)
    assert ask(port, "GET", "/healthz").status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_request_that_breaks_off_as_no_http_is_no_failure_of_ours(
    start: Start, catalogue: None, method: str
) -> None:
    process = start()
    port = port_of(process)
    head = f"{method} /jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(head.encode() + b"no length\r\n")
        while client.recv(1_000):
            pass
    assert ask(port, "GET", "/healthz").status == 200
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert "Invalid HTTP request received" in said
    assert "Traceback" not in said


def test_a_length_over_the_limit_is_refused_before_the_body_is_sent(port: int) -> None:
    head = POST + b"Content-Length: 999999999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(head)
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_stop_answers_those_who_wait_and_ends_clean(start: Start, catalogue: None) -> None:
    process = start()
    port = port_of(process)
    made = ask(port, "POST", "/jobs", body=BODY, headers=JSON)
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", made.getheader("Location") or "", headers={"Prefer": "wait=60"})
    assert ask(port, "GET", "/healthz").status == 200  # on another connection, so the first was read by now
    process.send_signal(signal.SIGTERM)
    assert connection.getresponse().status == 200
    connection.close()
    _, said = process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in said


def test_starts_without_the_store(start: Start, tmp_path: Path) -> None:
    port = port_of(start(REDIS_URL=f"unix://{tmp_path}/nobody"))
    assert ask(port, "GET", "/healthz").status == 200
    response = ask(port, "GET", "/readyz")
    assert (response.status, response.getheader("Retry-After")) == (503, "1")


def test_a_taken_port_is_one_line(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(start(PORT=str(port)))
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in line


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"PORT": "many"}, "PORT='many'"),
        ({"HOST": "0.0.0.0"}, "HOST=0.0.0.0"),
        ({"REDIS_URL": "http://localhost"}, "REDIS_URL"),
        ({"REDIS_URL": ""}, ""),
    ],
    ids=["a malformed setting", "beyond loopback", "an odd URL", "no server"],
)
def test_a_fault_at_the_start_is_one_line(start: Start, settings: dict[str, str], names: str) -> None:
    assert names in refused(start(**settings))


def test_never_imports_a_worker_or_an_algorithm() -> None:
    code = (
        "import sys, service.__main__; "
        "print([name for name in sys.modules if name.split('.')[0] in ('worker', 'examples')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
