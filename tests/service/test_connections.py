"""Connections that come slowly, read slowly, stay, or are too many."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
from http.client import HTTPConnection
from pathlib import Path

import pytest

from service.connections import network
from tests.facts import wait_until
from tests.fleet import Fleet, Process
from tests.service.raw import ask, listen
from tests.service.smuggling import BODY, GET, NEXT, POST

SHORT = {
    "HTTP_HEADER_SECONDS": "1",
    "HTTP_BODY_SECONDS": "1",
    "HTTP_UNREAD_SECONDS": "1",
    "HTTP_KEEP_ALIVE_SECONDS": "1",
}
HEADS = {
    "silent": (b"", b""),
    "half a head": (GET[:20], b"408"),
    "half a body": (POST + b"Content-Length: 999\r\n\r\n" + BODY, b"408"),
    "half a chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\n99\r\n" + BODY, b"408"),
    "a second head": (GET + b"\r\n" + GET[:20], b"408"),
    "idle after an answer": (GET + b"\r\n", b""),
    "a body that nobody reads": (GET + b"Content-Length: 999\r\n\r\n", b""),
}
ATTACKS = {  # kind: what slowhttptest is told, where to, how many connections it gets to hold at least
    "slow headers": (["-H"], "jobs", 500),
    "slow body": (["-B", "-f", "application/json"], "jobs", 500),
    "range": (["-R"], "openapi.json", 0),  # it is answered at once: nothing here serves ranges
    "slow read": (["-X", "-z", "1", "-n", "9"], "openapi.json", 500),
}
GROWTH_MB = 150  # for 1,000 connections, where 1 MB each would be 1,000
GOOD = "127.0.0.2"  # another address of this machine, for the client that means well

Address = tuple[str, int]


def address_of(fleet: Fleet, **settings: str) -> Address:
    front = fleet.front(**settings)
    return str(front.base_url.host), int(front.base_url.port or 0)


def test_a_deadline_ends_what_does_not_come(fleet: Fleet, catalogue: None) -> None:
    address = address_of(fleet, **SHORT)
    for name, (sent, status) in HEADS.items():
        said = ask(address, sent)
        assert said.closed, name
        last = said.data.rpartition(b"HTTP/1.1 ")[2]
        assert last.startswith(status or (b"200" if GET in sent else b"")), name
    assert b"/problems/request-timeout" in ask(address, GET[:20]).data


@pytest.mark.parametrize("head", [b"", POST + b"Content-Length: 99999\r\n\r\n"], ids=["headers", "body"])
def test_a_byte_now_and_then_moves_no_deadline(fleet: Fleet, head: bytes) -> None:
    with socket.create_connection(address_of(fleet, **SHORT), timeout=20) as client:
        client.sendall(head)
        stopped = threading.Event()

        def drip() -> None:
            for byte in b"GET /" + b"a" * 10_000:
                if stopped.wait(0.05):
                    return
                try:
                    client.send(bytes([byte]))
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        said = listen(client)
        stopped.set()
        dripping.join()
    assert said.closed
    assert said.statuses in ([408], [])  # it may be lost by what was still being sent


def test_who_does_not_read_is_cut(fleet: Fleet, catalogue: None) -> None:
    address = address_of(fleet, **SHORT)
    process = fleet.processes[-1]
    fleet.fronts[-1].close()
    wait_until(lambda: not sockets(process), within=20, what="nobody is there")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(address)
        client.sendall((b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n") * 100)
        wait_until(lambda: sockets(process) == 1, within=10, what="it is connected")
        wait_until(lambda: sockets(process) == 0, within=20, what="it is cut")
        assert ask(address, NEXT).statuses == [200]


def test_connections_are_limited_by_address_and_in_all(fleet: Fleet) -> None:
    address = address_of(fleet, HTTP_CONNECTIONS="4", HTTP_CONNECTIONS_PER_ADDRESS="3")
    fleet.fronts[-1].close()
    wait_until(lambda: not sockets(fleet.processes[-1]), within=20, what="nobody is there")
    held = [socket.create_connection(address) for _ in range(3)]
    refused = ask(address, NEXT)
    assert refused.statuses == [503]
    assert b"/problems/too-many-connections" in refused.data
    assert b"\r\nRetry-After: 5\r\n" in refused.data
    if sockets_from(GOOD):
        assert ask(address, NEXT, source=GOOD).statuses == [200], "another address has its own limit"
        held += [socket.create_connection(address, source_address=(GOOD, 0))]
        assert ask(address, NEXT, source=GOOD).statuses == [503], "and there is one for all"
    for one in held:
        one.close()
    wait_until(lambda: ask(address, NEXT).statuses == [200], within=20, what="there is room again")


def test_a_large_body_that_nobody_wants_is_not_kept(fleet: Fleet) -> None:
    address = address_of(fleet)
    process = fleet.processes[-1]
    before = resident_mb(process)
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(ConnectionError):
            for _ in range(3_000):  # 300 MB
                client.sendall(b"186a0\r\n" + b"a" * 100_000 + b"\r\n")
    assert resident_mb(process) - before < 20
    assert ask(address, NEXT).statuses == [200]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "slow body" else [pytest.mark.soak]) for kind in ATTACKS]
)
def test_a_thousand_slow_clients_disturb_nobody(fleet: Fleet, kind: str) -> None:
    if shutil.which("slowhttptest") is None:
        assert "CI" not in os.environ, "slowhttptest is not installed: scripts/test.sh does that"
        pytest.skip("needs slowhttptest")
    address = address_of(fleet, HTTP_HEADER_SECONDS="3", HTTP_BODY_SECONDS="3", HTTP_UNREAD_SECONDS="3")
    process = fleet.processes[-1]
    fleet.fronts[-1].close()
    before = resident_mb(process)
    options, path, least = ATTACKS[kind]
    url = f"http://{address[0]}:{address[1]}/{path}"
    rate = ["-c", "1000", "-r", "500", "-i", "1", "-l", "6", "-k", "3", "-u", url]
    attack = subprocess.Popen(["slowhttptest", *options, *rate], stdout=subprocess.DEVNULL)
    most, asked, grown = 0, 0, 0.0
    while attack.poll() is None:
        good = HTTPConnection(*address, timeout=10, source_address=(GOOD, 0))
        good.request("GET", "/healthz")
        assert good.getresponse().status == 200
        good.close()
        asked += 1
        most = max(most, sockets(process))
        grown = max(grown, resident_mb(process) - before)
    print(f"{kind}: {asked} good requests, {most} connections at most, grown by {grown:.0f} MB")
    assert most >= least, "the attack did not take place"
    assert grown < GROWTH_MB
    wait_until(lambda: sockets(process) == 0, within=30, what="all of them are gone")
    assert "Traceback" not in process.said()


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        (None, ""),
    ],
)
def test_an_address_belongs_to_a_network(address: str | None, place: str) -> None:
    assert network(address) == place


def sockets(process: Process) -> int:
    """How many connections a front end has with clients."""
    found = set()
    for entry in Path(f"/proc/{process.popen.pid}/fd").iterdir():
        try:
            if match := re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink())):
                found.add(match[1])
        except OSError:
            continue
    port = next(iter(listening_ports(found)), None)
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[9] in found and row[1].endswith(f":{port}") and row[3] != "0A" for row in rows)


def listening_ports(inodes: set[str]) -> list[str]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[1].rpartition(":")[2] for row in rows if row[9] in inodes and row[3] == "0A"]


def sockets_from(address: str) -> bool:
    """Whether this machine has the address (macOS has but one of loopback)."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def resident_mb(process: Process) -> float:
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert match
    return int(match[1]) / 1024
