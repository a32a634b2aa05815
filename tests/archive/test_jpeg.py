"""Cameras that send JPEG: their footage on disk, and its way out by replay."""

from __future__ import annotations

import itertools

import pytest

from onvifd.archive.disk import Volume
from onvifd.archive.index import EndReason, unpack_fragments
from onvifd.archive.segment import SegmentWriter
from onvifd.clock import US
from onvifd.media import jpeg
from onvifd.media.rtp.frame import Frame
from onvifd.media.rtp.jpeg import FIRST, JpegDepacketizer, extension_of, tell_extension
from onvifd.media.rtp.packet import parse_replay_extension, parse_rtp
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat
from onvifd.rtsp.play import Frames
from tests.archive.conftest import T0, Record, assert_decodes, segment_files
from tests.archive.test_playback import Raw
from tests.archive.test_replay import Stage
from tests.archive.test_replay import stage as stage
from tests.media.pictures import make_jpeg

RATE = 10
INTERVAL = US // RATE


def footage(width: int, height: int, seconds: int = 3) -> tuple[TrackFormat, list[AccessUnit]]:
    format = TrackFormat(codec=Codec.JPEG, clock_rate=90_000, width=width, height=height)
    scales = itertools.cycle((3, 4, 5))
    return format, [
        AccessUnit(0, T0 + n * INTERVAL, n * 9000, True, make_jpeg(width, height, scale=next(scales)))
        for n in range(seconds * RATE)
    ]


def test_fragments_are_seconds_though_every_picture_is_a_group() -> None:
    format, units = footage(640, 360)
    core = SegmentWriter("rec-1", "v1", [format])
    actions = [action for unit in units for action in core.feed(unit, unit.utc / US)] + core.finish(EndReason.STOP)
    fragments = unpack_fragments(actions[-1].row.fragments)
    assert [(each.start - T0, each.clean) for each in fragments] == [(n * US, True) for n in range(3)]


def test_without_its_size_nothing_is_written() -> None:
    _, units = footage(640, 360, 1)
    core = SegmentWriter("rec-1", "v1", [TrackFormat(codec=Codec.JPEG, clock_rate=90_000)])
    assert [action for unit in units for action in core.feed(unit, unit.utc / US)] == []


@pytest.mark.parametrize("size", [(640, 360), (2560, 1440)])
def test_the_file_plays(record: Record, volume: Volume, size: tuple[int, int]) -> None:
    format, units = footage(*size, seconds=1)
    record([format], units)
    (path,) = segment_files(volume)
    assert_decodes(path)


def received(units: list[FlushUnit]) -> list[tuple[int, Frame, bool]]:
    """Times as the replay extension tells them, pictures, and whether the JPEG extension came behind it."""
    joiner = JpegDepacketizer(TrackFormat(codec=Codec.JPEG, clock_rate=90_000))
    found = []
    for unit in units:
        for start, end in itertools.pairwise((*unit.starts, len(unit.data))):
            packet = parse_rtp(unit.data, start + 4, end)
            if not start:
                assert parse_replay_extension(packet.extension) is not None
                assert packet.extension is not None
                own = extension_of(*packet.extension)
                with_own = own is not None and own[0] == FIRST
            tell_extension(joiner, packet)
            payload = unit.data[packet.start : packet.end]
            found += [
                (unit.utc, frame, with_own) for frame in joiner.feed(payload, packet.marker, packet.rtp_time, True)
            ]
    return found


@pytest.mark.parametrize("size", [(640, 360), (2560, 1440)])
async def test_replay_gives_the_pictures_with_their_times(stage: Stage, record: Record, size: tuple[int, int]) -> None:
    """Streaming 6.3.2: the replay extension first, the one of JPEG behind it."""
    format, units = footage(*size, seconds=2)
    record([format], units)
    outlet = Raw()
    stage.outlet = outlet
    await stage.play()
    await outlet.until(lambda: outlet.ended == {0})
    got = received(outlet.units)
    assert [utc for utc, _, _ in got] == [unit.utc for unit in units]
    assert not any(frame.damaged for _, frame, _ in got)
    assert {with_own for _, _, with_own in got} == {size[0] > 2040}
    for (_, frame, _), unit in zip(got, units, strict=True):
        assert jpeg.parse(frame.data).scan == jpeg.parse(unit.data).scan
        assert jpeg.size_of(frame.data) == size


async def test_backward_and_with_intervals(stage: Stage, record: Record) -> None:
    format, units = footage(640, 360, seconds=4)
    record([format], units)
    outlet = Raw()
    stage.outlet = outlet
    await stage.play(start=units[-1].utc, scale=-1.0)
    await outlet.until(lambda: outlet.ended == {0})
    assert [utc for utc, _, _ in received(outlet.units)] == [unit.utc for unit in reversed(units)]
    outlet.units.clear()
    outlet.ended.clear()
    await stage.play(start=T0, frames=Frames.INTRA, interval=US)
    await outlet.until(lambda: outlet.ended == {0})
    assert [utc - T0 for utc, _, _ in received(outlet.units)] == [n * US for n in range(4)]


async def test_it_begins_with_the_picture_that_is_asked_for(stage: Stage, record: Record) -> None:
    format, units = footage(640, 360, seconds=3)
    record([format], units)
    outlet = Raw()
    stage.outlet = outlet
    await stage.play(start=units[15].utc)
    await outlet.until(lambda: outlet.ended == {0})
    assert next(utc for utc, _, _ in received(outlet.units)) == units[15].utc
