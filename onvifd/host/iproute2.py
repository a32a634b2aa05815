"""The host's network by `ip` and its relatives, for hosts that nobody else manages: appliances, network namespaces.

What it changes is forgotten when the host restarts; the recorder remembers it and applies it again. DHCP is there with
`dhclient`, RFC 3927 with `arping`, speeds with `ethtool`.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
from pathlib import Path
from typing import Any

from onvifd.errors import InvalidArgument, Unavailable
from onvifd.host import reading
from onvifd.host.link_local import candidates
from onvifd.host.run import Runner
from onvifd.host.types import (
    ETHERNET,
    LOOPBACK,
    WIRELESS,
    Features,
    Interface,
    InterfaceChange,
    Link,
    Network,
    Prefixed,
)

log = logging.getLogger(__name__)

LEASE_SECONDS = 15
"""How long a DHCP server may take."""
ATTEMPTS = 10
"""Link-local addresses that are tried (RFC 3927 2.2.1: MAX_CONFLICTS)."""
_LINK_LOCAL = ipaddress.ip_network("169.254.0.0/16")


class IpRoute2:
    """`bound` is the address that the recorder listens on, `etc` where resolv.conf lies, `run` a folder for what DHCP keeps."""

    def __init__(self, runner: Runner, *, run: Path, etc: Path = Path("/etc"), bound: str = "0.0.0.0") -> None:
        self._runner = runner
        self._run = run
        self._etc = etc
        self._bound = bound
        self._dns_from_dhcp = False
        self.features = Features(
            configurable=True,
            dhcp=runner.has("dhclient"),
            zero_configuration=runner.has("arping"),
            volatile=True,
        )

    # ---- reading -------------------------------------------------------------------------------

    def network(self) -> Network:
        search, servers = reading.dns(reading.read(self._etc / "resolv.conf"))
        return Network(
            hostname=self._runner.run("uname", "-n").strip(),
            search_domains=search,
            dns_servers=servers,
            dns_from_dhcp=self._dns_from_dhcp,
            ntp_servers=reading.ntp_servers(),
            gateways=tuple(dict.fromkeys(route["gateway"] for _, route in self._defaults() if "gateway" in route)),
            interfaces=self._interfaces(),
        )

    def _json(self, *argv: str) -> list[dict[str, Any]]:
        text = self._runner.run("ip", "-j", *argv)
        try:
            found: list[dict[str, Any]] = json.loads(text or "[]")
        except ValueError as error:
            raise Unavailable("ip gives no JSON") from error
        return [item for item in found if item]

    def _defaults(self) -> list[tuple[str, dict[str, Any]]]:
        return [(family, route) for family in ("-4", "-6") for route in self._json(family, "route", "show", "default")]

    def _interfaces(self) -> tuple[Interface, ...]:
        everywhere = self._bound in ("0.0.0.0", "::")
        found = []
        for item in self._json("-d", "addr", "show"):
            interface = self._interface(item)
            addresses = {address for address, _ in interface.ipv4 + interface.ipv6}
            if self._bound in addresses or (everywhere and interface.kind != LOOPBACK):
                found.append(interface)
        return tuple(found)

    def _interface(self, item: dict[str, Any]) -> Interface:
        name, given = item["ifname"], item.get("addr_info", [])
        kind = LOOPBACK if item.get("link_type") == "loopback" else ETHERNET
        if kind == ETHERNET and Path(f"/sys/class/net/{name}/wireless").exists():
            kind = WIRELESS
        leasing = self._leasing(name)
        off = self._sysctl(name, "disable_ipv6") == "1"
        largest = int(item.get("max_mtu") or 0)
        return Interface(
            token=name,
            name=name,
            mac=item.get("address", "00:00:00:00:00:00"),
            mtu=item.get("mtu"),
            enabled="UP" in item.get("flags", ()),
            ipv4=_addresses(given, "inet"),
            ipv6=_addresses(given, "inet6"),
            dhcp=leasing,
            leased=_addresses(given, "inet", dynamic=True) if leasing else (),
            advertised=_addresses(given, "inet6", dynamic=True),
            ipv4_off=not _addresses(given, "inet") and not leasing,
            ipv6_off=off,
            accept_ra=None if off else self._sysctl(name, "accept_ra") not in ("0", ""),
            kind=kind,
            link=reading.link(name) if kind == ETHERNET else None,
            mtu_range=(max(68, int(item.get("min_mtu") or 0)), largest) if largest else None,
        )

    def _sysctl(self, name: str, key: str) -> str:
        try:
            return self._runner.run("cat", f"/proc/sys/net/ipv6/conf/{name}/{key}").strip()
        except Unavailable:
            return ""  # a kernel without IPv6

    # ---- changing ------------------------------------------------------------------------------

    def set_hostname(self, name: str) -> None:
        self._runner.run("hostname", name)
        if self._etc.is_dir():
            _write(self._etc / "hostname", f"{name}\n")

    def set_hostname_from_dhcp(self, wanted: bool) -> None:
        if wanted:
            raise Unavailable("the host's name cannot be taken from DHCP here")

    def set_dns(self, from_dhcp: bool, search: tuple[str, ...], servers: tuple[str, ...]) -> None:
        """With `from_dhcp` the file is left to the DHCP client, which writes what the next lease says."""
        changed, self._dns_from_dhcp = self._dns_from_dhcp != from_dhcp, from_dhcp
        if not from_dhcp:
            lines = [f"search {' '.join(search)}"] if search else []
            _write(
                self._etc / "resolv.conf",
                "".join(f"{line}\n" for line in [*lines, *(f"nameserver {s}" for s in servers)]),
            )
        if changed:
            for item in self._json("link", "show"):
                if self._leasing(item["ifname"]):
                    self._stop_leasing(item["ifname"], release=False)
                    self._lease(item["ifname"])

    def set_interface(self, name: str, change: InterfaceChange) -> None:
        if change.link is not None:
            self._set_link(name, change.link)
        if change.mtu is not None:
            self._runner.run("ip", "link", "set", "dev", name, "mtu", str(change.mtu))
        if change.enabled is not None:
            self._runner.run("ip", "link", "set", "dev", name, "up" if change.enabled else "down")
        if change.ipv6_enabled is not None:
            self._set_sysctl(name, "disable_ipv6", not change.ipv6_enabled)
        if change.accept_ra is not None:
            # 2: also on a host that forwards
            self._runner.run("sysctl", "-q", "-w", f"net/ipv6/conf/{name}/accept_ra={2 if change.accept_ra else 0}")
            if not change.accept_ra:
                self._withdraw_advertised(name)
        if change.ipv6_manual is not None:
            self._set_addresses(name, "-6", change.ipv6_manual)
        self._set_ipv4(name, change)

    def _set_ipv4(self, name: str, change: InterfaceChange) -> None:
        if change.ipv4_enabled is False:
            self._stop_leasing(name)
            self._runner.run("ip", "-4", "addr", "flush", "dev", name, "scope", "global")
            return
        if change.ipv4_dhcp and not self._leasing(name):
            self._lease(name)
            self._set_addresses(name, "-4", change.ipv4_manual or ())
        elif change.ipv4_manual is not None:
            self._set_addresses(name, "-4", change.ipv4_manual)
        if change.ipv4_dhcp is False and self._leasing(name):
            kept = change.ipv4_manual or ()
            self._stop_leasing(name)
            self._set_addresses(name, "-4", kept)  # the client takes its address away, which may be one of them

    def _set_link(self, name: str, link: Link) -> None:
        argv = ["ethtool", "-s", name, "autoneg", "on" if link.auto else "off"]
        if not link.auto:
            argv += ["speed", str(link.speed), "duplex", "full" if link.full_duplex else "half"]
        try:
            self._runner.run(*argv)
        except Unavailable as error:
            raise InvalidArgument(
                f"{name} cannot be set to that speed: {error.reason}", detail="InvalidInterfaceSpeed"
            ) from error

    def _set_sysctl(self, name: str, key: str, value: bool) -> None:
        self._runner.run("sysctl", "-q", "-w", f"net/ipv6/conf/{name}/{key}={int(value)}")

    def _info(self, name: str) -> list[dict[str, Any]]:
        found = self._json("addr", "show", "dev", name)
        return list(found[0].get("addr_info", [])) if found else []

    def _set_addresses(self, name: str, family: str, wanted: tuple[Prefixed, ...]) -> None:
        """Add what is missing first, then take away the rest of what was set by hand."""
        info = self._info(name)
        kind = "inet" if family == "-4" else "inet6"
        present = set(_addresses(info, kind, dynamic=False))
        self._add_addresses(name, family, [each for each in wanted if each not in present])
        for address, bits in present - set(wanted):
            if not ipaddress.ip_address(address).is_link_local:
                self._runner.run("ip", family, "addr", "del", f"{address}/{bits}", "dev", name)
        # Without promote_secondaries the kernel takes the later addresses of a network away with its first.
        left = set(_addresses(self._info(name), kind, dynamic=False)) if present - set(wanted) else set(wanted)
        self._add_addresses(name, family, [each for each in wanted if each not in left])

    def _add_addresses(self, name: str, family: str, addresses: list[Prefixed]) -> None:
        extra = ("brd", "+") if family == "-4" else ("nodad",)
        if family == "-4":
            # Without it the kernel drops all addresses of a subnet with the first one that was there.
            self._runner.run("sysctl", "-q", "-w", f"net/ipv4/conf/{name}/promote_secondaries=1")
        for address, bits in addresses:
            self._runner.run("ip", family, "addr", "replace", f"{address}/{bits}", "dev", name, *extra)

    def _withdraw_advertised(self, name: str) -> None:
        for address, bits in _addresses(self._info(name), "inet6", dynamic=True):
            self._runner.run("ip", "-6", "addr", "del", f"{address}/{bits}", "dev", name)

    def set_gateways(self, gateways: tuple[str, ...]) -> None:
        """The gateways of the families that occur, or none at all."""
        versions = {ipaddress.ip_address(gateway).version for gateway in gateways} or {4, 6}
        interfaces = self._interfaces()
        for family, route in self._defaults():
            if int(family[1:]) in versions:
                self._runner.run("ip", family, "route", "del", *_route(route))
        for number, gateway in enumerate(gateways):
            version = ipaddress.ip_address(gateway).version
            device = _device_for(gateway, interfaces)
            # The gateway need not be within a known subnet: whoever sets it knows the wire.
            argv = ["ip", f"-{version}", "route", "replace", "default", "via", gateway, "dev", device, "onlink"]
            self._runner.run(*argv, *(("metric", str(100 + number)) if number else ()))

    # ---- zero configuration (RFC 3927) ---------------------------------------------------------

    def set_zero_configuration(self, name: str, enabled: bool) -> None:
        """Take a link-local address that nobody else has, or give it back."""
        info = self._info(name)
        present = [address for address, _ in _addresses(info, "inet") if ipaddress.ip_address(address) in _LINK_LOCAL]
        if not enabled:
            for address in present:
                self._runner.run("ip", "-4", "addr", "del", f"{address}/16", "dev", name)
            return
        if present:
            return
        mac = next((item["address"] for item in self._json("link", "show", "dev", name)), "")
        for address in candidates(mac, ATTEMPTS):
            try:
                # Duplicate address detection: fails if anybody answers (RFC 3927 2.2.1).
                self._runner.run("arping", "-D", "-q", "-c", "2", "-w", "3", "-I", name, address)
            except Unavailable:
                continue
            self._runner.run("ip", "-4", "addr", "replace", f"{address}/16", "dev", name, "scope", "link", "brd", "+")
            self._runner.run("arping", "-A", "-q", "-c", "2", "-w", "3", "-I", name, address)  # 2.4: announce
            return
        raise Unavailable(f"all link-local addresses tried on {name} are in use")

    # ---- DHCP ----------------------------------------------------------------------------------

    def _pid_file(self, name: str) -> Path:
        return self._run / f"dhclient-{name}.pid"

    def _leasing(self, name: str) -> bool:
        """Whether our DHCP client runs on an interface."""
        text = reading.read(self._pid_file(name)).strip()
        if not text.isdigit():
            return False
        return b"dhclient" in Path(f"/proc/{text}/cmdline").read_bytes() if Path(f"/proc/{text}").exists() else False

    def _lease(self, name: str) -> None:
        self._run.mkdir(mode=0o700, parents=True, exist_ok=True)
        asked = "subnet-mask, broadcast-address, routers"
        if self._dns_from_dhcp:
            asked += ", domain-name-servers, domain-name, domain-search"
        configuration = self._run / "dhclient.conf"
        _write(configuration, f"timeout {LEASE_SECONDS};\nrequest {asked};\n")
        leases = self._run / f"dhclient-{name}.leases"
        argv = ["dhclient", "-4", "-1", "-cf", str(configuration), "-pf", str(self._pid_file(name)), "-lf", str(leases)]
        self._runner.run(*argv, name, timeout=LEASE_SECONDS + 5)

    def _stop_leasing(self, name: str, *, release: bool = True) -> None:
        if not self._leasing(name):
            return
        leases = self._run / f"dhclient-{name}.leases"
        end = "-r" if release else "-x"
        self._runner.run("dhclient", "-4", end, "-pf", str(self._pid_file(name)), "-lf", str(leases), name)
        self._pid_file(name).unlink(missing_ok=True)


def _addresses(info: list[dict[str, Any]], family: str, *, dynamic: bool | None = None) -> tuple[Prefixed, ...]:
    """Addresses of a family: all, those that came by DHCP or advertisement, or those that were set by hand."""
    return tuple(
        (item["local"], item["prefixlen"])
        for item in info
        if item.get("family") == family and (dynamic is None or bool(item.get("dynamic")) is dynamic)
    )


def _route(route: dict[str, Any]) -> list[str]:
    argv = ["default"]
    for key, word in (("gateway", "via"), ("dev", "dev"), ("metric", "metric")):
        if key in route:
            argv += [word, str(route[key])]
    return argv


def _device_for(gateway: str, interfaces: tuple[Interface, ...]) -> str:
    """The interface whose subnet has the gateway, else the first one that has an address of its kind."""
    address = ipaddress.ip_address(gateway)
    candidates_: list[str] = []
    for interface in interfaces:
        for own, bits in interface.ipv4 if address.version == 4 else interface.ipv6:
            if address in ipaddress.ip_network(f"{own}/{bits}", strict=False):
                return interface.name
            candidates_.append(interface.name)
    if not candidates_:
        raise InvalidArgument("No interface leads to that gateway.", detail="InvalidGatewayAddress")
    return candidates_[0]


def _write(path: Path, text: str) -> None:
    """Replace a file of the host. Written in place: resolv.conf may be mounted over."""
    try:
        with path.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}") from error
