"""From a line to a camera that hears: own connection, encodings, cameras that refuse."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.talkback import Answers, Sender, Talkback, TalkSource, choose, talk_formats
from onvifd.clock import SystemClock
from onvifd.errors import NotSupported, OnvifdError
from onvifd.live.talk import TalkGrip, TalkLine
from onvifd.media import g711
from onvifd.media.rtp.packet import build_rtp
from onvifd.media.types import Codec, TrackFormat
from onvifd.rtsp.backchannel import Talker
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.headers import Transport
from onvifd.rtsp.requests import usable_transports
from onvifd.rtsp.sdp import DescribedTalk

PCMU = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)
PCMA = TrackFormat(codec=Codec.PCMA, clock_rate=8000, channels=1)
AAC = TrackFormat(codec=Codec.AAC, clock_rate=16000, channels=1, config=b"\x14\x08")
OPUS = TrackFormat(codec=Codec.OPUS, clock_rate=48000, channels=2)
SPEECH = random.Random(2).randbytes(160 * 100)
CLOCK = SystemClock()


def url(device: SimulatedDevice) -> str:
    return f"rtsp://127.0.0.1:{device.rtsp_port}/main"


def source(device: SimulatedDevice, password: str = "camera-pass-1") -> TalkSource:
    return TalkSource("cam-1", url(device), "admin", password)


@asynccontextmanager
async def talking(device: SimulatedDevice, **options: float) -> AsyncIterator[tuple[TalkGrip, Talkback]]:
    line = TalkLine("cam-1")
    back = Talkback(line, source(device), CLOCK, **options)
    task = asyncio.create_task(back.run())
    await asyncio.sleep(0)
    try:
        yield line.take(Talker("anna", "192.0.2.1", "a"), CLOCK.monotonic()), back
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def say(grip: TalkGrip, data: bytes, payload_type: int = 0, first: int = 0) -> None:
    for number, at in enumerate(range(0, len(data), 160), first):
        packet = build_rtp(
            marker=False,
            payload_type=payload_type,
            seq=number,
            rtp_time=number * 160,
            ssrc=9,
            payload=data[at : at + 160],
        )
        grip.hear(packet, CLOCK.monotonic())


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


@pytest.mark.covers("LIV-10", "T-Backchannel-G711")
async def test_every_sample_reaches_the_camera(device: SimulatedDevice) -> None:
    async with talking(device) as (grip, back):
        say(grip, SPEECH)
        await until(lambda: len(device.loudspeaker.sounds) == 100)
        assert device.loudspeaker.heard == SPEECH
        sounds = list(device.loudspeaker.sounds)
        assert [sound.at - sounds[0].at for sound in sounds] == [n * 20_000 for n in range(100)]
        assert (back.counters.sent, back.counters.dropped, back.counters.connections) == (100, 0, 1)


async def test_the_camera_is_left_when_nobody_speaks_and_asked_again(device: SimulatedDevice) -> None:
    camera = device.loudspeaker.line
    async with talking(device, idle=0.1) as (grip, back):
        assert camera.talker(CLOCK.monotonic()) is None
        say(grip, SPEECH[:320])
        await until(lambda: camera.talker(CLOCK.monotonic()) is not None)
        await until(lambda: camera.talker(CLOCK.monotonic()) is None)
        say(grip, SPEECH[320:480], first=2)
        await until(lambda: len(device.loudspeaker.sounds) == 3)
        assert device.loudspeaker.heard == SPEECH[:480]
        assert back.counters.connections == 2


async def test_what_the_camera_decodes_is_offered(device: SimulatedDevice) -> None:
    formats = await talk_formats(url(device), "admin", "camera-pass-1")
    assert [format.codec for format in formats] == [Codec.PCMU, Codec.PCMA, Codec.G726, Codec.AAC]
    assert AAC in formats
    async with talking(device) as (grip, _):
        say(grip, SPEECH[:160])
        await until(lambda: device.loudspeaker.sounds)
        assert AAC in grip._line.offered.values()


async def test_a_law_reaches_the_camera_as_it_is(device: SimulatedDevice) -> None:
    async with talking(device) as (grip, _):
        say(grip, SPEECH[:1600], payload_type=8)
        await until(lambda: len(device.loudspeaker.sounds) == 10)
        assert {sound.format.codec for sound in device.loudspeaker.sounds} == {Codec.PCMA}
        assert device.loudspeaker.heard == SPEECH[:1600]


async def test_one_encoding_to_the_camera_whatever_clients_change_to(device: SimulatedDevice) -> None:
    async with talking(device) as (grip, _):
        say(grip, SPEECH[:160])
        say(grip, SPEECH[160:320], payload_type=8, first=1)
        await until(lambda: len(device.loudspeaker.sounds) == 2)
        first, second = device.loudspeaker.sounds
        assert second.format == first.format
        assert second.data == g711.encode_mulaw(g711.decode_alaw(SPEECH[160:320]))


async def test_a_camera_in_use_by_others_is_tried_again(
    device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onvifd.cameras.talkback.RETRY", 0.05)
    camera = device.loudspeaker.line
    other = camera.take(Talker("vms", "192.0.2.9", "x"), CLOCK.monotonic())
    async with talking(device) as (grip, back):
        say(grip, SPEECH[:160])
        await until(lambda: back.trouble)
        assert "503" in back.trouble
        other.release()
        for number in range(1, 200):
            say(grip, SPEECH[160:320], first=number)
            await asyncio.sleep(0.01)
            if device.loudspeaker.sounds:
                break
        assert device.loudspeaker.heard.startswith(SPEECH[160:320])
        assert back.trouble == ""
        assert back.counters.dropped > 0


async def test_a_camera_that_wants_sound_by_udp(device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    def by_udp(offers: list[Transport], *rest: bool) -> list[Transport]:
        return [each for each in usable_transports(offers, *rest) if not each.tcp]

    monkeypatch.setattr("onvifd.rtsp.server_setup.usable_transports", by_udp)
    async with talking(device) as (grip, _):
        say(grip, SPEECH)
        await until(lambda: len(device.loudspeaker.sounds) == 100)
        assert device.loudspeaker.heard == SPEECH


@pytest.mark.covers("T-Backchannel-AAC")
async def test_aac_reaches_a_camera_that_decodes_it_as_it_is(device: SimulatedDevice) -> None:
    line = TalkLine("cam-1", (AAC,))
    back = Talkback(line, source(device), CLOCK)
    task = asyncio.create_task(back.run())
    grip = line.take(Talker("anna", "192.0.2.1", "a"), CLOCK.monotonic())
    frames = [b"\0\x10\x02\x80" + random.Random(n).randbytes(80) for n in range(20)]
    for number, frame in enumerate(frames):
        packet = build_rtp(marker=True, payload_type=97, seq=number, rtp_time=number * 1024, ssrc=1, payload=frame)
        grip.hear(packet, CLOCK.monotonic())
    await until(lambda: len(device.loudspeaker.sounds) == 20)
    assert [sound.data for sound in device.loudspeaker.sounds] == frames
    assert {sound.format for sound in device.loudspeaker.sounds} == {AAC}
    first = device.loudspeaker.sounds[0].at
    assert [sound.at - first for sound in device.loudspeaker.sounds] == [n * 64_000 for n in range(20)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_sound_that_cannot_be_turned_gets_a_connection_of_its_own(device: SimulatedDevice) -> None:
    async with talking(device) as (grip, back):
        say(grip, SPEECH[:160])
        await until(lambda: len(device.loudspeaker.sounds) == 1)
        number = next(n for n, each in grip._line.offered.items() if each.codec is Codec.G726)
        say(grip, SPEECH[:320], payload_type=number, first=1)
        await until(lambda: len(device.loudspeaker.sounds) == 3)
        assert [sound.format.codec for sound in device.loudspeaker.sounds] == [Codec.PCMU, Codec.G726, Codec.G726]
        assert (back.counters.connections, back.counters.dropped) == (2, 0)


async def test_a_wrong_login_and_a_camera_that_is_away() -> None:
    with pytest.raises(OnvifdError):
        await talk_formats("rtsp://127.0.0.1:9/main", timeout=2)


async def test_the_login_is_wanted(device: SimulatedDevice) -> None:
    with pytest.raises(OnvifdError):
        await talk_formats(url(device), "admin", "wrong")


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"RTSP/1.0 200 OK\nCSeq: 5\n\n", id="line-feeds"),
        pytest.param(b"RTSP/1.0 200 OK\r\nServer\r\nCSeq: 5\r\n\r\n", id="bad-headers"),
        pytest.param(b"\0\0RTSP/1.0 200 OK\r\nCSeq: 5\r\n\r\n", id="rubbish"),
        pytest.param(b"$\1\0\2xxOPTIONS * RTSP/1.0\r\nCSeq: 5\r\n\r\n", id="requests-us"),
    ],
)
def test_odd_answers_do_not_end_a_talk(said: bytes) -> None:
    """The same quirks are borne as of streams."""
    taken: list[bytes] = []

    class Client(RtspClient):
        def answered(self, message: bytes) -> None:
            taken.append(message)

    answers = Answers(Client("rtsp://192.0.2.1/"), udp=False)
    for at in range(len(said)):
        assert answers.receive(bytearray(said[at : at + 1]), 0, 1) == 1
    assert [b"CSeq: 5" in message for message in taken] == [True]


def test_what_no_encoder_makes_is_not_chosen() -> None:
    strange = replace(AAC, clock_rate=7)
    talk = DescribedTalk("rtsp://192.0.2.1/talk", ((97, strange), (8, PCMA)))
    assert choose(talk, replace(PCMU, clock_rate=7)) == (8, PCMA)
    with pytest.raises(NotSupported):
        choose(replace(talk, formats=talk.formats[:1]), PCMU)


async def test_a_defect_costs_one_connection(device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onvifd.cameras.talkback.RETRY", 0.01)
    faults = iter((ZeroDivisionError("defect"),))
    real = Talkback._open

    async def broken(self: Talkback, client: RtspClient) -> Sender:
        for fault in faults:
            raise fault
        return await real(self, client)

    monkeypatch.setattr(Talkback, "_open", broken)
    async with talking(device) as (grip, back):
        say(grip, SPEECH[:160])
        await until(lambda: back.trouble == "the recorder failed to talk to the camera")
        await until(lambda: not back._waiting)
        say(grip, SPEECH[:1600], first=10)
        await until(lambda: back.counters.sent > 0)
        assert back.trouble == ""


def test_what_is_sent_already_is_preferred_then_what_costs_least() -> None:
    def offer(*formats: TrackFormat) -> DescribedTalk:
        return DescribedTalk("rtsp://x/", tuple((97 + n, format) for n, format in enumerate(formats)))

    assert choose(offer(PCMU, PCMA), PCMA) == (98, PCMA)
    assert choose(offer(AAC, PCMA), PCMU) == (98, PCMA)
    assert choose(offer(OPUS, AAC), PCMU) == (98, AAC)
    assert choose(offer(OPUS), OPUS) == (97, OPUS)
    with pytest.raises(NotSupported):
        choose(offer(OPUS), PCMU)
