"""ONVIF Device Manager: the network page, by token and by HTTP Digest, and durations that are durations."""

from __future__ import annotations

import hashlib
import re

import pytest

from tests.local import ADMIN as USER
from tests.local import PASSWORD
from tests.personas import wsse
from tests.personas.conftest import Answer, Wire

S = "http://www.w3.org/2003/05/soap-envelope"
TDS = "http://www.onvif.org/ver10/device/wsdl"
DEVICE = "/onvif/device_service"
NETWORK_PAGE = (
    *("GetHostname", "GetDNS", "GetNTP", "GetNetworkInterfaces", "GetNetworkProtocols", "GetNetworkDefaultGateway"),
    *("GetDiscoveryMode", "GetScopes", "GetZeroConfiguration"),
)


def envelope(body: str, header: str) -> str:
    return (
        f'<s:Envelope xmlns:s="{S}"><s:Header>{header}</s:Header><s:Body xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xmlns:xsd="http://www.w3.org/2001/XMLSchema">{body}</s:Body></s:Envelope>'
    )


async def by_token(wire: Wire, operation: str) -> Answer:
    return await wire.post(DEVICE, envelope(f'<{operation} xmlns="{TDS}"/>', wsse.odm()))


async def by_digest(wire: Wire, operation: str) -> Answer:
    """WCF with HTTP Digest: asks first without credentials, expects a challenge, repeats."""
    body = envelope(f'<{operation} xmlns="{TDS}"/>', "")
    asked = await wire.post(DEVICE, body)
    if asked.status != 401:
        return asked
    given = asked.header("WWW-Authenticate")[0]
    fields = dict(re.findall(r'(\w+)="([^"]*)"', given))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    ha1 = md5(f"{USER}:{fields['realm']}:{PASSWORD}")
    response = md5(f"{ha1}:{fields['nonce']}:00000001:0a4f113b:auth:{md5(f'POST:{DEVICE}')}")
    return await wire.post(
        DEVICE,
        body,
        f'Authorization: Digest username="{USER}",realm="{fields["realm"]}",nonce="{fields["nonce"]}",uri="{DEVICE}",cnonce="0a4f113b",'
        f'nc=00000001,response="{response}",qop="auth",opaque="{fields["opaque"]}"',
    )


@pytest.mark.parametrize("ask", [by_token, by_digest])
async def test_network_page_is_full(wire: Wire, ask: object) -> None:
    answers = {operation: await ask(wire, operation) for operation in NETWORK_PAGE}  # type: ignore[operator]
    faults = {name: answer.subcodes() for name, answer in answers.items() if answer.status != 200}
    assert not set(faults) - {"GetZeroConfiguration"}
    assert faults.get("GetZeroConfiguration", ["ActionNotSupported"])[-1] == "ActionNotSupported"
    content = {name: answer.content() for name, answer in answers.items() if answer.status == 200}
    assert content["GetHostname"].findtext(".//{*}Name")
    assert content["GetNetworkInterfaces"][0].findtext(".//{*}HwAddress")
    protocols = {each.findtext("{*}Name"): int(each.findtext("{*}Port")) for each in content["GetNetworkProtocols"]}
    assert protocols["HTTP"] == wire.app.ports.http
    assert protocols["RTSP"] == wire.app.ports.rtsp


async def test_durations_are_written_as_durations(wire: Wire) -> None:
    trt = "http://www.onvif.org/ver10/media/wsdl"
    body = envelope(f'<GetProfiles xmlns="{trt}"/>', wsse.odm())
    answer = await wire.post("/onvif/media_service", body)
    times = [each.text for each in answer.content().iter("{http://www.onvif.org/ver10/schema}SessionTimeout")]
    assert times
    assert all(re.fullmatch(r"PT(\d+H)?(\d+M)?(\d+(\.\d+)?S)?", time) and time != "PT" for time in times)
