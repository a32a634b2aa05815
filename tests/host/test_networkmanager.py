"""The adapter for a real NetworkManager, with a D-Bus, a network and a host name of its own: addresses are really changed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onvifd.errors import Conflict, InvalidArgument, Unavailable
from onvifd.host.iproute2 import IpRoute2
from onvifd.host.networkmanager import NetworkManager
from onvifd.host.run import Runner
from onvifd.host.types import InterfaceChange

TOOLS = ("ip", "nsenter", "unshare", "nmcli", "NetworkManager", "dbus-daemon")
pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") for tool in TOOLS),
        reason=f"needs root and {', '.join(TOOLS)}",
    ),
    pytest.mark.timeout(120),
]

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true"/><allow receive_type="method_call"/><allow receive_type="signal"/>
<allow receive_type="method_return"/><allow receive_type="error"/></policy></busconfig>
"""
SETTINGS = """[main]
plugins=keyfile
dns=none
rc-manager=unmanaged
auth-polkit=false
no-auto-default=*
[device]
match-device=interface-name:eth0
managed=1
"""
# /sys read-only is what a container has: NetworkManager then waits for no udev.
SCRIPT = """set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /etc/NetworkManager
mount -t tmpfs tmpfs /var/lib/NetworkManager
mount -t sysfs sysfs /sys
mount -o remount,ro /sys
mkdir -p /run/dbus /etc/NetworkManager/system-connections
cp "$1/settings" /etc/NetworkManager/NetworkManager.conf
ip link set lo up
ip link add eth0 type veth peer name far
ip link set far up
dbus-daemon --config-file="$1/bus" --nofork --nopidfile &
NetworkManager --no-daemon &
wait
"""


class Host:
    def __init__(self, folder: Path) -> None:
        (folder / "bus").write_text(BUS)
        (folder / "settings").write_text(SETTINGS)
        self.log = folder / "log"
        with self.log.open("wb") as output:
            self._holder = subprocess.Popen(
                ["unshare", "--net", "--uts", "--mount", "sh", "-c", SCRIPT, "sh", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.runner = Runner(("nsenter", "-t", str(self._holder.pid), "-n", "-u", "-m"))
        self.adapter = NetworkManager(self.runner, IpRoute2(self.runner, run=folder / "run", etc=folder))

    def wait(self) -> None:
        own, deadline = os.readlink("/proc/self/ns/mnt"), time.monotonic() + 60
        while True:
            if self._holder.poll() is not None or time.monotonic() > deadline:
                raise OSError(self.log.read_text(errors="replace")[-2000:])
            try:
                if os.readlink(f"/proc/{self._holder.pid}/ns/mnt") != own:
                    self.runner.run("nmcli", "general", "status")
                    break
            except (OSError, Unavailable):
                pass
            time.sleep(0.1)
        self.runner.run(
            *("nmcli", "connection", "add", "type", "ethernet", "ifname", "eth0", "con-name", "wired"),
            *("ipv4.method", "manual", "ipv4.addresses", "192.0.2.10/24", "ipv6.method", "link-local"),
        )
        self.runner.run("nmcli", "connection", "up", "wired", timeout=30)

    def addresses(self) -> set[str]:
        text = self.runner.run("ip", "-br", "addr", "show", "dev", "eth0")
        return {word for word in text.split() if "/" in word and not word.startswith("fe80")}

    def until(self, *addresses: str) -> None:
        self.wait_for(lambda: self.addresses() == set(addresses))

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """NetworkManager goes on after nmcli has ended."""
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.runner.run("ip", "addr", "show", "dev", "eth0")
            time.sleep(0.05)

    def close(self) -> None:
        os.killpg(self._holder.pid, signal.SIGKILL)
        self._holder.wait(10)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    try:
        made.wait()
    except OSError as error:
        made.close()
        pytest.skip(f"NetworkManager does not run here: {error}")
    yield made
    made.close()


@pytest.mark.covers("NET-01", "S-SetNetworkInterfaces", "G-SetNetworkInterfaces", "T-SetNetworkInterfaces")
def test_addresses_gateways_and_names_are_really_changed(host: Host) -> None:
    eth0 = next(each for each in host.adapter.network().interfaces if each.name == "eth0")
    assert (eth0.ipv4, eth0.dhcp, eth0.ipv4_off) == ((("192.0.2.10", 24),), False, False)

    host.adapter.set_interface(
        "eth0", InterfaceChange(ipv4_manual=(("198.51.100.7", 25), ("192.0.2.11", 24)), mtu=1400)
    )
    host.until("198.51.100.7/25", "192.0.2.11/24")
    eth0 = next(each for each in host.adapter.network().interfaces if each.name == "eth0")
    assert eth0.mtu == 1400

    host.adapter.set_gateways(("192.0.2.1",))
    host.wait_for(lambda: host.adapter.network().gateways == ("192.0.2.1",))
    assert "default via 192.0.2.1" in host.runner.run("ip", "route", "show", "default")

    host.adapter.set_interface("eth0", InterfaceChange(ipv6_manual=(("2001:db8::5", 64),), ipv6_enabled=True))
    host.until("198.51.100.7/25", "192.0.2.11/24", "2001:db8::5/64")

    host.adapter.set_interface("eth0", InterfaceChange(enabled=False))
    host.until()
    host.adapter.set_interface("eth0", InterfaceChange(enabled=True))
    host.until("198.51.100.7/25", "192.0.2.11/24", "2001:db8::5/64")


def test_dhcp_dns_and_zero_configuration_are_the_connections_settings(host: Host) -> None:
    def kept(key: str) -> str:
        return host.runner.run("nmcli", "-g", key, "connection", "show", "wired").strip()

    with pytest.raises(Conflict):  # no connection has more than a link-local address of IPv6
        host.adapter.set_dns(False, (), ("2001:db8::53",))
    host.adapter.set_dns(False, ("example.test",), ("192.0.2.53",))
    assert (kept("ipv4.dns"), kept("ipv4.dns-search")) == ("192.0.2.53", "example.test")
    assert kept("ipv4.ignore-auto-dns") == "yes"
    host.adapter.set_zero_configuration("eth0", True)
    assert kept("ipv4.link-local") in ("enabled", "3")  # by name or number, as the release has it
    host.adapter.set_interface("eth0", InterfaceChange(ipv4_dhcp=True, ipv4_manual=()))
    eth0 = next(each for each in host.adapter.network().interfaces if each.name == "eth0")
    assert eth0.dhcp
    assert kept("ipv4.method") == "auto"


def test_an_interface_without_a_connection_is_refused(host: Host) -> None:
    with pytest.raises(InvalidArgument) as refused:
        host.adapter.set_zero_configuration("far", True)
    assert refused.value.detail == "InvalidNetworkInterface"
