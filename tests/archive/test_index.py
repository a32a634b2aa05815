"""The packed tables of the index."""

from __future__ import annotations

import pytest

from onvifd.archive.index import (
    FRAGMENT_BYTES,
    Fragment,
    FragmentFlag,
    decode_formats,
    encode_formats,
    pack_fragments,
    unpack_fragments,
)
from onvifd.errors import InvalidArgument
from onvifd.media.types import Codec, TrackFormat

FRAGMENTS = (
    Fragment(700, 50_000, 1_767_225_600_000_001, 999_999, FragmentFlag.VIDEO | FragmentFlag.CLEAN),
    Fragment(50_700, 1, 1_767_225_601_000_000, 1, FragmentFlag.AUDIO),
)


def test_fragment_table_has_a_fixed_width() -> None:
    table = pack_fragments(FRAGMENTS)
    assert len(table) == 2 * FRAGMENT_BYTES
    assert unpack_fragments(table) == FRAGMENTS
    assert unpack_fragments(b"") == ()


def test_a_cut_table_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        unpack_fragments(pack_fragments(FRAGMENTS)[:-1])


def test_fragment_ends_and_clean_points() -> None:
    first, second = FRAGMENTS
    assert first.end == second.start
    assert (first.clean, second.clean) == (True, False)


def test_formats_survive() -> None:
    formats = (
        TrackFormat(codec=Codec.H265, clock_rate=90000, parameter_sets=(b"\0\1", b"\xff"), width=1920, height=1080),
        TrackFormat(codec=Codec.AAC, clock_rate=16000, config=b"\x14\x08", channels=1),
    )
    assert decode_formats(encode_formats(formats)) == formats


@pytest.mark.parametrize("text", ["", "{", "[{}]", "[1]", "null", '[{"codec":"vp8"}]'])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        decode_formats(text)
