"""The recorder is configured by ONVIF, restarts, is backed up, restored and reset; everything that was set outlives it."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Callable

import pytest
from lxml import etree

from tests.e2e.conftest import device_of, wait_for
from tests.e2e.harness import Recorder, free_ports
from tests.e2e.soap import NS, Device


def opener(recorder: Recorder) -> urllib.request.OpenerDirector:
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, f"http://{recorder.host}:{recorder.http_port}/", recorder.user, recorder.password)
    return urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(passwords))


def connects(recorder: Recorder, port: int, source: str = "127.0.0.1") -> bool:
    """Whether a client from `source` gets an answer on a port."""
    request = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" if port != recorder.http_port else b"GET / HTTP/1.0\r\n\r\n"
    try:
        with socket.create_connection((recorder.host, port), timeout=5, source_address=(source, 0)) as client:
            client.sendall(request)
            return client.recv(1) != b""
    except OSError:
        return False


def restarted(recorder: Recorder, act: Callable[[], object]) -> None:
    """Do what restarts the recorder, and wait until it is ready again."""
    before = recorder.log().count("ready http")
    act()
    wait_for(lambda: recorder.log().count("ready http") > before or None, seconds=120, what="the restart")


def call(device: Device, name: str, content: str = "") -> etree._Element:
    return device.call(f"<tds:{name}>{content}</tds:{name}>")


def scopes(device: Device) -> list[str]:
    return [item.text or "" for item in call(device, "GetScopes").iter(f"{{{NS['tt']}}}ScopeItem")]


@pytest.mark.covers(
    *("BAK-11", "MNT-13", "MNT-19", "P256", "P264"),
    *("S-SystemReboot", "G-SystemReboot", "T-SystemReboot", "M-SystemReboot", "S-SetSystemFactoryDefault"),
    *("G-SetSystemFactoryDefault", "T-SetSystemFactoryDefault", "S-SetNetworkProtocols", "G-SetNetworkProtocols"),
    *("T-SetNetworkProtocols", "S-SetIPAddressFilter", "S-SetScopes", "G-SetScopes", "T-SetScopes"),
    *("MNT-11", "MNT-12", "P259", "BAK-10", "MNT-03", "P237", "SEC-07", "NET-19"),
)
def test_what_was_set_outlives_restart_backup_and_default(own_recorder: Recorder) -> None:
    recorder = own_recorder
    recorder.start()
    device = device_of(recorder)
    (port,) = free_ports(1)
    mine = "onvif://www.onvif.org/location/roof"
    call(device, "SetScopes", f"<tds:Scopes>{mine}</tds:Scopes>")
    inner = f"<tt:Name>RTSP</tt:Name><tt:Enabled>true</tt:Enabled><tt:Port>{port}</tt:Port>"
    call(device, "SetNetworkProtocols", f"<tds:NetworkProtocols>{inner}</tds:NetworkProtocols>")
    assert connects(recorder, port)
    assert not connects(recorder, recorder.rtsp_port)

    assert connects(recorder, port, "127.0.0.9")
    filtered = "<tt:Type>Deny</tt:Type><tt:IPv4Address><tt:Address>127.0.0.8</tt:Address><tt:PrefixLength>29</tt:PrefixLength></tt:IPv4Address>"
    call(device, "SetIPAddressFilter", f"<tds:IPAddressFilter>{filtered}</tds:IPAddressFilter>")
    for each in (port, recorder.http_port):
        assert connects(recorder, each)
        assert not connects(recorder, each, "127.0.0.9")

    assert recorder.process is not None
    pid = recorder.process.pid
    restarted(recorder, lambda: call(device, "SystemReboot"))
    assert recorder.process.poll() is None
    assert recorder.process.pid == pid  # whoever supervises it sees one process
    assert mine in scopes(device)
    assert connects(recorder, port)
    assert not connects(recorder, port, "127.0.0.9")

    uris = call(device, "GetSystemUris")
    address = uris.findtext(".//tds:SystemBackupUri", namespaces=NS) or ""
    web = opener(recorder)
    archive = web.open(address, timeout=30).read()
    assert mine.encode() not in archive
    for uri in uris.iter(f"{{{NS['tt']}}}Uri"):
        assert web.open(uri.text or "", timeout=30).read()
    call(device, "SetScopes", "<tds:Scopes>urn:x:later</tds:Scopes>")
    upload = call(device, "StartSystemRestore").findtext(".//tds:UploadUri", namespaces=NS) or ""
    head = {"Content-Type": "application/octet-stream"}
    restarted(recorder, lambda: web.open(urllib.request.Request(upload, archive, head), timeout=30).read())
    assert mine in scopes(device)
    assert "urn:x:later" not in scopes(device)

    soft = "<tds:FactoryDefault>Soft</tds:FactoryDefault>"
    restarted(recorder, lambda: call(device, "SetSystemFactoryDefault", soft))
    assert mine not in scopes(device)
    assert connects(recorder, port)  # Core 8.3.8: the network stays as it is
    restarted(recorder, lambda: call(device, "SetSystemFactoryDefault", soft.replace("Soft", "Hard")))
    assert connects(recorder, recorder.rtsp_port)
    assert not connects(recorder, port)
    assert connects(recorder, recorder.http_port, "127.0.0.9")
    recorder.stop()


@pytest.mark.covers("A065", "MNT-18", "P263")
def test_the_first_lines_of_a_log_are_no_secret(recorder: Recorder) -> None:
    text = opener(recorder).open(f"http://{recorder.host}:{recorder.http_port}/onvif/system/support", timeout=30).read()
    assert recorder.password.encode() not in text
    assert b"==== cameras" in text
