"""Replay as Streaming chapter 6 has it: which frames, which bits, which times."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from typing import NamedTuple

import pytest

from onvifd.access.types import Account, Level
from onvifd.archive.cache import FragmentCache
from onvifd.archive.disk import DiskPool, SegmentFiles, Volume
from onvifd.archive.index import EndReason
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.playback import ReplayPlayback
from onvifd.archive.reader import RecordingReader
from onvifd.archive.replay import ReplayMount, ReplayPresentation
from onvifd.archive.segment import Append, SegmentWriter
from onvifd.clock import US, SimulatedClock, ntp_to_utc
from onvifd.errors import InvalidArgument, NotFound
from onvifd.media import sei
from onvifd.media.rtp.depack import depacketizer
from onvifd.media.rtp.packet import ReplayExtension, RtpPacket, parse_replay_extension, parse_rtp
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat
from onvifd.rtsp.messages import RtspError
from onvifd.rtsp.play import Frames, PlayReply, PlayRequest
from tests.archive.conftest import FRAME, PCMU, T0, Clip, Record, g711_units, in_order, video_units

SOMEBODY = Account("somebody", Level.USER)
VIDEO = frozenset({0})
BOTH = frozenset({0, 1})
GAP_AT, AGAIN_AT, END = T0 + 12 * US, T0 + 20 * US, T0 + 26 * US


class Sent(NamedTuple):
    """One access unit as it left. `bits` holds the letters of the set bits."""

    track: int
    utc: int
    bits: str
    cseq: int
    rtp_time: int
    seqs: tuple[int, ...]
    largest: int
    data: bytes


def sent(unit: FlushUnit) -> Sent:
    packets = []
    ends = [*unit.starts[1:], len(unit.data)]
    for start, end in zip(unit.starts, ends, strict=True):
        assert unit.data[start : start + 2] == bytes((0x24, 2 * unit.track))
        packets.append(parse_rtp(unit.data, start + 4, end))
    extensions = [parse_replay_extension(packet.extension) for packet in packets]
    first = extensions[0]
    assert isinstance(first, ReplayExtension)
    # 6.3: the extension is in the first packet of every access unit. That of the terminal one says so in its last packet.
    assert all(each is None for each in extensions[1:-1])
    last = extensions[-1]
    assert last is None or last == first or (last.terminal and last == first._replace(terminal=True))
    terminal = last is not None and last.terminal
    bits = "".join(
        letter for letter, on in zip("CEDT", (first.clean, first.end, first.discontinuity, terminal), strict=True) if on
    )
    return Sent(
        unit.track,
        ntp_to_utc(first.ntp),
        bits,
        first.cseq,
        packets[0].rtp_time,
        tuple(packet.seq for packet in packets),
        max(end - start - 4 for start, end in zip(unit.starts, ends, strict=True)),
        joined(unit, packets),
    )


def joined(unit: FlushUnit, packets: list[RtpPacket]) -> bytes:
    """The access unit that a client makes of the packets."""
    take = depacketizer(PCMU if unit.track else TrackFormat(codec=Codec.H264, clock_rate=90000))
    found = [
        frame
        for packet in packets
        for frame in take.feed(unit.data[packet.start : packet.end], packet.marker, packet.rtp_time, True)
    ]
    return b"".join(frame.data for frame in found)


class Outlet:
    """Keeps what is sent; `gate` holds back the sender."""

    def __init__(self) -> None:
        self.units: list[Sent] = []
        self.reports: list[FlushUnit] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.ended = False
        self.limit = 1 << 30

    @property
    def ready(self) -> bool:
        return self.gate.is_set()

    def send(self, unit: FlushUnit) -> None:
        if unit.rtcp:
            self.reports.append(unit)
            return
        self.units.append(sent(unit))
        if len(self.units) >= self.limit:
            self.gate.clear()

    async def drain(self) -> None:
        await self.gate.wait()

    def end(self) -> None:
        self.ended = True

    def take(self) -> list[Sent]:
        units, self.units = self.units, []
        return units


class Stage:
    """A mount over a real archive on simulated time."""

    def __init__(self, store: MemorySegmentStore, volume: Volume, pool: DiskPool) -> None:
        self.store, self.volume = store, volume
        self.clock = SimulatedClock(END + 3600 * US)
        cache = FragmentCache()
        self.mount = ReplayMount(
            lambda token: RecordingReader(store, {volume.id: volume}, token, cache=cache, pool=pool), self.clock
        )
        self.outlet = Outlet()
        self.playback: ReplayPlayback | None = None
        self.cseq = 300

    async def presentation(self) -> ReplayPresentation:
        return await self.mount.find("/replay/rec-1", SOMEBODY)

    async def play(self, tracks: frozenset[int] = VIDEO, *, paced: bool = False, **request: object) -> PlayReply:
        if self.playback is None:
            self.playback = (await self.presentation()).open(self.outlet)
        self.cseq += 1
        reply = await self.playback.play(
            PlayRequest(cseq=self.cseq, rate_control=paced, replay=True, **request),  # type: ignore[arg-type]
            tracks,
        )
        self.playback.start()
        return reply

    async def settle(self, until: Callable[[], bool] | None = None) -> None:
        """Let everything happen that needs no time: threads included."""
        quiet, count = 0, len(self.outlet.units)
        async with asyncio.timeout(20):
            while not (until() if until is not None else quiet > 50):
                await asyncio.sleep(0.001)
                quiet = quiet + 1 if len(self.outlet.units) == count else 0
                count = len(self.outlet.units)

    async def pass_time(self, seconds: float, step: float = 0.02) -> None:
        for _ in range(round(seconds / step)):
            await self.clock.advance(step)
            await asyncio.sleep(0.0005)


@pytest.fixture
async def stage(store: MemorySegmentStore, volume: Volume, pool: DiskPool) -> AsyncIterator[Stage]:
    made = Stage(store, volume, pool)
    yield made
    if made.playback is not None:
        await made.playback.close()


@pytest.fixture
def footage(record: Record, h264_long: Clip) -> None:
    """12 s, a gap of 8 s, 6 s; groups of 3 s, with sound."""
    for start, seconds in ((T0, 12), (AGAIN_AT, 6)):
        units = in_order(
            video_units(h264_long, start, seconds, with_sei=True), g711_units(start + 7_000, seconds - 0.02)
        )
        record([h264_long.format, PCMU], units, segment_us=5 * US)


def frames(*spans: tuple[int, int]) -> list[int]:
    return [utc for start, end in spans for utc in range(start, end, FRAME)]


def times(units: Iterable[Sent], track: int = 0) -> list[int]:
    return [unit.utc for unit in units if unit.track == track]


def bits(units: Iterable[Sent], letter: str, track: int = 0) -> list[int]:
    return [unit.utc for unit in units if letter in unit.bits and unit.track == track]


# ---- what the URL names ----------------------------------------------------------------------------


@pytest.mark.usefixtures("footage")
async def test_the_presentation_names_its_tracks(stage: Stage) -> None:
    found = await stage.presentation()
    assert [(track.token, track.payload_type) for track in found.tracks] == [("VIDEO001", 96), ("AUDIO001", 0)]
    assert (found.replay, found.range, found.session_timeout) == (True, (T0, END), 60)


@pytest.mark.parametrize("path", ["/replay/rec-2", "/replay/", "/replay/rec-1/x", "/live/rec-1", "/replay/../rec-1"])
@pytest.mark.usefixtures("footage")
async def test_other_paths_name_nothing(stage: Stage, path: str) -> None:
    with pytest.raises(NotFound):
        await stage.mount.find(path, SOMEBODY)


# ---- ranges ----------------------------------------------------------------------------------------


@pytest.mark.covers("G-ReplayHeaderExtension", "G-onvif-replay", "P161")
@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (T0 + 4 * US, T0 + 5 * US, frames((T0 + 3 * US, T0 + 5 * US + 1))),
        (T0 + 3 * US, T0 + 3 * US, [T0 + 3 * US]),
        (T0 + 3 * US - 1, T0 + 3 * US - 1, frames((T0, T0 + 3 * US))),
        (T0 - 99 * US, T0 + US - 1, frames((T0, T0 + US))),
        (T0 + 11 * US, T0 + 21 * US, frames((T0 + 9 * US, GAP_AT), (AGAIN_AT, T0 + 21 * US + 1))),
        (T0 + 14 * US, T0 + 21 * US - 1, frames((AGAIN_AT, T0 + 21 * US))),
        (T0 + 13 * US, T0 + 15 * US, []),
        (T0 + 24 * US, END + 99 * US, frames((T0 + 23 * US, END))),
        (END + 5 * US, END + 9 * US, []),
    ],
)
@pytest.mark.usefixtures("footage")
async def test_a_bounded_range_gives_exactly_its_frames(
    stage: Stage, start: int, end: int, expected: list[int]
) -> None:
    reply = await stage.play(start=start, end=end)
    await stage.settle()
    units = stage.outlet.take()
    assert times(units) == expected
    assert reply.end == end
    if expected:
        assert reply.start == expected[0]
        assert bits(units, "D") == expected[:1]
        assert bits(units, "T") == expected[-1:]
    for unit in units:
        assert sei.find_utc(Codec.H264, unit.data) == unit.utc


@pytest.mark.covers("G-onvif-replay")
@pytest.mark.usefixtures("footage")
async def test_frames_come_as_they_were_recorded(stage: Stage, h264_long: Clip) -> None:
    await stage.play(start=T0, end=T0 + 5 * US)
    await stage.settle()
    recorded = {unit.utc: unit.data for unit in video_units(h264_long, T0, 12, with_sei=True)}
    units = stage.outlet.take()
    assert len(units) == 126
    assert all(unit.data == recorded[unit.utc] for unit in units)


@pytest.mark.usefixtures("footage")
async def test_without_range_it_starts_at_the_beginning_and_ends_with_the_data(stage: Stage) -> None:
    reply = await stage.play(BOTH)
    await stage.settle()
    units = stage.outlet.take()
    assert (reply.start, reply.end, reply.scale) == (T0, None, 1.0)
    assert times(units) == frames((T0, GAP_AT), (AGAIN_AT, END))
    for track, lasts in ((0, [GAP_AT - FRAME, END - FRAME]), (1, [GAP_AT - 33_000, END - 33_000])):
        assert bits(units, "E", track) == lasts
        assert bits(units, "T", track) == lasts[-1:]
        assert len(bits(units, "D", track)) == 1
    assert bits(units, "C", 0) == [
        start + n * 3 * US for start, count in ((T0, 4), (AGAIN_AT, 2)) for n in range(count)
    ]
    assert not stage.outlet.ended


@pytest.mark.usefixtures("footage")
async def test_npt_counts_from_the_start_of_the_recording(stage: Stage) -> None:
    reply = await stage.play(npt_start=7.5)
    assert reply.start == T0 + 6 * US


@pytest.mark.usefixtures("footage")
async def test_a_range_against_the_direction_is_refused(stage: Stage) -> None:
    with pytest.raises(RtspError, match="direction"):
        await stage.play(start=T0 + 5 * US, end=T0 + 4 * US)
    with pytest.raises(RtspError, match="direction"):
        await stage.play(start=T0 + 4 * US, end=T0 + 5 * US, scale=-1.0)


# ---- packets ---------------------------------------------------------------------------------------


@pytest.mark.covers("G-ReplayHeaderExtension")
@pytest.mark.usefixtures("footage")
async def test_packets(stage: Stage) -> None:
    reply = await stage.play(BOTH, start=T0 + 3 * US, end=T0 + 6 * US)
    assert reply.start is not None
    await stage.settle()
    units = stage.outlet.take()
    assert {unit.utc for track in (0, 1) for unit in [u for u in units if u.track == track][:1]} != {reply.start}
    assert {unit.cseq for unit in units} == {stage.cseq & 0xFF}
    # Tracks are multiplexed in the order of recording (6.5.2).
    assert [unit.utc for unit in units] == sorted(unit.utc for unit in units)
    assert len(times(units, 1)) == 150
    for track, rate in ((0, 90_000), (1, 8_000)):
        own = [unit for unit in units if unit.track == track]
        seqs = [seq for unit in own for seq in unit.seqs]
        assert [(after - before) & 0xFFFF for before, after in itertools.pairwise(seqs)] == [1] * (len(seqs) - 1)
        assert [unit.rtp_time for unit in own] == [unit.utc * rate // US & 0xFFFFFFFF for unit in own]
        info = next(each for each in reply.rtp if each.track == track)
        # What belongs to the start of the range, which is not where each track begins (Streaming 5.2.2.3).
        assert (info.seq, info.rtp_time) == (own[0].seqs[0], reply.start * rate // US & 0xFFFFFFFF)
    assert max(unit.largest for unit in units) <= 1400


@pytest.mark.usefixtures("footage")
async def test_only_tracks_that_were_set_up_are_sent(stage: Stage) -> None:
    await stage.play(frozenset({1}), start=T0, end=T0 + US)
    await stage.settle()
    units = stage.outlet.take()
    assert {unit.track for unit in units} == {1}
    assert times(units, 1) == list(range(T0 + 7_000, T0 + US + 1, 20_000))


# ---- frames ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("footage")
async def test_intra_frames_alone(stage: Stage) -> None:
    await stage.play(BOTH, start=T0 + 4 * US, frames=Frames.INTRA)
    await stage.settle()
    units = stage.outlet.take()
    keys = [T0 + 3 * US, T0 + 6 * US, T0 + 9 * US, AGAIN_AT, AGAIN_AT + 3 * US]
    assert [(unit.track, unit.utc) for unit in units] == [(0, utc) for utc in keys]
    assert bits(units, "C") == keys
    assert bits(units, "E") == [T0 + 9 * US, AGAIN_AT + 3 * US]


@pytest.mark.usefixtures("footage")
async def test_the_interval_of_intra_frames_counts_recording_time(stage: Stage) -> None:
    await stage.play(start=T0, end=GAP_AT, frames=Frames.INTRA, interval=4 * US)
    await stage.settle()
    assert times(stage.outlet.take()) == [T0, T0 + 6 * US]


@pytest.mark.usefixtures("footage")
async def test_predicted_frames_are_all_where_there_are_no_b_frames(stage: Stage) -> None:
    await stage.play(start=T0, end=T0 + 3 * US - 1, frames=Frames.PREDICTED)
    await stage.settle()
    assert times(stage.outlet.take()) == frames((T0, T0 + 3 * US))


# ---- reverse ---------------------------------------------------------------------------------------


@pytest.mark.covers("PLY-14")
@pytest.mark.usefixtures("footage")
async def test_reverse(stage: Stage) -> None:
    """6.6.1: groups of pictures in reverse order, forward in themselves, without sound."""
    reply = await stage.play(BOTH, start=T0 + 22 * US, scale=-1.0)
    await stage.settle()
    units = stage.outlet.take()
    groups = [AGAIN_AT, T0 + 9 * US, T0 + 6 * US, T0 + 3 * US, T0]
    # 6.5.1: the range begins where replay starts, though the key frame of the group is sent first.
    assert (reply.start, reply.scale) == (T0 + 22 * US, -1.0)
    assert times(units) == frames((AGAIN_AT, T0 + 22 * US + 1)) + [
        utc for start in groups[1:] for utc in frames((start, start + 3 * US))
    ]
    assert times(units, 1) == []
    assert bits(units, "D") == groups
    assert bits(units, "E") == [T0 + 22 * US, T0 + 3 * US - FRAME]
    assert bits(units, "T") == [T0 + 3 * US - FRAME]
    seqs = [seq for unit in units for seq in unit.seqs]
    assert all((after - before) & 0xFFFF == 1 for before, after in itertools.pairwise(seqs))
    assert [unit.rtp_time for unit in units] == [unit.utc * 90_000 // US & 0xFFFFFFFF for unit in units]


@pytest.mark.usefixtures("footage")
async def test_the_interval_leaves_no_section_without_its_end_in_reverse(stage: Stage) -> None:
    """6.3: E and T stand on what is sent last, though older intra frames are nearer than the interval."""
    await stage.play(start=END, scale=-1.0, frames=Frames.INTRA, interval=4 * US)
    await stage.settle()
    units = stage.outlet.take()
    sent_at = [AGAIN_AT + 3 * US, T0 + 9 * US, T0 + 3 * US]
    assert times(units) == sent_at
    assert bits(units, "D") == sent_at
    assert bits(units, "E") == [AGAIN_AT + 3 * US, T0 + 3 * US]
    assert bits(units, "T") == [T0 + 3 * US]


@pytest.mark.usefixtures("footage")
async def test_a_bounded_reverse_range(stage: Stage) -> None:
    await stage.play(start=T0 + 16 * US, end=T0 + 7 * US, scale=-1.0, frames=Frames.INTRA)
    await stage.settle()
    units = stage.outlet.take()
    assert times(units) == [T0 + 9 * US, T0 + 6 * US]
    assert bits(units, "T") == [T0 + 6 * US]


# ---- pause, resume, jump ---------------------------------------------------------------------------


@pytest.mark.covers("G-onvif-replay", "P153", "PLY-13")
@pytest.mark.usefixtures("footage")
async def test_pause_keeps_the_place(stage: Stage) -> None:
    stage.outlet.limit = 40
    await stage.play(start=T0)
    await stage.settle(lambda: len(stage.outlet.units) == 40)
    assert stage.playback is not None
    await stage.playback.pause()
    first = stage.outlet.take()
    assert times(first) == frames((T0, T0 + 40 * FRAME))
    stage.outlet.limit = 1 << 30
    stage.outlet.gate.set()
    await stage.settle()
    assert stage.outlet.take() == []
    reply = await stage.play()
    await stage.settle()
    rest = stage.outlet.take()
    assert reply.start == T0 + 40 * FRAME
    assert times(first + rest) == frames((T0, GAP_AT), (AGAIN_AT, END))
    assert {unit.cseq for unit in rest} == {stage.cseq & 0xFF}
    assert bits(rest, "D") == []
    assert (rest[0].seqs[0] - first[-1].seqs[-1]) & 0xFFFF == 1


@pytest.mark.usefixtures("footage")
async def test_resuming_in_another_mode_starts_at_a_clean_point(stage: Stage) -> None:
    stage.outlet.limit = 100
    await stage.play(start=T0)
    await stage.settle(lambda: len(stage.outlet.units) == 100)
    stage.outlet.take()
    stage.outlet.limit = 1 << 30
    stage.outlet.gate.set()
    await stage.play(frames=Frames.INTRA)
    await stage.settle()
    assert times(stage.outlet.take())[0] == T0 + 3 * US


@pytest.mark.covers("G-onvif-replay")
@pytest.mark.parametrize("immediate", [True, False])
@pytest.mark.usefixtures("footage")
async def test_a_second_play_jumps(stage: Stage, immediate: bool) -> None:
    """6.10: D on the first packet from the new place, with the new CSeq."""
    stage.outlet.limit = 30
    await stage.play(BOTH, start=T0)
    await stage.settle(lambda: len(stage.outlet.units) == 30)
    before = stage.outlet.take()
    stage.outlet.limit = 1 << 30
    stage.outlet.gate.set()
    await stage.play(BOTH, start=T0 + 10 * US, end=T0 + 11 * US, immediate=immediate)
    await stage.settle()
    units = stage.outlet.take()
    assert {unit.cseq for unit in units} == {stage.cseq & 0xFF}
    for track in (0, 1):
        own = [unit for unit in units if unit.track == track]
        assert "D" in own[0].bits
        assert not any("D" in unit.bits for unit in own[1:])
        last = [unit for unit in before if unit.track == track][-1]
        assert (own[0].seqs[0] - last.seqs[-1]) & 0xFFFF == 1
    assert units[0].utc == T0 + 9 * US


@pytest.mark.usefixtures("footage")
async def test_nothing_leaves_before_start(stage: Stage) -> None:
    playback = (await stage.presentation()).open(stage.outlet)
    await playback.play(PlayRequest(cseq=1, start=T0), VIDEO)
    await stage.settle()
    assert stage.outlet.take() == []
    await playback.close()


@pytest.mark.usefixtures("footage")
async def test_a_client_that_stalls_holds_up_nobody(stage: Stage) -> None:
    slow = Outlet()
    slow.limit = 5
    stalled = (await stage.presentation()).open(slow)
    await stalled.play(PlayRequest(cseq=1, start=T0, rate_control=False), VIDEO)
    stalled.start()
    await stage.play(start=T0, end=GAP_AT)
    await stage.settle()
    assert times(stage.outlet.take()) == frames((T0, GAP_AT))
    assert len(slow.units) == 5
    await stalled.close()


# ---- pace ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "speed"), [(1.0, 1.0), (2.0, 1.0), (0.5, 1.0), (1.0, 2.0)])
@pytest.mark.usefixtures("footage")
async def test_with_rate_control_time_passes(stage: Stage, scale: float, speed: float) -> None:
    await stage.play(paced=True, start=T0, scale=scale, speed=speed)
    await stage.pass_time(2)
    units = stage.outlet.take()
    assert abs(len(units) - 2 * 25 * scale * speed) <= 3
    # RFC 2326 appendix B: RTP time is the time of showing.
    steps = {(after.rtp_time - before.rtp_time) & 0xFFFFFFFF for before, after in itertools.pairwise(units)}
    assert steps == {round(3600 / scale)}


@pytest.mark.usefixtures("footage")
async def test_a_gap_takes_no_time(stage: Stage) -> None:
    await stage.play(paced=True, start=T0 + 11 * US)
    await stage.pass_time(4)
    units = stage.outlet.take()
    assert units[-1].utc > AGAIN_AT
    assert bits(units, "E") == [GAP_AT - FRAME]
    steps = {(after.rtp_time - before.rtp_time) & 0xFFFFFFFF for before, after in itertools.pairwise(units)}
    assert steps == {3600}


@pytest.mark.usefixtures("footage")
async def test_pace_after_a_pause(stage: Stage) -> None:
    await stage.play(paced=True, start=T0)
    await stage.pass_time(1)
    assert stage.playback is not None
    await stage.playback.pause()
    await stage.pass_time(30, step=1)
    before = stage.outlet.take()
    assert len(before) <= 28
    await stage.play(paced=True)
    await stage.pass_time(1)
    after = stage.outlet.take()
    assert 22 <= len(after) <= 28
    assert times(before + after) == frames((T0, T0 + len(before + after) * FRAME))


@pytest.mark.covers("P155", "PLY-16", "PLY-17")
@pytest.mark.usefixtures("footage")
async def test_fast_forward_sends_intra_frames(stage: Stage) -> None:
    await stage.play(paced=True, start=T0, scale=8.0)
    await stage.pass_time(2)
    units = stage.outlet.take()
    assert times(units)[:4] == [T0, T0 + 3 * US, T0 + 6 * US, T0 + 9 * US]


@pytest.mark.covers("P155", "PLY-16", "PLY-17")
@pytest.mark.parametrize("scale", [0.0, 1e9, -1e9])
@pytest.mark.usefixtures("footage")
async def test_scales_out_of_range(stage: Stage, scale: float) -> None:
    with pytest.raises(InvalidArgument):
        await stage.play(paced=True, scale=scale)


# ---- the live edge ---------------------------------------------------------------------------------


class Recorder:
    """Writes a growing recording by hand."""

    def __init__(self, stage: Stage, clip: Clip) -> None:
        self._core = SegmentWriter("rec-1", "v1", [clip.format], segment_us=5 * US)
        self._files = SegmentFiles(stage.volume, stage.store)
        self._clip = clip

    def record(self, start: int, seconds: float) -> None:
        for unit in video_units(self._clip, start, seconds):
            self._carry_out(self._core.feed(moved(unit, start), unit.utc / US))

    def stop(self, reason: EndReason) -> None:
        self._carry_out(self._core.finish(reason))

    def _carry_out(self, actions: list[object]) -> None:
        for action in actions:
            if isinstance(action, Append):
                self._files.append(action)
            else:
                self._files.close(action)  # type: ignore[arg-type]


def moved(unit: AccessUnit, start: int) -> AccessUnit:
    return AccessUnit(unit.track, unit.utc, unit.ticks + (start - T0) * 90_000 // US, unit.key, unit.data)


@pytest.fixture
async def recorder(stage: Stage, h264: Clip) -> Recorder:
    made = Recorder(stage, h264)
    made.record(T0, 4)
    return made


async def test_new_footage_is_sent_as_it_comes(stage: Stage, recorder: Recorder) -> None:
    """6.8: without E while recording goes on, over the end of the segment."""
    await stage.play(start=T0)
    await stage.settle()
    got = stage.outlet.take()
    for second in range(4, 12):
        recorder.record(T0 + second * US, 1)
        await stage.pass_time(0.5)
        await stage.settle()
    got += stage.outlet.take()
    assert bits(got, "E") == bits(got, "T") == []
    assert len(got) >= 10 * 25
    recorder.stop(EndReason.STOP)
    await stage.pass_time(0.5)
    await stage.settle()
    got += stage.outlet.take()
    assert times(got) == frames((T0, T0 + 12 * US))
    assert bits(got, "E") == bits(got, "T") == [T0 + 12 * US - FRAME]


async def test_delivery_resumes_when_recording_does(stage: Stage, recorder: Recorder) -> None:
    """6.9."""
    recorder.stop(EndReason.PAUSE)
    await stage.play(start=T0)
    await stage.settle()
    assert bits(stage.outlet.take(), "T") == [T0 + 4 * US - FRAME]
    recorder.record(T0 + 60 * US, 3)
    await stage.pass_time(1)
    await stage.settle()
    assert times(stage.outlet.take())[0] == T0 + 60 * US


async def test_a_recorder_that_died_counts_as_ended(stage: Stage, recorder: Recorder) -> None:
    await stage.play(start=T0)
    await stage.settle()
    assert bits(stage.outlet.take(), "E") == []
    await stage.pass_time(17, step=0.25)
    await stage.settle()
    (last,) = stage.outlet.take()
    assert "E" in last.bits
    assert "T" in last.bits


async def test_the_present_is_the_last_group_of_pictures(stage: Stage, recorder: Recorder) -> None:
    reply = await stage.play(start=T0 + 3600 * US)
    assert reply.start == T0 + 2 * US


async def test_the_future_of_a_recording_that_ended_waits_for_its_footage(stage: Stage, recorder: Recorder) -> None:
    """6.5.4: a time in a gap starts with the section that follows it, and there is none yet (6.9)."""
    recorder.stop(EndReason.PAUSE)
    asked = T0 + 3600 * US
    reply = await stage.play(start=asked)
    assert reply.start == asked
    await stage.pass_time(1)
    await stage.settle()
    assert stage.outlet.take() == []
    recorder.record(asked + US, 3)
    await stage.pass_time(1)
    await stage.settle()
    first = stage.outlet.take()[0]
    assert first.utc == asked + US
    assert "D" in first.bits


async def test_a_range_that_ends_in_the_future_ends_there(stage: Stage, recorder: Recorder) -> None:
    await stage.play(start=T0, end=T0 + 6 * US)
    await stage.settle()
    recorder.record(T0 + 4 * US, 5)
    await stage.pass_time(1)
    await stage.settle()
    units = stage.outlet.take()
    assert times(units) == frames((T0, T0 + 6 * US + 1))
    assert bits(units, "T") == [T0 + 6 * US]
    assert bits(units, "E") == []


# ---- trouble ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("footage")
@pytest.mark.parametrize("scale", [1.0, -1.0])
async def test_a_segment_that_is_gone_is_told_once(
    stage: Stage, caplog: pytest.LogCaptureFixture, scale: float
) -> None:
    row = stage.store.segments_between("rec-1", 0, 1 << 62)[1]
    stage.volume.path(row.path).unlink()
    await stage.play(start=END if scale < 0 else None, scale=scale)
    await stage.settle()
    stage.outlet.take()
    assert [record.getMessage().count(row.path) for record in caplog.records if "left out" in record.message] == [1]


@pytest.mark.usefixtures("footage")
async def test_a_fragment_that_is_gone_is_left_out(stage: Stage) -> None:
    row = stage.store.segments_between("rec-1", 0, 1 << 62)[1]
    stage.volume.path(row.path).unlink()
    await stage.play()
    await stage.settle()
    units = stage.outlet.take()
    assert times(units) == frames((T0, row.start), (row.end, GAP_AT), (AGAIN_AT, END))
    assert bits(units, "E")[0] == row.start - FRAME


async def test_a_changed_picture_size_is_followed(stage: Stage, record: Record, h264: Clip, h264_large: Clip) -> None:
    later = [moved(unit, T0 + 2 * US) for unit in video_units(h264_large, T0 + 2 * US, 2)]
    record([h264.format], [*video_units(h264, seconds=2), *later])
    await stage.play()
    await stage.settle()
    units = stage.outlet.take()
    assert times(units) == frames((T0, T0 + 4 * US))
    assert bits(units, "E") == [T0 + 4 * US - FRAME]


@pytest.mark.covers("REC-28")
async def test_overlapping_footage_goes_forward_only(stage: Stage, record: Record, h264: Clip) -> None:
    """6.3.1: after the clock was set back by 2 s, times still grow."""
    record([h264.format], video_units(h264, T0, 6), segment_us=3 * US)
    record([h264.format], video_units(h264, T0 + 4 * US, 6), segment_us=3 * US)
    await stage.play()
    await stage.settle()
    got = times(stage.outlet.take())
    assert got == sorted(set(got))
    assert (got[0], got[-1]) == (T0, T0 + 10 * US - FRAME)
