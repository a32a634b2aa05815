from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.onvif.soap import values

NEW_YEAR = 1_767_225_600_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T00:00:00Z", NEW_YEAR),
        (" 2026-01-01T00:00:00.041Z\n", NEW_YEAR + 41_000),
        ("2026-01-01T00:00:00.123456789Z", NEW_YEAR + 123_456),
        ("2026-01-01T01:30:00+01:30", NEW_YEAR),
        ("2025-12-31T19:00:00-05:00", NEW_YEAR),
        ("2026-01-01T00:00:00", NEW_YEAR),
        ("2025-12-31T24:00:00Z", NEW_YEAR),
    ],
)
def test_datetime_forms(text: str, expected: int) -> None:
    assert values.parse_datetime(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-01",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T00:00:00+99:00",
        "9999-12-31T24:00:00Z",
        "0001-01-01T00:00:00+10:00",
        "٢٠٢٦-01-01T00:00:00Z",
        "2026-01-01T00:00:00." + "1" * 100 + "Z",
    ],
)
def test_what_is_no_datetime(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text does not matter
        values.parse_datetime(text)


@given(st.integers(min_value=0, max_value=253_402_300_799_999_999))
def test_datetime_round_trip(utc: int) -> None:
    text = values.format_datetime(utc)
    assert text.endswith("Z")
    assert values.parse_datetime(text) == utc


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT60S", timedelta(seconds=60)),
        ("PT1M", timedelta(minutes=1)),
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4, microseconds=500_000)),
        ("-PT1S", timedelta(seconds=-1)),
        ("P1Y", timedelta(days=365)),
        ("PT0.000001S", timedelta(microseconds=1)),
        ("PT5.S", timedelta(seconds=5)),
    ],
)
def test_duration_forms(text: str, expected: timedelta) -> None:
    assert values.parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "60", "PT-1S", "P1S", "1H", "PT1H1H", "P9999999Y", "PTS"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        values.parse_duration(text)


@given(st.timedeltas(min_value=timedelta(days=-90_000), max_value=timedelta(days=90_000)))
def test_duration_round_trip(value: timedelta) -> None:
    assert values.parse_duration(values.format_duration(value)) == value


def test_booleans_take_words_and_digits() -> None:
    assert [values.parse_boolean(text) for text in ("true", " 1 ", "false", "0")] == [True, True, False, False]
    for text in ("True", "yes", "", "2"):
        with pytest.raises(ValueError, match="boolean"):
            values.parse_boolean(text)


@pytest.mark.parametrize("text", ["", "1.5", "1_000", "9" * 5000, str(1 << 64), "٣", "0x10"])
def test_what_is_no_integer(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        values.parse_int(text)


@given(st.floats())
def test_float_round_trip(value: float) -> None:
    again = values.parse_float(values.format_float(value))
    assert again == value or (again != again and value != value)


@given(st.binary())
def test_base64_round_trip(value: bytes) -> None:
    assert values.parse_base64(values.format_base64(value)) == value


def test_what_is_no_base64() -> None:
    for text in ("*", "abc", "ü"):
        with pytest.raises(ValueError, match="base64"):
            values.parse_base64(text)
