from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence

import pytest
from msgspec import structs

from onvifd.cameras.simulated.encode import CameraClips
from onvifd.cameras.simulated.player import SimulatedSource, Splice, StreamPlayer
from onvifd.clock import US, SimulatedClock, utc_to_ntp
from onvifd.media import nal, sei
from onvifd.media.rtp.clock import TrackClock
from onvifd.media.rtp.depack import depacketizer
from onvifd.media.rtp.packet import SenderReport, parse_rtcp, parse_rtp
from onvifd.media.types import Codec, FlushUnit

T0 = 1_767_225_600 * US


def play(player: StreamPlayer, start: int, end: int, step: int = 15_000) -> list[FlushUnit]:
    player.start(start)
    return [unit for now in range(start, end, step) for unit in player.due(now)]


def reports(units: Sequence[FlushUnit], track: int) -> list[tuple[int, SenderReport]]:
    found = []
    for unit in units:
        if unit.rtcp and unit.track == track:
            (report,) = parse_rtcp(unit.data[4:])
            assert isinstance(report, SenderReport)
            found.append((unit.utc, report))
    return found


def test_frames_have_exact_times_from_a_key_frame_on(h264: CameraClips) -> None:
    player = StreamPlayer([h264.main, h264.audio], seed=1)
    units = play(player, T0 + 500_000, T0 + 5 * US)
    video = [unit for unit in units if unit.track == 0 and not unit.rtcp]
    assert video[0].key
    assert video[0].utc == T0 + 2 * US
    assert [unit.utc for unit in video] == [T0 + 2 * US + index * 40_000 for index in range(len(video))]
    assert {unit.track for unit in units} == {0, 1}
    assert player.payload_types == (96, 0)


def test_rtp_time_goes_on_over_the_seam(h264: CameraClips) -> None:
    player = StreamPlayer([h264.sub, h264.audio], seed=1)
    units = [unit for unit in play(player, T0, T0 + 25 * US) if not unit.rtcp]
    for track, step in ((0, 3600), (1, 320)):
        times = [unit.rtp_time for unit in units if unit.track == track]
        assert len(times) >= 620
        assert {(after - before) & 0xFFFFFFFF for before, after in itertools.pairwise(times)} == {step}


def test_sequence_numbers_are_continuous_and_the_stream_depacketizes(h264: CameraClips, h265: CameraClips) -> None:
    for clip in (h264.sub, h265.sub):
        player = StreamPlayer([clip], seed=4)
        depack = depacketizer(player.formats[0])
        last = None
        frames = []
        for unit in play(player, T0, T0 + 12 * US):
            if unit.rtcp:
                continue
            for begin, end in zip(unit.starts, (*unit.starts[1:], len(unit.data)), strict=True):
                head = parse_rtp(unit.data, begin + 4, end)
                assert (head.ssrc, head.payload_type) == (player.ssrcs[0], player.payload_types[0])
                contiguous = last is None or head.seq == (last + 1) & 0xFFFF
                assert contiguous
                last = head.seq
                frames += depack.feed(unit.data[head.start : head.end], head.marker, head.rtp_time, contiguous)
        assert depack.damaged == 0
        codec = clip.format.codec
        assert [sei.find_utc(codec, frame.data) for frame in frames] == [
            T0 + index * 40_000 for index in range(len(frames))
        ]
        assert all(list(nal.iterate(frame.data)) for frame in frames)


def test_the_clock_of_a_receiver_is_exact_from_the_first_frame_on(h264: CameraClips) -> None:
    clock = TrackClock(90000)
    for unit in play(StreamPlayer([h264.sub], seed=3), T0, T0 + 15 * US):
        arrival = unit.utc + 20_000
        if unit.rtcp:
            (report, *_) = parse_rtcp(unit.data[4:])
            assert isinstance(report, SenderReport)
            clock.sender_report(report.ntp, report.rtp_time, arrival)
        else:
            assert clock.stamp(unit.rtp_time, arrival).utc == unit.utc


def test_sender_reports_tie_a_frame_time_exactly(h264: CameraClips) -> None:
    player = StreamPlayer([h264.sub, h264.audio], seed=9)
    units = play(player, T0, T0 + 20 * US)
    for track in (0, 1):
        times = {unit.utc: unit.rtp_time for unit in units if unit.track == track and not unit.rtcp}
        found = reports(units, track)
        assert [utc - T0 for utc, _ in found] == [0, US, 6 * US, 11 * US, 16 * US]
        for utc, report in found:
            assert report.ntp == utc_to_ntp(utc)
            assert report.rtp_time == times[utc]
            assert report.ssrc == player.ssrcs[track]
        assert found[-1][1].packets > found[0][1].packets


def test_a_late_player_goes_on_at_a_key_frame(h264: CameraClips, caplog: pytest.LogCaptureFixture) -> None:
    player = StreamPlayer([h264.sub])
    player.start(T0)
    player.due(T0)
    assert player.due(T0 + 60 * US + 1000) == []
    assert "late" in caplog.text
    report, first, *_ = player.due(T0 + 62 * US)
    assert report.rtcp
    assert first.key
    assert first.utc == T0 + 62 * US


def test_a_clock_that_is_set_back_is_followed(h264: CameraClips) -> None:
    player = StreamPlayer([h264.sub])
    player.start(T0 + 3600 * US)
    report, unit, *_ = player.due(T0)
    assert report.rtcp
    assert report.utc == unit.utc == T0


class Sink:
    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.units: list[tuple[int, FlushUnit]] = []

    def publish(self, unit: FlushUnit) -> None:
        self.units.append((self.clock.utc(), unit))


async def test_the_source_publishes_in_real_time(h264: CameraClips) -> None:
    clock = SimulatedClock(T0)
    main, sub = Sink(clock), Sink(clock)
    streams = [(StreamPlayer([h264.main, h264.audio]), main), (StreamPlayer([h264.sub, h264.audio]), sub)]
    task = asyncio.create_task(SimulatedSource(streams, clock, latency=7000).run())
    await asyncio.sleep(0)
    for _ in range(75):
        await clock.advance(0.04)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    for sink in (main, sub):
        frames = [(at, unit) for at, unit in sink.units if unit.track == 0 and not unit.rtcp]
        assert len(frames) >= 74
        assert all(at - unit.utc == 7000 for at, unit in frames)


def test_aac_is_played_with_its_own_clock() -> None:
    from onvifd.cameras.simulated.sound import encode_sound

    player = StreamPlayer([encode_sound(Codec.AAC)], seed=2)
    units = [unit for unit in play(player, T0, T0 + 2 * US) if not unit.rtcp]
    assert {(b.rtp_time - a.rtp_time) & 0xFFFFFFFF for a, b in itertools.pairwise(units)} == {1024}


def test_another_loop_begins_with_its_clean_point_and_the_numbers_go_on(h264: CameraClips, h265: CameraClips) -> None:
    player = StreamPlayer([h264.main], seed=1)
    before = play(player, T0, T0 + US)
    changes: list[int] = []
    player.on_change = lambda: changes.append(len(player.formats))
    player.replace(0, h265.sub, T0 + 3 * US + 1)
    after = [unit for now in range(T0 + US, T0 + 6 * US, 15_000) for unit in player.due(now)]
    assert changes == [1]
    assert player.formats == (h265.sub.format,)
    units = [unit for unit in (*before, *after) if not unit.rtcp]
    packets = [parse_rtp(unit.data, start + 4) for unit in units for start in unit.starts]
    assert {b.seq - a.seq & 0xFFFF for a, b in itertools.pairwise(packets)} == {1}
    assert len({packet.ssrc for packet in packets}) == 1
    assert {b.rtp_time - a.rtp_time & 0xFFFFFFFF for a, b in itertools.pairwise(units)} == {3600}
    first = next(unit for unit in units if unit.utc == T0 + 4 * US)
    assert first.key
    assert (first.data[16] >> 1) & 0x3F == 32  # a VPS of H.265


def test_a_group_that_is_put_in_stands_in_its_place_and_the_loop_goes_on(h264: CameraClips) -> None:
    player = StreamPlayer([h264.main], seed=1)
    play(player, T0, T0 + US)
    loop, number = player.place(0)
    assert loop is h264.main
    begin = number + 5
    units = tuple(structs.replace(h264.main.unit(begin + n, 0), key=n == 0) for n in range(4))
    assert not player.insert(0, h264.sub, Splice(begin, units))
    assert not player.insert(0, h264.main, Splice(number - 1, units))
    assert player.insert(0, h264.main, Splice(begin, units))
    after = [unit for now in range(T0 + US, T0 + 3 * US, 15_000) for unit in player.due(now) if not unit.rtcp]
    keys = [unit.utc for unit in after if unit.key]
    assert keys == [h264.main.utc_of(begin), T0 + 2 * US]
    assert {b.utc - a.utc for a, b in itertools.pairwise(after)} == {40_000}
