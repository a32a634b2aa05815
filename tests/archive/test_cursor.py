"""The order of replay."""

from __future__ import annotations

from onvifd.archive.cursor import ForwardCursor
from onvifd.archive.reader import RecordingReader
from onvifd.archive.selection import Wanted
from onvifd.clock import US, SimulatedClock
from onvifd.media.types import AccessUnit
from onvifd.rtsp.play import Frames
from tests.archive.conftest import FRAME, PCMU, T0, Clip, Record, g711_units, in_order, video_units


def wanted(*tracks: int) -> Wanted:
    return Wanted(end=None, tracks=frozenset(tracks), frames=Frames.ALL, interval=0)


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
