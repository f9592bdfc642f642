"""Where Redis is, as REDIS_URL says, and clients of it.

    redis://[user:password@]host[:port][/db]
    rediss://…?ssl_ca_certs=FILE&ssl_certfile=FILE&ssl_keyfile=FILE&ssl_check_hostname=false
    unix://[user:password@]/path/to/socket[?db=N]
    redis+sentinel://[user:password@]host[:port][,host[:port]…]/master[/db]

The certificate of a rediss:// server is always checked, and its name unless the URL says otherwise: redis-py
leaves the name out by default. User and password are those of Redis; sentinels are asked without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

SCHEMES: Final = ("redis://", "rediss://", "unix://", "redis+sentinel://")
PORT, SENTINEL_PORT = 6379, 26379
_TLS: Final = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"})
_WORDS: Final = {"true": True, "false": False}


@dataclass(frozen=True)
class Endpoint:
    """One server, or the sentinels that know which of several is the `master`."""

    host: str = "localhost"
    port: int = PORT
    path: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Mapping[str, Any] | None = None
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str = ""

    @classmethod
    def of(cls, url: str) -> Endpoint:
        """Raises: ValueError, which does not repeat the password."""
        if not url.startswith(SCHEMES):
            raise ValueError(f"must begin with {', '.join(SCHEMES[:-1])} or {SCHEMES[-1]}")
        try:
            parts = urlsplit(url)
            query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
            login = {"username": _plain(parts.username), "password": _plain(parts.password)}
            return cls(**login, **_place(parts, query))  # type: ignore[arg-type]
        except ValueError as error:
            raise ValueError(f"is no URL of a server: {_without_input(error)}") from None

    def client(self, seconds: float, **options: Any) -> redis.asyncio.Redis:
        """For an event loop; an answer may take so long. Nothing is connected yet."""
        given = {**self._given(seconds), **options}
        if not self.sentinels:
            return redis.asyncio.Redis(**self._address(), **given)
        manager = redis.asyncio.sentinel.Sentinel(self.sentinels, sentinel_kwargs=_timeouts(seconds))
        found: redis.asyncio.Redis = manager.master_for(self.master, **given)
        return found

    def blocking(self, seconds: float) -> redis.Redis:
        """For a thread."""
        if not self.sentinels:
            return redis.Redis(**self._address(), **self._given(seconds))
        return master(self.sentinels, self.master, seconds, **self._given(seconds))

    def _address(self) -> dict[str, Any]:
        secured = {} if self.tls is None else {"ssl": True, **self.tls}
        if self.path is not None:
            return {"unix_socket_path": self.path}
        return {"host": self.host, "port": self.port, **secured}

    def _given(self, seconds: float) -> dict[str, Any]:
        return {"db": self.db, "username": self.username, "password": self.password, **_timeouts(seconds)}


def master(sentinels: Any, name: str, seconds: float, **given: Any) -> redis.Redis:
    """A blocking client of the server that is the master at the time of each connection."""
    manager = redis.sentinel.Sentinel(sentinels, sentinel_kwargs=_timeouts(seconds))
    found: redis.Redis = manager.master_for(name, **given)
    return found


def _timeouts(seconds: float) -> dict[str, Any]:
    return {"socket_timeout": seconds, "socket_connect_timeout": seconds}


def _place(parts: SplitResult, query: dict[str, str]) -> dict[str, Any]:
    path = unquote(parts.path)
    if parts.scheme == "unix":
        db = _database(query.pop("db", ""))
        _nothing_left(query)
        if not path:
            raise ValueError("a path is missing")
        return {"path": path, "db": db}
    if parts.scheme == "redis+sentinel":
        _nothing_left(query)
        name, _, db_text = path.lstrip("/").partition("/")
        if not name:
            raise ValueError("the master's name is missing, as in redis+sentinel://host:26379/master")
        return {"sentinels": _hosts(parts.netloc), "master": name, "db": _database(db_text)}
    db = _database(query.pop("db", "") or path.lstrip("/"))
    tls = _tls(query) if parts.scheme == "rediss" else None
    _nothing_left(query)
    return {"host": parts.hostname or "localhost", "port": parts.port or PORT, "db": db, "tls": tls}


def _hosts(netloc: str) -> tuple[tuple[str, int], ...]:
    each = (urlsplit(f"//{host}") for host in netloc.rpartition("@")[2].split(","))
    found = tuple((host.hostname or "", host.port or SENTINEL_PORT) for host in each)
    if not all(host for host, _ in found):
        raise ValueError("a sentinel's host is missing")
    return found


def _tls(query: dict[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = {name: query.pop(name) for name in _TLS & query.keys()}
    checked = told.pop("ssl_check_hostname", "true")
    if checked not in _WORDS:
        raise ValueError("ssl_check_hostname is true or false")
    return {**told, "ssl_check_hostname": _WORDS[checked], "ssl_cert_reqs": "required"}


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdecimal()):
        raise ValueError("the database is a number")
    return int(text or 0)


def _nothing_left(query: Mapping[str, str]) -> None:
    if query:
        raise ValueError(f"it knows no {', '.join(query)}")


def _plain(text: str | None) -> str | None:
    return unquote(text) if text else None


def _without_input(error: ValueError) -> str:
    """What urlsplit says of a port quotes it, and what stands there may be half of a password."""
    return "its port is no number" if "ort" in str(error) and "'" in str(error) else str(error)
