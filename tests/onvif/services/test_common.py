"""Addresses, look-ups and the rules that the services share."""

from __future__ import annotations

import dataclasses

import pytest
from lxml import etree

from onvifd.errors import InvalidArgument, NotFound, Unavailable
from onvifd.onvif.services import common
from onvifd.onvif.soap.dispatch import Call
from onvifd.onvif.soap.envelope import Addressing
from onvifd.onvif.types import tt

CALL = Call(
    account=None,
    scheme="http",
    host="192.0.2.1:8080",
    local_address="192.0.2.1",
    peer="192.0.2.9",
    path="/",
    addressing=Addressing(),
    now=0,
    element=etree.Element("x"),
)


@pytest.mark.parametrize(
    ("authority", "host"),
    [("a:80", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("192.0.2.1:8080", "192.0.2.1")],
)
def test_host_of_an_authority(authority: str, host: str) -> None:
    assert common.host_of(authority) == host


@pytest.mark.parametrize(
    ("address", "expected"),
    [("::1", "[::1]"), ("fe80::1%eth0", "[fe80::1]"), ("192.0.2.1", "192.0.2.1"), ("recorder", "recorder")],
)
def test_bracketed(address: str, expected: str) -> None:
    assert common.bracketed(address) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("Recorder-1.example.org:81", "Recorder-1.example.org:81"),
        ("[2001:DB8::1]:81", "[2001:DB8::1]:81"),
        ("a b", "[2001:db8::7]"),
        ("a/b:81", "[2001:db8::7]:81"),
        ("2001:db8::9", "[2001:db8::7]"),
        ("user@host", "[2001:db8::7]"),
        ("a:99999999", "[2001:db8::7]"),
    ],
)
def test_authority_repeats_only_what_is_one(host: str, expected: str) -> None:
    call = dataclasses.replace(CALL, host=host, local_address="2001:db8::7")
    assert common.authority(call) == expected


def test_paths_are_encoded_and_bounded() -> None:
    assert common.rtsp_uri(CALL, 554, "/live/a b") == "rtsp://192.0.2.1:554/live/a%20b"
    assert common.snapshot_uri(CALL, "a/b c").endswith("/onvif/snapshot/a%2Fb%20c")
    with pytest.raises(InvalidArgument):
        common.rtsp_uri(CALL, 554, "/" + "x" * 128)
    with pytest.raises(Unavailable):
        common.rtsp_uri(CALL, None, "/")


@pytest.mark.parametrize(
    ("scheme", "host", "wanted", "expected"),
    [
        ("http", "192.0.2.1", "", "http://192.0.2.1:80/live/a"),
        ("https", "192.0.2.1", "", "https://192.0.2.1:443/live/a"),
        ("http", "nvr:8080", "rtsp", "rtsp://nvr:8080/live/a"),
        ("https", "nvr:8443", "rtsp", "https://nvr:8443/live/a"),
        ("http", "[2001:db8::1]", "rtsp", "rtsp://[2001:db8::1]:80/live/a"),
    ],
)
def test_the_tunnel_is_at_the_port_of_the_web_service(scheme: str, host: str, wanted: str, expected: str) -> None:
    """Media2 5.4.1: seamless traversal of NAT. The default port of RTSP would be another, so the port is written out."""
    call = dataclasses.replace(CALL, scheme=scheme, host=host)
    assert common.tunnel_uri(call, 554, "/live/a", scheme=wanted) == expected
    with pytest.raises(Unavailable):
        common.tunnel_uri(call, None, "/live/a")


def test_find_names_what_is_missing() -> None:
    with pytest.raises(NotFound) as raised:
        common.find([1, 2], lambda number: number == 3, detail="NoProfile", what="media profile")
    assert raised.value.detail == "NoProfile"


@pytest.mark.parametrize(
    ("stream", "protocol", "served"),
    [
        ("RTP-Unicast", "UDP", True),
        ("RTP-Unicast", "RTSP", True),
        ("RTP-Unicast", "TCP", True),
        ("RTP-Unicast", "HTTP", True),
        ("RTP-Multicast", "UDP", False),
    ],
)
def test_stream_setups(stream: str, protocol: str, served: bool) -> None:
    setup = tt.StreamSetup(
        stream=tt.StreamType(stream), transport=tt.Transport(protocol=tt.TransportProtocol(protocol))
    )
    if served:
        common.check_unicast(setup)
    else:
        with pytest.raises(InvalidArgument) as raised:
            common.check_unicast(setup)
        assert raised.value.detail == "InvalidStreamSetup"
