"""Fixtures: a real server for the session, flushed for each test; a fleet of real processes on it.

A test fails when it leaves a key without a TTL that grows with jobs, a taken slot, or a process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from slotwise.keys import Keys
from slotwise.store import Store
from tests.facts import Tell, wait_until
from tests.fleet import Fleet
from tests.hand import Hand
from tests.servers import Server
from tests.witness import ADDRESS, Witness

# keys without a TTL that do not grow with jobs; see slotwise/keys.py
LASTING = {
    *("cap", "audit", "drained", "catalogue", "limits", "log", "counts", "meter", "pace", "parked", "names"),
    *("failures", "samples", "access", "tenants"),
}


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Have a line stand at the end of the run, whichever process the test runs in."""
    return partial(record_property, "told")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in (each for reports in terminalreporter.stats.values() for each in reports):
        for name, text in getattr(report, "user_properties", ()):
            if name == "told" and report.when == "call":
                terminalreporter.write_line(f"{report.nodeid}: {text}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(server: Server) -> Iterator[str]:
    server.client.flushall()
    server.client.script_flush()
    server.client.acl_log_reset()
    yield server.url
    check_nothing_left(server.client)
    check_nothing_denied(server.client)


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    store = await Store.connect(redis_url)
    yield store
    await store.close()


@pytest.fixture
def hand(store: Store, redis_url: str) -> Any:
    made: list[tuple[Hand, redis.Redis]] = []

    def make(name: str = "w", serves: Sequence[str] = ()) -> Hand:
        connection = redis.Redis.from_url(redis_url)
        hand = Hand(store, connection, name, serves)
        hand.enlist()
        made.append((hand, connection))
        return hand

    yield make
    for hand, connection in made:
        hand.leases.leave(hand.incarnation)
        connection.close()


@pytest.fixture
def witness() -> Iterator[Witness]:
    witness = Witness()
    yield witness
    witness.close()


@pytest.fixture
def fleet(redis_url: str, witness: Witness, tmp_path: Path) -> Iterator[Fleet]:
    yield from _fleet(redis_url, witness, tmp_path)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test alone, with every write on disk before its answer: to be killed."""
    directory = tmp_path / "server"
    directory.mkdir()
    server = Server(directory, aof=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_fleet(own_server: Server, witness: Witness, tmp_path: Path) -> Iterator[Fleet]:
    yield from _fleet(own_server.url, witness, tmp_path)


def _fleet(url: str, witness: Witness, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(url, tmp_path)
    fleet.settings[ADDRESS] = witness.address
    yield fleet
    fleet.close()
    wait_until(lambda: not fleet.strays(), within=10, what="no process of the fleet is left")
    wait_until(lambda: witness.alive == 0, within=10, what="no body is left")


def check_nothing_denied(client: redis.Redis) -> None:
    """Fail where a part, which comes as its user of least rights, tried what that may not do."""
    denied = [row for row in client.acl_log() if row["username"] in ("frontend", "worker")]
    assert denied == [], "deploy/redis/users.acl lacks what was needed"


def check_nothing_left(client: redis.Redis) -> None:
    """Fail on a taken slot, and on a key without a TTL that is not of a job that still waits."""
    keys = Keys()
    waiting = {member.decode("utf-8", "replace") for member in client.zrange(keys.queue, 0, -1)}
    assert client.zcard(keys.running) == 0, "a slot is still taken"
    allowed = {keys.prefix + name for name in LASTING} | {keys.queue, keys.promote, "arq:abort"}
    listed = (keys.ended_of, keys.errors_of, keys.labelled, keys.labels, keys.expiring)
    for raw in client.scan_iter(count=1000):
        name = raw.decode("utf-8", "replace")
        parked = name.startswith((keys.parked_of, keys.pending_of))
        if name.startswith(listed):
            continue  # looked at below
        if parked and {member.decode() for member in client.zrange(raw, 0, -1)} <= waiting:
            continue
        if name in keys.of_outbox or name.startswith((keys.due_of, keys.outbox_of)):
            continue  # looked at below
        if name in allowed or name.split(":", 2)[-1] in waiting or client.ttl(raw) != -1:
            continue
        raise AssertionError(f"{name} was left without a TTL")
    check_lists(client, keys, waiting)
    check_untold(client, keys)


def check_lists(client: redis.Redis, keys: Keys, waiting: set[str]) -> None:
    """Fail on a job on a list that nothing will take off it: neither does it wait, nor is it told to expire."""
    expiring = [member.decode("utf-8", "replace") for member in client.zrange(keys.expiring, 0, -1)]
    goes = waiting | {_id_of(member) for member in expiring}
    for prefix in (keys.ended_of, keys.errors_of, keys.labelled):
        for raw in client.scan_iter(match=prefix + "*", count=1000):
            left = {member.decode("utf-8", "replace") for member in client.zrange(raw, 0, -1)} - goes
            left = {
                id
                for id in left
                if client.ttl("slotwise:job:" + id) != -1 or not client.exists("slotwise:job:" + id)
            }
            assert not left, f"{raw!r} lists {left} for ever"
    left = {raw.decode() for raw in client.hkeys(keys.labels)} - goes
    assert not left, f"the labels of {left} are kept for ever"


def check_untold(client: redis.Redis, keys: Keys) -> None:
    """Fail on something of a webhook that nobody will be told: due nowhere, or not there to be told."""
    due = {name for receiver in client.zrange(keys.receivers, 0, -1) for name in _due(client, keys, receiver)}
    untold = {raw.removeprefix(keys.outbox_of.encode()) for raw in client.scan_iter(match=keys.outbox_of + "*")}
    assert due == untold, f"due are {due}, to be told {untold}"
    kept = {raw.removeprefix(keys.due_of.encode()) for raw in client.scan_iter(match=keys.due_of + "*")}
    assert kept <= set(client.zrange(keys.receivers, 0, -1)), f"of {kept} some are no receiver"


def _due(client: redis.Redis, keys: Keys, receiver: bytes) -> list[bytes]:
    due: list[bytes] = client.zrange(keys.due_of.encode() + receiver, 0, -1)
    assert due, f"{receiver!r} is kept for nothing"
    return due


def _id_of(member: str) -> str:
    """Of a member of `expiring`: "state type length algorithm-and-id"."""
    _, _, length, rest = member.split(" ", 3)
    return rest[int(length) :]
