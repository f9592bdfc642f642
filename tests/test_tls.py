"""rediss:// through something that speaks TLS: the certificate and its name are checked."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slotwise.errors import SlotwiseError
from slotwise.store import Store
from tests.fleet import Fleet, ended, submit
from tests.proxy import Proxy
from tests.servers import Server


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A certificate for `localhost` that vouches for itself; its key beside it."""
    made = tmp_path / "ca.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-keyout", str(tmp_path / "key.pem"), "-out", str(made)),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    return made


@pytest.fixture
def port(server: Server, redis_url: str, authority: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, authority.with_name("key.pem"))
    proxy = Proxy(server.port, context)
    yield proxy.port
    proxy.close()


async def test_a_certificate_is_checked_and_so_is_its_name(port: int, authority: Path) -> None:
    known = f"?ssl_ca_certs={authority}"
    assert await answers(f"rediss://localhost:{port}{known}")
    assert not await answers(f"rediss://localhost:{port}"), "nobody vouches for it"
    assert not await answers(f"rediss://127.0.0.1:{port}{known}"), "it is another's"
    assert await answers(f"rediss://127.0.0.1:{port}{known}&ssl_check_hostname=false")
    assert not await answers(f"redis://localhost:{port}")


@pytest.mark.slow
def test_a_fleet_speaks_tls(fleet: Fleet, port: int, authority: Path) -> None:
    fleet.settings["REDIS_URL"] = f"rediss://localhost:{port}?ssl_ca_certs={authority}"
    fleet.worker()
    front = fleet.front()
    assert ended(front, submit(front, "Add", a=1, b=2))["result"] == 3
    fleet.close()  # while there is a way to say good-bye


async def answers(url: str) -> bool:
    store = await Store.connect(url)
    try:
        await store.ping()
    except SlotwiseError:
        return False
    finally:
        await store.close()
    return True
