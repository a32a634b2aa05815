"""Bytes of a camera's connection to flush units and access units."""

import itertools
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.cameras.intake_core import BadStream, Counters, InboundTrack, Walker
from onvifd.clock import US
from onvifd.media.rtp.pack import Packer
from onvifd.media.rtp.packet import SenderReport, parse_rtcp, parse_rtp
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat

SPS = bytes.fromhex("67f4000d919b28283f6022000003000200000300641e28532c")
PPS = bytes.fromhex("68ebe3c448")
H264 = TrackFormat(codec=Codec.H264, clock_rate=90000, parameter_sets=(SPS, PPS))
PCMU = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)
T0 = 1_767_225_600 * US


def nal(kind: int, size: int, fill: int = 0xAA) -> bytes:
    body = bytes((kind, 0x88)) + bytes((fill,)) * (size - 2)
    return len(body).to_bytes(4, "big") + body


def frame(number: int, *, key: bool = False, size: int = 4000) -> AccessUnit:
    data = nal(0x65, size) if key else nal(0x41, size, number & 0xFF)
    return AccessUnit(0, T0 + number * 40_000, number * 3600, key, data)


class Camera:
    """Makes what a camera sends: video on channel 0, audio on channel 2."""

    def __init__(self, seq: int = 65_500, ticks_offset: int = 2**32 - 7200) -> None:
        self.video = Packer(H264, track=0, payload_type=97, ssrc=1, seq=seq, ticks_offset=ticks_offset)
        self.audio = Packer(PCMU, track=1, payload_type=0, ssrc=2)

    def frame(self, number: int, *, key: bool = False, size: int = 4000) -> bytes:
        return self.video.pack(frame(number, key=key, size=size)).data

    def report(self, number: int) -> bytes:
        return self.video.sender_report(T0 + number * 40_000, number * 3600).data

    def sound(self, number: int) -> bytes:
        return self.audio.pack(AccessUnit(1, T0 + number * 20_000, number * 160, True, bytes(160))).data


class Intake:
    """A walker with everything it says kept."""

    def __init__(self, *, frames: bool = True) -> None:
        self.units: list[FlushUnit] = []
        self.frames: list[AccessUnit] = []
        self.messages: list[bytes] = []
        self.jumps: list[int] = []
        self.formats: list[TrackFormat] = []
        self.counters = Counters()
        self.video = InboundTrack(0, H264, 96, 0xAAAA)
        self.audio = InboundTrack(1, PCMU, 0, 0xBBBB)
        self.buffer = bytearray()
        self._frames = frames
        self.connect()

    def connect(self) -> None:
        self.walker = Walker(
            {0: self.video, 2: self.audio},
            self.counters,
            on_unit=self.units.append,
            on_format=lambda track: self.formats.append(track.format),
            on_message=self.messages.append,
            on_jump=lambda track, by: self.jumps.append(by),
        )
        if self._frames:
            self.walker.on_frame = self.frames.append

    def feed(self, data: bytes, now: int = T0) -> None:
        self.buffer += data
        used = self.walker.receive(self.buffer, 0, len(self.buffer), now)
        del self.buffer[:used]

    @property
    def video_units(self) -> list[FlushUnit]:
        return [unit for unit in self.units if unit.track == 0 and not unit.rtcp]


def test_frames_come_out_as_units_with_our_own_numbers() -> None:
    camera, intake = Camera(), Intake()
    for number in range(4):
        intake.feed(camera.frame(number, key=number == 0) + camera.sound(2 * number), T0 + number * 40_000)
    assert [unit.key for unit in intake.video_units] == [True, False, False, False]
    packets = [parse_rtp(u.data, start + 4) for u in intake.video_units for start in u.starts]
    assert {p.ssrc for p in packets} == {0xAAAA}
    assert {p.payload_type for p in packets} == {96}
    assert [p.seq for p in packets] == [65_500 + n & 0xFFFF for n in range(len(packets))]
    assert len({p.rtp_time for p in packets}) == 4
    assert all(unit.end_of_frame for unit in intake.video_units)
    assert [f.data[-3000:] for f in intake.frames if f.track == 0] == [
        frame(n, key=n == 0).data[-3000:] for n in range(4)
    ]
    assert SPS in intake.frames[0].data
    assert [f.ticks - intake.frames[0].ticks for f in intake.frames if f.track == 0] == [0, 3600, 7200, 10800]
    assert intake.counters.lost_packets == 0
    assert intake.counters.frames == 4


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=60))
def test_any_cut_of_the_bytes_gives_the_same(sizes: list[int]) -> None:
    camera, whole, cut = Camera(), Intake(), Intake()
    data = camera.report(0) + b"".join(camera.frame(n, key=n % 5 == 0) + camera.sound(n) for n in range(12))
    whole.feed(data)
    position = 0
    for size in sizes:
        cut.feed(data[position : position + size])
        position += size
    cut.feed(data[position:])
    assert [u.data for u in cut.units] == [u.data for u in whole.units]
    assert cut.frames == whole.frames


def packets(data: bytes) -> list[bytes]:
    """Interleaved frames, one by one."""
    found, position = [], 0
    while position < len(data):
        after = position + 4 + int.from_bytes(data[position + 2 : position + 4], "big")
        found.append(data[position:after])
        position = after
    return found


@given(
    st.lists(st.integers(100, 120_000), min_size=1, max_size=4),
    st.sets(st.integers(0, 200), max_size=3),
    st.sets(st.integers(0, 200), max_size=2),
    st.randoms(use_true_random=False),
)
def test_runs_of_packets_give_what_single_packets_give(
    sizes: list[int], lost: set[int], sounds: set[int], random: Random
) -> None:
    """Runs are taken in one step; loss, sound among the pictures and missing markers must not matter."""
    camera, whole, single = Camera(), Intake(), Intake()
    sent = []
    for number, size in enumerate(sizes):
        picture = AccessUnit(
            0,
            T0 + number * 40_000,
            number * 3600,
            True,
            (size + 2).to_bytes(4, "big") + b"\x65\x88" + random.randbytes(size),
        )
        sent += packets(camera.video.pack(picture).data)
    sent = [each for number, each in enumerate(sent) if number not in lost]
    for number in sorted(sounds):
        sent.insert(number, camera.sound(number))
    if len(sizes) > 1 and random.random() < 0.3:  # a camera that sets no marker
        sent = [each[:5] + bytes((each[5] & 0x7F,)) + each[6:] if each[1] == 0 else each for each in sent]
    whole.feed(b"".join(sent))
    for each in sent:
        single.feed(each)
    assert [(u.data, u.starts, u.key, u.end_of_frame, u.rtp_time) for u in whole.units] == [
        (u.data, u.starts, u.key, u.end_of_frame, u.rtp_time) for u in single.units
    ]
    assert whole.frames == single.frames
    assert whole.counters == single.counters


def test_sender_report_gives_exact_time() -> None:
    camera, intake = Camera(), Intake()
    late = 70_000
    intake.feed(camera.report(0) + camera.frame(0, key=True), T0 + late)
    intake.feed(camera.frame(1), T0 + 40_000 + late)
    assert [unit.utc for unit in intake.video_units] == [T0, T0 + 40_000]
    ours = [u for u in intake.units if u.rtcp]
    (report,) = [r for r in parse_rtcp(ours[0].data[4:]) if isinstance(r, SenderReport)]
    assert report.ssrc == 0xAAAA
    assert report.rtp_time == intake.video_units[0].rtp_time


def test_reconnected_camera_continues_our_numbers() -> None:
    intake = Intake()
    first = Camera(seq=10, ticks_offset=5)
    intake.feed(first.frame(0, key=True))
    again = Camera(seq=40_000, ticks_offset=123_456)
    intake.video.begin(H264)
    intake.audio.begin(PCMU)
    intake.connect()
    intake.feed(again.frame(50, key=True), T0 + 2 * US)
    packets = [parse_rtp(u.data, start + 4) for u in intake.video_units for start in u.starts]
    assert [p.seq for p in packets] == list(range(10, 10 + len(packets)))
    assert intake.video_units[-1].rtp_time - intake.video_units[0].rtp_time == 2 * 90_000
    assert intake.counters.lost_packets == 0


def test_paced_packets_leave_at_flush() -> None:
    camera, intake = Camera(), Intake()
    data = camera.frame(0, key=True, size=9000)
    intake.feed(data[: len(data) // 2])
    assert intake.video_units == []
    assert intake.walker.pending
    intake.walker.flush()
    intake.feed(data[len(data) // 2 :])
    one, two = intake.video_units
    assert (one.key, one.end_of_frame) == (True, False)
    assert (two.key, two.end_of_frame) == (False, True)
    assert len(intake.frames) == 1


def test_lost_packets_are_counted_and_damage_one_frame() -> None:
    camera, intake = Camera(), Intake()
    intake.feed(camera.frame(0, key=True))
    unit = camera.video.pack(frame(1))
    intake.feed(unit.data[: unit.starts[1]] + unit.data[unit.starts[2] :])
    intake.feed(camera.frame(2))
    assert intake.counters.lost_packets == 1
    assert intake.counters.bad_frames == 1
    assert [f.key for f in intake.frames] == [True, False]
    assert intake.frames[1].data == frame(2).data


def test_rtsp_answer_between_frames() -> None:
    camera, intake = Camera(), Intake()
    answer = b"RTSP/1.0 200 OK\r\nCSeq: 5\r\nContent-Length: 4\r\n\r\n$abc"
    for part in (camera.frame(0, key=True), answer[:20], answer[20:], camera.frame(1)):
        intake.feed(part)
    assert intake.messages == [answer]
    assert len(intake.video_units) == 2


def test_garbage_is_stepped_over_and_bounded() -> None:
    camera, intake = Camera(), Intake()
    intake.feed(camera.frame(0, key=True) + b"\x00" * 5000 + camera.frame(1))
    assert len(intake.video_units) == 2
    assert intake.counters.garbage == 5000
    with pytest.raises(BadStream):
        intake.feed(b"\xff" * 300_000)


@given(st.binary(max_size=4000))
def test_any_bytes_are_survived(data: bytes) -> None:
    intake = Intake()
    intake.feed(data)
    assert intake.walker.pending in (True, False)
    assert len(intake.buffer) <= 70_000


def test_wild_sequence_numbers_are_a_new_beginning() -> None:
    intake = Intake()
    intake.feed(Camera(seq=100).frame(0, key=True))
    intake.feed(Camera(seq=30_000).frame(1))
    packets = [parse_rtp(u.data, start + 4) for u in intake.video_units for start in u.starts]
    assert [p.seq for p in packets] == list(range(100, 100 + len(packets)))
    assert intake.counters.lost_packets == 0


@pytest.mark.parametrize("frames", [True, False])
def test_changed_parameter_sets_are_told(frames: bool) -> None:
    camera, intake = Camera(), Intake(frames=frames)
    intake.feed(camera.frame(0, key=True))
    assert intake.formats == []
    other = TrackFormat(codec=Codec.H264, clock_rate=90000, parameter_sets=(SPS, PPS + b"\x01"))
    changed = Packer(
        other, track=0, payload_type=97, ssrc=1, seq=camera.video.seq, ticks_offset=camera.video.ticks_offset
    )
    intake.feed(changed.pack(frame(1, key=True)).data)
    assert intake.formats[-1].parameter_sets == (SPS, PPS + b"\x01")


def test_broken_report_is_stepped_over() -> None:
    camera, intake = Camera(), Intake()
    intake.feed(b"$\x01\x00\x0fthis is no RTCP" + camera.frame(0, key=True))
    assert len(intake.frames) == 1
    assert intake.counters.garbage == 15


def test_gov_length_is_measured() -> None:
    camera, intake = Camera(), Intake(frames=False)
    for number in range(25):
        intake.feed(camera.frame(number, key=number % 12 == 0, size=200))
    assert intake.counters.gov_length == 12


def test_packets_of_a_camera_that_tells_its_numbers_pass_as_they_are() -> None:
    camera, intake = Camera(seq=1000), Intake()
    intake.video = InboundTrack(0, H264, 97, 0xAAAA)
    intake.connect()
    intake.video.adopt(1)
    sent = camera.frame(0, key=True, size=30_000) + camera.frame(1, size=30_000)
    intake.feed(sent)
    assert b"".join(unit.data for unit in intake.video_units) == sent
    # On a new connection the camera numbers anew: what was begun goes on.
    intake.video.begin(H264)
    intake.video.adopt(2)
    intake.connect()
    again = Camera(seq=7)
    intake.feed(again.frame(2, key=True, size=30_000), T0 + 80_000)
    numbers = [parse_rtp(u.data, start + 4) for u in intake.video_units for start in u.starts]
    assert {packet.ssrc for packet in numbers} == {1}
    assert [packet.seq for packet in numbers] == list(range(1000, 1000 + len(numbers)))


@pytest.mark.parametrize("frames", [True, False])
def test_a_picture_with_a_hole_counts_as_bad_whoever_watches(frames: bool) -> None:
    camera, intake = Camera(), Intake(frames=frames)
    sent = packets(camera.frame(0, key=True)) + packets(camera.frame(1, size=9000)) + packets(camera.frame(2))
    del sent[-6]
    intake.feed(b"".join(sent))
    assert (intake.counters.lost_packets, intake.counters.bad_frames) == (1, 1)


def test_a_time_stamp_that_comes_back_is_not_taken_for_the_one_before() -> None:
    """The next picture's delimiter slips in between two slices: what follows it has its own time stamp all the same."""
    camera, intake = Camera(seq=1, ticks_offset=0), Intake()
    slices = packets(camera.frame(0, key=True, size=6000))
    delimiter = bytearray(slices[0][:16] + b"\x09\xf0")
    delimiter[2:4] = (14).to_bytes(2, "big")
    delimiter[8:12] = (3600).to_bytes(4, "big")
    sent = [bytearray(each) for each in (*slices[:3], delimiter, *slices[3:])]
    for number, each in enumerate(sent):
        each[6:8] = (1 + number).to_bytes(2, "big")
    intake.feed(b"".join(sent))
    found = [parse_rtp(u.data, start + 4) for u in intake.video_units for start in u.starts]
    assert [p.rtp_time for p in found] == [int.from_bytes(each[8:12], "big") for each in sent]
    assert all(parse_rtp(u.data, start + 4).rtp_time == u.rtp_time for u in intake.video_units for start in u.starts)


def test_garbage_counts_in_a_row() -> None:
    """A camera that puts a little between its frames is served for ever."""
    camera, intake = Camera(), Intake()
    for number in range(8):
        intake.feed(camera.frame(number, key=number == 0) + b"\x00" * 60_000)
    assert len(intake.video_units) == 8
    assert intake.counters.garbage == 480_000


def test_an_ssrc_that_clients_were_told_stays() -> None:
    intake = Intake()
    intake.video.adopt(5)
    assert intake.video.ssrc == 5
    intake.video.told = True
    intake.video.begin(H264)  # the camera was lost before it sent anything
    intake.video.adopt(6)
    assert intake.video.ssrc == 5


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(
            lambda packet: packet[:4] + b"\x90" + packet[5:16] + b"\0\0\xff\xff" + packet[16:], id="extension"
        ),
        pytest.param(lambda packet: packet[:4] + b"\xa0" + packet[5:-1] + b"\xff", id="padding"),
        pytest.param(lambda packet: packet[:4] + b"\x9f" + packet[5:20], id="sources"),
    ],
)
def test_a_header_that_is_longer_than_its_packet_is_left_out(spoil: Callable[[bytes], bytes]) -> None:
    camera, intake = Camera(), Intake()
    intake.feed(camera.frame(0, key=True))
    bad = bytearray(spoil(camera.frame(1, size=200)))
    bad[2:4] = (len(bad) - 4).to_bytes(2, "big")
    intake.feed(bytes(bad), T0 + 40_000)
    intake.feed(camera.frame(2), T0 + 80_000)
    packets = [parse_rtp(u.data, start + 4) for u in intake.video_units for start in u.starts]
    steps = {(after.seq - before.seq) & 0xFFFF for before, after in itertools.pairwise(packets)}
    assert steps == {1, 2}, "clients must see that something is missing"
    assert intake.counters.garbage == len(bad)
    assert intake.counters.lost_packets == 1


def test_a_frame_that_is_no_rtp_is_stepped_over_as_a_whole() -> None:
    camera, intake = Camera(), Intake()
    other = b"$\x00\x00\x40" + (b"\x01\x02$\x05\xf0\x00" * 11)[:64]
    intake.feed(camera.frame(0, key=True) + other + camera.frame(1) + camera.frame(2))
    assert len(intake.frames) == 3
    assert (intake.counters.garbage, intake.counters.lost_packets) == (68, 0)
    with pytest.raises(BadStream):
        intake.feed(other * 5000)


@pytest.mark.parametrize("rest", [b"\x81\xca\x00\x09xxxx", b"\x81\xca", b"\0\0\0\0"])
def test_a_report_counts_whatever_follows_it(rest: bytes) -> None:
    camera, intake = Camera(), Intake()
    report = bytearray(camera.report(0)[:32] + rest)
    report[2:4] = (len(report) - 4).to_bytes(2, "big")
    intake.feed(bytes(report) + camera.frame(0, key=True))
    assert intake.video.clock.by_report
    assert intake.counters.garbage == 0


@pytest.mark.parametrize(
    ("codec", "payload", "key"),
    [
        (Codec.H264, b"\x78\x00\x02\x09\xf0\x00\x04\x67abc\x00\x04\x68abc\x00\x05\x65\x88abc", True),
        (Codec.H264, b"\x78\x00\x04\x06abc\x00\x05\x65\x88abc", True),
        (Codec.H264, b"\x78\x00\x02\x09\xf0\x00\x05\x41\x9aabc", False),
        (Codec.H265, b"\x60\x01\x00\x03\x46\x01\x50\x00\x05\x26\x01\xafab", True),
        (Codec.H265, b"\x60\x01\x00\x03\x46\x01\x50\x00\x05\x02\x01\xd0ab", False),
    ],
)
def test_a_key_picture_behind_a_delimiter_in_one_aggregate(codec: Codec, payload: bytes, key: bool) -> None:
    units: list[FlushUnit] = []
    walker = Walker(
        {0: InboundTrack(0, TrackFormat(codec=codec, clock_rate=90_000), 96, 1)},
        Counters(),
        on_unit=units.append,
        on_format=lambda track: None,
        on_message=lambda message: None,
        on_jump=lambda track, by: None,
    )
    packet = b"\x80\xe0\0\1\0\0\0\1\0\0\0\1" + payload
    data = bytearray(b"$\0" + len(packet).to_bytes(2, "big") + packet)
    walker.receive(data, 0, len(data), T0)
    assert [unit.key for unit in units if not unit.rtcp] == [key]


def test_padding_of_nothing_is_no_padding() -> None:
    camera, intake = Camera(), Intake()
    data = bytearray(camera.frame(0, key=True, size=200))
    data[4] |= 0x20
    data[20:] = data[20:-1] + b"\0"
    intake.feed(bytes(data))
    assert all(not unit.data[start + 4] & 0x20 for unit in intake.video_units for start in unit.starts)


def test_a_packet_on_the_channel_of_reports_does_not_take_the_stream_away() -> None:
    camera, intake = Camera(), Intake()
    stray = bytearray(camera.frame(0, size=100))
    stray[1] = 1
    intake.feed(bytes(stray))
    for number in range(1, 5):
        intake.feed(camera.frame(number, key=number == 1), T0 + number * 40_000)
    assert [unit.key for unit in intake.video_units][-4:] == [True, False, False, False]


@pytest.mark.parametrize("counted", [False, True])
def test_what_is_left_out_costs_nothing_whether_it_was_counted_or_not(counted: bool) -> None:
    """A packet of another type with the number that comes next, while time goes back: what follows tells whose number it was."""
    camera, intake = Camera(), Intake()
    intake.feed(camera.frame(0, key=True))
    camera.video.ticks_offset -= 900_000
    number = camera.video.seq
    if counted:
        camera.video.seq += 1
    data = camera.frame(1)
    noise = bytearray(data[:30])
    noise[2:8] = (26).to_bytes(2, "big") + bytes((data[4], 13)) + number.to_bytes(2, "big")
    intake.feed(bytes(noise) + data, T0 + 40_000)
    packets = [parse_rtp(u.data, start + 4) for u in intake.video_units for start in u.starts]
    assert {(after.seq - before.seq) & 0xFFFF for before, after in itertools.pairwise(packets)} == {1}
    assert len(packets) == 5 + 3, "the sets and three packets, then three of the second picture"
    assert (intake.counters.strays, intake.counters.duplicates, intake.counters.lost_packets) == (1, 0, 0)
    assert len(intake.frames) == 2, "footage has both pictures"
    assert intake.counters.bad_frames == 0


def test_what_is_left_out_in_the_middle_of_a_picture_does_not_cost_it() -> None:
    camera, intake = Camera(), Intake()
    intake.feed(camera.frame(0, key=True))
    data = camera.frame(1)
    first = 4 + int.from_bytes(data[2:4], "big")
    noise = bytearray(data[:30])
    noise[2:8] = (26).to_bytes(2, "big") + bytes((data[4], 13)) + data[first + 6 : first + 8]
    intake.feed(data[:first] + bytes(noise) + data[first:], T0 + 40_000)
    assert [one.data for one in intake.frames[1:]] == [frame(1).data]
