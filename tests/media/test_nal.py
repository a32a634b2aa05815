from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import InvalidArgument
from onvifd.media import nal
from onvifd.media.bits import escape


@given(st.lists(st.binary(min_size=1, max_size=50).map(lambda body: escape(body + b"\x80")), min_size=1, max_size=5))
def test_both_wrappings_hold_the_same_units(units: list[bytes]) -> None:
    data = nal.join(units)
    assert list(nal.iterate(data)) == units
    assert nal.split_annexb(nal.to_annexb(data)) == units
    assert nal.from_annexb(nal.to_annexb(data)) == data


def test_three_byte_start_codes_and_trailing_zeros() -> None:
    assert nal.split_annexb(b"\x00\x00\x01ab\x00\x00\x00\x01cd\x00\x00") == [b"ab", b"cd"]


@pytest.mark.parametrize("data", [b"\0", b"\0\0\0\2a", b"\0\0\0\0", b"\0\0\0\1a\xff\xff\xff\xff"])
def test_lengths_that_do_not_fit_raise(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        list(nal.iterate(data))
