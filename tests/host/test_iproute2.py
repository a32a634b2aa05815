"""The adapter for `ip` within a network namespace of its own: addresses are really changed, and read back by `ip`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from onvifd.errors import InvalidArgument, Unavailable
from onvifd.host.iproute2 import IpRoute2
from onvifd.host.run import Runner
from onvifd.host.types import InterfaceChange, Link

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("nsenter") is None,
    reason="network namespaces need root, ip and nsenter",
)


def sh(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


class Place:
    """Two namespaces with a cable between them: `device` (network and host name of its own) and `peer`."""

    def __init__(self, tmp_path: Path) -> None:
        self._holders: list[subprocess.Popen[bytes]] = []
        self.device, self.peer = self._namespace(), self._namespace()
        tag = uuid.uuid4().hex[:6]
        device, peer = f"d{tag}", f"p{tag}"
        sh("ip", "link", "add", device, "type", "veth", "peer", "name", peer)
        sh("ip", "link", "set", device, "netns", self.device[2], "name", "eth0")
        sh("ip", "link", "set", peer, "netns", self.peer[2], "name", "eth0")
        for prefix in (self.device, self.peer):
            for name in ("lo", "eth0"):
                sh(*prefix, "ip", "link", "set", name, "up")
        sh(*self.peer, "ip", "addr", "add", "192.0.2.1/24", "dev", "eth0")
        sh(*self.device, "ip", "addr", "add", "192.0.2.10/24", "dev", "eth0")
        self.etc = tmp_path / "etc"
        self.etc.mkdir()
        self.runner = Runner(self.device)
        self.adapter = IpRoute2(self.runner, run=tmp_path / "run", etc=self.etc)

    def _namespace(self) -> tuple[str, ...]:
        holder = subprocess.Popen(["unshare", "--net", "--uts", "sleep", "600"])
        self._holders.append(holder)
        own = os.readlink("/proc/self/ns/net")
        deadline = time.monotonic() + 10
        while os.readlink(f"/proc/{holder.pid}/ns/net") == own:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return ("nsenter", "-t", str(holder.pid), "-n", "-u")

    def addresses(self) -> set[str]:
        text = sh(*self.device, "ip", "-br", "addr", "show", "dev", "eth0")
        return {word for word in text.split() if "/" in word and not word.startswith("fe80")}

    def close(self) -> None:
        for holder in self._holders:
            with contextlib.suppress(ProcessLookupError):
                holder.send_signal(signal.SIGKILL)
            holder.wait()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    try:
        made = Place(tmp_path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr}")
    yield made
    made.close()


@pytest.mark.covers("NET-10", "S-GetNetworkInterfaces", "G-GetNetworkInterfaces", "T-GetNetworkInterfaces", "NET-01")
def test_what_is_there_is_read(place: Place) -> None:
    (eth0,) = place.adapter.network().interfaces
    assert (eth0.name, eth0.enabled, eth0.ipv4, eth0.dhcp) == ("eth0", True, (("192.0.2.10", 24),), False)
    assert eth0.mtu_range is not None
    assert eth0.mtu_range[0] <= 1500 <= eth0.mtu_range[1]
    assert eth0.mac.count(":") == 5


@pytest.mark.covers(
    "A062", "NET-07", "S-SetNetworkInterfaces", "G-SetNetworkInterfaces", "T-SetNetworkInterfaces", "P241", "NET-06"
)
def test_addresses_are_exactly_those_asked_for(place: Place) -> None:
    place.adapter.set_interface("eth0", InterfaceChange(ipv4_manual=(("192.0.2.77", 24), ("198.51.100.5", 30))))
    assert place.addresses() == {"192.0.2.77/24", "198.51.100.5/30"}
    place.adapter.set_interface("eth0", InterfaceChange(ipv4_manual=(("192.0.2.78", 24), ("192.0.2.77", 24))))
    place.adapter.set_interface("eth0", InterfaceChange(ipv4_manual=(("192.0.2.77", 24), ("198.51.100.5", 30))))
    assert place.addresses() == {"192.0.2.77/24", "198.51.100.5/30"}
    sh(*place.peer, "ping", "-c1", "-W2", "192.0.2.77")
    place.adapter.set_interface("eth0", InterfaceChange(ipv6_manual=(("2001:db8::7", 64),)))
    assert place.addresses() == {"192.0.2.77/24", "198.51.100.5/30", "2001:db8::7/64"}
    (eth0,) = place.adapter.network().interfaces
    assert ("2001:db8::7", 64) in eth0.ipv6
    assert eth0.advertised == ()
    place.adapter.set_interface("eth0", InterfaceChange(ipv4_enabled=False))
    assert place.addresses() == {"2001:db8::7/64"}
    assert place.adapter.network().interfaces[0].ipv4_off


@pytest.mark.covers("NET-06", "P242")
def test_ipv6_is_switched_off_and_on(place: Place) -> None:
    place.adapter.set_interface("eth0", InterfaceChange(ipv6_enabled=False))
    assert place.adapter.network().interfaces[0].ipv6_off
    assert place.adapter.network().interfaces[0].ipv6 == ()
    place.adapter.set_interface("eth0", InterfaceChange(ipv6_enabled=True, accept_ra=True))
    (eth0,) = place.adapter.network().interfaces
    assert not eth0.ipv6_off
    assert eth0.accept_ra is True
    place.adapter.set_interface("eth0", InterfaceChange(accept_ra=False))
    assert place.adapter.network().interfaces[0].accept_ra is False


def test_mtu_and_link(place: Place) -> None:
    place.adapter.set_interface("eth0", InterfaceChange(mtu=1400))
    assert place.adapter.network().interfaces[0].mtu == 1400
    place.adapter.set_interface("eth0", InterfaceChange(enabled=False))
    assert place.adapter.network().interfaces[0].enabled is False
    with pytest.raises(InvalidArgument) as caught:  # a virtual cable has no speeds
        place.adapter.set_interface("eth0", InterfaceChange(link=Link(auto=False, speed=10, full_duplex=False)))
    assert caught.value.detail == "InvalidInterfaceSpeed"


@pytest.mark.covers("S-SetNetworkDefaultGateway", "G-SetNetworkDefaultGateway", "T-SetNetworkDefaultGateway", "P241")
def test_gateways(place: Place) -> None:
    place.adapter.set_gateways(("192.0.2.1",))
    assert place.adapter.network().gateways == ("192.0.2.1",)
    sh(*place.device, "ping", "-c1", "-W2", "-I", "eth0", "192.0.2.1")
    place.adapter.set_gateways(("10.1.1.1",))  # within no known subnet (test specification 7.2.27)
    assert place.adapter.network().gateways == ("10.1.1.1",)
    place.adapter.set_interface("eth0", InterfaceChange(ipv6_manual=(("2001:db8::7", 64),)))
    place.adapter.set_gateways(("2001:1:1:1:1:1:1:1",))
    assert place.adapter.network().gateways == ("10.1.1.1", "2001:1:1:1:1:1:1:1")
    place.adapter.set_gateways(())
    assert place.adapter.network().gateways == ()


@pytest.mark.covers(
    "NET-11", "S-SetDNS", "G-SetDNS", "T-SetDNS", "S-SetHostname", "G-SetHostname", "T-SetHostname", "P241"
)
def test_names_and_servers(place: Place) -> None:
    place.adapter.set_hostname("recorder-7")
    place.adapter.set_dns(False, ("example.org", "example.net"), ("192.0.2.53", "2001:db8::53"))
    found = place.adapter.network()
    assert found.hostname == "recorder-7"
    assert (place.etc / "hostname").read_text() == "recorder-7\n"
    assert found.search_domains == ("example.org", "example.net")
    assert found.dns_servers == ("192.0.2.53", "2001:db8::53")


@pytest.mark.covers("S-SetZeroConfiguration", "S-GetZeroConfiguration")
@pytest.mark.skipif(shutil.which("arping") is None, reason="needs arping")
def test_a_link_local_address_that_nobody_has_is_taken(place: Place) -> None:
    assert place.adapter.features.zero_configuration
    place.adapter.set_zero_configuration("eth0", True)
    (taken,) = (address for address in place.addresses() if address.startswith("169.254."))
    sh(*place.peer, "ip", "addr", "add", "169.254.0.9/16", "dev", "eth0")
    sh(*place.peer, "ping", "-c1", "-W2", taken.partition("/")[0])
    place.adapter.set_zero_configuration("eth0", False)
    assert place.addresses() == {"192.0.2.10/24"}
    # Somebody has taken the address meanwhile: the next one is tried (RFC 3927 2.2.1).
    sh(*place.peer, "ip", "addr", "add", taken, "dev", "eth0")
    place.adapter.set_zero_configuration("eth0", True)
    (other,) = (address for address in place.addresses() if address.startswith("169.254."))
    assert other != taken


@pytest.mark.covers(
    "S-SetNetworkInterfaces", "G-SetNetworkInterfaces", "T-SetNetworkInterfaces", "A062", "NET-07", "P241"
)
@pytest.mark.skipif(
    shutil.which("dhclient") is None or shutil.which("dnsmasq") is None, reason="needs dhclient and dnsmasq"
)
def test_an_address_is_leased_and_given_back(place: Place, tmp_path: Path) -> None:
    server = subprocess.Popen(
        [
            *(*place.peer, "dnsmasq", "--no-daemon", "--port=0", "--conf-file=/dev/null", "--interface=eth0"),
            *(
                "--dhcp-range=192.0.2.100,192.0.2.110,5m",
                f"--dhcp-leasefile={tmp_path / 'leases'}",
                "--bind-interfaces",
            ),
            *("--dhcp-authoritative", "--no-ping", "--user=root"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        place.adapter.set_interface("eth0", InterfaceChange(ipv4_enabled=True, ipv4_dhcp=True))
        (eth0,) = place.adapter.network().interfaces
        assert eth0.dhcp is True
        assert next(address for address, _ in eth0.leased).startswith("192.0.2.1")
        assert ("192.0.2.10", 24) not in eth0.ipv4
        place.adapter.set_interface("eth0", InterfaceChange(ipv4_dhcp=False, ipv4_manual=(("192.0.2.10", 24),)))
        (eth0,) = place.adapter.network().interfaces
        assert (eth0.dhcp, eth0.leased) == (False, ())
        assert place.addresses() == {"192.0.2.10/24"}
    finally:
        with contextlib.suppress(Unavailable):
            place.adapter.set_interface("eth0", InterfaceChange(ipv4_dhcp=False))
        server.kill()
        server.wait()


def test_a_tool_that_fails_is_an_error_that_says_why(place: Place) -> None:
    with pytest.raises(Unavailable, match="eth9"):
        place.adapter.set_interface("eth9", InterfaceChange(mtu=1400))
