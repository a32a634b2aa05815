from __future__ import annotations

from uuid import UUID

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import InvalidArgument, NotSupported
from onvifd.media import nal, sei
from onvifd.media.types import AccessUnit, Codec, TrackFormat

VIDEO = st.sampled_from([Codec.H264, Codec.H265])


@given(codec=VIDEO, utc=st.integers(0, (1 << 63) - 1))
def test_utc_comes_back(codec: Codec, utc: int) -> None:
    unit = sei.build_utc(codec, utc)
    assert b"\x00\x00\x01" not in unit
    assert b"\x00\x00\x00" not in unit
    other = sei.build_user_data(codec, UUID(int=1), bytes(300))
    picture = b"\x41\x80abc" if codec is Codec.H264 else b"\x02\x01\x80abc"
    assert sei.find_utc(codec, nal.join([other, unit, picture])) == utc
    assert sei.find_utc(codec, nal.join([other, picture])) is None


def test_headers_and_payload_type() -> None:
    assert sei.build_utc(Codec.H264, 1)[:3] == b"\x06\x05\x18"
    assert sei.build_utc(Codec.H265, 1)[:4] == b"\x4e\x01\x05\x18"
    with pytest.raises(NotSupported):
        sei.build_utc(Codec.AAC, 1)


def test_a_long_message_has_an_extended_size() -> None:
    unit = sei.build_user_data(Codec.H264, UUID(int=7), bytes(1000))
    assert sei.parse_messages(Codec.H264, unit) == [(5, UUID(int=7).bytes + bytes(1000))]


def test_a_decoder_shows_the_message(clip: tuple[TrackFormat, list[AccessUnit]]) -> None:
    format, units = clip
    nals = list(nal.iterate(units[0].data))
    at = len(format.parameter_sets)
    data = nal.to_annexb(nal.join([*nals[:at], sei.build_utc(format.codec, 123456789), *nals[at:]]))
    context = av.CodecContext.create(format.codec.replace("h265", "hevc"), "r")
    frames = context.decode(av.Packet(data)) + context.decode(None)
    found = [bytes(side) for side in frames[0].side_data if side.type.name == "SEI_UNREGISTERED"]
    assert sei.UTC_UUID.bytes + (123456789).to_bytes(8, "big") in found


@given(codec=VIDEO, junk=st.binary(max_size=60))
def test_garbage_is_no_time(codec: Codec, junk: bytes) -> None:
    sei.find_utc(codec, sei.UTC_UUID.bytes + junk)
    data = nal.join([b"\x06\x05" + junk + sei.UTC_UUID.bytes + junk])
    sei.find_utc(codec, data)
    try:
        sei.parse_messages(codec, junk)
    except InvalidArgument:
        return
