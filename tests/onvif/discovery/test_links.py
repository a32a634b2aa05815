"""Choice of links and addresses."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from onvifd.onvif.backend import Ports
from onvifd.onvif.discovery.links import Link, present, xaddrs

V4 = ipaddress.ip_address("192.0.2.10")
V6 = ipaddress.ip_address("2001:db8::10")
LOCAL6 = ipaddress.ip_address("fe80::10")


def link(*addresses: ipaddress.IPv4Address | ipaddress.IPv6Address, prefix: int = 24) -> Link:
    return Link(
        name="eth0", index=2, version=addresses[0].version, addresses=tuple((item, prefix) for item in addresses)
    )


@pytest.mark.parametrize(
    ("where", "ports", "expected"),
    [
        (link(V4), Ports(http=80, https=443, rtsp=554), ["http://192.0.2.10/p", "https://192.0.2.10/p"]),
        (link(V4), Ports(http=8080, https=None, rtsp=554), ["http://192.0.2.10:8080/p"]),
        (link(LOCAL6, V6), Ports(http=8080, https=None, rtsp=554), ["http://[2001:db8::10]:8080/p"]),
        (link(LOCAL6), Ports(http=None, https=8443, rtsp=554), ["https://[fe80::10]:8443/p"]),
    ],
)
def test_addresses_name_each_scheme_that_is_served(where: Link, ports: Ports, expected: list[str]) -> None:
    assert list(xaddrs(where, ports, "/p")) == expected


def test_loopback_stays_on_loopback() -> None:
    (only,) = present("127.0.0.1")
    assert [str(address) for address, _ in only.addresses] == ["127.0.0.1"]


def test_name_means_its_addresses() -> None:
    assert {str(address) for link in present("localhost") for address, _ in link.addresses} <= {"127.0.0.1", "::1"}
    assert present("localhost")
    with pytest.raises(socket.gaierror):
        present("no such host.invalid")


def test_unspecified_address_leaves_loopback_out_where_there_is_another_link() -> None:
    links = present("0.0.0.0")
    assert all(link.version == 4 for link in links)
    looped = [link for link in links if link.addresses[0][0].is_loopback]
    assert not looped or len(looped) == len(links)


@pytest.mark.covers("INI-03")
def test_address_that_no_interface_has_gives_no_link() -> None:
    assert present("198.51.100.77") == ()


def test_public_senders_are_answered_only_on_their_own_link() -> None:
    public = Link(name="x", index=1, version=4, addresses=((ipaddress.ip_address("8.8.8.1"), 24),))
    assert public.local(ipaddress.ip_address("8.8.8.200"))
    assert not public.local(ipaddress.ip_address("8.8.4.4"))
    assert public.local(ipaddress.ip_address("10.0.0.1"))
    assert not link(LOCAL6).local(ipaddress.ip_address("2a00:1450::1"))
