"""One source, many sinks."""

import asyncio

import pytest

from onvifd.access.types import Account, Level
from onvifd.clock import utc_to_ntp
from onvifd.errors import NotFound, Unavailable
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.live.mount import LiveMount
from onvifd.media.rtp.pack import frame_rtcp
from onvifd.media.rtp.packet import SenderReport, build_sender_report, parse_rtcp
from onvifd.media.types import Codec, FlushUnit, TrackFormat
from onvifd.rtsp.play import PlayRequest

VIDEO = LiveTrack(TrackFormat(codec=Codec.H264, clock_rate=90000), 96, 0x11)
H265 = LiveTrack(TrackFormat(codec=Codec.H265, clock_rate=90000), 96, 0x11)
AUDIO = LiveTrack(TrackFormat(codec=Codec.PCMU, clock_rate=8000), 0, 0x22)
ME = Account("viewer", Level.USER)


def unit(number: int, track: int = 0, *, key: bool = False, rtcp: bool = False, end: bool = True) -> FlushUnit:
    data = bytes((0x24, 2 * track, 0, 12, 0x80, 96)) + number.to_bytes(2, "big") + bytes(8)
    return FlushUnit(track, data, (0,), key, number * 3600, number * 40_000, end, rtcp)


def report(utc: int, rtp_time: int) -> FlushUnit:
    packet = SenderReport(ssrc=0x11, ntp=utc_to_ntp(utc), rtp_time=rtp_time, packets=7, octets=700)
    return frame_rtcp(0, build_sender_report(packet), rtp_time=rtp_time, utc=utc)


class Outlet:
    def __init__(self) -> None:
        self.units: list[FlushUnit] = []
        self.ended = 0

    def send(self, unit: FlushUnit) -> None:
        self.units.append(unit)

    def expect(self, size: int) -> None: ...

    async def drain(self) -> None: ...

    def end(self) -> None:
        self.ended += 1


def stream() -> LiveStream:
    made = LiveStream("cam-1/main")
    made.set_tracks((VIDEO, AUDIO))
    return made


async def open_playback(source: LiveStream, outlet: Outlet):  # type: ignore[no-untyped-def]
    mount = LiveMount({"/live/cam-1/main": source}.get, 60)
    return (await mount.find("/live/cam-1/main", ME)).open(outlet)


async def test_late_joiner_starts_at_the_clean_point_with_the_sender_report() -> None:
    source = stream()
    for each in (
        unit(1, key=True),
        unit(2),
        unit(3, key=True),
        report(3 * 40_000, 3 * 3600),
        unit(50, track=1, key=True),
        unit(4),
    ):
        source.publish(each)
    outlet = Outlet()
    playback = await open_playback(source, outlet)
    reply = await playback.play(PlayRequest(cseq=1), frozenset({0, 1}))
    assert reply.start == 3 * 40_000
    # both time stamps are those of the start, from which the sound is 47 pictures away (Streaming 5.2.2.3)
    told = [(info.track, info.seq, info.rtp_time) for info in reply.rtp]
    assert told == [(0, 3, 3 * 3600), (1, 50, 50 * 3600 - 47 * 320)]
    source.publish(unit(5))
    assert outlet.units == []
    playback.start()
    source.publish(unit(6))
    assert [u.data[7] for u in outlet.units[1:]] == [3, 50, 4, 5, 6]
    (told,) = parse_rtcp(outlet.units[0].data[4:])
    assert told == SenderReport(ssrc=0x11, ntp=utc_to_ntp(4 * 40_000), rtp_time=4 * 3600, packets=7, octets=700)
    assert (await playback.play(PlayRequest(cseq=2), frozenset({0, 1}))).start is None
    playback.start()
    source.publish(unit(7))
    assert [u.data[7] for u in outlet.units][-2:] == [6, 7]
    await playback.pause()
    source.publish(unit(8))
    assert outlet.units[-1].data[7] == 7
    await playback.close()
    assert source.clients == 0


async def test_a_gop_beyond_the_bound_is_not_cached() -> None:
    source = LiveStream("cam-1/main", cache_bytes=40)
    source.set_tracks((VIDEO,))
    for number in range(4):
        source.publish(unit(number, key=number == 0))
    assert source.backlog() == []
    source.publish(unit(9, key=True))
    assert len(source.backlog()) == 1


async def test_change_of_codec_ends_sessions_change_of_size_does_not() -> None:
    source = stream()
    outlet = Outlet()
    playback = await open_playback(source, outlet)
    await playback.play(PlayRequest(cseq=1), frozenset({0}))
    playback.start()
    larger = LiveTrack(TrackFormat(codec=Codec.H264, clock_rate=90000, width=1920), 96, 0x11)
    source.set_tracks((larger, AUDIO))
    assert outlet.ended == 0
    source.set_tracks((H265, AUDIO))
    assert outlet.ended == 1
    before = len(outlet.units)
    source.publish(unit(9, key=True))  # not what was described
    assert len(outlet.units) == before
    assert source.clients == 0


async def test_a_codec_that_changes_between_answer_and_begin_is_not_sent() -> None:
    source = stream()
    source.publish(unit(1, key=True))
    outlet = Outlet()
    playback = await open_playback(source, outlet)
    await playback.play(PlayRequest(cseq=1), frozenset({0}))
    source.set_tracks((H265, AUDIO))
    assert outlet.ended == 1
    playback.start()
    source.publish(unit(9, key=True))
    assert outlet.units == []
    await playback.close()


@pytest.mark.parametrize("change", ["codec", "end"])
async def test_session_of_a_stream_that_changed_meanwhile_is_told(change: str) -> None:
    source = stream()
    mount = LiveMount({"/live/cam-1/main": source}.get, 60)
    presentation = await mount.find("/live/cam-1/main", ME)
    playback = presentation.open(Outlet())
    if change == "end":
        source.end()
    else:
        source.set_tracks((H265, AUDIO))
    assert [track.format.codec for track in presentation.tracks] == [Codec.H264, Codec.PCMU]
    with pytest.raises(Unavailable):
        await playback.play(PlayRequest(cseq=1), frozenset({0, 1}))
    assert source.clients == 0


async def test_pictures_on_demand_begin_anew_for_who_plays_after_a_long_pause() -> None:
    source = stream()
    tracks = source.tracks

    def wanted(now: bool) -> None:
        if now and not source.tracks:
            source.set_tracks(tracks)

    mount = LiveMount({"/live/cam-1/main": source}.get, 60)
    presentation = await mount.find("/live/cam-1/main", ME)
    outlet = Outlet()
    playback = presentation.open(outlet)
    source.publish(unit(1, key=True))
    await playback.play(PlayRequest(cseq=1), frozenset({0}))
    playback.start()
    await playback.pause()
    source.end()  # nobody watched for a while
    source.on_wanted = wanted
    asked = asyncio.create_task(playback.play(PlayRequest(cseq=2), frozenset({0})))
    async with asyncio.timeout(10):
        while not source.clients:
            await asyncio.sleep(0)
    source.publish(unit(7, key=True))
    assert [info.seq for info in (await asked).rtp] == [7]
    assert not outlet.ended
    await playback.close()


async def test_key_frame_in_several_units() -> None:
    source = stream()
    assert source.keyframe() == []
    source.publish(unit(1, key=True, end=False))
    assert source.keyframe() == []
    source.publish(unit(2, track=1, key=True))
    source.publish(unit(3))
    source.publish(unit(4))
    assert [u.data[7] for u in source.keyframe()] == [1, 3]


async def test_unknown_path_and_silent_camera() -> None:
    silent = LiveStream("cam-2/main")
    mount = LiveMount({"/live/cam-2/main": silent}.get, 60, format_wait=0)
    with pytest.raises(NotFound):
        await mount.find("/live/other/main", ME)
    with pytest.raises(Unavailable):
        await mount.find("/live/cam-2/main", ME)
    waiting = asyncio.create_task(silent.known(5))
    await asyncio.sleep(0)
    silent.set_tracks((VIDEO,))
    assert await waiting


async def test_before_the_first_unit_the_answer_tells_the_time_of_the_reports() -> None:
    source = stream()
    source.publish(report(3_000_000, 5_000))
    outlet = Outlet()
    playback = await open_playback(source, outlet)
    reply = await playback.play(PlayRequest(cseq=1), frozenset({0, 1}))
    assert (reply.start, [(info.track, info.seq, info.rtp_time) for info in reply.rtp]) == (
        3_000_000,
        [(0, None, 5_000)],
    )
    await playback.close()
    other = await open_playback(stream(), outlet)
    assert (await other.play(PlayRequest(cseq=1), frozenset({0}))).start is None


async def test_the_answer_waits_for_the_first_unit_of_a_stream_that_has_only_just_been_begun() -> None:
    source = stream()
    outlet = Outlet()
    playback = await open_playback(source, outlet)
    asked = asyncio.create_task(playback.play(PlayRequest(cseq=1), frozenset({0})))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not asked.done()
    source.publish(unit(5, key=True))
    reply = await asked
    assert [(info.track, info.seq) for info in reply.rtp] == [(0, 5)]
    playback.start()
    assert [each.data[7] for each in outlet.units] == [5]
    await playback.close()
