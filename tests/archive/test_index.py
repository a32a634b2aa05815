"""The packed tables of the index."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.archive.index import (
    FRAGMENT_BYTES,
    Fragment,
    FragmentFlag,
    compact_fragments,
    decode_formats,
    encode_formats,
    merged,
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


@given(
    st.lists(
        st.builds(
            Fragment,
            offset=st.integers(0, (1 << 56) - 1),
            size=st.integers(0, (1 << 32) - 1),
            start=st.integers(-(1 << 62), 1 << 62),
            duration=st.integers(0, (1 << 32) - 1),
            flags=st.integers(0, 31).map(FragmentFlag),
        ),
        max_size=20,
    )
)
def test_a_compact_table_says_the_same(fragments: list[Fragment]) -> None:
    compact = compact_fragments(pack_fragments(fragments))
    assert unpack_fragments(compact) == tuple(fragments)
    assert compact_fragments(compact) == compact


def test_a_minute_takes_less_than_six_bytes_for_each_fragment() -> None:
    chance = random.Random(2)
    made, offset, start = [], 1200, 1_767_225_600_000_000
    for _ in range(60):
        size = chance.randrange(300_000, 700_000)
        made.append(Fragment(offset, size, start, 1_000_000 + chance.choice((-11, 0, 11)), FragmentFlag.VIDEO))
        offset, start = offset + size, made[-1].end
    assert len(compact_fragments(pack_fragments(made))) < 60 * 6


@pytest.mark.parametrize("harm", [lambda t: t[:-3], lambda t: t[:1], lambda t: t[:1] + b"\xff" * 9])
def test_a_compact_table_that_was_harmed_is_refused(harm: Any) -> None:
    with pytest.raises(InvalidArgument):
        unpack_fragments(harm(compact_fragments(pack_fragments(FRAGMENTS))))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=20), st.integers(0, 4))
def test_merged_stretches_hold_what_was_recorded(pairs: list[tuple[int, int]], tolerance: int) -> None:
    stretches = sorted((start, start + length) for start, length in pairs)
    found = merged(stretches, 10, 50, tolerance)
    assert all(10 <= start < end <= 50 for start, end in found)
    assert all(following[0] - end > tolerance for (_, end), following in itertools.pairwise(found))
    inside = {t for start, end in stretches for t in range(max(start, 10), min(end, 50))}
    covered = {t for start, end in found for t in range(start, end)}
    assert inside <= covered
    assert {start for start, _ in found} <= inside
    assert {end - 1 for _, end in found} <= inside
    if not tolerance:
        assert covered == inside


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
