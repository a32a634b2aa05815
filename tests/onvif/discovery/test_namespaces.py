"""Two recorders and a client on one network, each in a network namespace of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from lxml import etree

from onvifd.onvif.discovery.messages import NS_WSA, NS_WSD

HERE = Path(__file__).parent
HEARD = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.bind(("239.255.255.250", 3702))
sock.setsockopt(
    socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.255.255.250") + socket.inet_aton("10.78.0.9")
)
print("ready", flush=True)
while True:
    data, peer = sock.recvfrom(65535)
    print(peer[0], data.hex(), flush=True)
"""


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise OSError(done.stderr.strip())


class Network:
    """A switch with three machines: `a` 10.78.0.1, `b` 10.78.0.2 and the client `c` 10.78.0.9."""

    def __init__(self) -> None:
        tag = uuid.uuid4().hex[:5]
        self.switch = f"os{tag}"
        self.machines = {name: f"o{name}{tag}" for name in "abc"}
        self._processes = ExitStack()

    def build(self) -> None:
        _ip("netns", "add", self.switch)
        _ip("-n", self.switch, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        _ip("-n", self.switch, "link", "set", "br0", "up")
        for number, (name, space) in zip((1, 2, 9), self.machines.items(), strict=True):
            port = f"port-{name}"
            _ip("netns", "add", space)
            _ip("-n", space, "link", "set", "lo", "up")
            _ip("link", "add", "eth0", "netns", space, "type", "veth", "peer", "name", port, "netns", self.switch)
            _ip("-n", self.switch, "link", "set", port, "master", "br0", "up")
            _ip("-n", space, "addr", "add", f"10.78.0.{number}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "addrgenmode", "none", "up")

    def run(self, machine: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.machines[machine], sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._processes.callback(_end, process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        return process

    def found(self) -> dict[str, list[str]]:
        """What WSDiscovery finds from the client's machine."""
        command = [
            "ip",
            "netns",
            "exec",
            self.machines["c"],
            sys.executable,
            str(HERE / "client.py"),
            "10.78.0.9",
            "1.5",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        return {line.split("|")[0]: line.split("|")[1:] for line in done.stdout.splitlines()}

    def ask(self, machine: str, *command: str) -> str:
        """What a command prints there."""
        full = ["ip", "netns", "exec", self.machines[machine], *command]
        return subprocess.run(full, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30).stdout

    def close(self) -> None:
        self._processes.close()
        for space in (*self.machines.values(), self.switch):
            subprocess.run(["ip", "netns", "del", space], capture_output=True, timeout=10)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


@pytest.fixture
def network() -> Iterator[Network]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    net = Network()
    try:
        net.build()
    except OSError as error:
        net.close()
        pytest.skip(f"this machine does not allow network namespaces: {error}")
    yield net
    net.close()


class Ear:
    """What comes by multicast to the client's machine."""

    def __init__(self, network: Network) -> None:
        self._process = network.run("c", "-c", HEARD)

    def next(self, action: str, identity: str) -> tuple[str, etree._Element]:
        assert self._process.stdout is not None
        while True:
            peer, data = self._process.stdout.readline().split()
            root = etree.fromstring(bytes.fromhex(data))
            address = root.findtext(f".//{{{NS_WSA}}}EndpointReference/{{{NS_WSA}}}Address")
            if (root.findtext(f".//{{{NS_WSA}}}Action") or "").endswith(f"/{action}") and address == identity:
                return peer, root

    def close(self) -> None:
        self._process.kill()


def text(root: etree._Element, name: str) -> str:
    return root.findtext(f".//{{{NS_WSD}}}{name}") or ""


@pytest.mark.timeout(60)
@pytest.mark.covers("G-WS-Discovery", "S-WS-Discovery", "T-WS-Discovery")
def test_two_recorders_on_one_network_do_not_disturb_each_other(network: Network) -> None:
    one, two = (f"{uuid.uuid4()}" for _ in range(2))
    first = network.run("a", str(HERE / "peer.py"), "0.0.0.0", one)
    network.run("b", str(HERE / "peer.py"), "0.0.0.0", two)
    found = network.found()
    assert {key: value[2] for key, value in found.items()} == {
        f"urn:uuid:{one}": "http://10.78.0.1:8080/onvif/device_service",
        f"urn:uuid:{two}": "http://10.78.0.2:8080/onvif/device_service",
    }
    ear = Ear(network)
    assert first.stdin is not None
    first.stdin.write("onvif://www.onvif.org/name/renamed\n")
    first.stdin.flush()
    peer, hello = ear.next("Hello", f"urn:uuid:{one}")
    assert peer == "10.78.0.1"
    assert "onvif://www.onvif.org/name/renamed" in text(hello, "Scopes").split()
    first.stdin.close()
    assert ear.next("Bye", f"urn:uuid:{one}")[0] == "10.78.0.1"
    ear.close()
    assert set(network.found()) == {f"urn:uuid:{two}"}


@pytest.mark.timeout(60)
@pytest.mark.covers("G-WS-Discovery", "S-WS-Discovery", "T-WS-Discovery")
def test_addresses_and_interfaces_that_come_and_go_are_announced_at_once(network: Network) -> None:
    identity = str(uuid.uuid4())
    network.run("a", str(HERE / "peer.py"), "0.0.0.0", identity)
    ear, space = Ear(network), network.machines["a"]
    _ip("-n", space, "addr", "add", "10.78.0.11/24", "dev", "eth0")
    _, hello = ear.next("Hello", f"urn:uuid:{identity}")
    while "10.78.0.11" not in text(hello, "XAddrs"):
        _, hello = ear.next("Hello", f"urn:uuid:{identity}")
    assert set(text(hello, "XAddrs").split()) == {
        "http://10.78.0.1:8080/onvif/device_service",
        "http://10.78.0.11:8080/onvif/device_service",
    }
    version = int(text(hello, "MetadataVersion"))
    _ip("-n", space, "addr", "flush", "dev", "eth0")
    _ip("-n", space, "addr", "add", "10.78.0.12/24", "dev", "eth0")
    peer, hello = ear.next("Hello", f"urn:uuid:{identity}")
    while text(hello, "XAddrs") != "http://10.78.0.12:8080/onvif/device_service":
        peer, hello = ear.next("Hello", f"urn:uuid:{identity}")
    assert peer == "10.78.0.12"
    assert int(text(hello, "MetadataVersion")) > version
    # A second interface: it is served as well, and the first one goes on.
    version = int(text(hello, "MetadataVersion"))
    _ip("-n", space, "link", "add", "eth1", "type", "veth", "peer", "name", "eth2")
    _ip("-n", space, "addr", "add", "192.0.2.5/24", "dev", "eth1")
    _ip("-n", space, "link", "set", "eth1", "up")
    _ip("-n", space, "link", "set", "eth2", "up")
    while int(text(hello, "MetadataVersion")) == version:
        _, hello = ear.next("Hello", f"urn:uuid:{identity}")
    ear.close()
    assert network.found()[f"urn:uuid:{identity}"][2] == "http://10.78.0.12:8080/onvif/device_service"


@pytest.mark.timeout(60)
@pytest.mark.covers("G-WS-Discovery", "INI-03", "S-WS-Discovery", "T-WS-Discovery")
def test_onvif_util_and_onvif_python_find_both_recorders(network: Network) -> None:
    identities = [str(uuid.uuid4()) for _ in range(2)]
    for machine, identity in zip("ab", identities, strict=True):
        network.run(machine, str(HERE / "peer.py"), "0.0.0.0", identity)
    script = "from onvif import ONVIFDiscovery; print(ONVIFDiscovery(timeout=2, interface='10.78.0.9').discover())"
    found = network.ask("c", sys.executable, "-W", "ignore", "-c", script)
    assert all(identity in found for identity in identities)
    assert "http://10.78.0.1:8080/onvif/device_service" in found
    if shutil.which("onvif-util") is None:
        pytest.skip("onvif-util is not installed (Debian: onvif-tools)")
    # It looks where the default route leads.
    _ip("-n", network.machines["c"], "route", "add", "default", "dev", "eth0")
    listed = network.ask("c", "onvif-util", "-a")
    assert "10.78.0.1 (first)" in listed
    assert "10.78.0.2 (first)" in listed
