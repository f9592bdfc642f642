"""Who may be connected, how many at once, and until when: one sweep over all connections holds the deadlines.

A deadline is absolute: a byte now and then does not move it. A sweep costs a comparison a connection, and a
request nothing but the setting of its deadline.
"""

from __future__ import annotations

import asyncio
import ipaddress
import resource
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Protocol

from slotwise.settings import Settings

SWEEP_SECONDS: Final = 0.5  # at most; a deadline is kept to within a sweep
SPARE_FILES: Final = 128  # for the store, the log, and connections that are being refused
NET6_BITS: Final = 64  # of an IPv6 address, what one client has to itself


class Inside(Protocol):
    """A connection, as the sweep sees it."""

    def check(self, now: float) -> None: ...


@dataclass
class Connections:
    """Seconds, and numbers of connections."""

    header_seconds: float
    body_seconds: float
    unread_seconds: float
    keep_alive_seconds: int
    connections: int
    per_address: int
    max_body_bytes: int
    _inside: dict[Inside, str] = field(default_factory=dict)
    _at: Counter[str] = field(default_factory=Counter)
    _sweep: asyncio.TimerHandle | None = None

    @classmethod
    def of(cls, settings: Settings) -> Connections:
        return cls(
            settings.http_header_seconds,
            settings.http_body_seconds,
            settings.http_unread_seconds,
            settings.http_keep_alive_seconds,
            min(settings.http_connections, files_for_connections(settings.http_connections)),
            settings.http_connections_per_address,
            settings.max_body_bytes,
        )

    def enter(self, one: Inside, address: str | None) -> bool:
        """Count a connection until it `leave`s; whether it is within the limits."""
        place = network(address)
        self._inside[one] = place
        self._at[place] += 1
        if self._sweep is None:
            self._plan()
        return len(self._inside) <= self.connections and (not place or self._at[place] <= self.per_address)

    def leave(self, one: Inside) -> None:
        place = self._inside.pop(one, None)
        if place is not None:
            self._at[place] -= 1
            if not self._at[place]:
                del self._at[place]

    def _plan(self) -> None:
        shortest = min(self.header_seconds, self.body_seconds, self.unread_seconds)
        self._sweep = asyncio.get_running_loop().call_later(min(SWEEP_SECONDS, shortest / 4), self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        for one in list(self._inside):
            one.check(now)
        self._sweep = None
        if self._inside:
            self._plan()


def network(address: str | None) -> str:
    """Whom an address belongs to: itself, of IPv6 its network of /64; '' where there is none (a Unix socket)."""
    if not address:
        return ""
    if ":" not in address:
        return address
    try:
        six = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if six.ipv4_mapped is not None:
        return str(six.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(six) >> NET6_BITS << NET6_BITS, NET6_BITS)))


def files_for_connections(wanted: int) -> int:
    """How many connections this process may have open, its own limit on files raised as far as need be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted + SPARE_FILES
    most = need if hard == resource.RLIM_INFINITY else min(need, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return wanted if soft == resource.RLIM_INFINITY else max(1, soft - SPARE_FILES)
