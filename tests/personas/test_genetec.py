"""Security Center: mixed namespaces, a network identity, pull points that live by being pulled."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from lxml import etree

from tests.personas import wsse
from tests.personas.conftest import Answer, Wire

S = "http://www.w3.org/2003/05/soap-envelope"
TT = "{http://www.onvif.org/ver10/schema}"
WSNT = "{http://docs.oasis-open.org/wsn/b-2}"
TEV = "{http://www.onvif.org/ver10/events/wsdl}"


async def ask(wire: Wire, path: str, body: str, header: str = "") -> Answer:
    envelope = (
        f'<?xml version="1.0" encoding="utf-8"?>\n<s:Envelope xmlns:s="{S}" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header>'
        f"{wsse.genetec()}{header}</s:Header>"
        '<s:Body xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
        f"{body}</s:Body></s:Envelope>"
    )
    return await wire.post(path, envelope)


@pytest.mark.covers("P001")
async def test_unit_is_enrolled(wire: Wire) -> None:
    device = "/onvif/device_service"
    namespace = 'xmlns="http://www.onvif.org/ver10/device/wsdl"'
    services = (
        await ask(wire, device, f"<GetServices {namespace}><IncludeCapability>true</IncludeCapability></GetServices>")
    ).content()
    addresses = {each.findtext("{*}Namespace"): each.findtext("{*}XAddr") for each in services}
    # NAT or not: what it is told must be where it is talking to.
    assert all(address.startswith(wire.base + "/") for address in addresses.values())
    information = (await ask(wire, device, f"<GetDeviceInformation {namespace}/>")).content()
    assert information.findtext("{*}SerialNumber")
    interfaces = (await ask(wire, device, f"<GetNetworkInterfaces {namespace}/>")).content()
    (first, *_) = interfaces
    assert re.fullmatch(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}", first.findtext(f"{TT}Info/{TT}HwAddress"))
    assert first.findtext(f"{TT}IPv4/{TT}Enabled") == "true"
    media = addresses["http://www.onvif.org/ver20/media/wsdl"].removeprefix(wire.base)
    profiles = (
        await ask(
            wire, media, '<GetProfiles xmlns="http://www.onvif.org/ver20/media/wsdl"><Type>All</Type></GetProfiles>'
        )
    ).content()
    token = profiles[0].get("token")
    uri = (
        await ask(
            wire,
            media,
            '<x:GetStreamUri xmlns:x="http://www.onvif.org/ver20/media/wsdl"><x:Protocol>RtspUnicast</x:Protocol>'
            f'<ProfileToken xmlns="http://www.onvif.org/ver20/media/wsdl">{token}</ProfileToken></x:GetStreamUri>',
        )
    ).content()
    assert uri.findtext("{*}Uri").startswith(f"rtsp://127.0.0.1:{wire.app.ports.rtsp}/")


async def test_same_prefix_stands_for_different_namespaces(wire: Wire) -> None:
    """DEVICE-6-1-5 and what this client does: one prefix, redeclared on the way down."""
    envelope = (
        f'<p:Envelope xmlns:p="{S}"><p:Header>{wsse.genetec().replace("s:must", "p:must")}</p:Header><p:Body>'
        '<p:GetScopes xmlns:p="http://www.onvif.org/ver10/device/wsdl"/></p:Body></p:Envelope>'
    )
    assert len((await wire.post("/onvif/device_service", envelope)).content()) >= 3


async def test_wrong_password_is_a_bad_logon_and_no_other_fault(wire: Wire) -> None:
    envelope = (
        f'<s:Envelope xmlns:s="{S}"><s:Header>{wsse.genetec().replace("Username>admin", "Username>nobody")}</s:Header><s:Body>'
        '<GetDeviceInformation xmlns="http://www.onvif.org/ver10/device/wsdl"/></s:Body></s:Envelope>'
    )
    answer = await wire.post("/onvif/device_service", envelope)
    assert answer.status in (400, 401)
    assert answer.subcodes() == ["Sender", "NotAuthorized"]


@pytest.mark.covers("S-PullMessages")
async def test_pulling_alone_keeps_the_subscription_alive(wire: Wire) -> None:
    made = (
        await ask(
            wire,
            "/onvif/event_service",
            '<CreatePullPointSubscription xmlns="http://www.onvif.org/ver10/events/wsdl">'
            "<InitialTerminationTime>PT20S</InitialTerminationTime></CreatePullPointSubscription>",
        )
    ).content()
    address = made.findtext(f"{TEV}SubscriptionReference/{{http://www.w3.org/2005/08/addressing}}Address")
    before = datetime.fromisoformat(made.findtext(f"{WSNT}TerminationTime"))
    header = (
        '<a:Action s:mustUnderstand="1">http://www.onvif.org/ver10/events/wsdl/PullPointSubscription/PullMessagesRequest</a:Action>'
        f"<a:To>{address}</a:To>"
    )
    pull = '<PullMessages xmlns="http://www.onvif.org/ver10/events/wsdl"><Timeout>PT1S</Timeout><MessageLimit>100</MessageLimit></PullMessages>'
    ends = [before]
    for _ in range(3):
        answer = (await ask(wire, address.removeprefix(wire.base), pull, header)).content()
        current = datetime.fromisoformat(answer.findtext(f"{TEV}CurrentTime"))
        end = datetime.fromisoformat(answer.findtext(f"{TEV}TerminationTime"))
        assert end >= ends[-1]
        assert (end - current).total_seconds() >= 19
        ends.append(end)
    assert etree.QName(answer).localname == "PullMessagesResponse"
