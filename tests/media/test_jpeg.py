"""JPEG files: what is read of them, what is written, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import InvalidArgument
from onvifd.media import jpeg
from tests.media.pictures import make_jpeg, show


@pytest.mark.parametrize("pixels", ["yuvj420p", "yuvj422p", "yuvj444p"])
@pytest.mark.parametrize("huffman", ["default", "optimal"])
def test_a_picture_written_anew_shows_the_same(pixels: str, huffman: str) -> None:
    data = make_jpeg(322, 194, pixels, huffman=huffman)
    picture = jpeg.parse(data)
    assert (picture.width, picture.height) == jpeg.size_of(data) == (322, 194)
    again = jpeg.build(picture)
    assert (show(again) == show(data)).all()
    read = jpeg.parse(again)
    assert (read.quantization, read.dc, read.ac) == (picture.quantization, picture.dc, picture.ac)
    assert read.scan == picture.scan


def test_restart_interval_is_kept() -> None:
    picture = jpeg.parse(make_jpeg(640, 368, slices=True))
    assert picture.restart == 40
    assert jpeg.parse(jpeg.build(picture)).restart == 40


def test_standard_tables_are_those_of_the_standard() -> None:
    # RFC 2435 appendix A: the first row of table K.1 in zig-zag order; Q 50 leaves the tables as they are
    luminance, chrominance = jpeg.tables_of_quality(50)
    assert luminance[:8] == bytes((16, 11, 12, 14, 12, 10, 16, 14))
    assert chrominance[:8] == bytes((17, 18, 18, 24, 21, 24, 47, 26))
    assert jpeg.tables_of_quality(99)[0][0] == 1 == jpeg.tables_of_quality(200)[0][1]
    assert set(jpeg.tables_of_quality(1)[0]) == {255}
    picture = jpeg.parse(make_jpeg(320, 192))
    assert picture.dc == (jpeg.DC_LUMINANCE, jpeg.DC_CHROMINANCE, jpeg.DC_CHROMINANCE)
    assert picture.ac == (jpeg.AC_LUMINANCE, jpeg.AC_CHROMINANCE, jpeg.AC_CHROMINANCE)


def test_shape_of_pixels_and_two_byte_tables_survive() -> None:
    picture = jpeg.parse(make_jpeg(320, 192))
    wide = replace(picture, aspect=(12, 11), quantization=tuple(b"\0" * 64 + t for t in picture.quantization))
    read = jpeg.parse(jpeg.build(wide))
    assert read.aspect == (12, 11)
    assert read.quantization == wide.quantization


def test_grey_picture() -> None:
    picture = jpeg.parse(make_jpeg(320, 192))
    grey = replace(
        picture,
        components=(jpeg.Component(1, 1, 1, 0),),
        quantization=picture.quantization[:1],
        dc=picture.dc[:1],
        ac=picture.ac[:1],
    )
    read = jpeg.parse(jpeg.build(grey))
    assert len(read.components) == 1
    assert read.quantization == grey.quantization


def test_fill_bytes_belong_to_no_data_and_are_read_once() -> None:
    picture = make_jpeg(32, 32)
    before = jpeg.parse(picture)
    assert jpeg.parse(picture[:-2] + b"\xff" * 5 + b"\xd9") == before
    assert jpeg.parse(picture[:-2] + b"\xff\xff") == before  # cut off within the marker of its end
    # Long runs took the square of their length.
    begin = picture.index(before.scan)
    long = picture[:begin] + b"\xff" * 300_000 + b"\x00" + picture[begin:]
    assert jpeg.parse(long).scan.endswith(before.scan)


def test_what_follows_the_end_is_ignored() -> None:
    data = make_jpeg(320, 192)
    assert jpeg.parse(data + b"\xff\xffmore") == jpeg.parse(data) == jpeg.parse(data[:-2])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xd9",
        b"\x89PNG",
        b"\xff\xd8\xff\xc2\0\x0b\x08\0\x10\0\x10\1\1\x11\0",  # progressive
        b"\xff\xd8\xff\xdb\0\1",
        b"\xff\xd8\xff\xdb\0\x04\x00\x00",
        b"\xff\xd8\xff\xc4\0\x13\x00" + b"\xff" * 16,
        b"\xff\xd8\xff\xdd\0\x03\1",
        b"\xff\xd8" + b"\xff" * 100,
    ],
)
def test_what_is_no_baseline_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        jpeg.parse(data)


def test_bounds() -> None:
    data = make_jpeg(320, 192)
    with pytest.raises(InvalidArgument):
        jpeg.parse(data + bytes(jpeg.MAX_PICTURE))
    scan = jpeg.scan_segment(jpeg.parse(data))
    with pytest.raises(InvalidArgument, match="more than one scan"):
        jpeg.parse(data[:-2] + scan + b"1234\xff\xd9")


@given(st.data())
def test_damaged_headers_are_read_or_refused(data: st.DataObject) -> None:
    good = bytearray(make_jpeg(320, 192)[:700])
    for _ in range(data.draw(st.integers(1, 5))):
        good[data.draw(st.integers(2, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = jpeg.parse(bytes(good))
        assert jpeg.parse(jpeg.build(picture)).scan == picture.scan
    except InvalidArgument:
        pass


@given(st.binary(max_size=400))
def test_garbage_raises_nothing_else(data: bytes) -> None:
    for each in (data, b"\xff\xd8" + data, b"\xff\xd8\xff" + data):
        for read in (jpeg.parse, jpeg.size_of):
            try:
                read(each)
            except InvalidArgument:
                continue
