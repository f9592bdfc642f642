"""One request to a receiver, against real servers: where it goes, and where it does not."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slotwise.destination import Destination
from slotwise.networks import Allowed
from tests.names import A, Names, names
from tests.receiver import Receiver, receiving
from tests.urls import NAMES, corpus
from worker.post import DRAIN_BYTES, Post, Reply, resolve

HERE = Allowed.of(("127.0.0.1",))
NOWHERE = Allowed.of(())


class Canary:
    """A port on every address of this machine: nobody may come."""

    def __init__(self) -> None:
        self._sockets = [socket.create_server(("0.0.0.0", 0))]
        self.port = self._sockets[0].getsockname()[1]
        if socket.has_dualstack_ipv6():
            self._sockets.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        for each in self._sockets:
            each.setblocking(False)

    @property
    def reached(self) -> bool:
        """Whether a connection waits to be accepted: connecting needs no more than that."""
        for each in self._sockets:
            try:
                each.accept()[0].close()
            except BlockingIOError:
                continue
            return True
        return False

    def close(self) -> None:
        for each in self._sockets:
            each.close()


@pytest.fixture
def canary() -> Iterator[Canary]:
    made = Canary()
    yield made
    made.close()


@pytest.fixture
def dns() -> Iterator[Names]:
    with names() as served:
        yield served


async def sent(url: str, allowed: Allowed = HERE, **options: Any) -> Reply:
    return await Post(allowed, **options).send(Destination.of(url), [("webhook-id", "m")], b"{}")


async def test_the_canary_sings(canary: Canary) -> None:
    """What the tests below rely on: a connection is seen."""
    assert not canary.reached
    await sent(f"http://127.0.0.1:{canary.port}/", seconds=0.2)
    assert canary.reached


async def test_no_url_of_the_corpus_reaches_the_canary(canary: Canary, dns: Names) -> None:
    for name, told in zip(NAMES, (["127.0.0.1"], ["127.0.0.1"], ["::ffff:127.0.0.1"], ["::1"]), strict=False):
        dns.answers[name] = [told]
    dns.answers["rebinds.example"] = [["127.0.0.1"], ["127.0.0.1"]]
    dns.answers["mixed.example"] = [["127.0.0.1", "2606:4700::1"]]
    dns.answers["metadata.example"] = [["169.254.169.254", "fd00:ec2::254"]]
    urls, refused = list(corpus(canary.port)), 0
    assert len(set(urls)) >= 300
    post = Post(NOWHERE, resolve=dns.resolve, seconds=2)
    for url in urls:
        try:
            destination = Destination.of(url)
        except ValueError:
            refused += 1
            continue
        if destination.name == "good.example":  # and a port to which nothing is sent
            dns.answers["good.example"] = [["2606:4700::1"]]
        reply = await post.send(destination, [], b"{}")  # whatever was checked when it was submitted
        assert reply.refused or reply.error == "no connection: the host has no address", url
        assert not canary.reached, url
    assert refused > 100


async def test_a_name_that_is_bound_anew_is_looked_up_once(canary: Canary, dns: Names) -> None:
    allowed = Allowed.of(("127.0.0.2",))
    with socket.create_server(("127.0.0.2", canary.port + 1)) as good:
        threading.Thread(target=_answer_once, args=(good,), daemon=True).start()
        dns.answers["rebinds.example"] = [["127.0.0.2"], ["127.0.0.1"]]
        url = f"http://rebinds.example:{canary.port + 1}/"
        first = await sent(url, allowed, resolve=dns.resolve)
        assert (first.status, dns.asked["rebinds.example", A]) == (204, 1)
        second = await sent(url, allowed, resolve=dns.resolve)
        assert (second.refused, dns.asked["rebinds.example", A]) == (True, 2)
    dns.answers["both.example"] = [["127.0.0.2", "127.0.0.1"]]
    assert (await sent(f"http://both.example:{canary.port}/", allowed, resolve=dns.resolve)).refused
    assert not canary.reached


def _answer_once(server: socket.socket) -> None:
    connection, _ = server.accept()
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    connection.close()


@pytest.mark.parametrize(
    "entry", ["127.0.0.1", "127.0.0.0/8", "hooks.lan", "127.0.0.1:{port}", "hooks.lan:{port}"]
)
async def test_what_the_operator_names_is_reached(entry: str, dns: Names) -> None:
    dns.answers["hooks.lan"] = [["127.0.0.1"]]
    with receiving() as receiver:
        allowed = Allowed.of((entry.replace("{port}", str(receiver.port)),))
        url = receiver.url("/a/b?c=d%20e", host="hooks.lan")
        assert await sent(url, allowed, resolve=dns.resolve) == Reply(200)
        (told,) = receiver.told
        assert (told.path, told.headers["host"]) == ("/a/b?c=d%20e", f"hooks.lan:{receiver.port}")
        assert told.headers["content-type"] == "application/json"
        assert told.headers["webhook-id"] == "m"
        other = Allowed.of((entry.replace("{port}", str(receiver.port + 1)),))
        assert (await sent(url, other, resolve=dns.resolve)).refused == (":" in entry)


async def test_the_machines_own_resolver() -> None:
    assert [str(each) for each in await resolve("127.0.0.1", 80)] == ["127.0.0.1"]
    assert (await sent("http://no-such-name.invalid/", NOWHERE)).error is not None


async def test_no_redirect_is_followed_and_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as other, receiving(Receiver(answer=302)) as receiver:
        receiver.location = other.url()
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url("", "127.0.0.1"))
        assert await sent(receiver.url()) == Reply(302)
        assert (len(receiver.told), other.told) == (1, [])


async def test_an_answer_is_read_up_to_a_bound() -> None:
    """Each goes on for ever; only the status counts."""
    for body in (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 65_536, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 65_536):
        read, whole = await _flooded(body)
        assert read.status == (200 if b"\r\n\r\n" in body else None)
        assert whole < 100 * DRAIN_BYTES + 8 * 1024 * 1024  # what the system's buffers take


async def _flooded(body: bytes) -> tuple[Reply, int]:
    """An answer that is repeated without end; how much of it was taken."""
    taken = 0
    with socket.create_server(("127.0.0.1", 0)) as server:

        def flood() -> None:
            nonlocal taken
            connection, _ = server.accept()
            connection.settimeout(5)
            try:
                while True:
                    taken += connection.send(body if not taken else b"x" * 65_536)
            except OSError:
                connection.close()

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        reply = await sent(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join(10)
        assert not thread.is_alive(), "the connection was closed"
    return reply, taken


async def test_what_goes_wrong_is_told_in_few_words() -> None:
    with receiving() as receiver:
        receiver.open.clear()
        late = await sent(receiver.url(), seconds=0.3)
        assert late.error == "no answer within 0.3 s"
    assert (await sent(receiver.url())).error.startswith("no connection: ")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of hooks.example, with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate, and is not here")
    path = tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    made = ["openssl", "req", "-x509", *curve, "-keyout", "key.pem", "-out", str(path), *subject]
    subprocess.run(made, check=True, capture_output=True, cwd=tmp_path)
    path.write_text(path.read_text() + (tmp_path / "key.pem").read_text())
    return path


async def test_tls_is_for_the_name_and_not_for_the_address(certificate: Path, dns: Names) -> None:
    serves = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serves.load_cert_chain(certificate)
    asked: list[Any] = []
    serves.sni_callback = lambda _, name, __: asked.append(name)
    trusts = ssl.create_default_context(cafile=str(certificate))
    dns.answers["hooks.example"] = dns.answers["other.example"] = [["127.0.0.1"]]
    with receiving(context=serves) as receiver:
        options = {"resolve": dns.resolve, "ssl_context": trusts}
        assert await sent(receiver.url(host="hooks.example"), **options) == Reply(200)
        assert (receiver.told[0].headers["host"], asked) == (f"hooks.example:{receiver.port}", ["hooks.example"])
        wrong = await sent(receiver.url(host="other.example"), **options)
        assert wrong.error is not None and "certificate" in wrong.error
        untrusted = await sent(receiver.url(host="hooks.example"), resolve=dns.resolve)
        assert untrusted.error is not None and "certificate" in untrusted.error
        assert len(receiver.told) == 1
