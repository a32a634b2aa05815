from __future__ import annotations

import pytest

from onvifd.errors import NotSupported
from onvifd.media import video
from onvifd.media.types import AccessUnit, Codec, TrackFormat


def test_size_follows_the_sps(clip: tuple[TrackFormat, list[AccessUnit]]) -> None:
    format, units = clip
    bare = TrackFormat(codec=format.codec, clock_rate=90000, width=1, height=1)
    found = video.with_parameter_sets(bare, video.find_parameter_sets(format.codec, units[0].data))
    assert (found.width, found.height) == (320, 180)
    assert video.codec_string(found)[:4] in ("avc1", "hvc1")
    assert video.decoder_configuration(found)[0] == 1


def test_a_broken_sps_keeps_the_size() -> None:
    bare = TrackFormat(codec=Codec.H264, clock_rate=90000, width=640, height=360)
    assert video.with_parameter_sets(bare, [b"\x67\x00", b"\x68\x00"]).width == 640


def test_audio_is_always_a_clean_point_and_has_no_nal_units() -> None:
    assert video.is_clean_point(Codec.PCMU, b"abc")
    with pytest.raises(NotSupported):
        video.find_parameter_sets(Codec.PCMU, b"abc")


@pytest.mark.parametrize(("codec", "header"), [(Codec.H264, b"\x68"), (Codec.H265, b"\x44\x01")])
def test_an_over_long_parameter_set_is_left_out(codec: Codec, header: bytes) -> None:
    bare = TrackFormat(codec=codec, clock_rate=90000)
    assert video.with_parameter_sets(bare, [header + bytes(70_000), header + b"\x80"]).parameter_sets == (
        header + b"\x80",
    )
