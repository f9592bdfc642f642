"""The names by which a front end without keys may be called."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from httpx2 import AsyncClient
from starlette.requests import Request

from service.hosts import Hosts
from slotwise.errors import SlotwiseError
from slotwise.settings import Settings
from slotwise.store import Store
from slotwise.tenant import Scope
from tests.facts import wait_for
from tests.service.conftest import Connect
from tests.service.test_door import CLOSED, OPERATIONS, Callers, problem

OURS = ("localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8000")
ADDRESSES = ("10.1.2.3", "10.1.2.3:8000", "[fd00::1]:8000", "[2001:DB8::1]")
NEVER = (
    *("evil.test", "evil.test:8000", "127.0.0.1.nip.test", "localhost.evil.test", "xlocalhost", "0.0.0.0:8000"),
    *("[::]", "localhost.", "127.1", "2130706433", "0x7f000001", "[::1", ":8000", "", "::1", "*", "[*]"),
)
Make = Callable[..., Settings]


def told(host: str | None, method: str = "GET", **headers: str) -> Request:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    sent += [] if host is None else [(b"host", host.encode())]
    return Request({"type": "http", "method": method, "path": "/jobs", "headers": sent})


def refused(hosts: Hosts, request: Request) -> str:
    """The code of the error; '' for none."""
    try:
        hosts.check(request)
    except SlotwiseError as error:
        return error.code
    return ""


def taken(hosts: Hosts, *names: str) -> set[str]:
    return {name for name in names if not refused(hosts, told(name))}


def test_on_loopback_the_names_of_loopback(settings: Make) -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        hosts = Hosts(settings(host=host, allow_unauthenticated=host == "::1"))
        assert taken(hosts, *OURS, *ADDRESSES, *NEVER) == set(OURS)
        assert not refused(hosts, told(None)), "HTTP/1.0"


def test_beyond_loopback_addresses_too(settings: Make) -> None:
    """A monitor asks by address; a browser's page is of an address only if it came from there."""
    hosts = Hosts(settings(host="0.0.0.0", allow_unauthenticated=True))
    assert taken(hosts, *OURS, *ADDRESSES, *NEVER) == {*OURS, *ADDRESSES}


def test_names_that_are_listed(settings: Make) -> None:
    hosts = Hosts(settings(allowed_hosts="Jobs.test, 10.1.2.3,fd00::1"))
    listed = {"jobs.test", "JOBS.test:8000", "10.1.2.3:8000", "10.1.2.3", "[fd00::1]:8000"}
    assert taken(hosts, *OURS, *ADDRESSES, *listed, "a.jobs.test", *NEVER) == {*OURS, *listed}
    assert taken(Hosts(settings(allowed_hosts="*")), *NEVER) == set(NEVER)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_page_of_another_site_changes_nothing(method: str, settings: Make) -> None:
    """It reads no answer, but a POST without a body would be carried out all the same."""
    for values in ({}, {"allowed_hosts": "*"}):
        hosts = Hosts(settings(**values))
        assert refused(hosts, told("localhost", method, sec_fetch_site="cross-site")) == "cross-site"
        assert not refused(hosts, told("localhost", method, sec_fetch_site="same-origin"))
        assert not refused(hosts, told("localhost", sec_fetch_site="cross-site")), "a link that is followed"


async def test_every_operation_looks(client: AsyncClient, store: Store) -> None:
    """Until there are keys: these a page cannot have."""
    callers = Callers(client, store)
    as_evil = {"Host": "evil.test:8000", "Sec-Fetch-Site": "same-origin"}
    as_other = {"Sec-Fetch-Site": "cross-site"}
    for operation in CLOSED:
        answer = await callers.do(None, operation, headers=as_evil)
        assert problem(answer) == (421, "misdirected-request"), operation
        assert "evil.test:8000" in answer.json()["detail"] and "ALLOWED_HOSTS" in answer.json()["detail"]
        if OPERATIONS[operation][0] != "GET":
            assert problem(await callers.do(None, operation, headers=as_other)) == (403, "cross-site"), operation
    for path in ("/healthz", "/readyz", "/docs"):
        assert (await client.get(path, headers=as_evil)).status_code == 200, "whoever watches the process"
    await callers.make("one", Scope.READ)

    async def known() -> bool:
        return (await callers.ask("one", "GET", "/jobs", headers=as_evil)).status_code == 200

    await wait_for(known, within=5, what="with a key any name will do")


async def test_while_the_store_is_away(connect: Connect) -> None:
    """Nobody knows whether there are keys: what needs no store is answered, by the right name."""
    async with connect("unix:///nowhere", health_public=False) as client:
        assert (await client.get("/healthz")).status_code == 200
        assert problem(await client.get("/healthz", headers={"Host": "evil.test"})) == (421, "misdirected-request")


async def test_a_bind_beyond_loopback(connect: Connect, catalogue: None) -> None:
    async with connect(host="0.0.0.0", allow_unauthenticated=True, allowed_hosts="front-end") as client:
        for host, status in (("front-end:8000", 200), ("172.18.0.4:8000", 200), ("evil.test", 421)):
            assert (await client.get("/jobs", headers={"Host": host})).status_code == status
