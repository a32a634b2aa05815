"""What the host says of itself: names, addresses, time zone. Reading only; every function may block on files."""

from __future__ import annotations

import os
import re
import socket
import struct
from pathlib import Path

import ifaddr

from onvifd.host.types import ETHERNET, LOOPBACK, WIRELESS, Interface, Link, Network, Prefixed

_NTP_FILES = (
    ("/etc/systemd/timesyncd.conf", re.compile(r"^NTP=(.+)$", re.MULTILINE)),
    ("/etc/chrony/chrony.conf", re.compile(r"^(?:server|pool)\s+(\S+)", re.MULTILINE)),
    ("/etc/ntpsec/ntp.conf", re.compile(r"^(?:server|pool)\s+(\S+)", re.MULTILINE)),
    ("/etc/ntp.conf", re.compile(r"^(?:server|pool)\s+(\S+)", re.MULTILINE)),
)
_RTF_GATEWAY = 0x2  # linux/route.h
_ARPHRD_LOOPBACK = "772"  # linux/if_arp.h


def read(path: str | Path) -> str:
    """The text of a file, empty if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def dns(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Search domains and servers of a resolv.conf."""
    search: tuple[str, ...] = ()
    servers: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] in ("search", "domain"):
            search = tuple(words[1:])
        elif len(words) >= 2 and words[0] == "nameserver":
            servers.append(words[1].partition("%")[0])
    return search, tuple(servers)


def gateways(route: str) -> tuple[str, ...]:
    """IPv4 default gateways of /proc/net/route."""
    found: list[str] = []
    for line in route.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[1] == "00000000" and int(fields[3], 16) & _RTF_GATEWAY:
            found.append(socket.inet_ntoa(struct.pack("<I", int(fields[2], 16))))
    return tuple(dict.fromkeys(found))


def ntp_servers() -> tuple[str, ...]:
    """Time servers that the host's time service is configured with."""
    found: list[str] = []
    for path, pattern in _NTP_FILES:
        for match in pattern.finditer(read(path)):
            found.extend(match.group(1).split())
    return tuple(dict.fromkeys(found))


def interfaces(bound: str) -> tuple[Interface, ...]:
    """Network interfaces that the recorder is reachable on; only the one of `bound` if that is an address of its own."""
    found: list[Interface] = []
    for adapter in ifaddr.get_adapters():
        ipv4 = tuple((str(ip.ip), ip.network_prefix) for ip in adapter.ips if ip.is_IPv4)
        ipv6 = tuple((str(ip.ip[0]), ip.network_prefix) for ip in adapter.ips if ip.is_IPv6)
        addresses = {address for address, _ in ipv4 + ipv6}
        if bound not in ("0.0.0.0", "::") and bound not in addresses:
            continue
        if bound in ("0.0.0.0", "::") and addresses <= {"127.0.0.1", "::1"}:
            continue
        found.append(_interface(adapter.nice_name, ipv4, ipv6))
    return tuple(found)


def _interface(name: str, ipv4: tuple[Prefixed, ...], ipv6: tuple[Prefixed, ...]) -> Interface:
    mtu = read(f"/sys/class/net/{name}/mtu").strip()
    kind = link_kind(name)
    return Interface(
        token=name,
        name=name,
        mac=read(f"/sys/class/net/{name}/address").strip() or "00:00:00:00:00:00",
        mtu=int(mtu) if mtu.isdigit() else None,
        enabled=read(f"/sys/class/net/{name}/operstate").strip() != "down",
        ipv4=ipv4,
        ipv6=ipv6,
        kind=kind,
        link=None if kind != ETHERNET else link(name),
    )


def link_kind(name: str) -> int:
    """The IANA ifType of an interface."""
    if Path(f"/sys/class/net/{name}/wireless").exists():
        return WIRELESS
    return LOOPBACK if read(f"/sys/class/net/{name}/type").strip() == _ARPHRD_LOOPBACK else ETHERNET


def link(name: str) -> Link | None:
    """How fast an interface talks, None where its driver does not tell."""
    speed = read(f"/sys/class/net/{name}/speed").strip()
    duplex = read(f"/sys/class/net/{name}/duplex").strip()
    if not speed.isdigit():  # drivers that do not know say -1
        return None
    return Link(auto=True, speed=int(speed), full_duplex=duplex != "half")


def network(bound: str) -> Network:
    """The host's network for a recorder that listens on `bound`."""
    search, servers = dns(read("/etc/resolv.conf"))
    return Network(
        hostname=socket.gethostname(),
        search_domains=search,
        dns_servers=servers,
        ntp_servers=ntp_servers(),
        gateways=gateways(read("/proc/net/route")),
        interfaces=interfaces(bound),
    )


def posix_timezone() -> str:
    """The host's time zone as a POSIX TZ string (IEEE 1003.1 section 8.3), from the footer of its TZif file (RFC 9636 3.3)."""
    from_environment = os.environ.get("TZ", "")
    if re.fullmatch(r"(<[^>]+>|[A-Za-z]{3,})[-+]?\d.*", from_environment):
        return from_environment
    path = f"/usr/share/zoneinfo/{from_environment.lstrip(':')}" if from_environment else "/etc/localtime"
    try:
        footer = Path(path).read_bytes().rsplit(b"\n", 2)
    except OSError:
        return "UTC0"
    text = footer[1].decode("ascii", "replace") if len(footer) == 3 else ""
    return text or "UTC0"
