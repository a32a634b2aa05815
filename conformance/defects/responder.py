"""A device's side of WS-Discovery (2005/04) in small, so that discovery can misbehave as well.

It is written for the defects alone and shares nothing with any device: right where no defect is named, wrong in one way where one is.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import socket
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from conformance.defects.model import parse
from conformance.discovery import ACTION, GROUP
from conformance.names import NS, findall, resolve, text

TYPES = ("dn:NetworkVideoTransmitter", "tds:Device")
RFC3986 = f"{NS['d']}/rfc3986"
ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
TO = "urn:schemas-xmlsoap-org:ws:2005:04:discovery"
DOWN = 0.3
"""Seconds between Bye and Hello."""
_SPACES = " ".join(
    f'xmlns:{prefix}="{NS[name]}"'
    for prefix, name in (("env", "env"), ("a", "wsadis"), ("d", "d"), ("dn", "dn"), ("tds", "tds"))
)


@dataclass(frozen=True, slots=True)
class Description:
    """What is announced."""

    endpoint: str = ""
    scopes: tuple[str, ...] = ()
    xaddrs: str = ""
    discoverable: bool = True


@dataclass(slots=True)
class Responder:
    """Listens at one address and at the multicast group. `defect` names what it does wrong (`KNOWN`)."""

    host: str
    port: int
    description: Description = field(default_factory=Description)
    defect: str = ""
    version: int = 1
    _number: int = 0
    _transports: list[asyncio.DatagramTransport] = field(default_factory=list)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        for multicast in (False, True):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(self.host))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
            sock.bind((GROUP if multicast else self.host, self.port))
            if multicast:
                member = socket.inet_aton(GROUP) + socket.inet_aton(self.host)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            ear = _Ear(self, multicast)
            transport, _ = await loop.create_datagram_endpoint(functools.partial(_same, ear), sock=sock)
            self._transports.append(transport)

    async def stop(self) -> None:
        for transport in self._transports:
            transport.close()
        self._transports.clear()
        await asyncio.sleep(0)

    # ---- what happens to the device ----------------------------------------------------------------

    def change(self, now: Description, *, quiet: bool = False) -> None:
        """Scopes or mode were set."""
        before, self.description = self.description, now
        if self.defect != "stuck-version":
            self.version += 1
        if quiet:
            return
        if now.discoverable and self.defect != "no-hello":
            self.hello()
        elif before.discoverable and not now.discoverable:
            self.bye()

    async def restart(self) -> None:
        await asyncio.sleep(DOWN)
        if self.description.discoverable or self.defect == "restless":
            if self.defect != "no-bye":
                self.bye()
            await asyncio.sleep(DOWN)
            self.hello()

    # ---- messages ----------------------------------------------------------------------------------

    def _send(self, action: str, inside: str, to: tuple[str, int], *, relates: str = "", address: str = TO) -> None:
        self._number += 1
        related = f"<a:RelatesTo>{relates}</a:RelatesTo>" if relates else ""
        sequence = f'<d:AppSequence InstanceId="1" MessageNumber="{self._number}"/>'
        content = (
            f'<?xml version="1.0" encoding="utf-8"?>\n<env:Envelope {_SPACES}><env:Header><a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>'
            f"{related}<a:To>{address}</a:To><a:Action>{ACTION}/{action}</a:Action>{sequence}</env:Header><env:Body>{inside}</env:Body></env:Envelope>"
        )
        with contextlib.suppress(IndexError):
            self._transports[0].sendto(content.encode(), to)

    def _reference(self) -> str:
        return f"<a:EndpointReference><a:Address>{self.description.endpoint}</a:Address></a:EndpointReference>"

    def _about(self, *, hello: bool = False) -> str:
        types = "tds:Camera" if self.defect == "wrong-types" else " ".join(TYPES)
        scopes = (
            ""
            if hello and self.defect == "hello-without-scopes"
            else f"<d:Scopes>{' '.join(self.description.scopes)}</d:Scopes>"
        )
        xaddrs = "" if self.defect == "no-xaddrs" and not hello else f"<d:XAddrs>{self.description.xaddrs}</d:XAddrs>"
        return f"{self._reference()}<d:Types>{types}</d:Types>{scopes}{xaddrs}<d:MetadataVersion>{self.version}</d:MetadataVersion>"

    def hello(self) -> None:
        self._send("Hello", f"<d:Hello>{self._about(hello=True)}</d:Hello>", (GROUP, self.port))

    def bye(self) -> None:
        self._send("Bye", f"<d:Bye>{self._reference()}</d:Bye>", (GROUP, self.port))

    def received(self, content: bytes, sender: tuple[str, int], multicast: bool) -> None:
        probe = read_probe(content, by_prefix=self.defect == "prefix-bound")
        if probe is None or (self.defect == "unicast-ignored" and not multicast):
            return
        if not self.description.discoverable and self.defect != "still-answers":
            return
        if (
            probe.rule not in ("", RFC3986, "http://schemas.xmlsoap.org/ws/2005/04/discovery/rfc2396")
            and self.defect != "any-rule"
        ):
            if not multicast:
                self._refuse(probe, sender)
            return
        if not self._matches(probe):
            return
        relates = f"urn:uuid:{uuid.uuid4()}" if self.defect == "wrong-relates-to" else probe.identity
        inside = f"<d:ProbeMatches><d:ProbeMatch>{self._about()}</d:ProbeMatch></d:ProbeMatches>"
        self._send("ProbeMatches", inside, sender, relates=relates, address=ANONYMOUS)

    def _refuse(self, probe: Probe, sender: tuple[str, int]) -> None:
        subcode = "d:UnknownRule" if self.defect == "wrong-rule-fault" else "d:MatchingRuleNotSupported"
        inside = (
            f"<env:Fault><env:Code><env:Value>env:Sender</env:Value><env:Subcode><env:Value>{subcode}</env:Value></env:Subcode></env:Code>"
            '<env:Reason><env:Text xml:lang="en">matching rule not supported</env:Text></env:Reason>'
            f"<env:Detail><d:SupportedMatchingRules>{RFC3986}</d:SupportedMatchingRules></env:Detail></env:Fault>"
        )
        self._send("fault", inside, sender, relates=probe.identity, address=ANONYMOUS)

    def _matches(self, probe: Probe) -> bool:
        if self.defect == "everything-matches":
            return True
        types = all(each in TYPES for each in probe.types)
        return types and all(any(scope_matches(each, own) for own in self.description.scopes) for each in probe.scopes)


@dataclass(frozen=True, slots=True)
class Probe:
    identity: str
    types: tuple[str, ...]
    scopes: tuple[str, ...]
    rule: str


def read_probe(content: bytes, *, by_prefix: bool = False) -> Probe | None:
    """A Probe, or None. `by_prefix`: understands only messages spelled like the specification's examples."""
    if by_prefix and not re.search(rb"<d:Probe\b", content):
        return None
    root = parse(content)
    probe = None if root is None else root.find("env:Body/d:Probe", NS)
    if probe is None:
        return None
    types: Any = probe.find("d:Types", NS)
    scopes = findall(probe, "d:Scopes")
    return Probe(
        text(root, "env:Header/wsadis:MessageID"),
        tuple(resolve(each, types) for each in text(types).split()) if types is not None else (),
        tuple(word for each in scopes for word in text(each).split()),
        scopes[0].get("MatchBy", "") if scopes else "",
    )


def scope_matches(asked: str, own: str) -> bool:
    """RFC 3986 prefix match by path segments (WS-Discovery 5.1)."""
    one, two = urlsplit(asked), urlsplit(own)
    if (one.scheme.lower(), one.netloc.lower()) != (two.scheme.lower(), two.netloc.lower()):
        return False
    wanted, given = ([step for step in each.path.split("/") if step] for each in (one, two))
    return given[: len(wanted)] == wanted


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, responder: Responder, multicast: bool) -> None:
        self.responder = responder
        self.multicast = multicast

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.responder.received(data, (str(addr[0]), int(addr[1])), self.multicast)


def _same(ear: _Ear) -> _Ear:
    return ear
