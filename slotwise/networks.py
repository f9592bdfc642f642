"""Which addresses a webhook may be sent to: the public ones, and what the operator lets through (`WEBHOOK_ALLOW`).

The table is our own: what Python's `ipaddress` calls private differs between its versions, and it looks into no
address that carries another one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

# IANA's special-purpose registries (RFC 6890 and after), and what clouds keep for themselves
_REFUSED: Final = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared by a carrier (CGNAT)",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "a cloud's own",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "of protocols",
    "192.0.2.0/24": "for documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "AMT",
    "192.88.99.0/24": "a relay of 6to4",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "for benchmarks",
    "198.51.100.0/24": "for documentation",
    "203.0.113.0/24": "for documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "::1/128": "loopback",
    "::/128": "no address",
    "::ffff:0:0/96": "IPv4-mapped",
    "::/96": "IPv4-compatible",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
    "2001::/32": "Teredo",
    "2001::/23": "of protocols",
    "2001:db8::/32": "for documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "for documentation",
}
REFUSED: Final = {ip_network(network): why for network, why in _REFUSED.items()}
PUBLIC_6: Final = IPv6Network("2000::/3")  # all that was ever given out to the public
_PORT: Final = re.compile(r"(.+):([0-9]{1,5})")
NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


def why_not(address: Address) -> str | None:
    """What keeps a webhook from this address, in a few words; None for a public one."""
    for network, why in REFUSED.items():
        if address.version == network.version and address in network:
            return why
    return None if address.version == 4 or address in PUBLIC_6 else "reserved"


@dataclass(frozen=True, slots=True)
class Allowed:
    """What `WEBHOOK_ALLOW` names: hosts and networks, each with a port or for all of them (None)."""

    hosts: frozenset[tuple[str, int | None]] = frozenset()
    networks: tuple[tuple[object, int | None], ...] = ()

    @classmethod
    def of(cls, entries: tuple[str, ...]) -> Self:
        """Raises: ValueError for an entry that is neither a host nor a network."""
        hosts, networks = set(), []
        for entry in entries:
            text, port = _without_port(entry)
            try:
                networks.append((ip_network(text.removeprefix("[").removesuffix("]")), port))
            except ValueError:
                if not NAME.fullmatch(text.lower()) or text.rpartition(".")[2].isdecimal():
                    raise ValueError(
                        f"{entry!r} is no host, address or network, as hooks.lan:8080, 10.1.0.0/16"
                    ) from None
                hosts.add((text.lower(), port))
        return cls(frozenset(hosts), tuple(networks))

    def host(self, name: str, port: int) -> bool:
        """Whether this host may be sent to, wherever it is."""
        return (name, None) in self.hosts or (name, port) in self.hosts

    def port(self, port: int) -> bool:
        """Whether some network may be sent to at this port."""
        return any(own in (None, port) for _, own in self.networks)

    def address(self, address: Address, port: int) -> bool:
        """Whether this address may be sent to."""
        return any(
            address in network and own in (None, port)  # type: ignore[operator]
            for network, own in self.networks
        )


def _without_port(entry: str) -> tuple[str, int | None]:
    match = _PORT.fullmatch(entry)
    if match is None or (":" in match[1] and not match[1].startswith("[")):  # an IPv6 address without brackets
        return entry, None
    if not 0 < int(match[2]) <= 65_535:
        raise ValueError(f"{entry!r} has no port between 1 and 65535")
    return match[1], int(match[2])


def literal(host: str) -> Address | None:
    """The address that a URL's host is; None for a name. Raises: ValueError for a spelling that is neither."""
    if host.startswith("["):
        if not host.endswith("]") or "%" in host:
            raise ValueError
        return IPv6Address(host[1:-1])
    last = host.rpartition(".")[2]
    if last.isdecimal() or last.startswith("0x"):  # what resolvers read as an address in many ways
        found = ip_address(host)
        if str(found) != host:
            raise ValueError
        return found
    return None
