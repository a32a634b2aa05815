"""Which samples are replayed."""

from __future__ import annotations

import pytest

from onvifd.archive.cache import LoadedFragment
from onvifd.archive.cursor import ForwardCursor, Selection, Wanted, disposable
from onvifd.archive.index import Fragment, FragmentFlag
from onvifd.archive.reader import RecordingReader
from onvifd.clock import US, SimulatedClock
from onvifd.media.mp4_parse import SampleRef
from onvifd.media.types import AccessUnit, Codec, TrackFormat
from onvifd.rtsp.play import Frames
from tests.archive.conftest import FRAME, PCMA, PCMU, T0, Clip, Record, g711_units, in_order, video_units

H264 = TrackFormat(codec=Codec.H264, clock_rate=90000)
H265 = TrackFormat(codec=Codec.H265, clock_rate=90000)


def wanted(*tracks: int, frames: Frames = Frames.ALL, interval: int = 0) -> Wanted:
    return Wanted(end=None, tracks=frozenset(tracks), frames=frames, interval=interval)


def nals(*first_bytes: int) -> bytes:
    return b"".join((3).to_bytes(4, "big") + bytes((first, 1, 2)) for first in first_bytes)


@pytest.mark.parametrize(
    ("codec", "data", "expected"),
    [
        (Codec.H264, nals(0x65), False),
        (Codec.H264, nals(0x41), False),
        (Codec.H264, nals(0x01), True),
        (Codec.H264, nals(0x06, 0x01), True),
        (Codec.H264, nals(0x09, 0x21), False),
        (Codec.H265, nals(0 << 1), True),
        (Codec.H265, nals(1 << 1), False),
        (Codec.H265, nals(35 << 1, 8 << 1), True),
        (Codec.H265, nals(19 << 1), False),
        (Codec.H264, b"", False),
    ],
)
def test_pictures_that_no_other_refers_to(codec: Codec, data: bytes, expected: bool) -> None:
    padded = b"\xff" * 5 + data
    assert disposable(codec, padded, SampleRef(0, 0, 5, len(data), False)) is expected


def fragment(*formats: TrackFormat, key: bool = True) -> LoadedFragment:
    samples = tuple(SampleRef(T0, track, 0, 1, key) for track in range(len(formats)))
    return LoadedFragment(Fragment(0, 1, T0, US, FragmentFlag.VIDEO), formats, nals(0x65), samples)


def test_stored_tracks_find_their_presented_ones() -> None:
    selection = Selection((H264, PCMU), wanted(0, 1))
    assert [track for _, track in selection.take(fragment(H264, PCMU))] == [0, 1]
    assert [track for _, track in selection.take(fragment(PCMU, H264))] == [1, 0]
    # Another encoding would need another payload type: it is left out.
    assert [track for _, track in selection.take(fragment(H265, PCMU))] == [1]
    assert [track for _, track in selection.take(fragment(H264, PCMA))] == [0]


def test_intra_frames_have_no_sound_beside_them() -> None:
    assert [
        track for _, track in Selection((H264, PCMU), wanted(0, 1, frames=Frames.INTRA)).take(fragment(H264, PCMU))
    ] == [0]
    assert [
        track for _, track in Selection((H264, PCMU), wanted(1, frames=Frames.INTRA)).take(fragment(H264, PCMU))
    ] == [1]


async def everything(cursor: ForwardCursor) -> list[AccessUnit]:
    units = []
    while items := await cursor.batch():
        for item in items:
            data = item.loaded.data[item.sample.offset : item.sample.offset + item.sample.size]
            units.append(AccessUnit(item.track, item.sample.utc, 0, item.sample.key, data))
    await cursor.close()
    return units


async def test_sound_that_stops_holds_up_no_pictures(record: Record, reader: RecordingReader, h264: Clip) -> None:
    record([h264.format, PCMU], in_order(video_units(h264, seconds=20), g711_units(seconds=3)), reason=None)
    first = await reader.find(T0)
    cursor = ForwardCursor(reader, SimulatedClock(T0), (h264.format, PCMU), wanted(0, 1), first, T0)
    units = await everything(cursor)
    assert max(unit.utc for unit in units if unit.track == 1) >= T0 + 3 * US - 40_000
    assert max(unit.utc for unit in units) == T0 + 19 * US - FRAME - FRAME


async def test_b_frames_keep_their_decoding_order(record: Record, reader: RecordingReader, h264: Clip) -> None:
    times = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    data = [frame for _, frame in h264.frames]
    units = [
        AccessUnit(0, T0 + time * FRAME, index * 3600, index == 0, data[index]) for index, time in enumerate(times)
    ]
    record([h264.format], units)
    first = await reader.find(T0)
    cursor = ForwardCursor(reader, SimulatedClock(T0), (h264.format,), wanted(0), first, T0)
    got = await everything(cursor)
    assert [(unit.utc - T0) // FRAME for unit in got] == times
    assert [unit.data for unit in got] == data[:10]
