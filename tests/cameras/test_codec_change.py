"""Cameras that begin to send another encoding within one session, or another one than they describe."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import av
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onvifd.cameras.codec_change import (
    MAX_ODD_PICTURES,
    MAX_OTHER_TYPES,
    CodecChanged,
    Findings,
    other_codec,
    takes_type,
)
from onvifd.cameras.intake_core import Walker
from onvifd.cameras.intake_track import Counters, InboundTrack
from onvifd.media import nal, video
from onvifd.media.rtp.clean_point import KEY, NOT_KEY, ODD, UNDECIDED, VERDICTS, odd_verdict
from onvifd.media.rtp.pack import Packer
from onvifd.media.rtp.packet import build_rtp
from onvifd.media.types import AccessUnit, Codec, Kind, TrackFormat
from onvifd.rtsp.sdp import DescribedTrack, parse_sdp
from tests.cameras.fault_camera import SDP, SSRC, Camera, Packet, Rig, frame, pictures, seq_of, set_seq
from tests.rtsp.sample import START, encoded

BOTH = b"v=0\r\nm=video 0 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\na=rtpmap:97 H265/90000\r\na=control:track1\r\n"
H265_SDP = SDP.replace(b"H264", b"H265")


@functools.cache
def encoded_h265() -> tuple[TrackFormat, tuple[tuple[bool, bytes], ...]]:
    """20 frames of H.265 with a key frame every ten."""
    encoder = av.CodecContext.create("libx265", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(25), Fraction(1, 25)
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x265-params": "keyint=10:min-keyint=10:repeat-headers=1:bframes=0:log-level=none:pools=none:frame-threads=1",
    }
    frames = []
    noise = numpy.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=numpy.uint8)
    pictures = [av.VideoFrame.from_ndarray(numpy.roll(noise, n * 4, axis=1), format="rgb24") for n in range(20)]
    for number, picture in enumerate(pictures):
        picture.pts = number
        frames += [(bool(one.is_keyframe), nal.from_annexb(bytes(one))) for one in encoder.encode(picture)]
    frames += [(bool(one.is_keyframe), nal.from_annexb(bytes(one))) for one in encoder.encode(None)]
    base = TrackFormat(codec=Codec.H265, clock_rate=90_000)
    return video.with_parameter_sets(base, video.find_parameter_sets(Codec.H265, frames[0][1])), tuple(frames)


def h265_pictures(mtu: int = 1200) -> Iterator[list[Packet]]:
    format, frames = encoded_h265()
    packer = Packer(format, track=0, payload_type=96, ssrc=SSRC, seq=0, mtu=mtu)
    for number in itertools.count():
        key, data = frames[number % len(frames)]
        unit = packer.pack(AccessUnit(0, 0, number * 3600, key, data))
        ends = (*unit.starts[1:], len(unit.data))
        yield [bytearray(unit.data[at + 4 : end]) for at, end in zip(unit.starts, ends, strict=True)]


class Change:
    """What a camera sends: H.264 until `after` pictures have gone, and H.265 ever after; numbers go on."""

    def __init__(self, after: int, payload_type: int = 96, then: Callable[[], None] = lambda: None) -> None:
        self.after, self.payload_type, self.then = after, payload_type, then
        self.sent = 0
        self.others = h265_pictures()
        self.last = -1

    def __call__(self, number: int, packets: list[Packet]) -> Iterable[Packet]:
        self.sent += 1
        if self.sent < self.after:
            self.last = seq_of(packets[-1])
            return packets
        if self.sent == self.after:
            self.then()
        elif number == 0:
            self.others = h265_pictures()
        made = next(self.others)
        for packet in made:
            packet[4:8] = packets[0][4:8]
            packet[1] = packet[1] & 0x80 | self.payload_type
            self.last = self.last + 1 & 0xFFFF
            set_seq(packet, self.last)
        return made


def codecs(rig: Rig) -> list[Codec]:
    return [key for key, _ in itertools.groupby(formats[0].codec for formats in rig.formats)]


# ---- a live camera ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sdp", "payload_type", "truthful"),
    [
        (SDP, 96, True),  # the same number means something else now, and so says the new description
        (SDP, 96, False),  # a description that is never right again
        (BOTH, 97, False),  # both are described, and the other one comes
        (SDP, 98, True),  # a number that is described only afterwards
    ],
)
async def test_the_camera_is_asked_anew_and_goes_on_with_a_new_track(
    sdp: bytes, payload_type: int, truthful: bool
) -> None:
    """The quirk codec-changes."""
    camera = Camera(sdp=sdp)

    def then() -> None:
        if truthful:
            camera.sdp = H265_SDP.replace(b"96", str(payload_type).encode())

    camera.spoil = Change(40, payload_type, then)
    async with camera.url() as url, Rig(url).running() as rig:
        await rig.until(lambda: codecs(rig)[-1:] == [Codec.H265] and len(rig.frames) >= 90)
        assert codecs(rig) == [Codec.H264, Codec.H265]
        assert camera.connections == 2
        lost = [reason for online, reason in rig.states if not online]
        assert len(lost) == 1
        assert ("h265" in lost[0]) or (f"payload type {payload_type}" in lost[0])
        assert sum(request.method == "DESCRIBE" for request in camera.requests) == 2
        # Clients of the old track are ended: they describe anew and find the new one, with an SSRC of its own.
        relayed, (now,) = {ssrc for _, _, ssrc, _ in rig.packets()}, rig.stream.tracks
        assert now.format.codec is Codec.H265
        assert len(relayed) == 1
        assert now.ssrc not in relayed
        assert not rig.stream.wanted
        assert rig.intake.tracks[0].format.parameter_sets
        later = [one for one in rig.frames if one.data in {data for _, data in encoded_h265()[1]}]
        assert later
        assert later[0].key
        before = [one for one in rig.frames if one not in later]
        assert {one.data for one in before} <= {data for _, data in encoded()[1]}
        assert not rig.intake._by_libav


async def test_a_description_that_names_another_codec_than_comes() -> None:
    """From the first picture on (the quirk codec-wrong)."""
    camera = Camera(spoil=Change(0))
    async with camera.url() as url, Rig(url).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 30)
        assert rig.formats[-1][0].codec is Codec.H265
        assert {one.data for one in rig.frames} <= {data for _, data in encoded_h265()[1]}
        client = rig.intake._client
        assert client is not None
        client.abort("gone")
        count, connections = len(rig.frames), camera.connections
        await rig.until(lambda: len(rig.frames) >= count + 30)
        # What was found out once is known at the next connection.
        assert camera.connections == connections + 1


async def test_packets_of_other_types_between_are_left_out() -> None:
    """With numbers of their own and without, and the picture goes on without a gap (the quirk types-other)."""

    def spoil(number: int, packets: list[Packet]) -> Iterable[Packet]:
        shift = number  # each picture brings one more packet
        for index, packet in enumerate(packets):
            set_seq(packet, seq_of(packet) + shift + (index > 0))
        first, *rest = packets
        inserted = bytearray(first)
        inserted[1] = 127
        set_seq(inserted, seq_of(first) + 1)
        standing = bytearray(first)
        standing[1] = 50
        set_seq(standing, 7)
        return [first, inserted, standing, *rest]

    async with Camera(spoil=spoil).url() as url, Rig(url).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 60)
        assert rig.states == [(True, "")]
        counters = rig.intake.counters
        assert (counters.lost_packets, counters.bad_frames) == (0, 0)
        assert counters.strays >= 100
        rig.check_laundered()
        assert {one.data for one in rig.frames} <= {data for _, data in encoded()[1]}


# ---- packets ---------------------------------------------------------------------------------------


def packets_of(codec: Codec) -> list[bytes]:
    if codec is Codec.H264:
        return [bytes(one[12:]) for _, made in itertools.islice(pictures(), 20) for one in made]
    return [bytes(one[12:]) for made in itertools.islice(h265_pictures(), 20) for one in made]


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_no_packet_is_odd_for_its_own_codec_and_most_are_for_the_other(codec: Codec) -> None:
    other = Codec.H265 if codec is Codec.H264 else Codec.H264
    made = packets_of(codec)
    for payload in made:
        assert VERDICTS[codec](bytearray(payload), 0, len(payload)) != ODD
        assert other_codec(codec, payload) is None
    assert sum(VERDICTS[other](bytearray(one), 0, len(one)) == ODD for one in made) > len(made) * 0.8
    assert any(other_codec(other, one) is codec for one in made)


def test_first_bytes_mean_what_they_meant_before() -> None:
    """Types that no camera uses are taken as they always were where nothing speaks for another codec."""
    assert [odd_verdict(Codec.H264, first) for first in (0x40, 0x42, 0x44)] == [UNDECIDED, NOT_KEY, NOT_KEY]
    assert odd_verdict(Codec.H265, 10 << 1) == UNDECIDED
    assert odd_verdict(Codec.H265, 0x67) == UNDECIDED
    for first in range(256):
        one = VERDICTS[Codec.H264](bytearray((first, 0)), 0, 2)
        assert one in (UNDECIDED, NOT_KEY, KEY, ODD)
        assert (one == ODD) == (first & 0x1F in (0, 2, 4))


@pytest.mark.parametrize(
    ("described", "payload"),
    [
        (Codec.H265, encoded()[0].parameter_sets[0]),
        (Codec.H265, b"\x78" + b"".join(len(one).to_bytes(2, "big") + one for one in encoded()[0].parameter_sets)),
        (Codec.MPEG4, encoded()[0].parameter_sets[0]),
    ],
)
def test_sets_of_h264_are_found_alone_and_in_aggregates(described: Codec, payload: bytes) -> None:
    assert VERDICTS[described](bytearray(payload), 0, len(payload)) == ODD
    assert other_codec(described, payload) is Codec.H264


def test_sets_of_h265_are_found_in_aggregates() -> None:
    sets = encoded_h265()[0].parameter_sets
    payload = b"\x60\x01" + b"".join(len(one).to_bytes(2, "big") + one for one in sets)
    assert VERDICTS[Codec.H264](bytearray(payload), 0, len(payload)) == ODD
    assert other_codec(Codec.H264, payload) is Codec.H265


@pytest.mark.parametrize("payload", [b"\x42\x01", b"\x42\x01\x01\x01", b"\x67\xff\xff\xff", b"\x60\x01\xff", b"\x78"])
def test_what_only_begins_like_it_is_nothing(payload: bytes) -> None:
    assert other_codec(Codec.H264, payload) is None
    assert other_codec(Codec.H265, payload) is None


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from((Codec.H264, Codec.H265, Codec.MPEG4)),
    st.sampled_from((b"", b"\x67", b"\x42\x01", b"\x78\0\x09\x67", b"\x60\x01\0\x09\x42\x01", b"\0\0\1\xb0")),
    st.binary(max_size=200),
)
def test_any_payload_at_all_is_judged(codec: Codec, begin: bytes, rest: bytes) -> None:
    payload = begin + rest
    assert other_codec(codec, payload) in (None, Codec.H264, Codec.H265, Codec.MPEG4)
    assert other_codec(codec, payload) is not codec
    if payload:
        assert VERDICTS[codec](bytearray(payload), 0, len(payload)) in (UNDECIDED, NOT_KEY, KEY, ODD)
        assert odd_verdict(codec, payload[0]) != ODD


def test_mpeg4_where_h264_was_described() -> None:
    assert other_codec(Codec.H264, b"\0\0\1\xb0\x01\0\0\1\xb5") is Codec.MPEG4


def walker(track: InboundTrack) -> Walker:
    return Walker(
        {0: track},
        Counters(),
        on_unit=lambda unit: None,
        on_format=lambda changed: None,
        on_message=lambda message: None,
        on_jump=lambda moved, by: None,
    )


def send(to: Walker, number: int, payload: bytes, payload_type: int = 96) -> None:
    packet = build_rtp(
        marker=True, payload_type=payload_type, seq=number, rtp_time=number * 3600, ssrc=5, payload=payload
    )
    data = bytearray(frame(0, packet))
    to.receive(data, 0, len(data), START + number * 40_000)


def test_another_codec_without_its_sets_is_told_by_pictures_that_are_none() -> None:
    track = InboundTrack(0, encoded()[0], 96, 1)
    to = walker(track)
    send(to, 0, b"\x65\x88" + bytes(20))
    for number in range(1, MAX_ODD_PICTURES + 1):
        send(to, number, b"\x02\x01\xd0" + bytes(20))
    with pytest.raises(CodecChanged, match="no h264 any more") as raised:
        send(to, MAX_ODD_PICTURES + 1, b"\x02\x01\xd0" + bytes(20))
    assert raised.value.codec is None
    assert track.odd_pictures == MAX_ODD_PICTURES + 1


@pytest.mark.parametrize(
    ("codec", "key", "private", "slice_"),
    [
        (Codec.H264, b"\x65\x88", b"\x00\x01\x02\x03", b"\x41\x9a"),
        (Codec.H265, b"\x26\x01\xaf", b"\x5e\x01\x02\x03", b"\x02\x01\xd0"),
    ],
)
def test_units_of_the_camera_s_own_in_front_of_each_picture_are_no_change(
    codec: Codec, key: bytes, private: bytes, slice_: bytes
) -> None:
    """In a group of pictures that is long, as cameras make them that save bandwidth."""
    to = walker(InboundTrack(0, TrackFormat(codec=codec, clock_rate=90_000), 96, 1))
    send(to, 0, key + bytes(20))
    for number in range(1, 1000, 2):
        send(to, number, private)
        send(to, number + 1, slice_ + bytes(20))


def test_h264_without_its_sets_where_h265_was_described() -> None:
    to = walker(InboundTrack(0, encoded_h265()[0], 96, 1))
    send(to, 0, b"\x26\x01\xaf" + bytes(20))
    for number in range(1, MAX_ODD_PICTURES + 1):
        send(to, number, b"\x41\x9a" + bytes(20))
    with pytest.raises(CodecChanged, match="no h265 any more"):
        send(to, MAX_ODD_PICTURES + 1, b"\x41\x9a" + bytes(20))


def test_a_camera_that_was_odd_from_the_beginning_is_left_in_peace() -> None:
    """Data partitions (Extended profile), with or without key frames between them: it was no change."""
    to = walker(InboundTrack(0, encoded()[0], 96, 1))
    for number in range(300):
        send(to, number, b"\x42\x88" + bytes(20))
    to = walker(InboundTrack(0, encoded()[0], 96, 1))
    for number in range(600):
        send(to, number, (b"\x42\x88" if number % 50 else b"\x65\x88") + bytes(20))


# ---- payload types ---------------------------------------------------------------------------------

PCMU = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)
PCMA = TrackFormat(codec=Codec.PCMA, clock_rate=8000, channels=1)


def sound(**listed: TrackFormat | None) -> InboundTrack:
    track = InboundTrack(0, PCMU, 0, 1)
    track.listed = {int(name[1:]): format for name, format in listed.items()}
    return track


def test_what_fills_pauses_and_tones_is_left_out_for_ever() -> None:
    track = sound(_101=None)
    assert takes_type(track, 0, 0)
    for number in range(100):
        assert not takes_type(track, 13, number)
        assert not takes_type(track, 101, number)
    assert track.coming == 0


def test_the_first_type_of_a_connection_is_believed() -> None:
    track = sound()
    assert takes_type(track, 99, 0)
    assert track.coming == 99
    assert takes_type(track, 0, 1)
    assert track.coming == 0


def test_a_listed_type_of_the_same_codec_is_the_same_track() -> None:
    track = sound(_97=PCMU, _98=PCMA)
    assert takes_type(track, 97, 0)
    with pytest.raises(CodecChanged, match="pcma now instead of pcmu, with payload type 98") as raised:
        takes_type(track, 98, 1)
    assert (raised.value.kind, raised.value.codec, raised.value.payload_type) == (Kind.AUDIO, Codec.PCMA, 98)


def test_an_unknown_type_is_a_change_only_if_nothing_else_comes() -> None:
    track = sound()
    assert takes_type(track, 0, 0)
    for number in range(100):
        assert not takes_type(track, 8, number)
        track.next_seq += 1  # one of ours
    for number in range(100, 100 + MAX_OTHER_TYPES):
        assert not takes_type(track, 8, number)
        assert not takes_type(track, 8, number)
    with pytest.raises(CodecChanged, match="payload type 8, which it has not described"):
        takes_type(track, 8, 200)


# ---- descriptions ----------------------------------------------------------------------------------


def test_a_description_tells_what_else_may_come() -> None:
    (track,) = parse_sdp(BOTH, "rtsp://x/").tracks
    assert (track.payload_type, track.format.codec) == (96, Codec.H264)
    assert [(number, format.codec) for number, format in track.others if format] == [(97, Codec.H265)]
    section = b"v=0\r\nm=audio 0 RTP/AVP 0 8 13 101 102\r\na=rtpmap:101 telephone-event/8000\r\n"
    (track,) = parse_sdp(section, "rtsp://x/").tracks
    assert track.others == ((8, PCMA), (101, None))
    many = b"v=0\r\nm=audio 0 RTP/AVP " + b"8 " * 5000 + b"\r\n"
    assert parse_sdp(many, "rtsp://x/").tracks[0].others == ()


def test_what_was_seen_counts_where_the_description_says_otherwise() -> None:
    (both,) = parse_sdp(BOTH, "rtsp://x/").tracks
    (plain,) = parse_sdp(SDP, "rtsp://x/").tracks
    found = Findings()
    assert found.applied([plain]) == [plain]
    found.note(CodecChanged(Kind.VIDEO, "x"))
    assert found.applied([plain]) == [plain]
    found.note(CodecChanged(Kind.VIDEO, "x", codec=Codec.H265))
    (track,) = found.applied([plain])
    assert track == DescribedTrack(TrackFormat(codec=Codec.H265, clock_rate=90_000), 96, plain.url)
    (track,) = found.applied([both])
    assert (track.payload_type, track.format.codec) == (97, Codec.H265)
    assert [number for number, _ in track.others] == [97, 96]
    (other,) = parse_sdp(H265_SDP, "rtsp://x/").tracks
    assert found.applied([other]) == [other]
