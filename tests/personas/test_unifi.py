"""UniFi Protect (npm onvif 0.x inside): password digest only, a strict XML parser, MAC as identity, H.264."""

from __future__ import annotations

import asyncio
import hashlib
import re

import pytest

from tests.local import ADMIN as USER
from tests.local import PASSWORD
from tests.personas import wsse
from tests.personas.conftest import Answer, Wire

S = "http://www.w3.org/2003/05/soap-envelope"
TDS, TRT = "http://www.onvif.org/ver10/device/wsdl", "http://www.onvif.org/ver10/media/wsdl"


async def ask(wire: Wire, path: str, body: str, security: str | None = None) -> Answer:
    header = f"<s:Header>{wsse.agsh() if security is None else security}</s:Header>"
    envelope = (
        f'<s:Envelope xmlns:s="{S}" xmlns:a="http://www.w3.org/2005/08/addressing">{header}'
        '<s:Body xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
        f"{body}</s:Body></s:Envelope>"
    )
    return await wire.post(path, envelope)


async def test_time_is_told_to_everyone_without_a_challenge(wire: Wire) -> None:
    answer = await ask(wire, "/onvif/device_service", f'<GetSystemDateAndTime xmlns="{TDS}"/>', "")
    answer.content()
    assert not answer.header("WWW-Authenticate")


async def test_every_answer_begins_with_the_declaration_and_is_as_long_as_it_says(wire: Wire) -> None:
    for body in (f'<GetSystemDateAndTime xmlns="{TDS}"/>', f'<GetDeviceInformation xmlns="{TDS}"/>', "<x/>"):
        answer = await ask(wire, "/onvif/device_service", body)
        assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
        assert answer.body.rstrip().endswith(b">")
        assert answer.header("Content-Length") == [str(len(answer.body))]
        assert answer.header("Content-Type")[0].startswith("application/soap+xml")


async def test_password_in_clear_is_refused_and_the_digest_taken_on_the_next_try(wire: Wire) -> None:
    request = f'<GetDeviceInformation xmlns="{TDS}"/>'
    refused = await ask(wire, "/onvif/device_service", request, wsse.agsh("PasswordText"))
    assert refused.status in (400, 401)
    assert refused.subcodes() == ["Sender", "NotAuthorized"]
    assert not any(value.lower().startswith("basic") for value in refused.header("WWW-Authenticate"))
    (await ask(wire, "/onvif/device_service", request)).content()


@pytest.mark.covers("P001")
async def test_camera_is_adopted(wire: Wire) -> None:
    device = "/onvif/device_service"
    capabilities = (
        await ask(wire, device, f'<GetCapabilities xmlns="{TDS}"><Category>All</Category></GetCapabilities>')
    ).content()
    media = capabilities.findtext(".//{*}Media/{*}XAddr").removeprefix(wire.base)
    assert (await ask(wire, media, f'<GetVideoSources xmlns="{TRT}"/>')).content()[0].get("token")
    interfaces = (await ask(wire, device, f'<GetNetworkInterfaces xmlns="{TDS}"/>')).content()
    assert re.fullmatch(r"[0-9a-fA-F:]{17}", interfaces[0].findtext(".//{*}HwAddress"))
    profiles = (await ask(wire, media, f'<GetProfiles xmlns="{TRT}"/>')).content()
    encodings = [profile.findtext(".//{*}VideoEncoderConfiguration/{*}Encoding") for profile in profiles]
    assert "H264" in encodings
    chosen = profiles[encodings.index("H264")]
    size = chosen.find(".//{*}VideoEncoderConfiguration/{*}Resolution")
    assert (int(size.findtext("{*}Width")), int(size.findtext("{*}Height"))) > (0, 0)
    token = f"<ProfileToken>{chosen.get('token')}</ProfileToken>"
    setup = (
        '<StreamSetup><Stream xmlns="http://www.onvif.org/ver10/schema">RTP-Unicast</Stream>'
        '<Transport xmlns="http://www.onvif.org/ver10/schema"><Protocol>RTSP</Protocol></Transport></StreamSetup>'
    )
    stream = (await ask(wire, media, f'<GetStreamUri xmlns="{TRT}">{setup}{token}</GetStreamUri>')).content()
    snapshot = (await ask(wire, media, f'<GetSnapshotUri xmlns="{TRT}">{token}</GetSnapshotUri>')).content()
    assert snapshot.findtext(".//{*}Uri").startswith(wire.base + "/")
    # The account entered at adoption is the account of the stream.
    assert await describe(stream.findtext(".//{*}Uri")) == 200


async def describe(uri: str) -> int:
    """The status of DESCRIBE with Digest as the old clients do it, without qop."""
    host, port = re.match(r"rtsp://([^:/]+):(\d+)/", uri).groups()  # type: ignore[union-attr]
    credentials = ""
    for cseq in (1, 2):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"DESCRIBE {uri} RTSP/1.0\r\nCSeq: {cseq}\r\nAccept: application/sdp\r\n{credentials}\r\n".encode()
        )
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
        writer.close()
        status = int(head.split()[1])
        if status != 401:
            break
        realm, nonce = (re.search(f'{name}="([^"]+)"', head)[1] for name in ("realm", "nonce"))  # type: ignore[index]

        def md5(text: str) -> str:
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

        response = md5(f"{md5(f'{USER}:{realm}:{PASSWORD}')}:{nonce}:{md5(f'DESCRIBE:{uri}')}")
        credentials = f'Authorization: Digest username="{USER}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}"\r\n'
    return status
