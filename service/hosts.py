"""The names by which a front end that asks for no key is called: no page from elsewhere goes by one of them.

A page whose name is made to lead to 127.0.0.1 (DNS rebinding) is of one origin with what answers there, so it may
send and read anything; but its requests go on saying its own name in Host. Where keys were made nobody is asked
for a name: no page has the key.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

from starlette.requests import Request

from slotwise.errors import SlotwiseError, harmless
from slotwise.settings import ANY_HOST, LOOPBACK, Settings

SAFE: Final = frozenset({"GET", "HEAD"})
_HOST: Final = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:]+))(?::[0-9]*)?")


class Hosts:
    """What a request without a key may be called by and sent from."""

    def __init__(self, settings: Settings) -> None:
        self._named = LOOPBACK | set(settings.allowed_hosts)
        self._any = ANY_HOST in settings.allowed_hosts
        self._addresses = settings.host not in LOOPBACK

    def check(self, request: Request) -> None:
        """Raises: SlotwiseError `misdirected-request`, `cross-site`."""
        if request.method not in SAFE and request.headers.get("sec-fetch-site") == "cross-site":
            raise SlotwiseError("cross-site", "A browser sent this for a page of another site. Make API keys.")
        told = request.headers.get("host")
        if told is not None and not self._is_ours(_name(told)):  # HTTP/1.0 may leave it out; no browser does
            raise SlotwiseError(
                "misdirected-request",
                f"Without API keys nobody who asks for {harmless(told, 200)!r} is answered: say localhost, list "
                "the name in ALLOWED_HOSTS, or make API keys (`slotwise keys create`).",
            )

    def _is_ours(self, name: str) -> bool:
        return self._any or name in self._named or (self._addresses and _is_address(name))


def _name(host: str) -> str:
    """`host` without its port and the brackets of IPv6; "" if it is none."""
    found = _HOST.fullmatch(host)
    return "" if found is None else (found[1] or found[2]).lower()


def _is_address(name: str) -> bool:
    """Whether it is an address that a client may mean: it is looked up nowhere, so nobody leads it elsewhere."""
    try:
        return not ip_address(name).is_unspecified  # 0.0.0.0 is this machine to a browser that came from anywhere
    except ValueError:
        return False
