"""Replay sessions: where they pause, what they send beside pictures, and many of them at once."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from onvifd.archive.cache import FragmentCache
from onvifd.archive.disk import DiskPool, Volume
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.pace import Metronome
from onvifd.archive.reader import RecordingReader
from onvifd.archive.replay import ReplayMount
from onvifd.clock import US, SimulatedClock, SystemClock, ntp_to_utc
from onvifd.media.rtp.packet import SenderReport, parse_replay_extension, parse_rtcp, parse_rtp
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat
from onvifd.rtsp.messages import RtspError
from onvifd.rtsp.play import Frames, PlayRequest
from onvifd.rtsp.sdp_writer import build_sdp
from tests.archive.conftest import FRAME, PCMU, T0, Clip, Record, g711_units, in_order, video_units
from tests.archive.test_replay import (
    AGAIN_AT,
    BOTH,
    END,
    SOMEBODY,
    VIDEO,
    Outlet,
    Stage,
    bits,
    frames,
    times,
)
from tests.archive.test_replay import footage as footage
from tests.archive.test_replay import stage as stage

METADATA = TrackFormat(codec=Codec.METADATA, clock_rate=90_000)
DOCUMENT = (
    b'<?xml version="1.0"?><tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema">%s</tt:MetadataStream>'
)


def documents(start: int, seconds: float, every: int, *, track: int, size: int = 10) -> list[AccessUnit]:
    return [
        AccessUnit(track, utc, (utc - T0) * 90_000 // US, True, DOCUMENT % (b"x" * size))
        for utc in range(start, start + round(seconds * US), every)
    ]


# ---- PAUSE with Range --------------------------------------------------------------------------------


@pytest.mark.covers("G-onvif-replay", "PLY-13")
@pytest.mark.parametrize("paced", [True, False])
@pytest.mark.usefixtures("footage")
async def test_it_pauses_where_it_was_told_and_resumes_there(stage: Stage, paced: bool) -> None:
    """RFC 2326 10.6: what starts at the pause point is not played before the next PLAY."""
    stage.outlet.limit = 10
    await stage.play(start=T0, paced=paced)
    if paced:
        await stage.pass_time(0.3)
    else:
        await stage.settle(lambda: len(stage.outlet.units) == 10)
    assert stage.playback is not None
    assert await stage.playback.pause_at(T0 + 2 * US) is False
    stage.outlet.limit = 1 << 30
    stage.outlet.gate.set()
    await stage.pass_time(4)
    await stage.settle()
    before = stage.outlet.take()
    assert times(before) == frames((T0, T0 + 2 * US))
    reply = await stage.play(paced=paced, end=None)
    assert reply.start == T0 + 2 * US
    await stage.pass_time(1)
    after = stage.outlet.take()
    assert times(after)[:20] == frames((T0 + 2 * US, T0 + 2 * US + 20 * FRAME))
    assert (after[0].seqs[0] - before[-1].seqs[-1]) & 0xFFFF == 1
    assert bits(after, "D") == []


@pytest.mark.usefixtures("footage")
async def test_a_pause_point_that_was_passed_holds_all_the_same(stage: Stage) -> None:
    """RFC 2326 10.6: the client has thrown away what came behind it."""
    stage.outlet.limit = 100
    await stage.play(start=T0)
    await stage.settle(lambda: len(stage.outlet.units) == 100)
    assert stage.playback is not None
    assert await stage.playback.pause_at(T0 + US) is True
    stage.outlet.take()
    stage.outlet.limit = 1 << 30
    stage.outlet.gate.set()
    await stage.settle()
    assert stage.outlet.take() == []
    assert (await stage.play()).start == T0
    await stage.settle()
    units = stage.outlet.take()
    assert times(units)[0] == T0
    assert "D" in units[0].bits


@pytest.mark.usefixtures("footage")
async def test_a_pause_point_outside_of_what_is_played(stage: Stage) -> None:
    await stage.play(start=T0 + 3 * US, end=T0 + 6 * US, paced=True)
    assert stage.playback is not None
    for point in (T0 + 2 * US, T0 + 7 * US):
        with pytest.raises(RtspError) as caught:
            await stage.playback.pause_at(point)
        assert caught.value.status == 457


@pytest.mark.usefixtures("footage")
async def test_a_pause_point_in_reverse(stage: Stage) -> None:
    """The group of pictures that holds it is the last one: those before it in time are not needed."""
    stage.outlet.limit = 5
    await stage.play(start=T0 + 10 * US, scale=-1.0)
    await stage.settle(lambda: len(stage.outlet.units) == 5)
    assert stage.playback is not None
    assert await stage.playback.pause_at(T0 + 4 * US) is False
    stage.outlet.limit = 1 << 30
    stage.outlet.gate.set()
    await stage.settle()
    assert bits(stage.outlet.take(), "D") == [T0 + 9 * US, T0 + 6 * US, T0 + 3 * US]
    await stage.play(scale=-1.0)
    await stage.settle()
    assert bits(stage.outlet.take(), "D") == [T0]


@pytest.mark.usefixtures("footage")
async def test_pausing_at_once_takes_back_a_pause_point(stage: Stage) -> None:
    await stage.play(start=T0, paced=True)
    await stage.pass_time(0.5)
    assert stage.playback is not None
    await stage.playback.pause_at(T0 + 2 * US)
    await stage.playback.pause()
    await stage.play(paced=True)
    await stage.pass_time(3)
    assert times(stage.outlet.take())[-1] > T0 + 2 * US


# ---- ranges ------------------------------------------------------------------------------------------


@pytest.mark.covers("G-onvif-replay")
@pytest.mark.usefixtures("footage")
async def test_a_range_without_start(stage: Stage) -> None:
    """Streaming 6.5.1 `"-" utc-time`: from where it stands; at first, from the end that it plays from."""
    await stage.play(end=T0 + 2 * US)
    await stage.settle()
    assert times(stage.outlet.take()) == frames((T0, T0 + 2 * US + 1))
    await stage.play(end=T0 + 24 * US, scale=-1.0, start=END + US, frames=Frames.INTRA)
    await stage.settle()
    assert times(stage.outlet.take()) == [AGAIN_AT + 3 * US]


@pytest.mark.usefixtures("footage")
async def test_npt_ends_where_it_says(stage: Stage) -> None:
    reply = await stage.play(npt_start=3.0, npt_end=4.0)
    await stage.settle()
    assert times(stage.outlet.take()) == frames((T0 + 3 * US, T0 + 4 * US + 1))
    assert reply.end == T0 + 4 * US


@pytest.mark.usefixtures("footage")
async def test_sound_alone_needs_no_lead_in(stage: Stage) -> None:
    """6.5.4: each access unit of sound is a clean point."""
    start, end = T0 + 4 * US + 1, T0 + 5 * US
    reply = await stage.play(frozenset({1}), start=start, end=end)
    await stage.settle()
    units = stage.outlet.take()
    assert times(units, 1) == list(range(T0 + 3_987_000, end + 1, 20_000))
    assert reply.start == T0 + 3_987_000
    assert bits(units, "D", 1) == [T0 + 3_987_000]


@pytest.mark.covers("PLY-14")
@pytest.mark.usefixtures("footage")
async def test_sound_alone_in_reverse(stage: Stage) -> None:
    """6.6.1: what is not motion-based goes unit by unit, each behind a discontinuity."""
    await stage.play(frozenset({1}), start=T0 + 2 * US, end=T0 + US, scale=-1.0)
    await stage.settle()
    units = stage.outlet.take()
    assert times(units, 1) == list(range(T0 + 1_987_000, T0 + US - 1, -20_000))
    assert all("D" in unit.bits for unit in units)


# ---- metadata ----------------------------------------------------------------------------------------


@pytest.fixture
def scene(record: Record, h264_long: Clip) -> None:
    """Pictures, sound and a document each second, one of them larger than a packet."""
    record(
        [h264_long.format, PCMU, METADATA],
        in_order(
            video_units(h264_long, T0, 12),
            g711_units(T0 + 7_000, 11.9),
            documents(T0 + 100_000, 11, US, track=2, size=3000),
        ),
        segment_us=5 * US,
    )


ALL = frozenset({0, 1, 2})


@pytest.mark.covers("G-onvif-replay", "G-ReplayHeaderExtension")
@pytest.mark.usefixtures("scene")
async def test_three_tracks_in_the_order_of_recording(stage: Stage) -> None:
    sent = Raw()
    presentation = await stage.presentation()
    text = build_sdp(presentation, "192.0.2.1", 1, 1).decode()
    assert "m=application 0 RTP/AVP 98\r\na=rtpmap:98 vnd.onvif.metadata/90000\r\n" in text
    assert "a=x-onvif-track:META001" in text
    playback = presentation.open(sent)
    await playback.play(PlayRequest(cseq=7, start=T0, end=T0 + 6 * US, rate_control=False), ALL)
    playback.start()
    await sent.until(lambda: 2 in sent.ended)
    await playback.close()
    order = [unit.utc for unit in sent.units]
    assert order == sorted(order)
    own = [unit for unit in sent.units if unit.track == 2]
    assert [unit.utc for unit in own] == [T0 + 100_000 + n * US for n in range(6)]
    for unit in own:
        packets = split(unit)
        assert len(packets) == 3
        # Streaming 5.1.2.1.1: the marker closes the document; 6.3: the extension is in its first packet.
        assert [packet.marker for packet in packets] == [False, False, True]
        # That it is the terminal one is said in its last.
        extended = [parse_replay_extension(packet.extension) is not None for packet in packets]
        assert extended == [True, False, unit is own[-1]]
        assert max(packet.end - packet.start for packet in packets) <= 1400
        document = b"".join(unit.data[packet.start : packet.end] for packet in packets)
        assert document.startswith(b"<?xml")
        assert document.endswith(b"</tt:MetadataStream>")


@pytest.mark.covers("PLY-14")
@pytest.mark.usefixtures("scene")
async def test_metadata_goes_backward_with_the_pictures(stage: Stage) -> None:
    """6.6.1: in an order that mirrors that of the video, forward within a group; no sound."""
    sent = Raw()
    playback = (await stage.presentation()).open(sent)
    await playback.play(PlayRequest(cseq=7, start=T0 + 8 * US, rate_control=False, scale=-1.0), ALL)
    playback.start()
    await sent.until(lambda: {0, 2} <= sent.ended)
    await playback.close()
    assert {unit.track for unit in sent.units} == {0, 2}
    own = [unit.utc for unit in sent.units if unit.track == 2]
    at = [T0 + 100_000 + n * US for n in range(8)]
    assert own == [*at[6:8], *at[3:6], *at[0:3]]
    assert sent.discontinuities(2) == [at[6], at[3], at[0]]


@pytest.mark.usefixtures("scene")
async def test_metadata_alone_goes_backward_document_by_document(stage: Stage) -> None:
    sent = Raw()
    playback = (await stage.presentation()).open(sent)
    request = PlayRequest(cseq=7, start=T0 + 8 * US, rate_control=False, scale=-1.0)
    await playback.play(request, frozenset({2}))
    playback.start()
    await sent.until(lambda: 2 in sent.ended)
    await playback.close()
    at = [T0 + 100_000 + n * US for n in reversed(range(8))]
    assert [unit.utc for unit in sent.units] == at == sent.discontinuities(2)


def split(unit: FlushUnit) -> list[object]:
    ends = [*unit.starts[1:], len(unit.data)]
    return [parse_rtp(unit.data, start + 4, end) for start, end in zip(unit.starts, ends, strict=True)]


class Raw(Outlet):
    """Keeps units as they are. `ended` holds the tracks whose last unit was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.units: list[FlushUnit] = []  # type: ignore[assignment]
        self.ended: set[int] = set()  # type: ignore[assignment]

    def send(self, unit: FlushUnit) -> None:
        if not unit.rtcp:
            self.units.append(unit)
            if self.extension(unit, unit.starts[-1]).terminal:
                self.ended.add(unit.track)

    @staticmethod
    def extension(unit: FlushUnit, at: int = 0) -> object:
        """Of the packet that begins at an offset; without one, of the first, which has one."""
        last = parse_replay_extension(parse_rtp(unit.data, at + 4, len(unit.data)).extension)
        found = last or parse_replay_extension(parse_rtp(unit.data, 4, len(unit.data)).extension)
        assert found is not None
        return found

    def discontinuities(self, track: int) -> list[int]:
        return [unit.utc for unit in self.units if unit.track == track and self.extension(unit).discontinuity]

    async def until(self, true: object) -> None:
        async with asyncio.timeout(20):
            while not true():
                await asyncio.sleep(0.005)


# ---- reports -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("footage")
async def test_sender_reports_tell_the_present(stage: Stage) -> None:
    """6.11: with rate control NTP is the time now, and belongs to the RTP time that is shown now."""
    reply = await stage.play(BOTH, paced=True, start=T0 + 3 * US)
    began = stage.clock.utc()
    await stage.pass_time(6, step=0.05)
    reports = [(unit.track, parse_rtcp(unit.data[4:])[0]) for unit in stage.outlet.reports]
    assert [track for track, _ in reports] == [0, 1, 0, 1]
    for track, report in reports:
        assert isinstance(report, SenderReport)
        rate = 90_000 if track == 0 else 8_000
        info = next(each for each in reply.rtp if each.track == track)
        passed = ntp_to_utc(report.ntp) - began
        apart = (report.rtp_time - info.rtp_time - passed * rate // US) & 0xFFFFFFFF
        assert min(apart, (1 << 32) - apart) <= rate // 20


@pytest.mark.usefixtures("footage")
async def test_without_rate_control_there_are_no_reports(stage: Stage) -> None:
    await stage.play(BOTH, start=T0)
    await stage.settle()
    assert stage.outlet.reports == []


# ---- many --------------------------------------------------------------------------------------------


@pytest.mark.covers("G-onvif-replay")
async def test_a_hundred_sessions_at_once(
    store: MemorySegmentStore, volume: Volume, pool: DiskPool, record: Record, h264: Clip
) -> None:
    """Each gets all frames; those that do not read hold up nobody; memory is that of one cache."""
    for number in range(10):
        record([h264.format], video_units(h264, T0, 4), recording=f"rec-{number:08x}")
    cache = FragmentCache(1 << 20)
    mount = ReplayMount(
        lambda token: RecordingReader(store, {volume.id: volume}, token, cache=cache, pool=pool), SystemClock()
    )
    outlets = [Raw() for _ in range(110)]
    for stalled in outlets[100:]:
        stalled.gate.clear()
    playbacks = []
    for number, outlet in enumerate(outlets):
        presentation = await mount.find(f"/replay/rec-{number % 10:08x}", SOMEBODY)
        playbacks.append(presentation.open(outlet))
    for number, playback in enumerate(playbacks):
        paced = number % 2 == 0
        await playback.play(PlayRequest(cseq=1, start=T0, end=T0 + 2 * US, rate_control=paced), VIDEO)
        playback.start()
    for outlet in outlets[:100]:
        await outlet.until(lambda outlet=outlet: 0 in outlet.ended)
        assert [unit.utc for unit in outlet.units] == frames((T0, T0 + 2 * US + 1))
    assert all(len(outlet.units) <= 1 for outlet in outlets[100:])
    assert cache.size <= 1 << 20
    await asyncio.gather(*(playback.close() for playback in playbacks))


async def test_one_beat_serves_all() -> None:
    clock = SimulatedClock()
    metronome = Metronome(clock, grid=0.01)
    beats: list[tuple[int, float]] = []

    def session(number: int) -> object:
        def beat() -> None:
            beats.append((number, round(clock.monotonic(), 3)))

        return beat

    calls = [session(number) for number in range(4)]
    metronome.at(0.5, calls[3])
    metronome.at(0.011, calls[0])
    metronome.at(0.019, calls[1])
    metronome.at(0.012, calls[2])
    metronome.forget(calls[2])
    await asyncio.sleep(0)
    await clock.advance(1)
    assert beats == [(0, 0.02), (1, 0.02), (3, 0.5)]
    metronome.at(1.0, calls[0])
    await clock.advance(0.02)
    assert beats[-1][0] == 0


@pytest.mark.usefixtures("footage")
async def test_sessions_that_begin_at_different_moments_leave_together(stage: Stage) -> None:
    """The first unit of each goes at once; then what is shown 25 times a second comes as often, for all at the same beats."""
    sent: list[list[float]] = []
    playbacks = []
    await stage.clock.advance(0.007)
    for _ in range(4):
        outlet = Outlet()
        moments: list[float] = []
        outlet.send = lambda unit, moments=moments: moments.append(stage.clock.monotonic())  # type: ignore[method-assign]
        playback = (await stage.presentation()).open(outlet)
        await playback.play(PlayRequest(cseq=1, start=T0), VIDEO)
        playback.start()
        await stage.pass_time(0.013, step=0.001)
        sent.append(moments)
        playbacks.append(playback)
    await stage.pass_time(1, step=0.001)
    for number, moments in enumerate(sent):
        assert moments[0] == pytest.approx(0.007 + 0.013 * number, abs=0.002)
        # The report comes with the first unit.
        steps = {round(after - before, 2) for before, after in itertools.pairwise(moments[3:])}
        assert steps == {0.04}
    assert len({round(moments[-1] / 0.04, 1) % 1 for moments in sent}) == 1
    await asyncio.gather(*(playback.close() for playback in playbacks))
