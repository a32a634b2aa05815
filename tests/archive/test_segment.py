"""Cutting access units into fragments and segments."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import pytest
from msgspec import structs

from onvifd.archive.disk import Volume
from onvifd.archive.index import EndReason, FragmentFlag, SegmentState, unpack_fragments
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.paths import segment_path
from onvifd.archive.reader import RecordingReader
from onvifd.archive.segment import Action, Append, Close, SegmentWriter
from onvifd.clock import US
from onvifd.errors import InvalidArgument
from onvifd.media import mp4_parse, nal, sei, video
from onvifd.media.types import AccessUnit, Codec, TrackFormat
from tests.archive.conftest import (
    FRAME,
    PCMA,
    PCMU,
    T0,
    Clip,
    Record,
    aac_units,
    assert_decodes,
    g711_units,
    in_order,
    segment_files,
    video_units,
)


def run(core: SegmentWriter, units: Iterable[AccessUnit]) -> list[Action]:
    return [action for unit in units for action in core.feed(unit, unit.utc / US)]


def appends(actions: list[Action]) -> list[Append]:
    return [each for each in actions if isinstance(each, Append)]


def closes(actions: list[Action]) -> list[Close]:
    return [each for each in actions if isinstance(each, Close)]


def writer(clip: Clip, **settings: int) -> SegmentWriter:
    return SegmentWriter("rec-1", "v1", [clip.format], **settings)


@pytest.mark.covers("REC-28")
def test_paths_are_utc() -> None:
    assert segment_path("rec-1", T0 + 7_999) == "rec-1/2026-01-01/00/000010.007.mp4"
    for token in ("", "..", "a/b", ".hidden", "x" * 65):
        with pytest.raises(InvalidArgument):
            segment_path(token, T0)


def test_a_group_of_pictures_is_a_fragment(h264: Clip) -> None:
    core = writer(h264)
    actions = run(core, video_units(h264, seconds=3)) + core.finish(EndReason.STOP)
    fragments = unpack_fragments(actions[-1].row.fragments)
    assert [(f.start - T0, f.duration, f.clean) for f in fragments] == [(n * US, US, True) for n in range(3)]
    assert [each.frames for each in appends(actions)] == [25, 25, 25]
    assert core.lost == 0


def test_a_long_group_of_pictures_is_cut_every_second(h264_long: Clip) -> None:
    core = writer(h264_long)
    actions = run(core, video_units(h264_long, seconds=6)) + core.finish(EndReason.STOP)
    fragments = unpack_fragments(actions[-1].row.fragments)
    assert [f.clean for f in fragments] == [True, False, False] * 2
    assert [f.start - T0 for f in fragments] == [n * US for n in range(6)]


def test_the_index_grows_with_the_file(h264: Clip) -> None:
    core = writer(h264)
    actions = appends(run(core, video_units(h264, seconds=4)))
    assert actions[0].offset == 0
    for before, after in itertools.pairwise(actions):
        assert after.offset == before.offset + len(before.data) == before.row.size
        assert after.row.state is SegmentState.OPEN
    head = mp4_parse.read_init(lambda at, size: actions[0].data[at : at + size], len(actions[0].data))[1]
    assert unpack_fragments(actions[0].row.fragments)[0].offset == head


@pytest.mark.covers("REC-17", "STO-01")
def test_a_new_minute_begins_a_segment_at_the_next_clean_point(h264_long: Clip) -> None:
    # T0 is 10 s past the minute; the minute ends after 50 s, the next clean point comes at 51 s.
    core = writer(h264_long)
    actions = run(core, video_units(h264_long, seconds=56))
    (close,) = closes(actions)
    assert close.row.end_reason is EndReason.TIME
    assert close.row.end == T0 + 51 * US
    new = next(each for each in appends(actions) if each.serial == 2)
    assert new.row.start == T0 + 51 * US
    assert core.lost == 0


def test_a_phase_ends_segments_earlier(h264: Clip) -> None:
    # 20 s before the minute, which would end after 50 s.
    core = writer(h264, phase_us=20 * US)
    (close,) = closes(run(core, video_units(h264, seconds=56)))
    assert (close.row.end_reason, close.row.end) == (EndReason.TIME, T0 + 30 * US)


def test_footage_is_not_copied_on_its_way_to_the_disk(h264: Clip) -> None:
    units = list(video_units(h264, seconds=2))
    first, second = appends(run(writer(h264), [*units, *video_units(h264, T0 + 2 * US, 1)]))[:2]
    assert all(one is other.data for one, other in zip(first.parts[-25:], units[:25], strict=True))
    assert all(one is other.data for one, other in zip(second.parts[-25:], units[25:], strict=True))
    assert second.offset == first.size == len(first.data)


class Thorough(SegmentWriter):
    """Asks all questions of every unit."""

    def _goes_on(self, last: AccessUnit, unit: AccessUnit) -> bool:
        return False


def disturbed(clip: Clip, seed: int) -> list[AccessUnit]:
    """A minute with jitter, holes, jumps of the clock, units that come twice or in another order, and B frames in a part of it."""
    chance = random.Random(seed)
    units, shift = [], 0
    for index, unit in enumerate(video_units(clip, seconds=70)):
        if chance.random() < 0.01:
            shift += chance.choice((-3 * US, -US // 2, US // 4, 2 * US, 40 * US))
        if chance.random() < 0.02:
            continue
        back = (0, 80_000, -40_000, -40_000)[index % 4] if index > 1200 and seed % 2 and not unit.key else 0
        utc = unit.utc + shift + back + chance.randrange(-3_000, 3_000)
        units.append(structs.replace(unit, utc=utc))
        if chance.random() < 0.005:
            units.append(units[-1])
    return units


@pytest.mark.parametrize("seed", range(6))
def test_the_short_way_of_most_units_decides_as_the_long_one(h264_long: Clip, seed: int) -> None:
    units = disturbed(h264_long, seed)
    quick, thorough = writer(h264_long), Thorough("rec-1", "v1", [h264_long.format])
    for unit in units:
        now = unit.ticks / 90_000
        assert quick.feed(unit, now) == thorough.feed(unit, now)
    assert quick.finish(EndReason.STOP) == thorough.finish(EndReason.STOP)
    assert quick.lost == thorough.lost


def test_units_before_the_first_clean_point_are_not_recorded(h264: Clip) -> None:
    core = writer(h264)
    actions = run(core, list(video_units(h264, seconds=3))[10:]) + core.finish(EndReason.STOP)
    assert actions[-1].row.start == T0 + US
    assert core.lost == 0


def test_missing_frames_are_an_honest_gap(h264: Clip) -> None:
    units = list(video_units(h264, seconds=4))
    core = writer(h264)
    actions = run(core, units[:30] + units[35:]) + core.finish(EndReason.STOP)
    (gap, stop) = closes(actions)
    assert gap.row.end_reason is EndReason.LOSS
    # Footage after the hole goes on up to the clean point; the fragment table shows the hole.
    table = [(f.start - T0, f.end - T0, f.clean) for f in unpack_fragments(gap.row.fragments)]
    assert table == [
        (0, US, True),
        (US, US + 5 * FRAME, True),
        (US + 10 * FRAME, 2 * US, False),
    ]
    assert stop.row.start == T0 + 2 * US


def test_two_missing_frames_are_no_gap(h264: Clip) -> None:
    units = list(video_units(h264, seconds=3))
    core = writer(h264)
    actions = run(core, units[:30] + units[32:]) + core.finish(EndReason.STOP)
    assert [each.row.end_reason for each in closes(actions)] == [EndReason.STOP]


@pytest.mark.covers("REC-28")
@pytest.mark.parametrize("jump", [-3600 * US, 7 * US])
def test_a_jump_of_the_clock_ends_the_segment(h264: Clip, jump: int) -> None:
    units = list(video_units(h264, seconds=4))
    later = [structs.replace(unit, utc=unit.utc + jump) for unit in units[40:]]
    core = writer(h264)
    actions = run(core, units[:40] + later) + core.finish(EndReason.STOP)
    first, second = closes(actions)
    # The group of pictures is ended on the old clock, so that nothing is lost.
    assert (first.row.end_reason, first.row.end) == (EndReason.CLOCK, T0 + 2 * US)
    assert second.row.start == T0 + 2 * US + jump
    assert sum(each.frames for each in appends(actions)) == 100
    assert core.lost == 0


async def test_sound_stays_beside_the_pictures_when_the_clock_jumps(
    record: Record, reader: RecordingReader, h264: Clip
) -> None:
    at, jump = T0 + 40 * FRAME, 3600 * US
    units = in_order(video_units(h264, seconds=4), g711_units(seconds=4))
    units = [structs.replace(unit, utc=unit.utc + jump) if unit.utc >= at else unit for unit in units]
    record([h264.format, PCMU], units)
    sound = [unit.utc async for unit in reader.units(T0) if unit.track == 1]
    assert len(sound) == sum(unit.track == 1 for unit in units)
    steps = [after - before for before, after in itertools.pairwise(sound)]
    assert [step for step in steps if step != 20_000] == [pytest.approx(jump, abs=100_000)]


def test_a_group_of_pictures_without_end_does_not_keep_the_old_time(h264: Clip) -> None:
    units = [
        AccessUnit(0, T0 + n * FRAME + (3600 * US if n >= 10 else 0), n * 3600, n % 750 == 0, h264.frames[min(n, 1)][1])
        for n in range(750)
    ]
    core = writer(h264)
    actions = run(core, units)
    (first,) = closes(actions)
    assert (first.row.end_reason, core.lost) == (EndReason.CLOCK, 750 - 10 - 501)


def test_ticks_that_jump_are_another_stream(h264: Clip) -> None:
    """What follows cannot be decoded with what came before: it waits for a clean point."""
    units = list(video_units(h264, seconds=4))
    later = [structs.replace(unit, utc=unit.utc + 5 * US, ticks=unit.ticks + 40 * 90_000) for unit in units[40:]]
    core = writer(h264)
    (first,) = closes(run(core, units[:40] + later))
    assert (first.row.end_reason, first.row.end, core.lost) == (EndReason.CLOCK, T0 + 40 * FRAME, 10)


@pytest.mark.parametrize("keys", [True, False])
@pytest.mark.parametrize("after", [1, 30])
def test_a_clock_put_right_by_a_moment_costs_no_frame(h264: Clip, keys: bool, after: int) -> None:
    units = list(itertools.islice(video_units(h264, seconds=3), 60))
    if keys:
        units = [structs.replace(unit, data=units[0].data, key=True) for unit in units]
    units = [structs.replace(unit, utc=unit.utc - (110_000 if n >= after else 0)) for n, unit in enumerate(units)]
    core = writer(h264)
    actions = run(core, units) + core.finish(EndReason.STOP)
    assert sum(each.frames for each in appends(actions)) == 60
    assert core.lost == 0
    starts = [each.start for each in unpack_fragments(actions[-1].row.fragments)]
    assert starts == sorted(starts)
    assert starts[0] == actions[-1].row.start


def slow_by(units: list[AccessUnit], first: int, by: int) -> list[AccessUnit]:
    """Their clock is put back by microseconds before the one of a number."""
    return [structs.replace(unit, utc=unit.utc - (by if n >= first else 0)) for n, unit in enumerate(units)]


def test_a_picture_shown_before_the_rest_goes_to_another_volume(h264_long: Clip) -> None:
    """Found by test_writer_machine: the reference time of the fragment had no number in a file that began behind it."""
    units = slow_by(slow_by(list(video_units(h264_long, seconds=6)), 26, 500_000), 63, 10_000)
    core = writer(h264_long)
    third = appends(run(core, units))[2:]
    (other,) = mp4_parse.parse_fragment(third[0].data, third[0].row.formats)
    (moved, *_) = appends(core.move("v2", list(third)))
    (one,) = mp4_parse.parse_fragment(moved.parts[-1], moved.row.formats)
    assert [sample.utc for sample in one.samples] == [sample.utc for sample in other.samples]
    assert (one.utc, one.end) == (other.utc, other.end)


def test_fragments_begin_in_order_however_often_the_clock_is_put_back(h264_long: Clip) -> None:
    units = slow_by(slow_by(list(video_units(h264_long, seconds=6)), 30, 900_000), 32, 900_000)
    core = writer(h264_long)
    row = (run(core, units) + core.finish(EndReason.STOP))[-1].row
    starts = [each.start for each in unpack_fragments(row.fragments)]
    assert starts == sorted(set(starts))


def test_segments_begin_at_different_times_though_the_clock_stands(h264: Clip, h264_large: Clip) -> None:
    """They are found by their beginnings: of two with the same one nobody would see the first."""
    first, other = next(video_units(h264, seconds=1)), next(video_units(h264_large, seconds=1))
    core = writer(h264)
    rows = [each.row for each in closes(run(core, [first, other, first]) + core.finish(EndReason.STOP))]
    assert [row.start for row in rows] == sorted({row.start for row in rows})
    assert len(rows) == 3


def test_a_changed_picture_size_begins_a_segment(h264: Clip, h264_large: Clip) -> None:
    later = list(video_units(h264_large, T0 + 2 * US, 2))
    later = [structs.replace(unit, ticks=unit.ticks + 180_000) for unit in later]
    core = writer(h264)
    actions = run(core, [*video_units(h264, seconds=2), *later]) + core.finish(EndReason.STOP)
    first, second = closes(actions)
    assert first.row.end_reason is EndReason.FORMAT
    assert (second.row.formats[0].width, second.row.formats[0].height) == (320, 192)
    assert second.row.start == first.row.end == T0 + 2 * US


def test_parameter_sets_are_learnt_from_the_stream(h264: Clip) -> None:
    core = SegmentWriter("rec-1", "v1", [TrackFormat(codec=Codec.H264, clock_rate=90000)])
    actions = run(core, video_units(h264, seconds=2))
    assert appends(actions)[0].row.formats == (h264.format,)


def test_silence_ends_the_segment(h264: Clip) -> None:
    core = writer(h264)
    actions = run(core, video_units(h264, seconds=1.2))
    last = (T0 + 29 * FRAME) / US
    assert core.poll(last + 1.9) == []
    append, close = core.poll(last + 2.1)
    assert isinstance(append, Append)
    assert isinstance(close, Close)
    assert close.row.end_reason is EndReason.GAP
    assert close.row.end == T0 + 30 * FRAME
    assert core.poll(last + 100) == []
    assert closes(actions) == []


def test_without_room_whole_groups_of_pictures_are_dropped(h264_long: Clip) -> None:
    core = writer(h264_long)
    actions: list[Action] = []
    for unit in video_units(h264_long, seconds=9):
        elapsed = unit.utc - T0
        actions += core.feed(unit, unit.utc / US, room=not 1.5 * US < elapsed < 3.5 * US)
    actions += core.finish(EndReason.STOP)
    first, second = closes(actions)
    assert first.row.end_reason is EndReason.OVERLOAD
    assert first.row.end == T0 + US
    assert second.row.start == T0 + 6 * US
    assert core.lost == 25 * 5


def test_what_follows_a_pause_without_a_gap_goes_on_without_a_clean_point(h264: Clip) -> None:
    units = list(video_units(h264, seconds=4))
    core = writer(h264)
    actions = run(core, units[:40]) + core.finish(EndReason.PAUSE)
    actions += run(core, units[40:]) + core.finish(EndReason.STOP)
    first, second = closes(actions)
    assert (first.row.end, second.row.start) == (T0 + 40 * FRAME,) * 2
    assert [f.clean for f in unpack_fragments(second.row.fragments)] == [False, True, True]
    assert core.lost == 0


@pytest.mark.parametrize("missing", [1, 30])
def test_what_follows_a_pause_with_a_gap_waits_for_a_clean_point(h264: Clip, missing: int) -> None:
    units = list(video_units(h264, seconds=4))
    core = writer(h264)
    run(core, units[:40])
    core.finish(EndReason.PAUSE)
    core.set_formats([h264.format, PCMU] if missing == 1 else [h264.format])
    actions = run(core, units[40 + missing :]) + core.finish(EndReason.STOP)
    assert closes(actions)[0].row.start == T0 + (2 if missing == 1 else 3) * US


def test_what_the_disk_refused_goes_on_in_a_segment_of_another_volume(h264_long: Clip) -> None:
    core = SegmentWriter("rec-1", "v1", [h264_long.format, PCMU])
    units = in_order(video_units(h264_long, seconds=6), g711_units(seconds=6))
    actions = run(core, units[: len(units) * 3 // 4])
    kept, refused = actions[:2], actions[2:]
    moved = core.move("v2", refused) + run(core, units[len(units) * 3 // 4 :]) + core.finish(EndReason.STOP)
    new = appends(moved)
    assert {each.serial for each in new} == {2}
    assert {each.row.volume for each in new} == {"v2"}
    assert new[0].row.start == appends(kept)[-1].row.end
    data = b"".join(each.data for each in new)
    walk = mp4_parse.walk_file(lambda at, size: data[at : at + size], len(data))
    assert (walk.torn, walk.formats) == (False, (h264_long.format, PCMU))
    table = unpack_fragments(new[-1].row.fragments)
    assert [(f.offset, f.size) for f in table] == [(f.offset, f.size) for f in walk.fragments]
    whole = b"".join(each.data for each in appends(kept))
    before = mp4_parse.walk_file(lambda at, size: whole[at : at + size], len(whole))
    stamps = [
        s.utc for each in (*before.fragments, *walk.fragments) for r in each.runs if not r.track for s in r.samples
    ]
    assert stamps == [unit.utc for unit in units if not unit.track]
    assert closes(moved)[0].row.size == len(data)
    assert core.lost == 0


def test_moving_twice_and_before_anything_was_written(h264: Clip) -> None:
    core = writer(h264)
    first = run(core, video_units(h264, seconds=3.5))
    again = core.move("v3", core.move("v2", first))
    assert [(a.serial, a.row.volume, a.data) for a in appends(again)] == [
        (a.serial, "v3", a.data) for a in appends(first)
    ]
    rest = core.move("v4", core.move("v1", again[1:]))
    assert rest[0].row.start == T0 + US
    assert appends(rest)[0].offset == 0
    more = core.finish(EndReason.STOP)
    assert appends(more)[0].offset == appends(rest)[-1].row.size
    assert closes(more)[0].row.volume == "v4"


def test_sound_alone_is_recorded_in_seconds() -> None:
    core = SegmentWriter("rec-1", "v1", [PCMA])
    actions = run(core, g711_units(seconds=3, track=0)) + core.finish(EndReason.STOP)
    assert [f.start - T0 for f in unpack_fragments(actions[-1].row.fragments)] == [0, US, 2 * US]
    assert actions[-1].row.kinds == FragmentFlag.AUDIO


def test_units_of_unknown_tracks_are_ignored(h264: Clip) -> None:
    core = writer(h264)
    assert run(core, g711_units(track=3)) == []


@pytest.mark.covers("P002")
@pytest.mark.parametrize("with_sound", ["none", "pcmu", "aac"])
@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_segments_decode_without_a_word(
    request: pytest.FixtureRequest,
    record: Record,
    volume: Volume,
    store: MemorySegmentStore,
    aac: tuple[TrackFormat, list[bytes]],
    codec: Codec,
    with_sound: str,
) -> None:
    clip: Clip = request.getfixturevalue(codec.value)
    sound = {
        "none": (None, []),
        "pcmu": (PCMU, g711_units(T0 - 30_000, 6)),
        "aac": (aac[0], aac_units(aac[1], T0 + 11_111, 6)),
    }[with_sound]
    formats = [clip.format] if sound[0] is None else [clip.format, sound[0]]
    record(formats, in_order(video_units(clip, seconds=6, with_sei=True), sound[1]), segment_us=2 * US)
    files = segment_files(volume)
    assert len(files) == 3
    for path in files:
        assert_decodes(path)
        row = store.segment_by_path("v1", str(path.relative_to(volume.root)))
        assert row is not None
        assert row.size == path.stat().st_size
        assert_times_are_exact(path)


@pytest.mark.parametrize("b_frames", [1, 3])
def test_b_frames_are_no_gaps(record: Record, volume: Volume, store: MemorySegmentStore, b_frames: int) -> None:
    units = reordered(b_frames, 150)
    record([units[0][0]], [unit for _, unit in units])
    (row,) = store.segments_between("rec-1", 0, 1 << 62)
    assert row.end_reason is EndReason.STOP
    assert len(unpack_fragments(row.fragments)) >= 5
    (path,) = segment_files(volume)
    assert_decodes(path)
    data = path.read_bytes()
    walk = mp4_parse.walk_file(lambda at, size: data[at : at + size], len(data))
    found = [sample.utc for fragment in walk.fragments for sample in fragment.runs[0].samples]
    assert found == [unit.utc for _, unit in units]


def reordered(b_frames: int, count: int) -> list[tuple[TrackFormat, AccessUnit]]:
    """A real stream with B frames, in decoding order, with groups of 2 s."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt, context.framerate = 160, 96, "yuv420p", 25
    context.options = {"preset": "veryfast", "bf": str(b_frames), "g": "50", "b_strategy": "0"}
    packets = []
    for index in range(count):
        picture = np.full((144, 160), (index * 7) % 200, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = index
        packets += context.encode(frame)
    packets += context.encode(None)
    units = [
        AccessUnit(0, T0 + packet.pts * FRAME, packet.pts * 3600, packet.is_keyframe, nal.from_annexb(bytes(packet)))
        for packet in packets
        if packet.pts is not None
    ]
    sets = video.find_parameter_sets(Codec.H264, units[0].data)
    format = video.with_parameter_sets(TrackFormat(codec=Codec.H264, clock_rate=90000), sets)
    return [(format, unit) for unit in units]


def assert_times_are_exact(path: Path) -> None:
    """The SEI of every stored picture says the time that the boxes give it."""
    data = path.read_bytes()
    walk = mp4_parse.walk_file(lambda at, size: data[at : at + size], len(data))
    assert not walk.torn
    count = 0
    for fragment in walk.fragments:
        for sample in fragment.runs[0].samples:
            begin = fragment.offset + sample.offset
            assert sei.find_utc(walk.formats[0].codec, data[begin : begin + sample.size]) == sample.utc
            count += 1
    assert count == 50
