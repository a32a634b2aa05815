"""What is asked of nmcli and timedatectl, as argument lists; and how tools are run."""

from __future__ import annotations

from pathlib import Path

import pytest

from onvifd.errors import InvalidArgument, Timeout, Unavailable
from onvifd.host import checks, logs
from onvifd.host.adapters import ReadOnly, clock_adapter, network_adapter
from onvifd.host.iproute2 import IpRoute2
from onvifd.host.link_local import candidates
from onvifd.host.networkmanager import NetworkManager
from onvifd.host.run import Runner
from onvifd.host.timedated import TimeDate
from onvifd.host.types import Dhcp6, InterfaceChange, Link

IP = (
    '[{"ifname":"eth0","flags":["UP"],"mtu":1500,"link_type":"ether","address":"02:00:00:00:00:01","max_mtu":9000,'
    '"addr_info":[{"family":"inet","local":"192.0.2.10","prefixlen":24},'
    '{"family":"inet","local":"192.0.2.99","prefixlen":24,"dynamic":true}]}]'
)


class Recorded(Runner):
    """Answers from a table and remembers what was run."""

    def __init__(self, answers: dict[str, str] | None = None) -> None:
        super().__init__()
        self.answers = answers or {}
        self.ran: list[tuple[str, ...]] = []

    def has(self, tool: str) -> bool:
        return True

    def run(self, *argv: str, timeout: float = 10) -> str:
        line = " ".join(argv)
        for start, answer in self.answers.items():
            if line.startswith(start):
                return answer
        self.ran.append(argv)
        return ""

    @property
    def changes(self) -> list[str]:
        return [" ".join(argv) for argv in self.ran if argv[0] not in ("ip", "cat") and "-e" not in argv]


def manager(tmp_path: Path, **settings: str) -> tuple[NetworkManager, Recorded]:
    answers = {
        "ip -j -d addr": IP,
        "ip -j": "[]",
        "uname": "host\n",
        "cat": "",
        "nmcli -g GENERAL.CON-UUID": "u-1\n",
        "nmcli -g static-hostname": "host\n",
    }
    for key, value in settings.items():
        answers[f"nmcli -e no -g {key.replace('_', '.', 1).replace('_', '-')} "] = value
    runner = Recorded(answers)
    return NetworkManager(runner, IpRoute2(runner, run=tmp_path, etc=tmp_path)), runner


def test_networkmanager_reads_settings_of_the_active_connection(tmp_path: Path) -> None:
    adapter, _ = manager(tmp_path, ipv4_method="auto", ipv6_method="disabled", ipv4_addresses="192.0.2.10/24")
    (eth0,) = adapter.network().interfaces
    assert (eth0.dhcp, eth0.leased, eth0.ipv6_off, eth0.dhcp6) == (True, (("192.0.2.99", 24),), True, Dhcp6.OFF)
    assert adapter.network().hostname_from_dhcp is False


def test_networkmanager_changes_addresses_in_one_step(tmp_path: Path) -> None:
    adapter, runner = manager(tmp_path, ipv4_method="auto", ipv6_method="auto")
    adapter.set_interface("eth0", InterfaceChange(ipv4_dhcp=False, ipv4_manual=(("192.0.2.5", 24), ("192.0.2.6", 24))))
    assert runner.changes == [
        "nmcli connection modify uuid u-1 ipv4.method manual ipv4.addresses 192.0.2.5/24,192.0.2.6/24",
        "nmcli device reapply eth0",
    ]
    runner.ran.clear()
    adapter.set_interface(
        "eth0", InterfaceChange(ipv4_dhcp=True, mtu=1400, link=Link(auto=False, speed=100, full_duplex=True))
    )
    assert runner.changes[0] == (
        "nmcli connection modify uuid u-1 802-3-ethernet.mtu 1400 802-3-ethernet.auto-negotiate no "
        "802-3-ethernet.speed 100 802-3-ethernet.duplex full ipv4.method auto ipv4.addresses "
    )
    runner.ran.clear()
    adapter.set_interface("eth0", InterfaceChange(ipv6_dhcp=Dhcp6.STATEFUL))
    assert runner.changes[0] == "nmcli connection modify uuid u-1 ipv6.method dhcp ipv6.addresses "
    runner.ran.clear()
    adapter.set_interface("eth0", InterfaceChange(accept_ra=False, ipv6_manual=(("2001:db8::7", 64),)))
    assert runner.changes[0] == "nmcli connection modify uuid u-1 ipv6.method manual ipv6.addresses 2001:db8::7/64"


def test_networkmanager_names_servers_and_gateways(tmp_path: Path) -> None:
    adapter, runner = manager(tmp_path)
    adapter.set_hostname("recorder")
    adapter.set_hostname_from_dhcp(True)
    adapter.set_dns(False, ("example.org",), ("192.0.2.53", "2001:db8::53"))
    adapter.set_gateways(("192.0.2.1",))
    adapter.set_zero_configuration("eth0", True)
    assert runner.changes == [
        "nmcli general hostname recorder",
        "nmcli general hostname ",
        "nmcli connection modify uuid u-1 ipv4.dns 192.0.2.53 ipv4.ignore-auto-dns yes ipv6.dns 2001:db8::53 "
        "ipv6.ignore-auto-dns yes ipv4.dns-search example.org",
        "nmcli device reapply eth0",
        "nmcli connection modify uuid u-1 ipv4.gateway 192.0.2.1",
        "nmcli device reapply eth0",
        "nmcli connection modify uuid u-1 ipv4.link-local enabled",
        "nmcli device reapply eth0",
    ]


@pytest.mark.covers(
    "S-SetNTP",
    "T-SetNTP",
    "SYS-06",
    "P249",
    "S-SetSystemDateAndTime",
    "G-SetSystemDateAndTime",
    "T-SetSystemDateAndTime",
)
def test_timedatectl(tmp_path: Path) -> None:
    runner = Recorded({"timedatectl show": "yes\n"})
    adapter = TimeDate(runner, drop_in=tmp_path / "timesyncd.conf.d" / "onvifd.conf")
    assert adapter.synchronized()
    assert adapter.servers()[0] is True
    adapter.set_servers(False, ("192.0.2.123", "pool.example.org"))
    assert adapter.servers() == (False, ("192.0.2.123", "pool.example.org"))
    adapter.set_time(1_767_225_600_000_000)
    adapter.follow(True)
    adapter.set_servers(False, ())
    assert adapter.servers() == (False, ())
    adapter.set_servers(True, ())
    assert adapter.servers()[0] is True
    assert [" ".join(argv) for argv in runner.ran] == [
        "systemctl try-restart systemd-timesyncd.service",
        "timedatectl set-ntp false",
        "timedatectl set-time 2026-01-01 00:00:00 UTC",
        "timedatectl set-ntp true",
        *["systemctl try-restart systemd-timesyncd.service"] * 2,
    ]


def test_tools_are_run_without_a_shell_and_with_an_end() -> None:
    runner = Runner()
    assert runner.run("echo", "$HOME; ls", "*") == "$HOME; ls *\n"
    with pytest.raises(Timeout):
        runner.run("sleep", "5", timeout=0.1)
    with pytest.raises(Unavailable, match="not installed"):
        runner.run("no-such-tool-at-all")
    with pytest.raises(Unavailable, match="cannot access"):
        runner.run("ls", "/no/such/folder")
    assert Runner(("env", "A=b")).run("printenv", "A") == "b\n"


def test_a_host_of_somebody_else_is_only_read(tmp_path: Path) -> None:
    adapter = network_adapter("none", bound="127.0.0.1", run=tmp_path)
    assert isinstance(adapter, ReadOnly)
    assert adapter.network().interfaces[0].name == "lo"
    with pytest.raises(Unavailable):
        adapter.set_hostname("x")
    assert clock_adapter("none").max_servers == 0


def test_link_local_candidates_are_stable_and_in_range() -> None:
    found = list(candidates("02:00:00:00:00:01", 50))
    assert found == list(candidates("02:00:00:00:00:01", 50))
    assert found != list(candidates("02:00:00:00:00:02", 50))
    assert all(1 <= int(address.split(".")[2]) <= 254 and address.startswith("169.254.") for address in found)


@pytest.mark.parametrize("name", ["../x", "", "a b", "eth0;reboot", "-x", "x" * 16])
def test_interface_names_that_are_none(name: str) -> None:
    with pytest.raises(InvalidArgument):
        checks.interface_name(name)


def test_log_files_are_private_and_merged_by_time(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("2026-01-01 00:00:01,000 INFO one\nTraceback\n2026-01-01 00:00:03,000 INFO three\n")
    (tmp_path / "b.log").write_text("2026-01-01 00:00:02,000 INFO two\n")
    text = logs.collect(tmp_path, 10_000)
    assert [line.split()[-1] for line in text.splitlines()] == ["one", "Traceback", "two", "three"]
    assert logs.collect(tmp_path, 40).splitlines() == ["2026-01-01 00:00:03,000 INFO three"]
    import logging

    file = logs.LogFile(tmp_path / "log", "control")
    logging.getLogger("x").warning("kept %s", "here")
    file.close()
    assert "control x: kept here" in (tmp_path / "log" / "control.log").read_text()
    assert (tmp_path / "log" / "control.log").stat().st_mode & 0o777 == 0o600
    logs.prune(tmp_path, 1)
    assert len(list(tmp_path.glob("*.log"))) == 1
