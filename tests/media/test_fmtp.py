from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import InvalidArgument, NotSupported
from onvifd.media import fmtp
from onvifd.media.types import AccessUnit, Codec, TrackFormat


def back(track: TrackFormat) -> TrackFormat:
    name, rate, *channels = fmtp.format_to_rtpmap(track).split("/")
    return fmtp.format_from_fmtp(name, int(rate), int(channels[0]) if channels else 1, fmtp.format_to_fmtp(track, 96))


def test_video_round_trip(clip: tuple[TrackFormat, list[AccessUnit]]) -> None:
    assert back(clip[0]) == clip[0]


@pytest.mark.parametrize(
    "track",
    [
        TrackFormat(codec=Codec.AAC, clock_rate=48000, config=b"\x11\x90", channels=2),
        TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1),
        TrackFormat(codec=Codec.PCMA, clock_rate=16000, channels=2),
        TrackFormat(codec=Codec.METADATA, clock_rate=90000),
        TrackFormat(codec=Codec.JPEG, clock_rate=90000),
    ],
)
def test_round_trip(track: TrackFormat) -> None:
    assert back(track) == track


def test_h264_line_as_in_rfc_6184(h264_clip: tuple[TrackFormat, list[AccessUnit]]) -> None:
    line = fmtp.format_to_fmtp(h264_clip[0], 96)
    assert line.startswith("96 packetization-mode=1;profile-level-id=42")
    assert ";sprop-parameter-sets=" in line


def test_static_payload_types() -> None:
    assert fmtp.payload_type(TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1), 97) == 0
    assert fmtp.payload_type(TrackFormat(codec=Codec.PCMA, clock_rate=8000, channels=1), 97) == 8
    assert fmtp.payload_type(TrackFormat(codec=Codec.PCMA, clock_rate=16000, channels=1), 97) == 97
    assert fmtp.payload_type(TrackFormat(codec=Codec.JPEG, clock_rate=90000), 97) == 26
    assert fmtp.payload_type(TrackFormat(codec=Codec.H264, clock_rate=90000), 97) == 97
    assert sorted(fmtp.STATIC_PAYLOAD_TYPES) == [0, 3, 4, 8, 9, 10, 11, 14, 15, 18, 26, 31, 32, 34]


def test_what_cameras_write() -> None:
    line = '97 Profile-Level-Id=420029; packetization-mode=1; sprop-parameter-sets="Z0IAKeNQFAe2AtwEBAaQeJEV,aM48gA"'
    track = fmtp.format_from_fmtp("h264", 90000, 1, line)
    assert (track.width, track.height) == (640, 480)
    assert [unit[0] for unit in track.parameter_sets] == [0x67, 0x68]


@pytest.mark.parametrize("name", ["VP8", "H263-1998", "", "vnd.onvif.metadata.exi.onvif"])
def test_other_encodings_are_not_supported(name: str) -> None:
    with pytest.raises(NotSupported):
        fmtp.format_from_fmtp(name, 90000, 1, "")


@pytest.mark.parametrize("line", ["96 mode=AAC-hbr;config=zz", "96 mode=AAC-hbr", "96 config="])
def test_aac_without_configuration(line: str) -> None:
    with pytest.raises(InvalidArgument):
        fmtp.format_from_fmtp("mpeg4-generic", 16000, 1, line)


@given(
    name=st.sampled_from(["H264", "H265", "MPEG4-GENERIC", "PCMU"]),
    value=st.text(max_size=80),
    key=st.sampled_from(["sprop-parameter-sets", "sprop-sps", "config", "x"]),
)
def test_garbage_raises_only_our_errors(name: str, value: str, key: str) -> None:
    try:
        fmtp.format_from_fmtp(name, 90000, 1, f"96 {key}={value}")
    except (InvalidArgument, NotSupported):
        return


@pytest.mark.parametrize("number", ["\u00b2", "9" * 5000, "-1", "", "0x8"])
@pytest.mark.parametrize("name", ["sizelength", "constantsize"])
def test_numbers_that_are_none_are_refused(name: str, number: str) -> None:
    """And nothing else happens: one track must not take the whole description with it."""
    words = f"mode=generic;config=1190;sizelength=1;{name}={number}"
    with pytest.raises(InvalidArgument):
        fmtp.format_from_fmtp("MPEG4-GENERIC", 48000, 2, words)
    assert fmtp.format_from_fmtp("MPEG4-GENERIC", 48000, 2, words, "audio").codec is Codec.OTHER_AUDIO
