"""Sound goes to a camera by the way that its streams come: tunnel, TLS with its certificate, UDP."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.drivers import talk
from onvifd.cameras.registry import Credentials, Role, Stream
from onvifd.cameras.talkback import Talkback, TalkSource
from onvifd.cameras.ways import Reach
from onvifd.clock import SystemClock
from onvifd.live.talk import TalkGrip, TalkLine
from onvifd.media.types import Codec
from onvifd.rtsp.backchannel import Talker
from onvifd.rtsp.client_session import ClientOptions
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import Judge, Trust
from onvifd.workers.specs import CameraSpec, TalkSpec
from onvifd.workers.talking import Talking, _source
from tests.cameras.test_talkback import SPEECH, say, until
from tests.cameras.test_transports import certificate
from tests.cameras.test_ways import closed

CLOCK = SystemClock()
ANNA = Talker("anna", "192.0.2.1", "a")
LOGIN = Credentials(user="admin", password="camera-pass-1")


@contextlib.asynccontextmanager
async def within_tls(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """What a camera with RTSPS has in front of its RTSP."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, outer))
        for each in (pump(reader, outer), pump(inner, writer)):
            tasks.add(asyncio.create_task(each))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def talking(
    port: int, options: ClientOptions, pins: list[str] | None = None
) -> AsyncIterator[tuple[TalkGrip, Talkback]]:
    line = TalkLine("cam-1")
    source = TalkSource("cam-1", f"rtsp://127.0.0.1:{port}/main", "admin", "camera-pass-1", options)
    back = Talkback(line, source, CLOCK, idle=0.2, on_pin=(pins if pins is not None else []).append)
    task = asyncio.create_task(back.run())
    await asyncio.sleep(0)
    try:
        yield line.take(ANNA, CLOCK.monotonic()), back
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_by_a_tunnel_where_the_rtsp_port_is_closed(device: SimulatedDevice) -> None:
    options = ClientOptions(way=Way.HTTP, tunnel_port=device.http_port)
    async with talking(closed(), options) as (grip, back):
        say(grip, SPEECH)
        await until(lambda: len(device.loudspeaker.sounds) == 100)
        assert device.loudspeaker.heard == SPEECH
        assert (back.counters.sent, back.counters.dropped) == (100, 0)


async def test_within_tls_the_first_certificate_is_told_and_no_other_taken(
    device: SimulatedDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onvifd.cameras.talkback.RETRY", 0.05)
    context, pin = certificate(tmp_path, "camera")
    pins: list[str] = []
    async with within_tls(device.rtsp_port, context) as port:
        options = ClientOptions(way=Way.RTSPS)
        async with talking(port, options, pins) as (grip, back):
            for number in range(2):
                say(grip, SPEECH[:320], first=2 * number)
                await until(lambda number=number: len(device.loudspeaker.sounds) == 2 * number + 2)  # type: ignore[misc]
                await until(lambda: device.loudspeaker.line.talker(CLOCK.monotonic()) is None)
            assert back.counters.connections == 2
            assert pins == [pin]
        for judge, known in ((Judge.PIN, "ab" * 32), (Judge.CA, "")):
            strict = replace(options, trust=Trust(judge, known))
            async with talking(port, strict, pins) as (grip, back):
                say(grip, SPEECH[:160])
                await until(lambda back=back: back.trouble)  # type: ignore[misc]
                assert "certificate" in back.trouble or "no TLS" in back.trouble
                assert (len(device.loudspeaker.sounds), pins) == (4, [pin])


async def test_by_udp_where_that_is_set(device: SimulatedDevice) -> None:
    async with talking(device.rtsp_port, ClientOptions(way=Way.UDP)) as (grip, back):
        say(grip, SPEECH)
        await until(lambda: len(device.loudspeaker.sounds) == 100)
        assert device.loudspeaker.heard == SPEECH
        assert back.counters.connections == 1


async def test_within_tls_no_sound_leaves_in_clear(
    device: SimulatedDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera that takes sound by UDP alone."""
    monkeypatch.setattr("onvifd.rtsp.server_setup.usable_transports", lambda offers, *rest: [])
    context, _ = certificate(tmp_path, "camera")
    tls = ClientOptions(way=Way.RTSPS)
    async with within_tls(device.rtsp_port, context) as port, talking(port, tls) as (grip, back):
        say(grip, SPEECH[:160])
        await until(lambda: back.trouble)
        assert "461" in back.trouble


async def test_what_the_loudspeaker_decodes_is_asked_by_the_same_way(device: SimulatedDevice, tmp_path: Path) -> None:
    stream = Stream(role=Role.MAIN, uri=f"rtsp://127.0.0.1:{closed()}/main")
    reach = Reach(transport=Way.HTTP, tunnel_port=device.http_port)
    assert Codec.PCMU in [format.codec for format in await talk(stream, LOGIN, reach)]
    async with within_tls(device.rtsp_port, certificate(tmp_path, "camera")[0]) as port:
        stream = Stream(role=Role.MAIN, uri=f"rtsp://127.0.0.1:{port}/main")
        assert Codec.PCMU in [format.codec for format in await talk(stream, LOGIN, Reach(transport=Way.RTSPS))]
        assert await talk(stream, LOGIN) == ()


def spec(device: SimulatedDevice, **more: object) -> CameraSpec:
    url = f"rtsp://127.0.0.1:{device.rtsp_port}/main"
    talk = TalkSpec(url=url, user="admin", password="camera-pass-1", **more)  # type: ignore[arg-type]
    return CameraSpec(id="cam-1", channel=1, streams=(), talk=talk)


async def test_another_way_makes_another_connection_and_what_was_learnt_does_not(device: SimulatedDevice) -> None:
    talking = Talking(CLOCK)
    await talking.configure((spec(device),))
    line, way = talking.line("cam-1"), talking._ways["cam-1"]
    assert line is not None
    await talking.configure((spec(device, digest=True, pin="ab" * 32),))
    assert talking._ways["cam-1"].back is way.back
    await talking.configure((spec(device, transport="http", tunnel_port=device.http_port),))
    assert talking._ways["cam-1"].back is not way.back
    assert talking.line("cam-1") is line
    say(line.take(ANNA, CLOCK.monotonic()), SPEECH[:160])
    await until(lambda: len(device.loudspeaker.sounds) == 1)
    await talking.close()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {"digest": True}, True),
        ({}, {"pin": "ab" * 32}, True),
        ({"pin": "ab" * 32}, {"pin": "cd" * 32}, False),
        ({}, {"trust": "none"}, False),
        ({}, {"transport": "rtsps"}, False),
        ({}, {"quirks": ("basic-clear",)}, False),
        ({}, {"password": "other"}, False),
    ],
)
def test_what_is_another_way(one: dict[str, object], other: dict[str, object], same: bool) -> None:
    made = [_source("cam-1", TalkSpec(url="rtsp://192.0.2.7/", **each)) for each in (one, other)]  # type: ignore[arg-type]
    assert made[0].is_same(made[1]) is same
