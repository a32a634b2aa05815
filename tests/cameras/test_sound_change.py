"""AAC that changes under one payload type: seen by the speed of its time stamps and by how its frames begin."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from onvifd.cameras import sound_change
from onvifd.cameras.intake_track import InboundTrack
from onvifd.cameras.sound_change import LOOK, LOOKS, SPAN, SPANS, SoundWatch, channels_of, described_channels
from onvifd.clock import SimulatedClock
from onvifd.media import aac
from onvifd.media.rtp.pack import Packer
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat
from tests.cameras.fault_camera import SSRC, Camera, Packet, Rig

MONO, STEREO = b"\x01" + b"m" * 99, b"\x21" + b"s" * 99
"""Frames that begin with the element for one channel, and for two."""
FILLED = b"\xc1" + b"f" * 99


def described(rate: int = 16000, channels: int = 1, object_type: int = 2) -> TrackFormat:
    config = aac.AudioSpecificConfig(object_type=object_type, sample_rate=rate, channels=channels)
    return TrackFormat(codec=Codec.AAC, clock_rate=rate, channels=channels, config=aac.build_config(config))


def packed(format: TrackFormat, data: bytes, index: int = 0) -> FlushUnit:
    packer = Packer(format, track=index, payload_type=97, ssrc=SSRC, seq=1)
    return packer.pack(AccessUnit(index, 0, 0, True, data))


class Sound:
    """A stream whose sound has `rate` samples a second in truth; what is told of it says otherwise perhaps."""

    def __init__(self, format: TrackFormat, rate: int, data: bytes) -> None:
        self.clock = SimulatedClock()
        self.watch = SoundWatch(self.clock)
        self.track = InboundTrack(0, format, 97, SSRC)
        self.rate, self.data, self.restarts = rate, data, 0
        self.connection = object()

    async def listen(self, seconds: float) -> list[str]:
        said = []
        for _ in range(round(seconds)):
            await self.clock.advance(1.0)
            self.track.ticks += self.rate
            unit = packed(self.track.format, self.data)
            said.append(self.watch.look(self.connection, (self.track,), lambda unit=unit: [unit], self.restarts))  # type: ignore[misc]
        return [each for each in said if each]


@pytest.mark.parametrize(
    ("told", "true"), [(16000, 8000), (8000, 16000), (48000, 44100), (44100, 48000), (32000, 48000)]
)
async def test_another_sampling_rate_is_seen_by_the_speed_of_time_stamps(told: int, true: int) -> None:
    sound = Sound(described(told), true, MONO)
    (reason,) = await sound.listen((SPANS + 1) * SPAN)
    assert "another sampling rate" in reason
    # What the new description does not mend is not asked again; another one is judged anew.
    sound.connection = object()
    assert await sound.listen(4 * SPAN) == []
    sound.track.format, sound.connection = described(true), object()
    assert await sound.listen(4 * SPAN) == []
    sound.rate = told
    assert len(await sound.listen(4 * SPAN)) == 1


async def test_what_keeps_time_about_is_left_alone() -> None:
    sound = Sound(described(), 16000, MONO)
    assert await sound.listen(2 * SPAN) == []
    sound.rate = 16300  # a clock of its own
    assert await sound.listen(3 * SPAN) == []
    for rate in (8000, 16000, 24000, 16000) * 2:  # held up, and all at once
        sound.rate = rate
        assert await sound.listen(SPAN) == []
    for _ in range(20):  # time stamps that begin anew say nothing
        sound.rate, sound.restarts = 50_000, sound.restarts + 1
        assert await sound.listen(SPAN / 2) == []


@pytest.mark.parametrize(("channels", "data"), [(1, STEREO), (2, MONO)])
async def test_other_channels_are_seen_in_the_frames(channels: int, data: bytes) -> None:
    sound = Sound(described(channels=channels), 16000, STEREO if channels == 2 else MONO)
    assert await sound.listen(30) == []
    sound.data = data
    (reason,) = await sound.listen((LOOKS + 1) * LOOK)
    assert "other channels" in reason
    assert await sound.listen(60) == []


def test_what_does_not_show() -> None:
    assert [channels_of(described(), packed(described(), data)) for data in (MONO, STEREO, FILLED)] == [1, 2, 0]
    assert described_channels(described(channels=6)) == 0
    assert described_channels(described(object_type=23)) == 0  # low delay has no such elements
    assert described_channels(TrackFormat(codec=Codec.AAC, clock_rate=16000, config=b"\xff")) == 0
    cut = FlushUnit(0, packed(described(), MONO).data[:20], (0,), True, 0, 0)
    assert channels_of(described(), cut) == 0


async def test_streams_without_aac_are_not_looked_at() -> None:
    clock = SimulatedClock()
    watch, track = SoundWatch(clock), InboundTrack(0, TrackFormat(codec=Codec.PCMA, clock_rate=8000), 8, SSRC)

    def backlog() -> list[FlushUnit]:
        raise AssertionError

    for _ in range(30):
        await clock.advance(1.0)
        assert watch.look(clock, (track,), backlog, 0) == ""


def playing(data: Callable[[], bytes]) -> Callable[[], Iterator[tuple[int, list[Packet]]]]:
    def plays() -> Iterator[tuple[int, list[Packet]]]:
        packer = Packer(described(), track=0, payload_type=97, ssrc=SSRC, seq=1)
        for number in itertools.count():
            unit = packer.pack(AccessUnit(0, 0, number * 1024, True, data()))
            yield number, [bytearray(unit.data[4:])]

    return plays


async def test_a_camera_whose_sound_has_changed_is_described_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_change, "LOOK", 0.0)
    monkeypatch.setattr(sound_change, "SPAN", 1e9)
    sent = [MONO]

    def sdp(channels: int) -> bytes:
        config = described(channels=channels).config.hex()
        return (
            f"v=0\r\ns=x\r\na=control:*\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/{channels}\r\n"
            f"a=fmtp:97 streamtype=5;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config={config}\r\n"
            "a=control:track1\r\n"
        ).encode()

    camera = Camera(sdp=sdp(1), plays=playing(lambda: sent[0]), interval=0.02)
    async with camera.url() as url, Rig(url).running() as one:
        await one.until(lambda: len(one.frames) > 5)
        sent[0], camera.sdp = STEREO, sdp(2)
        await one.until(lambda: one.intake.tracks[0].format.channels == 2)
        assert camera.connections == 2
        assert any("other channels" in reason for _, reason in one.states)
