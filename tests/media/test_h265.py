from __future__ import annotations

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import InvalidArgument
from onvifd.media import h265, nal
from onvifd.media.types import AccessUnit, TrackFormat

Clip = tuple[TrackFormat, list[AccessUnit]]


def test_size_profile_and_rate_of_a_real_sps(h265_clip: Clip) -> None:
    sps = h265.parse_sps(h265_clip[0].parameter_sets[1])
    assert (sps.width, sps.height) == (320, 180)
    assert sps.profile == "Main"
    assert sps.fps == 25
    assert (sps.bit_depth_luma, sps.chroma_format_idc) == (8, 1)


def test_sets_come_in_the_order_vps_sps_pps(h265_clip: Clip) -> None:
    assert [h265.nal_type(unit) for unit in h265_clip[0].parameter_sets] == [32, 33, 34]


def test_decoder_starts_from_our_configuration(h265_clip: Clip) -> None:
    format, units = h265_clip
    context = av.CodecContext.create("hevc", "r")
    context.extradata = h265.decoder_configuration(format.parameter_sets)
    frames = []
    for unit in units:
        bare = [item for item in nal.iterate(unit.data) if item not in format.parameter_sets]
        frames += context.decode(av.Packet(nal.join(bare)))
    frames += context.decode(None)
    assert [(frame.width, frame.height) for frame in frames] == [(320, 180)] * len(units)


def test_codec_string_of_main_profile(h265_clip: Clip) -> None:
    text = h265.codec_string(h265_clip[0].parameter_sets)
    assert text == "hvc1.1.6.L63.90"


def test_only_irap_is_a_clean_point(h265_clip: Clip) -> None:
    for unit in h265_clip[1]:
        assert h265.is_clean_point(nal.iterate(unit.data)) is unit.key


@given(st.binary(max_size=120))
def test_garbage_raises_invalid_argument_or_parses(data: bytes) -> None:
    try:
        sps = h265.parse_sps(b"\x42\x01" + data)
    except InvalidArgument:
        return
    assert 0 < sps.width <= 16384
    assert 0 < sps.height <= 16384


def test_configuration_needs_all_sets(h265_clip: Clip) -> None:
    sets = h265_clip[0].parameter_sets
    for some in ((), sets[:2], sets[1:]):
        with pytest.raises(InvalidArgument):
            h265.decoder_configuration(some)
