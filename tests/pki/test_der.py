from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.pki import der


def test_object_identifiers_as_x690_encodes_them() -> None:
    assert der.oid("1.2.840.113549.1.1.11").hex() == "06092a864886f70d01010b"
    assert der.oid("2.999.3").hex() == "0603883703"
    for wrong in ("", "1", "3.1", "1.40", "1.2.-3", "1.2.x", "1..2"):
        with pytest.raises(der.DerError):
            der.oid(wrong)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "020100"), (127, "02017f"), (128, "02020080"), (256, "02020100"), (-1, "0201ff"), (-128, "020180")],
)
def test_integers(value: int, encoded: str) -> None:
    node = der.parse(der.integer(value))
    assert int.from_bytes(node.content, "big", signed=True) == value
    if value != -128:
        assert der.integer(value).hex() == encoded


def test_times_change_form_in_2050() -> None:
    assert der.time(datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC))[2:] == b"491231235959Z"
    assert der.time(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))[2:] == b"99991231235959Z"


@given(st.binary(max_size=70_000))
def test_what_is_written_is_read_back(content: bytes) -> None:
    node = der.parse(der.write(der.OCTET_STRING, content))
    assert (node.tag, node.content) == (der.OCTET_STRING, content)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        node = der.parse(data)
    except der.DerError:
        return
    assert node.whole == data
    with contextlib.suppress(der.DerError):
        node.children()
