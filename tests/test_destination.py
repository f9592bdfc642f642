"""What a webhook's URL may be, and in which one way it is written."""

from __future__ import annotations

import pytest

from slotwise.destination import Destination
from slotwise.networks import Allowed
from tests.urls import corpus

NOWHERE = Allowed.of(())

GOOD = {
    "https://hooks.example.com/jobs": ("https://hooks.example.com/jobs", "https://hooks.example.com", 443),
    "HTTP://Hooks.Example.COM": ("http://hooks.example.com/", "http://hooks.example.com", 80),
    "https://h.example:443/a?b=c%20d&e": ("https://h.example/a?b=c%20d&e", "https://h.example", 443),
    "http://h.example:8080?x": ("http://h.example:8080/?x", "http://h.example:8080", 8080),
    "https://xn--bcher-kva.example/": ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example", 443),
    "http://my_host/": ("http://my_host/", "http://my_host", 80),
    "http://93.184.215.14:81/": None,
    "https://93.184.215.14/": ("https://93.184.215.14/", "https://93.184.215.14", 443),
    "https://[2606:4700:0:0::1111]/": ("https://[2606:4700::1111]/", "https://[2606:4700::1111]", 443),
}


@pytest.mark.parametrize("url", GOOD)
def test_is_written_in_one_way(url: str) -> None:
    destination, meant = Destination.of(url), GOOD[url]
    if meant is None:
        with pytest.raises(ValueError, match="port"):
            destination.check(NOWHERE)
        return
    destination.check(NOWHERE)
    assert (destination.url, destination.origin, destination.port) == meant
    assert Destination.of(destination.url) == destination


BAD = {
    "": "URL",
    "https://h.example/#a": "fragment",
    "https://me:secret@h.example/": "user name",
    "ftp://h.example/": "http://",
    "https://h.example/\u00e4": "ASCII",
    "https://h\u00e4.example/": "ASCII",
    "https://h.example/" + "a" * 2048: "2048",
    "https://h.example:0/": "port",
    "https://h.example:65536/": "port",
    "https://h.example:/": "port",
    "https://127.1/": "plain",
    "https://-h.example/": "host",
    "https://h..example/": "host",
}


@pytest.mark.parametrize("url", BAD, ids=lambda url: url[:30])
def test_says_what_is_wrong(url: str) -> None:
    with pytest.raises(ValueError, match=BAD[url]) as raised:
        Destination.of(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1/", "loopback"),
        ("http://169.254.169.254/latest/meta-data", "link-local"),
        ("http://10.1.2.3/", "private"),
        ("http://100.64.0.1/", "CGNAT"),
        ("http://[::ffff:8.8.8.8]/", "IPv4-mapped"),
        ("http://[64:ff9b::808:808]/", "NAT64"),
        ("http://[2002:808:808::]/", "6to4"),
        ("http://[2001::1]/", "Teredo"),
        ("http://localhost/", "this machine"),
        ("http://a.localhost/", "this machine"),
        ("http://h.example:22/", "port"),
        ("http://h.example:6379/", "port"),
    ],
)
def test_a_literal_that_is_not_public_is_refused(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Destination.of(url).check(NOWHERE)


def test_of_the_corpus_only_names_pass() -> None:
    passed = set()
    for url in corpus(8_080):
        try:
            destination = Destination.of(url)
            destination.check(NOWHERE)
        except ValueError:
            continue
        assert destination.address is None, url
        passed.add(destination.name)
    assert all(name.endswith(".example") for name in passed), passed


@pytest.mark.parametrize(
    ("allow", "url", "passes"),
    [
        ("localhost", "http://localhost:1/", True),
        ("localhost:9000", "http://localhost:9000/", True),
        ("localhost:9000", "http://localhost:9001/", False),
        ("127.0.0.0/8", "http://127.3.2.1:22/", True),
        ("127.0.0.1:9000", "http://127.0.0.1:9000/", True),
        ("127.0.0.1:9000", "http://127.0.0.1:9001/", False),
        ("10.0.0.0/8", "http://127.0.0.1/", False),
        ("[::1]:9000", "http://[::1]:9000/", True),
        ("::1", "http://[0:0::1]/", True),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/", False),
        ("fd00::/8", "http://[fd12::1]/", True),
        ("Hooks.LAN", "http://hooks.lan:25/", True),
        ("10.0.0.0/8:25", "http://mail.example:25/", True),  # its address will tell
    ],
)
def test_what_the_operator_names_passes(allow: str, url: str, passes: bool) -> None:
    allowed, destination = Allowed.of(tuple(allow.split(","))), Destination.of(url)
    if passes:
        destination.check(allowed)
    else:
        with pytest.raises(ValueError, match="WEBHOOK_ALLOW"):
            destination.check(allowed)


@pytest.mark.parametrize(
    "entry", ["http://h/", "a b", "10.0.0.1/8", "1.2.3", "h:0", "h:99999", "*", "300.1.1.1", ""]
)
def test_an_entry_that_is_none_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=r"no host|no port") as raised:
        Allowed.of((entry,))
    assert repr(entry) in str(raised.value)
