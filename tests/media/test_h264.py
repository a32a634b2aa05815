from __future__ import annotations

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import InvalidArgument
from onvifd.media import h264, nal
from onvifd.media.types import AccessUnit, TrackFormat


def test_size_profile_and_rate_of_a_real_sps(h264_clip: tuple[TrackFormat, list[AccessUnit]]) -> None:
    sps = h264.parse_sps(h264_clip[0].parameter_sets[0])
    assert (sps.width, sps.height) == (320, 180)
    assert sps.profile == "Baseline"
    assert sps.fps == 25


def test_1080_lines_are_cropped_from_1088() -> None:
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt, context.framerate = 1920, 1080, "yuv420p", 50
    context.options = {"preset": "veryfast"}
    packets = context.encode(av.VideoFrame(1920, 1080, "yuv420p")) + context.encode(None)
    units = nal.split_annexb(bytes(packets[0]))
    sps = h264.parse_sps(h264.select_parameter_sets(units)[0])
    assert (sps.width, sps.height, sps.fps, sps.profile) == (1920, 1080, 50, "High")


def test_decoder_starts_from_our_configuration(h264_clip: tuple[TrackFormat, list[AccessUnit]]) -> None:
    format, units = h264_clip
    context = av.CodecContext.create("h264", "r")
    context.extradata = h264.decoder_configuration(format.parameter_sets)
    frames = []
    for unit in units:
        bare = [item for item in nal.iterate(unit.data) if item not in format.parameter_sets]
        frames += context.decode(av.Packet(nal.join(bare)))
    frames += context.decode(None)
    assert [(frame.width, frame.height) for frame in frames] == [(320, 180)] * len(units)


def test_codec_string_is_profile_constraints_level(h264_clip: tuple[TrackFormat, list[AccessUnit]]) -> None:
    sets = h264_clip[0].parameter_sets
    assert h264.codec_string(sets) == "avc1." + sets[0][1:4].hex()


def test_only_idr_is_a_clean_point(h264_clip: tuple[TrackFormat, list[AccessUnit]]) -> None:
    for unit in h264_clip[1]:
        assert h264.is_clean_point(nal.iterate(unit.data)) is unit.key


@given(st.binary(max_size=100))
def test_garbage_raises_invalid_argument_or_parses(data: bytes) -> None:
    try:
        sps = h264.parse_sps(b"\x67" + data)
    except InvalidArgument:
        return
    assert 0 < sps.width <= 16384
    assert 0 < sps.height <= 32768


def test_configuration_needs_both_sets(h264_clip: tuple[TrackFormat, list[AccessUnit]]) -> None:
    sets = h264_clip[0].parameter_sets
    for some in ((), sets[:1], sets[1:], (b"\x67", b"\x68\x01")):
        with pytest.raises(InvalidArgument):
            h264.decoder_configuration(some)
