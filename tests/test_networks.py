"""The table of addresses to which no webhook is sent."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from slotwise.networks import REFUSED, why_not

PUBLIC = (
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
    *("128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255"),
    *("192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.15", "168.63.129.17"),
    *("2000::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700::1", "3ffe::1", "3fff:1000::1"),
)


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    assert why_not(ip_address(text)) is None


@pytest.mark.parametrize("network", REFUSED, ids=str)
def test_a_network_is_refused_from_its_first_address_to_its_last(network: object) -> None:
    found = ip_network(str(network))
    assert why_not(found[0]) and why_not(found[-1])


@pytest.mark.parametrize("text", ["4000::1", "8000::", "fe00::1", "100::1", "1::", "5f00::1", "ffff::"])
def test_what_was_given_to_nobody_is_refused(text: str) -> None:
    assert why_not(ip_address(text))
