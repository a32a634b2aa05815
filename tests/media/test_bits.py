from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import InvalidArgument
from onvifd.media.bits import MAX_PARAMETER_SET, BitReader, escape, unescape


@given(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 255]), max_size=60).map(bytes))
def test_escaped_bytes_hold_no_start_code_and_come_back(rbsp: bytes) -> None:
    escaped = escape(rbsp + b"\x80")
    for code in (b"\x00\x00\x00", b"\x00\x00\x01", b"\x00\x00\x02"):
        assert code not in escaped
    assert unescape(escaped) == rbsp + b"\x80"


def test_exp_golomb_codes_of_table_9_2() -> None:
    bits = BitReader(bytes([0b1_010_011_0, 0b0100_0010, 0b1_0000000]))
    assert [bits.ue() for _ in range(5)] == [0, 1, 2, 3, 4]


def test_signed_codes_alternate() -> None:
    # 9.1.1: code numbers 0 to 4 stand for 0, 1, -1, 2, -2
    bits = BitReader(bytes([0b1_010_011_0, 0b0100_0010, 0b1_0000000]))
    assert [bits.se() for _ in range(5)] == [0, 1, -1, 2, -2]


@pytest.mark.parametrize("data", [b"", bytes(2), bytes(40)])
def test_endless_or_missing_codes_raise(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        BitReader(data).ue()


def test_limits_are_enforced() -> None:
    with pytest.raises(InvalidArgument):
        BitReader(b"\x20").ue(2)
    with pytest.raises(InvalidArgument):
        BitReader(bytes(MAX_PARAMETER_SET + 1))
    with pytest.raises(InvalidArgument):
        BitReader(b"\x00").skip(9)
