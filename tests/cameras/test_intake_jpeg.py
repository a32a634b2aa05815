"""A camera that sends JPEG: relayed as it comes, pictures put together beside that."""

from __future__ import annotations

import itertools

import pytest

from onvifd.cameras.intake_core import Counters, InboundTrack, Walker
from onvifd.clock import US
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.media import jpeg
from onvifd.media.rtp.pack import Packer
from onvifd.media.rtp.packet import parse_rtp
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat
from onvifd.workers.media import keyframe_of
from tests.media.pictures import make_jpeg

JPEG = TrackFormat(codec=Codec.JPEG, clock_rate=90_000)
T0 = 1_767_225_600 * US
STEP = 40_000


class Scene:
    def __init__(self, width: int, height: int) -> None:
        self.units: list[FlushUnit] = []
        self.frames: list[AccessUnit] = []
        self.formats: list[TrackFormat] = []
        self.counters = Counters()
        self.track = InboundTrack(0, JPEG, 26, 0xAAAA)
        self.walker = Walker(
            {0: self.track},
            self.counters,
            on_unit=self.units.append,
            on_format=lambda track: self.formats.append(track.format),
            on_message=lambda _: None,
            on_jump=lambda *_: None,
        )
        self.walker.on_frame = self.frames.append
        self.camera = Packer(JPEG, track=0, payload_type=26, ssrc=1, seq=65_530, ticks_offset=2**32 - 9000)
        self.data = make_jpeg(width, height)

    def packets(self, number: int) -> bytes:
        return self.camera.pack(AccessUnit(0, T0 + number * STEP, number * 3600, True, self.data)).data

    def feed(self, data: bytes, now: int) -> None:
        buffer = bytearray(data)
        assert self.walker.receive(buffer, 0, len(buffer), now) == len(buffer)


@pytest.mark.parametrize("size", [(640, 360), (2560, 1440)])
def test_pictures_of_a_jpeg_camera(size: tuple[int, int]) -> None:
    scene = Scene(*size)
    for number in range(5):
        scene.feed(scene.packets(number), T0 + number * STEP)
    assert len(scene.frames) == 5
    for frame in scene.frames:
        assert frame.key
        assert jpeg.parse(frame.data).scan == jpeg.parse(scene.data).scan
        assert jpeg.size_of(frame.data) == size
    # the size is known with the first picture, and told once
    assert [(each.width, each.height) for each in scene.formats] == [size]
    media = [unit for unit in scene.units if not unit.rtcp]
    assert all(unit.key and unit.end_of_frame for unit in media)
    # what is relayed is what came, but for the numbers
    for number, unit in enumerate(media):
        sent = Scene(*size)
        for _ in range(number + 1):
            data = sent.packets(number)
        for start, end in itertools.pairwise((*unit.starts, len(unit.data))):
            assert unit.data[start + 16 : end] == data[start + 16 : end]
    assert scene.counters.bad_frames == 0


def test_a_lost_packet_costs_one_picture() -> None:
    scene = Scene(640, 360)
    scene.feed(scene.packets(0), T0)
    whole = scene.packets(1)
    second = 4 + int.from_bytes(whole[2:4], "big")
    third = second + 4 + int.from_bytes(whole[second + 2 : second + 4], "big")
    scene.feed(whole[:second] + whole[third:], T0 + STEP)
    scene.feed(scene.packets(2), T0 + 2 * STEP)
    assert [(frame.utc - T0) // STEP for frame in scene.frames] == [0, 2]
    assert scene.counters.lost_packets == 1
    assert scene.counters.bad_frames == 1


@pytest.mark.parametrize("size", [(640, 360), (2560, 1440)])
def test_the_latest_picture_is_a_snapshot(size: tuple[int, int]) -> None:
    scene = Scene(*size)
    stream = LiveStream("cam-1/main")
    stream.set_tracks((LiveTrack(JPEG, 26, 0xAAAA),))
    for number in range(2):
        scene.feed(scene.packets(number), T0 + number * STEP)
    for unit in scene.units:
        stream.publish(unit)
    unit, format = keyframe_of(stream)
    assert jpeg.size_of(unit.data) == (format.width, format.height) == size
    assert abs(unit.utc - T0 - STEP) < STEP
    assert parse_rtp(scene.units[-1].data, 4).payload_type == 26
