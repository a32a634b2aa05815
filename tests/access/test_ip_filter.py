"""Who may connect (Core 8.2.20)."""

from __future__ import annotations

import ipaddress

import pytest

from onvifd.access.ip_filter import FilterRules, IpFilter


def rules(allow: bool, *prefixes: str) -> FilterRules:
    return FilterRules(allow, tuple(ipaddress.ip_network(prefix) for prefix in prefixes))


@pytest.mark.parametrize(
    ("given", "address", "expected"),
    [
        (rules(True), "10.0.0.1", True),
        (rules(False), "10.0.0.1", True),
        (rules(True, "10.0.0.0/24"), "10.0.0.255", True),
        (rules(True, "10.0.0.0/24"), "10.0.1.0", False),
        (rules(False, "10.0.0.0/24"), "10.0.0.7", False),
        (rules(False, "10.0.0.0/24"), "10.0.1.7", True),
        (rules(True, "10.0.0.0/24"), "fd00::1", False),
        (rules(True, "10.0.0.0/24", "fd00::/64"), "fd00::1", True),
        (rules(False, "fe80::/10"), "fe80::1%eth0", False),
        (rules(False, "10.0.0.0/24"), "::ffff:10.0.0.7", False),
        (rules(True, "10.0.0.0/24"), "::ffff:10.0.0.7", True),
        (rules(True, "10.0.0.0/24"), "127.0.0.1", True),
        (rules(True, "10.0.0.0/24"), "::1", True),
        (rules(True, "10.0.0.0/24"), "127.0.0.2", False),
        (rules(True, "10.0.0.0/24"), "::ffff:127.0.0.1", True),
        (rules(True, "0.0.0.0/0"), "203.0.113.9", True),
        (rules(False, "0.0.0.0/0"), "203.0.113.9", False),
        (rules(True, "10.0.0.0/24"), "", True),
    ],
)
def test_permits(given: FilterRules, address: str, expected: bool) -> None:
    assert IpFilter(given).permits(address) is expected


def test_a_new_filter_applies_to_the_next_connection() -> None:
    filter_ = IpFilter()
    assert filter_.permits("10.0.0.7")
    filter_.replace(rules(False, "10.0.0.0/24"))
    assert not filter_.permits("10.0.0.7")
