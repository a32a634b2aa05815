"""Who may come in."""

import ipaddress
import socket

import pytest

from onvifd.access.doorkeeper import LOG_SECONDS, Doorkeeper, Refusal, bind, party_of
from onvifd.access.ip_filter import FilterRules, IpFilter


def test_address_in_ipv6_counts_for_its_network() -> None:
    assert party_of("192.0.2.1") == "192.0.2.1"
    assert party_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert party_of("2001:db8:1:2:aaaa::1") == party_of("2001:db8:1:2:bbbb::2") == "2001:db8:1:2::/64"
    assert party_of("fe80::1%eth0") == "fe80::/64"
    assert party_of("::1") == "::1"
    assert party_of("/run/socket") == "/run/socket"


def test_connections_are_bounded_in_all_and_per_address() -> None:
    keeper = Doorkeeper(total=3, per_address=2)
    assert [keeper.enter("192.0.2.1") for _ in range(3)] == [None, None, Refusal.CROWDED]
    assert keeper.enter("192.0.2.2") is None
    assert keeper.enter("192.0.2.3") is Refusal.FULL
    assert keeper.count == 3
    keeper.leave("192.0.2.1")
    assert keeper.enter("192.0.2.3") is None


def test_those_who_left_are_forgotten() -> None:
    keeper = Doorkeeper(total=1, per_address=1)
    for number in range(1000):
        assert keeper.enter(f"10.0.{number // 256}.{number % 256}") is None
        assert keeper.enter("203.0.113.1") is Refusal.FULL
        keeper.leave(f"10.0.{number // 256}.{number % 256}")
    assert not keeper._inside
    assert keeper.count == 0


@pytest.mark.covers("SEC-07")
def test_filter_is_asked_anew_for_each_connection() -> None:
    rules = IpFilter()
    keeper = Doorkeeper(total=9, per_address=9, permits=rules.permits)
    assert keeper.enter("192.0.2.1") is None
    rules.replace(FilterRules(allow=True, prefixes=(ipaddress.ip_network("198.51.100.0/24"),)))
    assert keeper.enter("192.0.2.1") is Refusal.FILTERED
    assert keeper.enter("198.51.100.7") is None
    assert not keeper.permits("192.0.2.1")


def test_flood_of_refusals_is_one_line_in_the_log() -> None:
    keeper = Doorkeeper(total=1, per_address=1)
    lines = [keeper.note(Refusal.FULL, "192.0.2.1", n * LOG_SECONDS / 100) for n in range(101)]
    assert [line for line in lines if line] == [
        "connection from 192.0.2.1 refused: all connections are in use",
        "connection from 192.0.2.1 refused: all connections are in use (100 refused since the last such line)",
    ]


@pytest.mark.covers("NET-06", "P242")
def test_unspecified_address_is_listened_on_in_both_families() -> None:
    sockets = bind("::", 0, 8)
    try:
        assert {sock.family for sock in sockets} == {socket.AF_INET, socket.AF_INET6}
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
        with socket.create_connection(("127.0.0.1", sockets[0].getsockname()[1]), 2) as client:
            assert client.getpeername()[0] == "127.0.0.1"
    finally:
        for sock in sockets:
            sock.close()


def test_port_that_is_taken_is_an_error() -> None:
    (taken,) = bind("127.0.0.1", 0, 8)
    with taken, pytest.raises(OSError, match="in use"):
        bind("127.0.0.1", taken.getsockname()[1], 8)
