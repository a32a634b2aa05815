"""Home Assistant: relative termination times, renewal at 80 %, a clearing event for each raising one, leave at the end."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

import pytest

from onvifd.clock import SystemClock
from onvifd.events import topics
from tests.personas import wsse
from tests.personas.conftest import Answer, Wire

S = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://www.w3.org/2005/08/addressing"
TEV, WSNT = "http://www.onvif.org/ver10/events/wsdl", "http://docs.oasis-open.org/wsn/b-2"


async def ask(wire: Wire, url: str, action: str, body: str) -> Answer:
    envelope = (
        f"<?xml version='1.0' encoding='utf-8'?>\n<soap-env:Envelope xmlns:soap-env=\"{S}\"><soap-env:Header xmlns:wsa=\"{WSA}\">"
        f"<wsa:Action>{action}</wsa:Action><wsa:MessageID>urn:uuid:0c1b4b2f-6c7a-4d5e-9c3e-0a1b2c3d4e5f</wsa:MessageID><wsa:To>{url}</wsa:To>"
        f"{wsse.zeep()}</soap-env:Header><soap-env:Body>{body}</soap-env:Body></soap-env:Envelope>"
    )
    return await wire.post(url.removeprefix(wire.base), envelope)


async def create(wire: Wire) -> Any:
    answer = await ask(
        wire,
        f"{wire.base}/onvif/event_service",
        f"{TEV}/EventPortType/CreatePullPointSubscriptionRequest",
        f'<ns0:CreatePullPointSubscription xmlns:ns0="{TEV}"><ns0:InitialTerminationTime>PT600S</ns0:InitialTerminationTime>'
        "</ns0:CreatePullPointSubscription>",
    )
    return answer.content()


async def pull(wire: Wire, address: str, seconds: int = 1) -> Answer:
    return await ask(
        wire,
        address,
        f"{TEV}/PullPointSubscription/PullMessagesRequest",
        f'<ns0:PullMessages xmlns:ns0="{TEV}"><ns0:Timeout>PT{seconds}S</ns0:Timeout><ns0:MessageLimit>100</ns0:MessageLimit></ns0:PullMessages>',
    )


def granted(content: Any, current: str, end: str) -> float:
    times = [datetime.fromisoformat(content.findtext(f".//{name}")) for name in (current, end)]
    return (times[1] - times[0]).total_seconds()


def address_of(created: Any) -> str:
    return str(created.findtext(f".//{{{WSA}}}Address"))


@pytest.mark.covers("S-CreatePullPointSubscription", "S-Renew")
async def test_relative_times_are_granted_as_asked_and_renewed(wire: Wire) -> None:
    created = await create(wire)
    # It calls relative time stamps broken when end less begin is not what it asked for.
    assert granted(created, f"{{{WSNT}}}CurrentTime", f"{{{WSNT}}}TerminationTime") == pytest.approx(600, abs=1)
    address = address_of(created)
    (
        await ask(
            wire,
            address,
            f"{TEV}/PullPointSubscription/SetSynchronizationPointRequest",
            f'<ns0:SetSynchronizationPoint xmlns:ns0="{TEV}"/>',
        )
    ).content()
    (await pull(wire, address)).content()
    renewed = await ask(
        wire,
        address,
        "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/RenewRequest",
        f'<ns0:Renew xmlns:ns0="{WSNT}"><ns0:TerminationTime>PT600S</ns0:TerminationTime></ns0:Renew>',
    )
    assert granted(renewed.content(), f"{{{WSNT}}}CurrentTime", f"{{{WSNT}}}TerminationTime") == pytest.approx(
        600, abs=1
    )
    # The answer is tied to the question, or zeep's addressing plugin complains.
    assert b"urn:uuid:0c1b4b2f-6c7a-4d5e-9c3e-0a1b2c3d4e5f" in renewed.body


@pytest.mark.covers("S-Unsubscribe")
async def test_after_unsubscribing_the_address_is_dead(wire: Wire) -> None:
    address = address_of(await create(wire))
    (
        await ask(
            wire,
            address,
            "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeRequest",
            f'<ns0:Unsubscribe xmlns:ns0="{WSNT}"/>',
        )
    ).content()
    gone = await pull(wire, address)
    assert gone.status >= 400
    assert b"ResourceUnknownFault" in gone.body


async def test_each_alarm_that_is_raised_is_cleared(wire: Wire) -> None:
    address = address_of(await create(wire))
    source = f"vs-{wire.app.recorder.channels[0].camera}"
    told: list[str] = []
    # False first: the picture may be in motion already, and then True is no change.
    for state in (False, True, False, True, False):
        wire.app.bus.publish(topics.motion_alarm(source, state, SystemClock().utc()))
    for _ in range(10):
        for holder in (await pull(wire, address)).content().findall(f"{{{WSNT}}}NotificationMessage"):
            if holder.findtext(f"{{{WSNT}}}Topic") == "tns1:VideoSource/MotionAlarm":
                message = holder.find(f"{{{WSNT}}}Message/{{*}}Message")
                # Initialized tells how it is; Changed what happened.
                if message.get("PropertyOperation") == "Changed":
                    told.append(message.find("{*}Data/{*}SimpleItem").get("Value"))
        if len(told) >= 4:
            break
    # The picture has motion of its own, so more may be told; but never twice the same.
    assert len(told) >= 4
    assert all(before != after for before, after in itertools.pairwise(told))


async def test_recorder_is_set_up_in_its_order(wire: Wire) -> None:
    """update_xaddrs, device information, capabilities, profiles, snapshot; each answer is read by zeep."""
    device, tds, trt = (
        f"{wire.base}/onvif/device_service",
        "http://www.onvif.org/ver10/device/wsdl",
        "http://www.onvif.org/ver10/media/wsdl",
    )
    capabilities = await ask(
        wire,
        device,
        f"{tds}/GetCapabilities",
        f'<ns0:GetCapabilities xmlns:ns0="{tds}"><ns0:Category>All</ns0:Category></ns0:GetCapabilities>',
    )
    media = capabilities.content().findtext(".//{*}Media/{*}XAddr")
    assert media  # "Device doesn't support service: media" otherwise
    information = (
        await ask(wire, device, f"{tds}/GetDeviceInformation", f'<ns0:GetDeviceInformation xmlns:ns0="{tds}"/>')
    ).content()
    assert information.findtext("{*}SerialNumber")
    (
        await ask(wire, media, f"{trt}/GetServiceCapabilities", f'<ns0:GetServiceCapabilities xmlns:ns0="{trt}"/>')
    ).content()
    profiles = (await ask(wire, media, f"{trt}/GetProfiles", f'<ns0:GetProfiles xmlns:ns0="{trt}"/>')).content()
    assert "H264" in [profile.findtext(".//{*}VideoEncoderConfiguration/{*}Encoding") for profile in profiles]
