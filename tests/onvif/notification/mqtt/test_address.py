"""Addresses of event brokers (Core 9.12.1.1)."""

from __future__ import annotations

import pytest

from onvifd.errors import InvalidArgument
from onvifd.onvif.notification.mqtt.address import PORTS, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port", "tls", "websocket", "path"),
    [
        ("mqtt://192.0.2.1:1884", "192.0.2.1", 1884, False, False, "/mqtt"),
        ("mqtts://broker.example", "broker.example", 8883, True, False, "/mqtt"),
        ("ws://broker.example:9001/", "broker.example", 9001, False, True, "/mqtt"),
        ("wss://[2001:db8::1]/x/y", "2001:db8::1", 443, True, True, "/x/y"),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int, tls: bool, websocket: bool, path: str) -> None:
    address = parse_address(text, PORTS)
    assert (address.text, address.host, address.port, address.path) == (text, host, port, path)
    assert (address.tls, address.websocket) == (tls, websocket)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("http://192.0.2.1", "InvalidProtocol"),
        ("amqp://192.0.2.1", "InvalidProtocol"),
        ("192.0.2.1:1883", "InvalidAddress"),
        ("mqtt://", "InvalidAddress"),
        ("mqtt://h:0", "InvalidAddress"),
        ("mqtt://h:70000", "InvalidAddress"),
        ("mqtt://user:pw@h", "InvalidAddress"),
        ("mqtt://h/path", "InvalidAddress"),
        ("ws://h/path?query", "InvalidAddress"),
        ("mqtt://a b", "InvalidAddress"),
        ("mqtt://" + "h" * 600, "InvalidAddress"),
        ("", "InvalidAddress"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_fault(text: str, detail: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_address(text, PORTS)
    assert caught.value.detail == detail
