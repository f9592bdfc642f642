"""What REDIS_URL may say."""

from __future__ import annotations

import pytest

from slotwise.endpoint import Endpoint
from slotwise.errors import SlotwiseError
from slotwise.settings import load

LOGIN = {"username": "user", "password": "p%/@:"}
SECURED = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("redis://", Endpoint()),
        ("redis://h:1/2", Endpoint("h", 1, db=2)),
        ("redis://h?db=3", Endpoint("h", db=3)),
        ("redis://user:p%25%2F%40%3A@h", Endpoint("h", **LOGIN)),
        ("redis://[::1]:7", Endpoint("::1", 7)),
        ("unix:///a%20b/c?db=1", Endpoint(path="/a b/c", db=1)),
        ("unix://:pw@/a", Endpoint(path="/a", password="pw")),
        ("rediss://h", Endpoint("h", tls=SECURED)),
        ("rediss://h?ssl_ca_certs=/a/b", Endpoint("h", tls=SECURED | {"ssl_ca_certs": "/a/b"})),
        ("rediss://h?ssl_check_hostname=false", Endpoint("h", tls=SECURED | {"ssl_check_hostname": False})),
        ("redis+sentinel://a,b:1/m", Endpoint(sentinels=(("a", 26379), ("b", 1)), master="m")),
        (
            "redis+sentinel://user:p%25%2F%40%3A@a/m/4",
            Endpoint(sentinels=(("a", 26379),), master="m", db=4, **LOGIN),
        ),
    ],
)
def test_a_url_names_a_server(url: str, endpoint: Endpoint) -> None:
    assert Endpoint.of(url) == endpoint


@pytest.mark.parametrize(
    "url",
    [
        "http://h:secret@h",
        "redis://:secret@h:port",
        "redis://:secret@h:99999",
        "redis://:secret@h/one",
        "redis://:secret@h/-1",
        "redis://:secret@h?ssl_ca_certs=/a",
        "redis://:secret@h?decode_responses=1",
        "rediss://:secret@h?ssl_cert_reqs=none",
        "rediss://:secret@h?ssl_check_hostname=maybe",
        "unix://:secret@",
        "redis+sentinel://:secret@a",
        "redis+sentinel://:secret@,b/m",
        "redis+sentinel://:secret@a:x/m",
        "redis://:secret@[h",
    ],
)
def test_a_fault_is_told_without_the_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(SlotwiseError, match="REDIS_URL") as told:
        load()
    assert "secret" not in told.value.message
    assert "secret" not in repr(Endpoint(password="secret"))
