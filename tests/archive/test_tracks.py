"""Tokens of tracks."""

from onvifd.archive.tracks import TrackNumbers
from onvifd.media.types import Codec, TrackFormat


def formats(*codecs: Codec) -> list[TrackFormat]:
    return [TrackFormat(codec=codec, clock_rate=90_000) for codec in codecs]


def test_another_encoding_is_another_track_and_keeps_its_token() -> None:
    numbers = TrackNumbers().with_formats(formats(Codec.H265, Codec.PCMU, Codec.METADATA))
    assert numbers.tokens(formats(Codec.H265, Codec.PCMU, Codec.METADATA)) == ("VIDEO001", "AUDIO001", "META001")
    later = numbers.with_formats(formats(Codec.H264, Codec.AAC))
    assert later.tokens(formats(Codec.H264, Codec.AAC)) == ("VIDEO002", "AUDIO002")
    assert later.token(Codec.H265) == "VIDEO001"
    assert TrackNumbers.parse(str(later)) == later
    assert later.codec("VIDEO002") is Codec.H264
    assert later.codec("VIDEO003") is None


def test_what_is_not_known_is_passed_over() -> None:
    assert TrackNumbers.parse("") == TrackNumbers()
    assert TrackNumbers.parse("vp9,h264") == TrackNumbers((Codec.H264,))
    assert TrackNumbers().token(Codec.H264) == "VIDEO001"
