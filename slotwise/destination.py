"""Where a webhook is sent: what its URL may be, read once and written in one way.

Strict, so that no two readers see two hosts in it: what browsers and resolvers would mend is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from slotwise.networks import NAME, Address, Allowed, literal, why_not

MOST_CHARS: Final = 2_048
MOST_HOST_CHARS: Final = 253
PORTS: Final = {"http": 80, "https": 443}
FIRST_FREE_PORT: Final = 1_024
# above that, those of services that act on what a request says, whatever it is (the Fetch standard's, and stores)
BAD_PORTS: Final = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6379, 6566, 10080, 11211}
    | {*range(6665, 6670), 6679, 6697}
)
_URL: Final = re.compile(r"(https?)://([^/?#]*)(/[^?#]*)?(\?[^#]*)?", re.IGNORECASE)
_CHARACTERS: Final = re.compile(r"[!$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]*")
_AUTHORITY: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:]+)(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Destination:
    """`host` as it stands in a URL, in lower case, an IPv6 address in brackets; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str
    address: Address | None  # that the host is; None: it is a name

    @classmethod
    def of(cls, url: str) -> Self:
        """Raises: ValueError, which says what is wrong with the URL."""
        if len(url) > MOST_CHARS:
            raise ValueError(f"must have at most {MOST_CHARS} characters")
        found = _URL.fullmatch(url)
        if "#" in url:
            raise ValueError("must have no fragment (#)")
        if found is None or not _CHARACTERS.fullmatch(url):
            raise ValueError("must be an http:// or https:// URL in ASCII, what is not percent-encoded")
        scheme, authority = found[1].lower(), found[2]
        if "@" in authority:
            raise ValueError("must hold no user name or password")
        host, port = _host(authority, PORTS[scheme])
        try:
            address = literal(host)
        except ValueError:
            raise ValueError("names an address in a form that is not plain, as 203.0.113.7") from None
        if address is not None and address.version == 6:
            host = f"[{address.compressed}]"
        return cls(scheme, host, port, (found[3] or "/") + (found[4] or ""), address)

    @property
    def origin(self) -> str:
        """The receiver: what is reached there is one server."""
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"

    @property
    def url(self) -> str:
        return self.origin + self.target

    @property
    def name(self) -> str:
        """The host, as a resolver takes it."""
        return self.host.strip("[]")

    def check(self, allowed: Allowed) -> None:
        """Raises: ValueError for what its URL alone says is not to be reached."""
        if allowed.host(self.name, self.port):
            return
        if self.address is not None and allowed.address(self.address, self.port):
            return
        if self.name == "localhost" or self.name.endswith(".localhost"):
            raise ValueError("leads to this machine, which WEBHOOK_ALLOW would have to name")
        if self.address is not None and (why := why_not(self.address)):
            raise ValueError(f"leads to an address that is not public ({why}), and WEBHOOK_ALLOW does not name it")
        if not _is_free(self.port) and not allowed.port(self.port):
            raise ValueError(f"has a port ({self.port}) to which no webhook is sent")

    def may_reach(self, address: Address, allowed: Allowed) -> bool:
        """Whether a webhook may be sent to an address of the host."""
        if allowed.host(self.name, self.port) or allowed.address(address, self.port):
            return True
        return why_not(address) is None and _is_free(self.port)


def _is_free(port: int) -> bool:
    return port in PORTS.values() or (port >= FIRST_FREE_PORT and port not in BAD_PORTS)


def _host(authority: str, default: int) -> tuple[str, int]:
    """Raises: ValueError."""
    found = _AUTHORITY.fullmatch(authority)
    host = "" if found is None else found[1].lower()
    if found is None or len(host) > MOST_HOST_CHARS:
        raise ValueError("must name a host, and a port only after a colon")
    if not host.startswith("["):
        labels = host.split(".")
        if not NAME.fullmatch(host) or any(len(label) > 63 for label in labels):
            raise ValueError("must name a host in ASCII letters, digits, hyphens and dots")
    port = default if found[2] is None else int(found[2])
    if not 0 < port <= 65_535:
        raise ValueError("must have a port between 1 and 65535")
    return host, port
