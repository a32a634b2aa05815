"""SRTP by multicast: one key and one encryption for all listeners (Streaming 8.2.1.3)."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest

from onvifd.clock import SystemClock
from onvifd.live.mount import LiveMount
from onvifd.live.parts import Composition
from onvifd.media.types import Kind
from onvifd.rtsp import mikey
from onvifd.rtsp.mikey import CryptoSession
from onvifd.rtsp.multicast import Groups
from onvifd.rtsp.play import Multicast
from onvifd.rtsp.server import RtspServer
from onvifd.rtsp.srtp import KeyMaterial, Receiver, Suite
from onvifd.workers.frontdoor import FrontDoor
from tests.bodies.test_gate import tls as tls
from tests.rtsp import sample
from tests.rtsp.test_multicast import Listener
from tests.rtsp.test_multicast import group as group
from tests.rtsp.test_multicast import groups as groups
from tests.rtsp.test_multicast import listener as listener
from tests.rtsp.test_protection import House, connected, key_of

WAY = "RTP/SAVP;multicast"


@pytest.fixture
async def house(tls: ssl.SSLContext, group: Multicast, groups: Groups) -> AsyncIterator[House]:
    stream, _ = sample.live()
    composition = Composition(name="n", profile="p", video=stream, multicast={Kind.VIDEO: group})
    server = RtspServer(
        {"/live": LiveMount(lambda path: composition, 60, groups=groups)}, sample.verifier(), SystemClock()
    )

    async def route(path: str, arrival: object) -> None:
        server.admit(arrival.duplicate())  # type: ignore[attr-defined]

    door = FrontDoor(route)
    ports = {"rtsps": door.listen("127.0.0.1", 0, tls), "rtsp": door.listen("127.0.0.1", 0)}
    async with sample.feeding(stream, 0.01):
        yield server, door, ports
    await door.close()
    await server.close()


async def test_listeners_share_a_key_and_learn_its_successor(house: House, listener: Listener, groups: Groups) -> None:
    async with connected(house) as one, connected(house) as two:
        sdp = await one.describe("?srtp&multicast")
        assert "RTP/SAVP" in sdp
        ours = key_of(sdp).material()
        assert key_of(await two.describe("?srtp&multicast")).material() == ours
        sessions = []
        for client in (one, two):
            control = client.url + "/video"
            status, headers, _ = await client.ask("SETUP", control, Transport=WAY)
            if status == 404:
                status, headers, _ = await client.ask("SETUP", client.track, Transport=WAY)
            assert status == 200
            assert headers["transport"].startswith("RTP/SAVP;multicast")
            sessions.append(headers["session"].partition(";")[0])
            assert (await client.ask("PLAY", Session=sessions[-1]))[0] == 200
        assert len(groups.senders) == 1
        receiver = Receiver(ours)
        assert all(receiver.packet(packet) for packet in await listener.take(20))
        new = KeyMaterial.fresh(Suite.AES_CM_128)
        text = mikey.to_text(mikey.build(new, 1, CryptoSession(0, 0, 0), 1, bytes(16)))
        assert (await one.ask("SET_PARAMETER", body=f"mikey: {text}\r\n", Session=sessions[0]))[0] == 200
        _, _, told = await two.ask("GET_PARAMETER", body="mikey", Session=sessions[1])
        message = mikey.from_parameters(told.encode())
        assert message is not None
        assert message.material() == new
        receiver.add(new)
        (packet,) = await listener.take(1)
        while new.mki not in packet[-14:]:
            assert receiver.packet(packet)
            (packet,) = await listener.take(1)
        assert all(receiver.packet(packet) for packet in [packet, *await listener.take(20)])


async def test_a_group_is_sent_in_one_way_only(house: House, groups: Groups) -> None:
    async with connected(house) as one, connected(house, "rtsp") as two:
        await one.describe("?srtp&multicast")
        key = KeyMaterial.fresh(Suite.AES_CM_128)
        text = mikey.to_text(mikey.build(key, 1, CryptoSession(0, 0, 0), 1, bytes(16)))
        own = f'prot=mikey;uri="";data="{text}"'
        assert (await one.ask("SETUP", one.track, Transport=WAY, KeyMgmt=own))[0] == 463
        for client, way in ((one, WAY), (two, "RTP/AVP;multicast")):
            status, headers, _ = await client.ask("SETUP", client.track, Transport=way)
            assert status == 200
            session = headers["session"].partition(";")[0]
            status, _, _ = await client.ask("PLAY", Session=session)
            assert status == (200 if client is one else 503)
