"""Payload formats besides those of everyday cameras, with bytes made by hand."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import InvalidArgument
from onvifd.media import aac, fmtp, latm, mpeg4
from onvifd.media.rtp.clean_point import KEY, NOT_KEY, UNDECIDED, VERDICTS
from onvifd.media.rtp.depack import depacketizer
from onvifd.media.rtp.frame import MAX_FRAME, PART, Depacketizer, Frame
from onvifd.media.rtp.pack import Packer
from onvifd.media.rtp.packet import parse_rtp
from onvifd.media.types import AccessUnit, Codec, TrackFormat

ASC = bytes.fromhex("1408")  # AAC-LC, 16 kHz, mono
VOL = bytes.fromhex("000001b001000001b58913000001000000012000c48d8800cd14042d1463")  # 640 x 360
I_VOP, P_VOP = b"\0\0\1\xb6\x10" + b"I" * 40, b"\0\0\1\xb6\x56" + b"P" * 40
H264 = TrackFormat(codec=Codec.H264, clock_rate=90000)
H265 = TrackFormat(codec=Codec.H265, clock_rate=90000)


def packets(track: TrackFormat, *units: bytes, mtu: int = 1400, key: bool = True) -> list[tuple[bytes, bool, int]]:
    """Payload, marker and RTP time of what the packer makes of units that are 1000 ticks apart."""
    packer = Packer(track, track=0, payload_type=96, ssrc=1, mtu=mtu)
    found = []
    for number, data in enumerate(units):
        flush = packer.pack(AccessUnit(0, 0, number * 1000, key, data))
        for begin, end in itertools.pairwise((*flush.starts, len(flush.data))):
            head = parse_rtp(flush.data, begin + 4, end)
            found.append((flush.data[head.start : head.end], head.marker, head.rtp_time))
    return found


def fed(depack: Depacketizer, sent: list[tuple[bytes, bool, int]]) -> list[Frame]:
    return [frame for payload, marker, time in sent for frame in depack.feed(payload, marker, time, True)]


# ---- H.264, H.265: aggregation and fragmentation -------------------------------------------------------


SPS, PPS = b"\x67\x42\x00\x1e\xab", b"\x68\xce\x3c\x80"
IDR = b"\x65\x88" + b"i" * 60


def prefixed(*nals: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(nal)) + nal for nal in nals)


def stap_a(*nals: bytes) -> bytes:
    return b"\x78" + b"".join(struct.pack(">H", len(nal)) + nal for nal in nals)


def test_stap_a_with_parameter_sets_and_picture() -> None:
    depack = depacketizer(H264)
    (frame,) = depack.feed(stap_a(SPS, PPS, IDR), True, 0, True)
    assert (frame.data, frame.key) == (prefixed(SPS, PPS, IDR), True)
    assert depack.format.parameter_sets == (SPS, PPS)


@pytest.mark.parametrize("kind", [25, 26, 27, 29])
def test_stap_b_mtap_and_fu_b_are_refused(kind: int) -> None:
    """Interleaved mode alone has them (RFC 6184 table 1); they cost their picture and no other."""
    depack = depacketizer(H264)
    assert [frame.damaged for frame in depack.feed(bytes((kind,)) + b"x" * 20, True, 0, True)] == [True]
    assert [frame.damaged for frame in depack.feed(stap_a(SPS, PPS, IDR), True, 1, True)] == [False]


def test_fu_a_joins_and_a_second_start_begins_another_unit() -> None:
    start, middle, end = b"\x7c\x85" + IDR[1:20], b"\x7c\x05" + IDR[20:40], b"\x7c\x45" + IDR[40:]
    depack = depacketizer(H264)
    (frame,) = fed(depack, [(start, False, 0), (middle, False, 0), (end, True, 0)])
    assert (frame.data, frame.key) == (prefixed(IDR), True)
    again = fed(depacketizer(H264), [(start, False, 0), (start, False, 0), (end, True, 0)])
    assert [each.data for each in again] == [prefixed(IDR[:20], IDR[:20] + IDR[40:])]


@pytest.mark.parametrize("cut", [b"\x78\x00", b"\x78\x00\x05\x67", b"\x78\x00\x00\x00\x05"])
def test_stap_a_that_does_not_add_up_is_damage(cut: bytes) -> None:
    assert [frame.damaged for frame in depacketizer(H264).feed(cut, True, 0, True)] == [True]


VPS5, SPS5, PPS5 = b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01\xc1"
IDR5 = b"\x26\x01\xaf" + b"h" * 60


def test_h265_aggregation_and_fragments() -> None:
    together = b"\x60\x01" + b"".join(struct.pack(">H", len(nal)) + nal for nal in (VPS5, SPS5, PPS5))
    start, end = b"\x62\x01\x93" + IDR5[2:30], b"\x62\x01\x53" + IDR5[30:]
    (frame,) = fed(depacketizer(H265), [(together, False, 0), (start, False, 0), (end, True, 0)])
    assert (frame.data, frame.key) == (prefixed(VPS5, SPS5, PPS5, IDR5), True)


def test_paci_packets_are_refused() -> None:
    """RFC 7798 4.4.4."""
    assert [frame.damaged for frame in depacketizer(H265).feed(b"\x64\x01" + b"x" * 9, True, 0, True)] == [True]


@pytest.mark.parametrize("words", ["sprop-max-don-diff=2", "sprop-depack-buf-nalus=4;sprop-max-don-diff=1"])
def test_decoding_order_numbers_are_relayed_unread(words: str) -> None:
    """With them every payload has two octets more (RFC 7798 4.4)."""
    track = fmtp.format_from_fmtp("H265", 90000, 0, f"96 {words}", "video")
    assert (track.codec, track.rtpmap, track.fmtp) == (Codec.OTHER_VIDEO, "H265/90000", words)


def test_interleaved_h264_is_relayed_unread() -> None:
    assert fmtp.format_from_fmtp("H264", 90000, 0, "packetization-mode=2", "video").codec is Codec.OTHER_VIDEO


# ---- MPEG-4 --------------------------------------------------------------------------------------------

MPEG4 = mpeg4.with_config(TrackFormat(codec=Codec.MPEG4, clock_rate=90000), VOL)


def test_mpeg4_headers_say_the_size() -> None:
    assert (MPEG4.width, MPEG4.height, mpeg4.profile_level(VOL)) == (640, 360, 1)
    assert mpeg4.headers(VOL + b"\0\0\1\xb3\0\x10\x07" + I_VOP) == VOL
    assert mpeg4.headers(P_VOP) == b""
    assert (mpeg4.is_intra(VOL + I_VOP), mpeg4.is_intra(P_VOP)) == (True, False)


def test_mpeg4_sdp() -> None:
    """RFC 6416 7.2."""
    assert fmtp.format_to_rtpmap(MPEG4) == "MP4V-ES/90000"
    line = fmtp.format_to_fmtp(MPEG4, 96)
    assert line == f"96 profile-level-id=1;config={VOL.hex().upper()}"
    assert fmtp.format_from_fmtp("mp4v-es", 90000, 0, line) == MPEG4


def test_mpeg4_over_packets_and_with_headers_before_clean_points() -> None:
    sent = packets(MPEG4, I_VOP * 20, mtu=200)
    assert sent[0][0].startswith(VOL)
    assert [marker for _, marker, _ in sent] == [False] * (len(sent) - 1) + [True]
    depack = depacketizer(TrackFormat(codec=Codec.MPEG4, clock_rate=90000))
    (frame,) = fed(depack, sent)
    assert (frame.data, frame.key) == (VOL + I_VOP * 20, True)
    assert (depack.format.width, depack.format.config) == (640, VOL)


def test_mpeg4_a_lost_packet_costs_its_picture() -> None:
    sent = packets(MPEG4, P_VOP * 20, P_VOP, mtu=200, key=False)
    for lost in range(len(sent) - 1):
        depack = depacketizer(MPEG4)
        frames: list[Frame] = []
        for number, (payload, marker, time) in enumerate(sent):
            if number != lost:
                frames += depack.feed(payload, marker, time, number != lost + 1)
        assert [frame.data for frame in frames if not frame.damaged] == [P_VOP]
        assert depack.damaged == sum(frame.damaged for frame in frames) >= 1


def test_mpeg4_clean_points_are_told_by_the_first_bytes() -> None:
    verdict = VERDICTS[Codec.MPEG4]
    for payload, result in ((VOL + I_VOP, KEY), (I_VOP, KEY), (P_VOP, NOT_KEY), (b"rest of a picture", UNDECIDED)):
        assert verdict(bytearray(payload), 0, len(payload)) == result
    assert verdict(bytearray(b"\0\0\1"), 0, 3) == UNDECIDED


@given(st.binary(max_size=64))
def test_garbage_in_headers(data: bytes) -> None:
    track = mpeg4.with_config(TrackFormat(codec=Codec.MPEG4, clock_rate=90000), b"\0\0\1\x20" + data)
    assert track.width >= 0


# ---- AAC -----------------------------------------------------------------------------------------------

AAC = TrackFormat(codec=Codec.AAC, clock_rate=16000, config=ASC, channels=1)


def test_latm_with_its_configuration_in_the_sdp() -> None:
    described = fmtp.as_latm(AAC)
    assert fmtp.format_to_rtpmap(described) == "MP4A-LATM/16000/1"
    assert fmtp.format_to_fmtp(described, 97).endswith("cpresent=0;config=400028103fc0")
    track = fmtp.format_from_fmtp("MP4A-LATM", 16000, 1, fmtp.format_to_fmtp(described, 97))
    assert (track.config, track.channels, track.stored) == (ASC, 1, AAC)
    frames = [b"a" * 100, b"b" * 254, b"c" * 255, b"d" * 3000]
    sent = packets(described, *frames)
    assert sent[0][0][:2] == b"\x64a"
    assert sent[2][0][:3] == b"\xff\x00c"
    found = fed(depacketizer(track), sent)
    assert [frame.data for frame in found] == frames
    assert [frame.rtp_time for frame in found] == [0, 1000, 2000, 3000]


def test_latm_config_that_is_cut_short_and_has_the_sign_of_sbr() -> None:
    """As GStreamer writes it."""
    track = fmtp.format_from_fmtp("MP4A-LATM", 16000, 0, "97 cpresent=0;config=40002810adca00")
    assert (track.codec, track.config) == (Codec.AAC, ASC)


def in_band(frame: bytes, first: bool) -> bytes:
    """An element with useSameStreamMux and, on demand, a StreamMuxConfig in front."""
    config, bits = latm.build_mux_config(ASC), 44  # 15 + 16 + 13
    value, length = (0, 1) if first else (1, 1)
    if first:
        value, length = int.from_bytes(config, "big") >> (len(config) * 8 - bits), 1 + bits
    body = latm.build_element(frame)
    value = value << 8 * len(body) | int.from_bytes(body, "big")
    length += 8 * len(body)
    padding = -length % 8
    return (value << padding).to_bytes((length + padding) // 8, "big")


def test_latm_with_its_configuration_in_band() -> None:
    track = fmtp.format_from_fmtp("MP4A-LATM", 16000, 1, "97 profile-level-id=1;cpresent=1", "audio")
    assert (track.codec, track.config) == (Codec.AAC, b"")
    depack = depacketizer(track)
    # before the configuration nothing can be read
    assert [frame.damaged for frame in depack.feed(in_band(b"x" * 9, False), True, 0, True)] == [True]
    found = fed(depack, [(in_band(b"y" * 300, True), True, 1024), (in_band(b"z" * 9, False), True, 2048)])
    assert [frame.data for frame in found] == [b"y" * 300, b"z" * 9]
    assert (depack.format.config, depack.format.channels) == (ASC, 1)
    # A camera that was set otherwise says so in band, and what is recorded from then on has that configuration.
    stereo = aac.build_config(aac.AudioSpecificConfig(object_type=2, sample_rate=48000, channels=2))
    config, bits = latm.build_mux_config(stereo), 44
    element = latm.build_element(b"s" * 300)
    value = int.from_bytes(config, "big") >> (len(config) * 8 - bits)
    total = 1 + bits + 8 * len(element)
    whole = (value << 8 * len(element) | int.from_bytes(element, "big")) << -total % 8
    (frame,) = depack.feed(whole.to_bytes((total + 7) // 8, "big"), True, 3072, True)
    assert (frame.data, depack.format.config, depack.format.channels) == (b"s" * 300, stereo, 2)


@pytest.mark.parametrize("config", ["00", "4000281041", "c000", "40F0281000", "zz"])
def test_latm_that_is_not_supported_is_relayed_unread(config: str) -> None:
    track = fmtp.format_from_fmtp("MP4A-LATM", 16000, 1, f"cpresent=0;config={config}", "audio")
    assert track.codec in (Codec.OTHER_AUDIO, Codec.AAC)
    if track.codec is Codec.OTHER_AUDIO:
        assert track.fmtp == f"cpresent=0;config={config}"
        with pytest.raises(InvalidArgument):
            fmtp.format_from_fmtp("MP4A-LATM", 16000, 1, f"cpresent=0;config={config}")


def test_aac_lbr() -> None:
    """RFC 3640 3.3.5: six bits of size, two of index."""
    words = f"streamtype=5;mode=AAC-lbr;sizelength=6;indexlength=2;indexdeltalength=2;config={ASC.hex()}"
    track = fmtp.format_from_fmtp("mpeg4-generic", 16000, 1, f"97 {words}")
    assert (track.codec, track.rtpmap, track.fmtp, track.stored) == (
        Codec.AAC,
        "mpeg4-generic/16000/1",
        words,
        AAC,
    )
    payload = struct.pack(">HBB", 16, 5 << 2, 9 << 2) + b"a" * 5 + b"b" * 9
    found = depacketizer(track).feed(payload, True, 0, True)
    assert [(frame.data, frame.rtp_time) for frame in found] == [(b"a" * 5, 0), (b"b" * 9, 1024)]
    for wrong in (payload[:-1], payload + b"x", b"\0", struct.pack(">HB", 8, 5 << 2 | 1) + b"a" * 5):
        assert [frame.damaged for frame in depacketizer(track).feed(wrong, True, 0, True)] == [True]


def test_au_headers_with_more_fields() -> None:
    words = f"mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;ctsdeltalength=8;config={ASC.hex()}"
    track = fmtp.format_from_fmtp("mpeg4-generic", 16000, 1, words)
    assert track.rtpmap
    # size 4, index 0, CTS-flag 1 with 8 bits: 25 bits
    header = (4 << 3 << 9 | 1 << 8 | 0x55) << 7
    payload = struct.pack(">HI", 25, header) + b"abcd"
    assert [frame.data for frame in depacketizer(track).feed(payload, True, 0, True)] == [b"abcd"]


def test_constant_sizes_need_no_headers() -> None:
    words = f"mode=generic;constantsize=10;config={ASC.hex()}"
    track = fmtp.format_from_fmtp("mpeg4-generic", 16000, 1, words)
    found = depacketizer(track).feed(b"a" * 10 + b"b" * 10, True, 0, True)
    assert [frame.data for frame in found] == [b"a" * 10, b"b" * 10]


# ---- samples and Opus ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_g726(bits: int) -> None:
    """RFC 3551 4.5.4: packets are whole octets of whole samples, time counts samples."""
    track = fmtp.format_from_fmtp(f"G726-{8 * bits}", 8000, 1, "", "audio")
    assert (track.codec, track.bits, fmtp.format_to_rtpmap(track)) == (Codec.G726, bits, f"G726-{8 * bits}/8000")
    data = bytes(bits * 60)
    sent = packets(track, data, mtu=128)
    assert b"".join(payload for payload, _, _ in sent) == data
    assert not any(marker for _, marker, _ in sent)
    for (payload, _, time), (_, _, after) in itertools.pairwise(sent):
        assert len(payload) % bits == 0
        assert after - time == len(payload) * 8 // bits
    assert [frame.data for frame in fed(depacketizer(track), sent)] == [payload for payload, _, _ in sent]


def test_g726_in_the_order_of_aal2_is_relayed_unread() -> None:
    track = fmtp.format_from_fmtp("AAL2-G726-32", 8000, 1, "", "audio")
    assert (track.codec, track.rtpmap) == (Codec.OTHER_AUDIO, "AAL2-G726-32/8000/1")


def test_l16_is_cut_between_samples_of_all_channels() -> None:
    track = fmtp.format_from_fmtp("L16", 16000, 2, "")
    sent = packets(track, bytes(range(200)), mtu=128)
    assert [len(payload) % 4 for payload, _, _ in sent] == [0, 0]
    assert sent[1][2] == len(sent[0][0]) // 4
    assert fmtp.payload_type(track, 98) == 98
    assert fmtp.STATIC_PAYLOAD_TYPES[10].channels == 2


def test_opus_is_one_packet_whatever_its_size() -> None:
    """RFC 7587 4.2, 7."""
    track = fmtp.format_from_fmtp("opus", 48000, 2, "sprop-stereo=1", "audio")
    assert fmtp.format_to_rtpmap(track) == "opus/48000/2"
    sent = packets(track, b"\xfc" + bytes(1500))
    assert len(sent) == 1
    assert fed(depacketizer(track), sent)[0].data == b"\xfc" + bytes(1500)
    assert fmtp.format_from_fmtp("opus", 16000, 2, "", "audio").codec is Codec.OTHER_AUDIO


@given(
    codec=st.sampled_from([Codec.AAC, Codec.MPEG4]),
    words=st.sampled_from(
        ["", "cpresent=1", "cpresent=0;config=400028103fc0", "sizelength=6;indexlength=2;indexdeltalength=2"]
    ),
    steps=st.lists(st.tuples(st.binary(max_size=60), st.booleans(), st.integers(0, 2), st.booleans()), max_size=30),
)
def test_garbage_never_raises(codec: Codec, words: str, steps: list[tuple[bytes, bool, int, bool]]) -> None:
    name = "" if not words else "mpeg4-generic/16000" if "size" in words else "MP4A-LATM/16000"
    depack = depacketizer(TrackFormat(codec=codec, clock_rate=16000, rtpmap=name, fmtp=words))
    reported = 0
    for payload, marker, rtp_time, contiguous in steps:
        for frame in depack.feed(memoryview(payload), marker, rtp_time, contiguous):
            assert bool(frame.data) is not frame.damaged
            reported += frame.damaged
    assert depack.damaged == reported


# ---- bounds: a camera that never ends a frame, or says sizes that take long to read


def held(depack: Depacketizer) -> int:
    """About the bytes that a depacketizer keeps."""
    parts = depack._parts  # type: ignore[attr-defined]
    return sum(len(each) + PART for each in parts)


LATM_WORDS = "cpresent=0;config=400028103fc0"


@pytest.mark.parametrize(
    ("track", "payload"),
    [
        (fmtp.format_from_fmtp("MP4A-LATM", 16000, 1, LATM_WORDS), bytes(1000)),
        (fmtp.format_from_fmtp("MP4V-ES", 90000, 0, ""), b"\0\0\1"),
        (TrackFormat(codec=Codec.H264, clock_rate=90000), b"\x1c\x01x"),
    ],
)
def test_a_frame_that_never_ends_is_given_up(track: TrackFormat, payload: bytes) -> None:
    depack = depacketizer(track)
    first = b"\x1c\x81x" if track.codec is Codec.H264 else payload
    depack.feed(first, False, 7, True)
    most = 0
    for _ in range(150_000):
        assert not depack.feed(payload, False, 7, True)
        most = max(most, len(depack._parts))  # type: ignore[attr-defined]
    assert most < 140_000
    assert held(depack) <= MAX_FRAME + 2000
    assert any(frame.damaged for frame in depack.feed(payload, True, 7, True))


@pytest.mark.parametrize("element", [b"\xff" * 64_000, b"\xff" * 70 + bytes(20_000)])
def test_sizes_of_latm_that_no_frame_has_are_refused_at_once(element: bytes) -> None:
    mux = latm.parse_mux_config(bytes.fromhex("400028103fc0"))
    with pytest.raises(InvalidArgument, match="too long"):
        latm.parse_element(element, mux, False)


def test_other_data_of_latm_is_bounded() -> None:
    # as in LATM_WORDS up to otherDataPresent, then an escape for ever
    front = int.from_bytes(bytes.fromhex("400028103fc0"), "big") >> 6
    endless = ((front << 1 | 1) << 3957 | (1 << 3957) - 1).to_bytes(500, "big")
    with pytest.raises(InvalidArgument):
        latm.parse_mux_config(endless)


def test_headers_of_aac_are_bounded() -> None:
    words = "mode=generic;sizelength=1;indexlength=0;indexdeltalength=0;config=1190"
    depack = depacketizer(fmtp.format_from_fmtp("MPEG4-GENERIC", 48000, 2, words))
    few = struct.pack(">H", 8) + b"\xff" + b"x" * 8
    assert [frame.data for frame in depack.feed(few, True, 0, True)] == [b"x"] * 8
    many = struct.pack(">H", 8 * 4000) + b"\xff" * 4000 + b"x" * 32000
    (frame,) = depack.feed(many, True, 0, True)
    assert frame.damaged


def test_a_sample_of_more_channels_than_fit_is_refused() -> None:
    track = TrackFormat(codec=Codec.L16, clock_rate=8000, channels=99)
    packer = Packer(track, track=0, payload_type=96, ssrc=1, mtu=128)
    with pytest.raises(InvalidArgument):
        packer.pack(AccessUnit(0, 0, 0, True, bytes(198)))
