"""Which addresses notifications may be pushed to."""

from __future__ import annotations

import pytest

from onvifd.onvif.notification.callback import choose, literal, parse_networks, parse_target, permitted
from onvifd.onvif.notification.faults import FaultKind, NotificationFault

PEER, OWN = "192.0.2.99", ("192.0.2.10",)


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("http://192.0.2.99/events", "192.0.2.99", 80, False),
        ("https://vms.example:9443/a?b=c", "vms.example", 9443, True),
        ("https://[2001:db8::1]/", "2001:db8::1", 443, True),
    ],
)
def test_an_address_is_read(url: str, host: str, port: int, tls: bool) -> None:
    target = parse_target(f" {url}\n")
    assert (target.url, target.host, target.port, target.tls) == (url, host, port, tls)


@pytest.mark.parametrize(
    "url",
    [
        *("", None, "urn:x", "ftp://192.0.2.99/", "file:///etc/passwd", "gopher://192.0.2.99/", "http:///x"),
        *(
            "http://user:pw@192.0.2.99/",
            "http://192.0.2.99:0/",
            "http://192.0.2.99:99999/",
            "http://[::1/",
            "http://a b/",
        ),
        "http://192.0.2.99/" + "a" * 3000,
    ],
)
def test_what_is_no_http_address_is_refused(url: str | None) -> None:
    with pytest.raises(NotificationFault) as caught:
        parse_target(url)
    assert caught.value.kind is FaultKind.CREATION_FAILED


@pytest.mark.parametrize("address", ["192.0.2.99", "::ffff:192.0.2.99", "192.0.2.50", "10.0.0.7", "2001:db8::9"])
def test_the_subscriber_itself_and_ordinary_addresses_are_allowed(address: str) -> None:
    assert permitted(address, peer=PEER, own=OWN, networks=())


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"),
        *(
            "169.254.1.1",
            "fe80::1",
            "fe80::1%eth0",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
        ),
        *("0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "192.0.2.10", "::ffff:192.0.2.10", "nonsense"),
    ],
)
def test_doors_that_are_open_to_the_recorder_alone_stay_closed(address: str) -> None:
    assert not permitted(address, peer=PEER, own=OWN, networks=())


def test_a_subscriber_on_this_machine_may_name_itself_but_no_other_loopback_address() -> None:
    assert permitted("127.0.0.1", peer="127.0.0.1", own=("127.0.0.1",), networks=())
    assert not permitted("127.0.0.2", peer="127.0.0.1", own=("127.0.0.1",), networks=())


def test_settings_can_allow_networks_but_not_what_is_no_host() -> None:
    networks = parse_networks(" 127.0.0.0/8, 169.254.0.0/16,fe80::/10 ,0.0.0.0/0")
    for address in ("127.0.0.1", "169.254.169.254", "fe80::2", "192.0.2.10"):
        assert permitted(address, peer=PEER, own=OWN, networks=networks)
    assert not permitted("0.0.0.0", peer=PEER, own=OWN, networks=networks)
    with pytest.raises(ValueError, match="host bits"):
        parse_networks("192.0.2.1/24")


def test_the_first_address_that_may_be_used_is_taken() -> None:
    assert choose(["127.0.0.1", "192.0.2.50"], peer=PEER, own=OWN, networks=()) == "192.0.2.50"
    with pytest.raises(NotificationFault):
        choose(["127.0.0.1", "::1"], peer=PEER, own=OWN, networks=())
    assert literal("vms.example") is None
    assert literal("192.0.2.1") == "192.0.2.1"
