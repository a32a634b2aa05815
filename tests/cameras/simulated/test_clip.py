from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.cameras.simulated import clip as clips
from onvifd.errors import Unavailable
from onvifd.media.types import Codec, TrackFormat

PCMU = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)


@given(
    rate=st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(25, 2), Fraction(16000, 1024)]),
    utc=st.integers(0, 4_000_000_000_000_000),
)
def test_number_at_is_the_first_unit_not_before(rate: Fraction, utc: int) -> None:
    clip = clips.make(PCMU, rate, [(b"a", True)])
    number = clip.number_at(utc)
    assert clip.utc_of(number - 1) < utc <= clip.utc_of(number)


def test_a_clip_comes_back_from_its_file(tmp_path: Path) -> None:
    clip = clips.make(PCMU, Fraction(25, 3), [(b"one", True), (b"three", False)])
    clips.save(clip, tmp_path / "new" / "x.clip")
    back = clips.load(tmp_path / "new" / "x.clip")
    assert back is not None
    assert (back.format, back.rate, back.count) == (PCMU, Fraction(25, 3), 2)
    assert [back.data(index) for index in range(4)] == [b"one", b"three", b"one", b"three"]
    assert [back.key(index) for index in range(2)] == [True, False]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.clip"]


@pytest.mark.parametrize("data", [b"", b"junk", b"onvifd-clip-1\n\xff\xff\xff\xff", b"onvifd-clip-1\n\0\0\0\2{}"])
def test_a_broken_file_counts_as_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.clip").write_bytes(data)
    assert clips.load(tmp_path / "x.clip") is None


def test_a_cut_file_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "x.clip"
    clips.save(clips.make(PCMU, Fraction(25), [(b"abc", True)]), path)
    path.write_bytes(path.read_bytes()[:-1])
    assert clips.load(path) is None
    assert clips.load(tmp_path / "missing.clip") is None


@pytest.mark.parametrize("units", [[], [(b"a", False)]])
def test_a_clip_begins_with_a_clean_point(units: list[tuple[bytes, bool]]) -> None:
    with pytest.raises(Unavailable):
        clips.make(PCMU, Fraction(25), units)
