"""The responder: who gets an answer, when, and how often."""

from __future__ import annotations

import logging

import pytest
from lxml import etree

from onvifd.onvif.discovery import core
from onvifd.onvif.discovery.core import APP_MAX_DELAY, Datagram, Responder, Sender
from onvifd.onvif.discovery.matching import SUPPORTED_RULES
from onvifd.onvif.discovery.messages import NS_DN, NS_WSA, NS_WSD, Target

ADDRESS = "urn:uuid:1b4e28ba-2fa1-11d2-883f-b9a761bde3fb"
XADDRS = ("http://192.0.2.1:8080/onvif/device_service", "https://192.0.2.1/onvif/device_service")


def responder(random: float = 0.5) -> Responder[str]:
    target = Target(address=ADDRESS, scopes=("onvif://www.onvif.org/name/a",), metadata_version=5)
    return Responder(target, instance_id=77, random=lambda: random)


def request(body: str, message_id: str = "urn:1") -> bytes:
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
        f' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="{NS_DN}">'
        f"<s:Header><a:MessageID>{message_id}</a:MessageID></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


PROBE = "<d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe>"
LDAP = '<d:Probe><d:Scopes MatchBy="http://schemas.xmlsoap.org/ws/2005/04/discovery/ldap">x</d:Scopes></d:Probe>'


def give(
    device: Responder[str],
    data: bytes,
    now: float = 0.0,
    *,
    source: str = "192.0.2.9",
    port: int = 50000,
    here: bool = False,
    multicast: bool = True,
) -> None:
    device.receive(data, Sender(source, port, here), f"to {source}", multicast=multicast, xaddrs=XADDRS, now=now)


def action(datagram: Datagram[str]) -> str:
    return (etree.fromstring(datagram.data).findtext(f".//{{{NS_WSA}}}Action") or "").rpartition("/")[2]


def number(datagram: Datagram[str]) -> int:
    sequence = etree.fromstring(datagram.data).find(f".//{{{NS_WSD}}}AppSequence")
    assert sequence is not None
    assert sequence.get("InstanceId") == "77"
    return int(sequence.get("MessageNumber", "0"))


def test_multicast_probe_is_answered_after_a_random_delay() -> None:
    device = responder(random=0.5)
    give(device, request(PROBE), now=10.0)
    assert device.next_due() == 10.0 + APP_MAX_DELAY / 2
    assert device.datagrams_to_send(10.2) == []
    (answer,) = device.datagrams_to_send(10.25)
    assert answer.route == "to 192.0.2.9"
    assert action(answer) == "ProbeMatches"
    root = etree.fromstring(answer.data)
    assert root.findtext(f".//{{{NS_WSA}}}RelatesTo") == "urn:1"
    assert root.findtext(f".//{{{NS_WSD}}}XAddrs") == " ".join(XADDRS)
    assert root.findtext(f".//{{{NS_WSD}}}ProbeMatch/{{{NS_WSA}}}EndpointReference/{{{NS_WSA}}}Address") == ADDRESS
    assert root.findtext(f".//{{{NS_WSD}}}MetadataVersion") == "5"
    assert device.next_due() is None


def test_unicast_probe_is_answered_at_once() -> None:
    device = responder()
    give(device, request("<d:Probe/>"), multicast=False)
    assert [action(datagram) for datagram in device.datagrams_to_send(0.0)] == ["ProbeMatches"]


def test_probe_for_another_device_gets_silence() -> None:
    device = responder()
    give(device, request("<d:Probe><d:Types>dn:NetworkVideoDisplay</d:Types></d:Probe>"), multicast=False)
    give(device, request("<d:Probe><d:Scopes>onvif://www.onvif.org/name/b</d:Scopes></d:Probe>", "urn:2"))
    assert device.next_due() is None


def test_unsupported_rule_is_a_fault_for_unicast_and_silence_for_multicast() -> None:
    device = responder()
    give(device, request(LDAP), multicast=True)
    assert device.next_due() is None
    give(device, request(LDAP, "urn:2"), multicast=False)
    (answer,) = device.datagrams_to_send(0.0)
    assert action(answer) == "fault"
    root = etree.fromstring(answer.data)
    soap = {"s": "http://www.w3.org/2003/05/soap-envelope"}
    assert root.xpath("string(//s:Fault/s:Code/s:Value)", namespaces=soap) == "s:Sender"
    assert root.xpath("string(//s:Code/s:Subcode/s:Value)", namespaces=soap) == "d:MatchingRuleNotSupported"
    assert (root.findtext(f".//{{{NS_WSD}}}SupportedMatchingRules") or "").split() == list(SUPPORTED_RULES)


@pytest.mark.covers("G-WS-Discovery", "S-WS-Discovery", "T-WS-Discovery")
def test_resolve_of_this_device() -> None:
    device = responder()
    body = "<d:Resolve><a:EndpointReference><a:Address>{}</a:Address></a:EndpointReference></d:Resolve>"
    give(device, request(body.format("urn:uuid:00000000-0000-0000-0000-000000000000")))
    assert device.next_due() is None
    give(device, request(body.format(ADDRESS.upper().replace("URN:UUID", "urn:uuid")), "urn:2"))
    (answer,) = device.datagrams_to_send(0.0)
    assert action(answer) == "ResolveMatches"
    assert etree.fromstring(answer.data).findtext(f".//{{{NS_WSD}}}XAddrs") == " ".join(XADDRS)


def test_garbage_gets_silence() -> None:
    device = responder()
    for data in (b"", b"\x00" * 100, b"<a>", request("<d:Hello/>"), request(PROBE) + b" " * 10000):
        give(device, data, multicast=False)
    assert device.next_due() is None


def test_repeated_message_is_answered_once_and_forgotten_in_the_end() -> None:
    device = responder()
    for now in (0.0, 0.1, core.KNOWN_SECONDS + 0.2):
        give(device, request(PROBE), now, multicast=False)
    assert len(device.datagrams_to_send(100.0)) == 2


def test_memory_of_messages_is_bounded() -> None:
    device = responder()
    for n in range(core.KNOWN_IDS + 500):
        give(device, request("<d:Probe><d:Types>dn:No</d:Types></d:Probe>", f"urn:{n}"), now=n * 0.01, source=str(n))
    assert len(device._known) <= core.KNOWN_IDS
    assert len(device._sources) <= core.SOURCES


def test_flood_from_one_sender_leaves_the_others_served(caplog: pytest.LogCaptureFixture) -> None:
    device = responder(random=0.0)
    with caplog.at_level(logging.WARNING):
        for n in range(1000):
            give(device, request(PROBE, f"urn:{n}"), source="192.0.2.66")
        give(device, request(PROBE, "urn:other"), source="192.0.2.7")
    answers = device.datagrams_to_send(0.0)
    assert len([answer for answer in answers if answer.route == "to 192.0.2.66"]) == core.SOURCE_BURST
    assert [answer.route for answer in answers][-1] == "to 192.0.2.7"
    assert len(caplog.records) == 1
    give(device, request(PROBE, "urn:later"), now=1.0, source="192.0.2.66")
    assert device.next_due() is not None


@pytest.mark.covers("SEC-10")
def test_flood_from_many_senders_is_bounded_in_all() -> None:
    device = responder(random=0.0)
    for n in range(2000):
        give(device, request(PROBE, f"urn:{n}"), source=f"sender {n}")
    assert len(device.datagrams_to_send(0.0)) == core.TOTAL_BURST


def test_hello_is_delayed_repeated_identically_and_bye_is_immediate() -> None:
    device = responder(random=0.5)
    device.hello("group", XADDRS, now=0.0)
    assert device.next_due() == 0.25
    hello, again = device.datagrams_to_send(1.0)
    assert action(hello) == "Hello"
    assert hello.data == again.data
    assert etree.fromstring(hello.data).findtext(f".//{{{NS_WSA}}}To") == "urn:schemas-xmlsoap-org:ws:2005:04:discovery"
    device.bye("group", now=2.0)
    assert [action(datagram) for datagram in device.datagrams_to_send(2.0)] == ["Bye"]
    assert device.next_due() == 2.15


def test_message_numbers_grow_in_the_order_of_sending() -> None:
    delays = iter([0.9, 0.1])
    device = Responder[str](responder().target, instance_id=77, random=lambda: next(delays))
    give(device, request(PROBE, "urn:1"), source="slow")
    give(device, request(PROBE, "urn:2"), source="fast")
    answers = device.datagrams_to_send(1.0)
    assert [answer.route for answer in answers] == ["to fast", "to slow"]
    assert [number(answer) for answer in answers] == [1, 2]


def test_what_is_said_of_the_device_can_change_and_its_address_stays() -> None:
    device = responder()
    device.describe(scopes=("onvif://www.onvif.org/name/b",), metadata_version=6)
    give(device, request("<d:Probe/>"), multicast=False)
    (answer,) = device.datagrams_to_send(0.0)
    root = etree.fromstring(answer.data)
    assert root.findtext(f".//{{{NS_WSD}}}Scopes") == "onvif://www.onvif.org/name/b"
    assert root.findtext(f".//{{{NS_WSD}}}MetadataVersion") == "6"
    assert device.target.address == ADDRESS


def test_same_id_from_another_socket_is_another_question() -> None:
    device = responder()
    for port in (50000, 50001, 50000):
        give(device, request(PROBE), port=port, multicast=False)
    assert len(device.datagrams_to_send(0.0)) == 2


def test_announcements_of_other_devices_use_up_no_share() -> None:
    """A dozen devices on one machine start together; a client beside them is answered all the same."""
    device, other = responder(random=0.0), responder(random=0.0)
    for _ in range(100):
        other.hello("group", XADDRS, now=0.0)
        for hello in other.datagrams_to_send(1.0):
            give(device, hello.data, source="127.0.0.1", port=3702, here=True)
    give(device, request(PROBE), source="127.0.0.1", port=50000, here=True)
    assert len(device.datagrams_to_send(0.0)) == 1


def test_programs_of_this_machine_have_a_share_each() -> None:
    device = responder(random=0.0)
    for n in range(1000):
        give(device, request(PROBE, f"urn:{n}"), source="127.0.0.1", port=50000, here=True)
    give(device, request(PROBE, "urn:x"), source="127.0.0.1", port=50001, here=True)
    assert len(device.datagrams_to_send(0.0)) == core.SOURCE_BURST + 1


def test_probes_in_utf16_are_read() -> None:
    device = responder()
    text = request("<d:Probe/>").decode()
    give(device, text.encode("utf-16"), multicast=False)
    assert len(device.datagrams_to_send(0.0)) == 1


def test_flood_of_probes_does_not_keep_the_device_from_taking_leave() -> None:
    device = responder(random=0.9)
    for n in range(2000):
        give(device, request(PROBE, f"urn:{n}"), now=n * 0.001, source=f"sender {n}")
    device.bye("group", now=2.0)
    assert "Bye" in [action(datagram) for datagram in device.datagrams_to_send(2.0)]


def test_what_waits_is_bounded_and_can_be_dropped() -> None:
    device = responder()
    for _ in range(core.MAX_PENDING):
        device.hello("group", XADDRS, now=0.0)
    assert len(device._pending) == core.MAX_PENDING
    device.forget()
    assert device.next_due() is None
