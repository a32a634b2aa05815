"""Discovery over real sockets: on loopback, and between network namespaces."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lxml import etree

from onvifd.access.types import Level
from onvifd.clock import SimulatedClock, SystemClock
from onvifd.errors import Unavailable
from onvifd.onvif.backend import Identity, Network, Ports, Scope, SystemTime
from onvifd.onvif.discovery.control import Announced, DiscoveryControl
from onvifd.onvif.discovery.core import APP_MAX_DELAY
from onvifd.onvif.discovery.links import Link, present
from onvifd.onvif.discovery.messages import NS_WSA, NS_WSD
from onvifd.onvif.discovery.service import REFRESH_SECONDS, DiscoveryService
from onvifd.onvif.discovery.sockets import GROUPS, PORT
from tests.onvif.discovery.peer import identity_of

HERE = Path(__file__).parent
LO = "127.0.0.1"


@dataclass
class Device:
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    name: str = "first"
    visible: bool = True
    http: int = 8080

    def identity(self) -> Identity:
        return identity_of(self.uuid)

    def scopes(self) -> tuple[Scope, ...]:
        return (Scope(f"onvif://www.onvif.org/name/{self.name}", True),)

    def discoverable(self) -> bool:
        return self.visible

    def ports(self) -> Ports:
        return Ports(http=self.http, https=None, rtsp=8554)

    def system_time(self) -> SystemTime:
        return SystemTime(utc=0, timezone="UTC0", ntp=False, daylight=False, utc_offset=0)

    async def network(self) -> Network:
        return Network(hostname="h")

    async def users(self) -> tuple[tuple[str, Level], ...]:
        return ()


def probe(message_id: str, rule: str = "") -> bytes:
    scopes = f'<d:Scopes MatchBy="{rule}">x</d:Scopes>' if rule else ""
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
        f' xmlns:d="{NS_WSD}"><s:Header><a:MessageID>{message_id}</a:MessageID></s:Header><s:Body><d:Probe>{scopes}</d:Probe>'
        "</s:Body></s:Envelope>"
    ).encode()


@dataclass
class Message:
    action: str
    root: etree._Element
    sender: str

    def text(self, name: str) -> str:
        return self.root.findtext(f".//{{{NS_WSD}}}{name}") or ""


class Listener:
    """A bystander on loopback: hears the group, sends requests."""

    def __init__(self, device: Device) -> None:
        self._address = f"urn:uuid:{device.uuid}"
        self.group = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.group.bind((GROUPS[4], PORT))
        membership = socket.inet_aton(GROUPS[4]) + socket.inet_aton(LO)
        self.group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        self.unicast = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.unicast.bind((LO, 0))
        self.unicast.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LO))
        for sock in (self.group, self.unicast):
            sock.setblocking(False)

    def close(self) -> None:
        self.group.close()
        self.unicast.close()

    async def hear(self, sock: socket.socket, *, action: str, timeout: float = 5.0) -> Message:
        """The next message with that action that speaks of the device under test."""
        async with asyncio.timeout(timeout):
            while True:
                data, peer = await asyncio.get_running_loop().sock_recvfrom(sock, 65535)
                root = etree.fromstring(data)
                found = (root.findtext(f".//{{{NS_WSA}}}Action") or "").rpartition("/")[2]
                address = root.findtext(f".//{{{NS_WSA}}}EndpointReference/{{{NS_WSA}}}Address")
                if found == action and address in (self._address, None):
                    return Message(found, root, peer[0])


@asynccontextmanager
async def running(device: Device) -> AsyncIterator[tuple[DiscoveryService, Listener]]:
    listener = Listener(device)
    service = DiscoveryService(device, SystemClock(), host=LO, randomness=lambda: 0.0)
    await service.start()
    try:
        yield service, listener
    finally:
        await service.stop()
        listener.close()


@pytest.mark.covers("G-WS-Discovery", "S-WS-Discovery", "T-WS-Discovery")
async def test_hello_on_start_and_bye_on_stop() -> None:
    device = Device()
    async with running(device) as (service, listener):
        hello = await listener.hear(listener.group, action="Hello")
        assert hello.sender == LO
        assert hello.text("XAddrs") == "http://127.0.0.1:8080/onvif/device_service"
        assert [link.name for link in service.links] == ["lo"]
        await service.stop()
        bye = await listener.hear(listener.group, action="Bye")
        assert bye.root.findtext(f".//{{{NS_WSA}}}Address") == f"urn:uuid:{device.uuid}"
        assert service.links == ()


@pytest.mark.covers("G-WS-Discovery", "S-WS-Discovery", "T-WS-Discovery")
async def test_multicast_and_unicast_probes_are_answered_to_the_port_of_the_sender() -> None:
    async with running(Device()) as (_, listener):
        loop = asyncio.get_running_loop()
        for number, target in enumerate(((GROUPS[4], PORT), (LO, PORT))):
            message_id = f"urn:uuid:{uuid.uuid4()}"
            await loop.sock_sendto(listener.unicast, probe(message_id), target)
            answer = await listener.hear(listener.unicast, action="ProbeMatches")
            assert answer.root.findtext(f".//{{{NS_WSA}}}RelatesTo") == message_id, number
            assert answer.text("XAddrs") == "http://127.0.0.1:8080/onvif/device_service"


async def test_unsupported_rule_by_unicast_is_a_fault() -> None:
    async with running(Device()) as (_, listener):
        data = probe("urn:uuid:1", NS_WSD + "/ldap")
        await asyncio.get_running_loop().sock_sendto(listener.unicast, data, (LO, PORT))
        fault = await listener.hear(listener.unicast, action="fault")
        assert NS_WSD + "/rfc3986" in fault.text("SupportedMatchingRules").split()


async def test_garbage_does_no_harm() -> None:
    async with running(Device()) as (_, listener):
        loop = asyncio.get_running_loop()
        for data in (b"", b"\xff" * 1400, b"<x/>", b"A" * 60000):
            await loop.sock_sendto(listener.unicast, data, (GROUPS[4], PORT))
        await loop.sock_sendto(listener.unicast, probe("urn:uuid:2"), (GROUPS[4], PORT))
        await listener.hear(listener.unicast, action="ProbeMatches")


async def test_changed_scopes_are_announced_with_a_higher_metadata_version() -> None:
    device = Device()
    async with running(device) as (service, listener):
        first = await listener.hear(listener.group, action="Hello")
        device.name = "second"
        await service.update()
        while (hello := await listener.hear(listener.group, action="Hello")).text("Scopes") == first.text("Scopes"):
            pass
        assert hello.text("Scopes") == "onvif://www.onvif.org/name/second"
        assert int(hello.text("MetadataVersion")) == int(first.text("MetadataVersion")) + 1


class Memory:
    """Outlives the services of one test. `fault` is what the catalogue says."""

    def __init__(self, fault: Unavailable | None = None) -> None:
        self.announced: Announced | None = None
        self.fault = fault

    async def recall(self) -> Announced | None:
        if self.fault:
            raise self.fault
        return self.announced

    async def keep(self, announced: Announced) -> None:
        if self.fault:
            raise self.fault
        self.announced = announced


async def run_once(device: Device, memory: Memory, clock: SimulatedClock) -> Announced:
    """Start and stop; gives what was announced."""
    service = DiscoveryService(device, clock, host=LO, memory=memory, randomness=lambda: 0.0)
    await service.start()
    async with asyncio.timeout(5):
        stopping = asyncio.create_task(service.stop())
        while not stopping.done():
            await clock.advance(0.1)
    assert memory.announced is not None
    return memory.announced


@pytest.mark.covers("G-WS-Discovery", "S-WS-Discovery", "T-WS-Discovery")
async def test_metadata_version_stays_over_a_restart_and_grows_with_changes_made_meanwhile() -> None:
    device, memory, clock = Device(), Memory(), SimulatedClock()
    first = await run_once(device, memory, clock)
    second = await run_once(device, memory, clock)
    assert second.metadata_version == first.metadata_version
    assert second.instance_id > first.instance_id
    clock.step(-86400)  # somebody set the clock back
    third = await run_once(device, memory, clock)
    assert third.instance_id > second.instance_id
    device.name = "renamed"
    fourth = await run_once(device, memory, clock)
    assert fourth.metadata_version == first.metadata_version + 1
    device.http = 80
    fifth = await run_once(device, memory, clock)
    assert fifth.metadata_version == first.metadata_version + 2


async def test_device_is_found_though_its_memory_is_out_of_reach(caplog: pytest.LogCaptureFixture) -> None:
    device = Device()
    listener = Listener(device)
    memory = Memory(Unavailable("the database is overloaded"))
    service = DiscoveryService(device, SystemClock(), host=LO, memory=memory, randomness=lambda: 0.0)
    await service.start()
    try:
        await listener.hear(listener.group, action="Hello")
        assert "the database is overloaded" in caplog.text
    finally:
        await service.stop()
        listener.close()


async def test_changes_are_announced_when_the_bell_rings() -> None:
    device, control = Device(), DiscoveryControl()
    listener = Listener(device)
    control.changed()  # before the responder runs: nothing is lost, nothing is sent twice
    service = DiscoveryService(device, SystemClock(), host=LO, control=control, randomness=lambda: 0.0)
    await service.start()
    try:
        first = await listener.hear(listener.group, action="Hello")
        device.http = 80
        control.changed()
        while (hello := await listener.hear(listener.group, action="Hello")).text("XAddrs") == first.text("XAddrs"):
            pass
        assert hello.text("XAddrs") == "http://127.0.0.1/onvif/device_service"
        assert int(hello.text("MetadataVersion")) == int(first.text("MetadataVersion")) + 1
        device.visible = False
        control.changed()
        await listener.hear(listener.group, action="Bye")
    finally:
        await service.stop()
        listener.close()


async def test_announcements_and_answers_to_multicast_wait_their_random_time() -> None:
    device, clock = Device(), SimulatedClock()
    listener = Listener(device)
    service = DiscoveryService(device, clock, host=LO, randomness=lambda: 0.8)
    await service.start()
    try:
        await clock.advance(0.8 * APP_MAX_DELAY - 0.01)
        with pytest.raises(TimeoutError):
            await listener.hear(listener.group, action="Hello", timeout=0.1)
        await clock.advance(0.02)
        await listener.hear(listener.group, action="Hello")
        await clock.advance(1)
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(listener.unicast, probe("urn:uuid:delayed"), (GROUPS[4], PORT))
        await asyncio.wait_for(until(lambda: service._responder.next_due() is not None), 5)
        with pytest.raises(TimeoutError):
            await listener.hear(listener.unicast, action="ProbeMatches", timeout=0.1)
        await clock.advance(APP_MAX_DELAY)
        await listener.hear(listener.unicast, action="ProbeMatches")
    finally:
        stopping = asyncio.create_task(service.stop())
        while not stopping.done():
            await clock.advance(0.1)
        listener.close()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


async def test_who_asks_without_end_does_not_keep_the_device_from_leaving() -> None:
    device = Device()
    listener = Listener(device)
    service = DiscoveryService(device, SystemClock(), host=LO, randomness=lambda: 0.99)
    await service.start()

    async def pester() -> None:
        for number in itertools.count():
            await asyncio.get_running_loop().sock_sendto(listener.unicast, probe(f"urn:{number}"), (GROUPS[4], PORT))
            await asyncio.sleep(0.02)

    pest = asyncio.create_task(pester())
    try:
        await asyncio.wait_for(service.stop(), 3)
    finally:
        pest.cancel()
        await asyncio.gather(pest, return_exceptions=True)
        listener.close()


@pytest.mark.covers("NET-41")
async def test_device_that_is_not_discoverable_neither_listens_nor_sends() -> None:
    device = Device(visible=False)
    async with running(device) as (service, listener):
        assert service.links == ()
        device.visible = True
        await service.update()
        await listener.hear(listener.group, action="Hello")
        device.visible = False
        await service.update()
        await listener.hear(listener.group, action="Bye")
        assert service.links == ()


async def test_links_come_and_go() -> None:
    device = Device()
    links: list[tuple[Link, ...]] = [(), present(LO), ()]
    listener = Listener(device)
    service = DiscoveryService(
        device, SystemClock(), host=LO, links=lambda: links.pop(0) if links else (), randomness=lambda: 0.0
    )
    await service.start()
    assert service.links == ()
    await service.update()
    await listener.hear(listener.group, action="Hello")
    await service.update()
    assert service.links == ()
    await service.stop()
    listener.close()


async def test_link_that_cannot_be_opened_is_logged_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    (lo,) = present(LO)
    gone = Link(name="gone0", index=999, version=4, addresses=((type(lo.addresses[0][0])("198.51.100.7"), 24),))
    service = DiscoveryService(Device(), SystemClock(), host=LO, links=lambda: (gone, lo), randomness=lambda: 0.0)
    await service.start()
    assert service.links == (lo,)
    assert "cannot listen on gone0" in caplog.text
    await service.stop()


async def test_network_is_looked_at_again_and_trouble_with_it_survived(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[tuple[Link, ...] | OSError] = [(), OSError("no such device")]

    def links() -> tuple[Link, ...]:
        answer = answers.pop(0) if answers else present(LO)
        if isinstance(answer, OSError):
            raise answer
        return answer

    clock, device = SimulatedClock(), Device()
    service = DiscoveryService(device, clock, host=LO, links=links, randomness=lambda: 0.0)
    await service.start()
    assert service.links == ()
    async with asyncio.timeout(5):
        while not service.links:
            await clock.advance(REFRESH_SECONDS)
    assert "cannot look at the network: no such device" in caplog.text
    assert [link.name for link in service.links] == ["lo"]
    async with asyncio.timeout(5):
        stopping = asyncio.create_task(service.stop())
        while not stopping.done():
            await clock.advance(0.1)
    assert service.links == ()


# ---- several devices, a foreign client


@pytest.fixture
def start_peer() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    peers: list[subprocess.Popen[str]] = []

    def start(host: str, identity: str, *prefix: str) -> subprocess.Popen[str]:
        peer = subprocess.Popen(
            [*prefix, sys.executable, str(HERE / "peer.py"), host, identity],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        peers.append(peer)
        return peer

    yield start
    for peer in peers:
        peer.communicate(timeout=15)
        assert peer.returncode == 0


def found_by_wsdiscovery(address: str, *prefix: str) -> dict[str, list[str]]:
    done = subprocess.run(
        [*prefix, sys.executable, str(HERE / "client.py"), address, "1.5"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return {line.split("|")[0]: line.split("|")[1:] for line in done.stdout.splitlines()}


def wait_ready(peer: subprocess.Popen[str]) -> str:
    assert peer.stdout is not None
    line = peer.stdout.readline()
    assert line.startswith("ready"), line
    return line


@pytest.mark.covers("G-WS-Discovery", "INI-03", "S-WS-Discovery", "T-WS-Discovery")
def test_three_devices_on_loopback_are_all_found_by_wsdiscovery(
    start_peer: Callable[..., subprocess.Popen[str]],
) -> None:
    identities = [str(uuid.uuid4()) for _ in range(3)]
    for peer in [start_peer(LO, identity) for identity in identities]:
        wait_ready(peer)
    found = found_by_wsdiscovery(LO)
    assert {f"urn:uuid:{identity}" for identity in identities} <= set(found)
    types, scopes, addresses = found[f"urn:uuid:{identities[0]}"]
    assert types.split() == [
        "{http://www.onvif.org/ver10/network/wsdl}NetworkVideoTransmitter",
        "{http://www.onvif.org/ver10/device/wsdl}Device",
    ]
    assert scopes.split() == ["onvif://www.onvif.org/Profile/T", "onvif://www.onvif.org/name/first"]
    assert addresses == "http://127.0.0.1:8080/onvif/device_service"


class Namespaces:
    """Two network namespaces joined by a cable."""

    def __init__(self) -> None:
        tag = uuid.uuid4().hex[:6]
        self.device, self.client = f"od{tag}", f"oc{tag}"
        self._ends = (f"vd{tag}", f"vc{tag}")

    def __enter__(self) -> Namespaces:
        for name in (self.device, self.client):
            _ip("netns", "add", name)
        a, b = self._ends
        _ip("link", "add", a, "netns", self.device, "type", "veth", "peer", "name", b, "netns", self.client)
        for name, end, number in ((self.device, a, 1), (self.client, b, 2)):
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", end)
            _ip("-n", name, "addr", "add", f"fd77::{number}/64", "dev", end, "nodad")
            _ip("-n", name, "link", "set", end, "addrgenmode", "none", "up")
        return self

    def __exit__(self, *exc: object) -> None:
        for name in (self.device, self.client):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=10)

    def device_prefix(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.device)

    def client_prefix(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.client)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise OSError(done.stderr.strip())


@pytest.fixture
def namespaces() -> Iterator[Namespaces]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    spaces = Namespaces()
    try:
        spaces.__enter__()
    except OSError as error:
        spaces.__exit__()
        pytest.skip(f"this machine does not allow network namespaces: {error}")
    yield spaces
    spaces.__exit__()


def test_device_is_found_across_a_network_by_ipv4_and_ipv6(
    namespaces: Namespaces, start_peer: Callable[..., subprocess.Popen[str]]
) -> None:
    identity = str(uuid.uuid4())
    peer = start_peer("::", identity, *namespaces.device_prefix())
    assert re.findall(r"/([46])", wait_ready(peer)) == ["4", "6"]
    found = found_by_wsdiscovery("10.77.0.2", *namespaces.client_prefix())
    assert found[f"urn:uuid:{identity}"][2] == "http://10.77.0.1:8080/onvif/device_service"
    answer = _probe_by_ipv6(namespaces)
    assert f"urn:uuid:{identity}" in answer
    assert "http://[fd77::1]:8080/onvif/device_service" in answer
    peer.communicate(timeout=15)


def _probe_by_ipv6(namespaces: Namespaces) -> str:
    """WSDiscovery's IPv6 side needs zone indices that it cannot find here, so a bare socket asks."""
    script = f"""
import socket, sys
index = socket.if_nametoindex([name for _, name in socket.if_nameindex() if name != "lo"][0])
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.settimeout(5)
sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
sock.bind(("fd77::2", 0))
sock.sendto({probe("urn:uuid:6")!r}, ("{GROUPS[6]}", {PORT}, 0, index))
print(sock.recv(65535).decode())
"""
    done = subprocess.run(
        [*namespaces.client_prefix(), sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout


def test_device_bound_to_loopback_is_not_heard_on_the_network(
    namespaces: Namespaces, start_peer: Callable[..., subprocess.Popen[str]]
) -> None:
    peer = start_peer(LO, str(uuid.uuid4()), *namespaces.device_prefix())
    assert wait_ready(peer).split()[1:] == ["lo/4"]
    assert found_by_wsdiscovery("10.77.0.2", *namespaces.client_prefix()) == {}
    peer.communicate(timeout=15)
