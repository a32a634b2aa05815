"""Which samples are replayed, and recordings whose encodings changed."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from onvifd.archive.cache import LoadedFragment
from onvifd.archive.disk import SegmentFiles
from onvifd.archive.index import EndReason, Fragment, FragmentFlag
from onvifd.archive.reader import Position, RecordingReader
from onvifd.archive.segment import Action, Append, SegmentWriter
from onvifd.archive.selection import Selection, Wanted, disposable
from onvifd.clock import US
from onvifd.media.mp4_parse import SampleRef
from onvifd.media.rtp.packet import ReplayExtension
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat
from onvifd.rtsp.play import Frames, PlayReply, PlayRequest
from tests.archive.conftest import FRAME, PCMA, PCMU, T0, Clip, Record, g711_units, in_order, video_units
from tests.archive.test_playback import METADATA, Raw
from tests.archive.test_replay import Stage, frames, moved
from tests.archive.test_replay import stage as stage

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


# ---- encodings ---------------------------------------------------------------------------------------


async def test_a_codec_that_was_changed_is_a_track_of_its_own(
    stage: Stage, record: Record, h264: Clip, h265: Clip
) -> None:
    """A track keeps its number, the newest encoding comes first; footage of both comes in one session, that of one alone with
    nothing in place of the other."""
    record([h264.format], video_units(h264, T0, 4), segment_us=2 * US)
    record([h265.format, METADATA], [moved(unit, T0 + 4 * US) for unit in video_units(h265, T0 + 4 * US, 4)])
    presentation = await stage.presentation()
    assert [(track.token, track.format.codec) for track in presentation.tracks] == [
        ("VIDEO002", Codec.H265),
        ("META001", Codec.METADATA),
        ("VIDEO001", Codec.H264),
    ]
    sent = Raw()
    playback = presentation.open(sent)
    await playback.play(PlayRequest(cseq=7, start=T0, rate_control=False), frozenset({0, 2}))
    playback.start()
    await sent.until(lambda: 0 in sent.ended)
    await playback.close()
    assert [(unit.track, unit.utc) for unit in sent.units] == [
        *((2, utc) for utc in frames((T0, T0 + 4 * US))),
        *((0, utc) for utc in frames((T0 + 4 * US, T0 + 8 * US))),
    ]
    for track, expected in ((2, frames((T0, T0 + 4 * US))), (0, frames((T0 + 4 * US, T0 + 8 * US)))):
        alone = Raw()
        playback = presentation.open(alone)
        await playback.play(PlayRequest(cseq=8, start=T0, rate_control=False), frozenset({track}))
        playback.start()
        await alone.until(lambda track=track, alone=alone: track in alone.ended)
        await playback.close()
        assert [(unit.track, unit.utc) for unit in alone.units] == [(track, utc) for utc in expected]


async def test_another_rate_of_an_encoding_is_another_stream_of_the_same_track(
    stage: Stage, record: Record, h264: Clip
) -> None:
    wide = TrackFormat(codec=Codec.AAC, clock_rate=48_000, config=b"\x11\x90", channels=2)
    narrow = TrackFormat(codec=Codec.AAC, clock_rate=16_000, config=b"\x14\x08", channels=1)
    for start, sound in ((T0, wide), (T0 + 2 * US, narrow)):
        spoken = AccessUnit(1, start + US, sound.clock_rate, True, b"sound")
        record([h264.format, sound], in_order([moved(unit, start) for unit in video_units(h264, start, 2)], [spoken]))
    tracks = (await stage.presentation()).tracks
    assert [(track.token, track.control) for track in tracks] == [
        ("VIDEO001", "VIDEO001"),
        ("AUDIO001", "AUDIO001"),
        ("AUDIO001", "AUDIO001-2"),
    ]


async def test_sound_that_was_switched_off_is_still_there(stage: Stage, record: Record, h264: Clip) -> None:
    record([h264.format, PCMU], in_order(video_units(h264, T0, 2), g711_units(T0, 2)))
    record([h264.format], [moved(unit, T0 + 2 * US) for unit in video_units(h264, T0 + 2 * US, 2)])
    assert [track.token for track in (await stage.presentation()).tracks] == ["VIDEO001", "AUDIO001"]


# ---- a codec that was changed, and changed back ---------------------------------------------------------

FIRST, OTHER, AGAIN, FINISH = T0, T0 + 4 * US, T0 + 8 * US, T0 + 12 * US


@pytest.fixture
def changes(record: Record, h264: Clip, h265: Clip) -> None:
    """4 s of H.264, of H.265 and of H.264, without a gap, in segments of 2 s."""
    for start, clip in ((FIRST, h264), (OTHER, h265), (AGAIN, h264)):
        units = [moved(unit, start) for unit in video_units(clip, start, 4)]
        record([clip.format], units, segment_us=2 * US, reason=EndReason.FORMAT if start < AGAIN else EndReason.STOP)


def extension(unit: FlushUnit, at: int = 0) -> ReplayExtension:
    found = Raw.extension(unit, at)
    assert isinstance(found, ReplayExtension)
    return found


async def replayed(stage: Stage, tracks: frozenset[int], **request: object) -> tuple[PlayReply, list[FlushUnit]]:
    """The answer, and all units up to the terminal one."""
    sent = Raw()
    playback = (await stage.presentation()).open(sent)
    asked = PlayRequest(cseq=1, rate_control=False, **request)  # type: ignore[arg-type]
    reply = await playback.play(asked, tracks)
    playback.start()
    await sent.until(lambda: sent.ended)
    await playback.close()
    return reply, sent.units


def seen(units: Iterable[FlushUnit]) -> list[tuple[int, int]]:
    return [(unit.track, unit.utc) for unit in units]


def on(track: int, *spans: tuple[int, int]) -> list[tuple[int, int]]:
    return [(track, utc) for utc in frames(*spans)]


@pytest.mark.usefixtures("changes")
async def test_an_encoding_between_two_of_another_is_described(stage: Stage) -> None:
    presentation = await stage.presentation()
    assert [(track.token, track.format.codec) for track in presentation.tracks] == [
        ("VIDEO001", Codec.H264),
        ("VIDEO002", Codec.H265),
    ]
    assert all(track.format.parameter_sets for track in presentation.tracks)


@pytest.mark.usefixtures("changes")
@pytest.mark.parametrize("start", [FIRST, OTHER + 3 * US // 2, AGAIN])
async def test_every_time_is_played_on_the_track_that_has_it(stage: Stage, start: int) -> None:
    """6.5.4: from the clean point before, whichever track has it; then all that follows in order of time."""
    reply, units = await replayed(stage, frozenset({0, 1}), start=start)
    clean = start - start % US
    assert reply.start == clean
    whole = on(0, (FIRST, OTHER)) + on(1, (OTHER, AGAIN)) + on(0, (AGAIN, FINISH))
    assert seen(units) == [each for each in whole if each[1] >= clean]
    assert extension(units[0]).clean
    # 6.3: "the last access unit in each track before a gap": the track has one where the other takes over.
    ends = [utc - FRAME for utc in (OTHER, AGAIN, FINISH) if utc > start]
    assert [unit.utc for unit in units if extension(unit).end] == ends


@pytest.mark.usefixtures("changes")
async def test_one_track_alone_has_a_gap_where_the_other_was_recorded(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """6.3, 6.5.4: its footage ends with E and goes on behind the gap. What is of the other is not read."""
    loaded: list[TrackFormat] = []
    load = RecordingReader.load

    async def watched(self: RecordingReader, position: Position) -> LoadedFragment:
        loaded.extend(position.formats)
        return await load(self, position)

    monkeypatch.setattr(RecordingReader, "load", watched)
    _, units = await replayed(stage, frozenset({0}), start=FIRST)
    assert seen(units) == on(0, (FIRST, OTHER), (AGAIN, FINISH))
    assert [unit.utc for unit in units if extension(unit).end] == [OTHER - FRAME, FINISH - FRAME]
    assert {format.codec for format in loaded} == {Codec.H264}
    reply, units = await replayed(stage, frozenset({0}), start=OTHER + US)
    assert reply.start == AGAIN
    assert seen(units) == on(0, (AGAIN, FINISH))
    reply, units = await replayed(stage, frozenset({1}), start=FIRST)
    assert reply.start == OTHER
    assert seen(units) == on(1, (OTHER, AGAIN))


@pytest.mark.usefixtures("changes")
async def test_one_track_alone_in_reverse(stage: Stage) -> None:
    """6.6.1: E on the group behind the gap."""

    def backward(track: int, *starts: int) -> list[tuple[int, int]]:
        return [each for start in starts for each in on(track, (start, start + US))]

    _, units = await replayed(stage, frozenset({0}), start=FINISH - 1, scale=-1.0)
    assert seen(units) == backward(0, *range(FINISH - US, AGAIN - US, -US), *range(OTHER - US, FIRST - US, -US))
    assert [unit.utc for unit in units if extension(unit).end] == [AGAIN + US - FRAME, FIRST + US - FRAME]
    _, units = await replayed(stage, frozenset({0}), start=AGAIN - US, scale=-1.0)
    assert seen(units) == backward(0, *range(OTHER - US, FIRST - US, -US))
    _, units = await replayed(stage, frozenset({1}), start=FINISH - 1, scale=-1.0)
    assert seen(units) == backward(1, *range(AGAIN - US, OTHER - US, -US))


@pytest.mark.usefixtures("changes")
async def test_with_rate_control_the_time_of_the_other_track_does_not_pass(stage: Stage) -> None:
    """As in any other gap of what is played."""
    await stage.play(frozenset({0}), paced=True, start=OTHER - US)
    await stage.pass_time(1.5)
    await stage.settle()
    assert [unit.utc for unit in stage.outlet.take()][-1] >= AGAIN


class Encoder:
    """Records on, in one encoding after the other."""

    def __init__(self, stage: Stage) -> None:
        self._files = SegmentFiles(stage.volume, stage.store)

    def record(self, clip: Clip, start: int, seconds: int) -> SegmentWriter:
        writer = SegmentWriter("rec-1", "v1", [clip.format], segment_us=60 * US)
        for unit in video_units(clip, start, seconds):
            self.carry_out(writer.feed(moved(unit, start), unit.utc / US))
        return writer

    def carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Append):
                self._files.append(action)
            else:
                self._files.close(action)


async def test_a_track_whose_encoding_is_left_ends_until_it_comes_again(stage: Stage, h264: Clip, h265: Clip) -> None:
    """6.9: no data for this track, though recording goes on; delivery resumes with it."""
    encoder = Encoder(stage)
    encoder.carry_out(encoder.record(h264, FIRST, 4).finish(EndReason.FORMAT))
    other = encoder.record(h265, OTHER, 4)
    await stage.play(frozenset({1}), start=FIRST)
    assert (await stage.presentation()).tracks[1].format.codec is Codec.H264
    await stage.pass_time(0.5)
    await stage.settle()
    units = stage.outlet.take()
    assert [unit.utc for unit in units] == frames((FIRST, OTHER))
    assert {letter for letter in "ET" if letter in units[-1].bits} == {"E", "T"}
    encoder.carry_out(other.finish(EndReason.FORMAT))
    encoder.record(h264, AGAIN, 4)
    await stage.pass_time(1)
    await stage.settle()
    again = stage.outlet.take()
    assert [unit.utc for unit in again][: 2 * 25] == frames((AGAIN, AGAIN + 2 * US))


async def test_what_is_recorded_meanwhile_is_described(stage: Stage, record: Record, h264: Clip, h265: Clip) -> None:
    record([h264.format], video_units(h264, FIRST, 4))
    assert len((await stage.presentation()).tracks) == 1
    record([h265.format, PCMU], [moved(unit, OTHER) for unit in video_units(h265, OTHER, 4)])
    record([h264.format], [moved(unit, AGAIN) for unit in video_units(h264, AGAIN, 4)])
    assert [track.token for track in (await stage.presentation()).tracks] == ["VIDEO001", "VIDEO002"]
