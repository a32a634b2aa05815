"""The live metadata stream beside video, by every transport, as a client of its own reads it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from lxml import etree

from tests.e2e.harness import Recorder
from tests.e2e.rtsp_client import Packet, RtspClient, unverified
from tests.e2e.soap import Device
from tests.e2e.test_replay import udp_packets, udp_ports

TT = "{http://www.onvif.org/ver10/schema}"
WSNT = "{http://docs.oasis-open.org/wsn/b-2}"
WAYS = {
    "tcp": ("rtsp_port", False, False),
    "udp": ("rtsp_port", False, False),
    "tunnel": ("http_port", True, False),
    "tunnel in TLS": ("https_port", True, True),
}


def documents(packets: Iterator[Packet]) -> Iterator[etree._Element]:
    """A document ends with the marker (Streaming 5.1.2.1.1)."""
    data = b""
    for packet in packets:
        data += packet.payload
        if packet.marker:
            yield etree.fromstring(data)
            data = b""


@pytest.mark.covers("T-MetadataStream", "M-MetadataStream", "M-ReadyMetadataProfile", "M-VideoStream", "M-RTP-UDP")
@pytest.mark.covers("M-RTP-RTSP-HTTP-TCP", "M-RTP-RTSP-HTTPS-TCP", "T-PropertyStateOnSync")
@pytest.mark.covers("M-media2-SetSynchronizationPoint", "T-media2-SetSynchronizationPoint")
@pytest.mark.parametrize("way", WAYS)
def test_documents_beside_video(recorder: Recorder, device: Device, streams: dict[str, str], way: str) -> None:
    name, tunnel, secure = WAYS[way]
    url = f"rtsp://{recorder.host}:{getattr(recorder, name)}{urlsplit(streams['main']).path}"
    tls = unverified() if secure else None
    with contextlib.ExitStack() as ends:
        client = ends.enter_context(RtspClient(url, recorder.user, recorder.password, tunnel=tunnel, tls=tls))
        described = {each.kind: each for each in client.describe()}
        metadata = described["application"]
        assert metadata.encoding == "vnd.onvif.metadata"
        if way == "udp":
            media, _ = (ends.enter_context(each) for each in udp_ports())
            client.setup(metadata, port=media.getsockname()[1])
            client.demand("PLAY")
            found = documents(udp_packets(media))
        else:
            client.setup(described["video"], 0)
            client.setup(metadata, 2)
            client.demand("PLAY")
            assert next(client.packets(0)).payload
            found = documents(client.packets(2))
        # A document each second, whether anything happens or not (recommended by Streaming 5.1.2.1.1).
        assert [each.tag for each in itertools.islice(found, 3)] == [f"{TT}MetadataStream"] * 3
        profile = device.profiles()[0]
        device.call(
            f"<tr2:SetSynchronizationPoint><tr2:ProfileToken>{profile}</tr2:ProfileToken></tr2:SetSynchronizationPoint>"
        )
        # Media2 5.7.1: all property events are told again, as what they are.
        for each in itertools.islice(found, 12):
            told = [message.get("PropertyOperation") for message in each.iter(f"{TT}Message")]
            if told and each.find(f".//{WSNT}Topic") is not None and "Initialized" in told:
                return
        pytest.fail("no states after the synchronisation point")
