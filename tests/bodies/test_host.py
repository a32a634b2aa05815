"""What the host says of itself."""

import pytest

from onvifd.bodies import host
from onvifd.clock import SystemClock
from onvifd.host import reading


@pytest.mark.covers("G-GetDNS", "S-GetDNS", "T-GetDNS")
def test_resolv_conf() -> None:
    text = "# c\nsearch a.example b.example\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n"
    assert reading.dns(text) == (("a.example", "b.example"), ("192.0.2.1", "fe80::1"))


@pytest.mark.covers("G-GetNetworkDefaultGateway", "S-GetNetworkDefaultGateway", "T-GetNetworkDefaultGateway")
def test_default_gateway() -> None:
    text = "Iface\tDestination\tGateway\tFlags\neth0\t00000000\t010200C0\t0003\t0\neth0\t000200C0\t00000000\t0001\t0\n"
    assert reading.gateways(text) == ("192.0.2.1",)


@pytest.mark.covers("G-GetNetworkInterfaces", "S-GetNetworkInterfaces", "T-GetNetworkInterfaces")
def test_loopback_recorder_shows_loopback_alone() -> None:
    (lo,) = host.interfaces("127.0.0.1")
    assert ("127.0.0.1", 8) in lo.ipv4
    assert lo.name == "lo"
    assert all(i.name != "lo" for i in host.interfaces("0.0.0.0"))


def test_time_zone_is_posix() -> None:
    zone = host.posix_timezone()
    assert zone
    assert "/" not in zone.split(",")[0]
    time = host.system_time(SystemClock().utc(), zone, ntp=False)
    assert abs(time.utc_offset) <= 14 * 3600
