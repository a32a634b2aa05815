"""Baseline JPEG (ITU-T T.81): the marker segments of a picture, read and written. Sans-IO and bounded.

Only what RTP can carry is understood: Huffman coded baseline pictures with one scan (RFC 2435 4.1, Streaming 5.1.4).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from onvifd.errors import InvalidArgument

MAX_PICTURE = 8 << 20
"""Bytes of a picture that is looked at."""

_TEM = 0x01
_SOF0, _SOF1, _DHT = 0xC0, 0xC1, 0xC4
_RST0 = 0xD0
_SOI, _EOI, _SOS, _DQT, _DRI = 0xD8, 0xD9, 0xDA, 0xDB, 0xDD
_APP0 = 0xE0
_OTHER_FRAMES = frozenset(range(0xC2, 0xD0)) - {_DHT, 0xC8, 0xCC}
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""What ends entropy coded data: stuffed zeros and restart markers belong to it (T.81 B.1.1.2, B.1.1.5). It may have fill bytes in
front, which are not looked for: long runs of them would be gone through again and again."""

_ZIGZAG = bytes((
    *(0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28),
    *(35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54),
    *(47, 55, 62, 63),
))  # fmt: skip
# T.81 tables K.1 and K.2, row by row
_LUMINANCE = bytes.fromhex(
    "100b0a101828333d0c0c0e131a3a3c370e0d1018283945380e11161d3357503e"
    "12162538446d674d182337405168715c31404e576779786548 5c5f6270646763".replace(" ", "")
)
_CHROMINANCE = (
    bytes.fromhex("1112182f63636363" + "12151a4263636363" + "181a386363636363" + "2f42636363636363") + bytes((99,)) * 32
)


def _ranges(*bounds: tuple[int, int]) -> bytes:
    return bytes(value for first, last in bounds for value in range(first, last + 1))


_TENS = tuple((high << 4 | 3, high << 4 | 10) for high in range(4, 8))
# T.81 tables K.3 to K.6 as DHT has them: how many codes of each length, then their values
DC_LUMINANCE = bytes.fromhex("00010501010101010100000000000000") + _ranges((0, 11))
DC_CHROMINANCE = bytes.fromhex("00030101010101010101010000000000") + _ranges((0, 11))
AC_LUMINANCE = (
    bytes.fromhex("0002010303020403050504040000017d")
    + bytes.fromhex("01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a")
    + _ranges((0x16, 0x1A), (0x25, 0x2A), (0x34, 0x3A), *_TENS, (0x83, 0x8A))
    + _ranges(*((high << 4 | 2, high << 4 | 10) for high in range(9, 14)), (0xE1, 0xEA), (0xF1, 0xFA))
)
AC_CHROMINANCE = (
    bytes.fromhex("00020102040403040705040400010277")
    + bytes.fromhex(
        "0001020311040521310612415107617113223281081442 91a1b1c109233352f0156272d10a162434e125f1".replace(" ", "")
    )
    + _ranges((0x17, 0x1A), (0x26, 0x2A), (0x35, 0x3A), *_TENS)
    + _ranges(*((high << 4 | 2, high << 4 | 10) for high in range(8, 16)))
)
STANDARD_DC = (DC_LUMINANCE, DC_CHROMINANCE)
STANDARD_AC = (AC_LUMINANCE, AC_CHROMINANCE)


class Component(NamedTuple):
    """A colour of a picture: sampling factors, and numbers of its tables."""

    id: int
    horizontal: int
    vertical: int
    quantization: int
    dc: int = 0
    ac: int = 0


@dataclass(slots=True)
class Headers:
    """What marker segments have said so far. Tables stand under their number, empty until told.

    A quantization table is 64 numbers of one byte or of two, in zig-zag order. A Huffman table is as DHT has it, without its
    first byte. `restart` is MCUs between restart markers, 0 without. `aspect` is the density of JFIF, across and down.
    """

    width: int = 0
    height: int = 0
    components: tuple[Component, ...] = ()
    quantization: list[bytes] = field(default_factory=lambda: [b""] * 4)
    dc: list[bytes] = field(default_factory=lambda: [b""] * 4)
    ac: list[bytes] = field(default_factory=lambda: [b""] * 4)
    restart: int | None = None
    scanned: bool = False
    """Whether a scan header came."""
    aspect: tuple[int, int] = (1, 1)

    def read(self, data: bytes, position: int = 0) -> int:
        """Take marker segments up to the scan header, or to the end; returns where entropy coded data begins.

        Raises InvalidArgument for what is no sequence of segments, or no baseline picture.
        """
        end = len(data)
        while position < end:
            if data[position] != 0xFF:
                raise InvalidArgument("JPEG: no marker where one is due")
            while position < end and data[position] == 0xFF:
                position += 1
            if position >= end:
                break
            kind = data[position]
            position += 1
            if kind == _SOI:
                continue
            if kind == _EOI:
                return position
            if kind == 0 or kind == _TEM or _RST0 <= kind < _SOI or kind in _OTHER_FRAMES:
                raise InvalidArgument("JPEG: not a baseline picture")
            if position + 2 > end:
                raise InvalidArgument("JPEG: segment is cut")
            size = data[position] << 8 | data[position + 1]
            body, position = data[position + 2 : position + size], position + size
            if size < 2 or position > end:
                raise InvalidArgument("JPEG: segment is cut")
            self._segment(kind, body)
            if kind == _SOS:
                return position
        return end

    def _segment(self, kind: int, body: bytes) -> None:
        if kind == _DQT:
            self._tables(body)
        elif kind == _DHT:
            self._huffman(body)
        elif kind in (_SOF0, _SOF1):
            self._frame(body)
        elif kind == _SOS:
            self._scan(body)
        elif kind == _DRI:
            if len(body) != 2:
                raise InvalidArgument("JPEG: bad restart interval")
            self.restart = body[0] << 8 | body[1]
        elif kind == _APP0 and body.startswith(b"JFIF\0") and len(body) >= 12:
            across, down = struct.unpack_from(">HH", body, 8)
            self.aspect = (across, down) if across and down else (1, 1)

    def _tables(self, body: bytes) -> None:
        while body:
            size = 128 if body[0] >> 4 else 64
            if body[0] >> 4 > 1 or body[0] & 0x0F > 3 or len(body) <= size:
                raise InvalidArgument("JPEG: bad quantization table")
            self.quantization[body[0] & 0x0F] = body[1 : 1 + size]
            body = body[1 + size :]

    def _huffman(self, body: bytes) -> None:
        while body:
            size = 16 + sum(body[1:17])
            if body[0] >> 4 > 1 or body[0] & 0x0F > 3 or len(body) <= size or size > 16 + 256:
                raise InvalidArgument("JPEG: bad Huffman table")
            (self.ac if body[0] >> 4 else self.dc)[body[0] & 0x0F] = body[1 : 1 + size]
            body = body[1 + size :]

    def _frame(self, body: bytes) -> None:
        if len(body) < 6 or body[0] != 8 or not 1 <= body[5] <= 4 or len(body) != 6 + 3 * body[5]:
            raise InvalidArgument("JPEG: bad frame header")
        self.height, self.width = struct.unpack_from(">HH", body, 1)
        parts = (body[at : at + 3] for at in range(6, len(body), 3))
        self.components = tuple(Component(p[0], p[1] >> 4, p[1] & 0x0F, p[2]) for p in parts)
        for each in self.components:
            if not (1 <= each.horizontal <= 4 and 1 <= each.vertical <= 4 and each.quantization < 4):
                raise InvalidArgument("JPEG: bad component")

    def _scan(self, body: bytes) -> None:
        if not body or len(body) != 4 + 2 * body[0]:
            raise InvalidArgument("JPEG: bad scan header")
        chosen = {body[at]: body[at + 1] for at in range(1, len(body) - 3, 2)}
        if not self.components:
            # in a header extension the frame header may be derived behind it
            self.components = tuple(Component(number, 0, 0, 0) for number in chosen)
        if len(chosen) != body[0] or set(chosen) != {each.id for each in self.components}:
            raise InvalidArgument("JPEG: the scan has not all components")
        if any(tables >> 4 > 3 or tables & 0x0F > 3 for tables in chosen.values()):
            raise InvalidArgument("JPEG: bad number of a Huffman table")
        self.components = tuple(
            each._replace(dc=chosen[each.id] >> 4, ac=chosen[each.id] & 0x0F) for each in self.components
        )
        self.scanned = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A whole picture. Tables are those that its components use, in the order of `components`; see Headers for their form.

    `scan` is the entropy coded data without EOI.
    """

    width: int
    height: int
    components: tuple[Component, ...]
    quantization: tuple[bytes, ...]
    dc: tuple[bytes, ...]
    ac: tuple[bytes, ...]
    restart: int
    scan: bytes
    aspect: tuple[int, int] = (1, 1)


def picture_of(headers: Headers, scan: bytes) -> Picture:
    """Put together what segments said. Raises InvalidArgument when something is missing."""
    if not (headers.width and headers.height and headers.components and headers.scanned):
        raise InvalidArgument("JPEG: header is missing")
    tables = tuple(headers.quantization[each.quantization] for each in headers.components)
    dc = tuple(headers.dc[each.dc] for each in headers.components)
    ac = tuple(headers.ac[each.ac] for each in headers.components)
    if not all((*tables, *dc, *ac)) or not all(each.horizontal for each in headers.components):
        raise InvalidArgument("JPEG: a table is missing")
    if not scan:
        raise InvalidArgument("JPEG: no picture data")
    return Picture(
        width=headers.width,
        height=headers.height,
        components=headers.components,
        quantization=tables,
        dc=dc,
        ac=ac,
        restart=headers.restart or 0,
        scan=scan,
        aspect=headers.aspect,
    )


def parse(data: bytes) -> Picture:
    """A picture from a file. What follows its end is ignored. Raises InvalidArgument."""
    if len(data) > MAX_PICTURE or data[:2] != b"\xff\xd8":
        raise InvalidArgument("JPEG: not a picture, or one too large")
    headers = Headers()
    begin = headers.read(data)
    return picture_of(headers, scan_of(data, begin))


def scan_of(data: bytes, begin: int = 0) -> bytes:
    """Entropy coded data from an offset on, to their end. Raises InvalidArgument when more than the end of the picture follows."""
    end = _MARKER_IN_SCAN.search(data, begin)
    if end is not None and data[end.end() - 1] != _EOI:
        raise InvalidArgument("JPEG: more than one scan")
    # 0xFF at the end of the data are fill bytes of the marker behind it, or of one that was cut off (T.81 B.1.1.2).
    return data[begin : end.start() if end else len(data)].rstrip(b"\xff")


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of a picture. Raises InvalidArgument."""
    headers = Headers()
    headers.read(data[: 1 << 16] if len(data) > 1 << 16 else data)
    if not (headers.width and headers.height):
        raise InvalidArgument("JPEG: size is missing")
    return headers.width, headers.height


def build(picture: Picture) -> bytes:
    """A file: JFIF, tables, headers, data, EOI."""
    numbered = with_own_numbers(picture)
    return b"".join(
        (
            b"\xff\xd8",
            aspect_segment(picture.aspect),
            quantization_segment(numbered),
            frame_segment(numbered),
            huffman_segment(numbered),
            restart_segment(picture.restart) if picture.restart else b"",
            scan_segment(numbered),
            picture.scan,
            b"\xff\xd9",
        )
    )


def with_own_numbers(picture: Picture) -> Picture:
    """The same picture with its tables numbered from 0 in the order of use."""
    columns = (picture.quantization, picture.dc, picture.ac)
    numbers = zip(*(_numbers(column) for column in columns), strict=True)
    parts = zip(picture.components, numbers, strict=True)
    return replace(
        picture, components=tuple(each._replace(quantization=q, dc=dc, ac=ac) for each, (q, dc, ac) in parts)
    )


def _numbers(column: tuple[bytes, ...]) -> tuple[int, ...]:
    known = list(dict.fromkeys(column))
    return tuple(known.index(each) for each in column)


def segment(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, kind, len(body) + 2) + body


def quantization_segment(picture: Picture) -> bytes:
    """DQT with all tables (T.81 B.2.4.1)."""
    tables = dict(zip((each.quantization for each in picture.components), picture.quantization, strict=True))
    return segment(_DQT, b"".join(bytes(((len(t) > 64) << 4 | n,)) + t for n, t in tables.items()))


def huffman_segment(picture: Picture) -> bytes:
    """DHT with all tables (T.81 B.2.4.2)."""
    dc = dict(zip((each.dc for each in picture.components), picture.dc, strict=True))
    ac = dict(zip((each.ac for each in picture.components), picture.ac, strict=True))
    parts = [bytes((number,)) + table for number, table in dc.items()]
    parts += [bytes((0x10 | number,)) + table for number, table in ac.items()]
    return segment(_DHT, b"".join(parts))


def frame_segment(picture: Picture) -> bytes:
    """SOF0 (T.81 B.2.2)."""
    parts = (bytes((c.id, c.horizontal << 4 | c.vertical, c.quantization)) for c in picture.components)
    head = struct.pack(">BHHB", 8, picture.height, picture.width, len(picture.components))
    return segment(_SOF0, head + b"".join(parts))


def restart_segment(interval: int) -> bytes:
    """DRI (T.81 B.2.4.4)."""
    return segment(_DRI, interval.to_bytes(2, "big"))


def scan_segment(picture: Picture) -> bytes:
    """SOS of the only scan (T.81 B.2.3)."""
    parts = (bytes((each.id, each.dc << 4 | each.ac)) for each in picture.components)
    return segment(_SOS, bytes((len(picture.components),)) + b"".join(parts) + b"\0\x3f\0")


def aspect_segment(aspect: tuple[int, int]) -> bytes:
    """The JFIF marker that tells the shape of a pixel (Streaming 5.1.4.4)."""
    return segment(_APP0, b"JFIF\0" + struct.pack(">HBHHBB", 0x0101, 0, *aspect, 0, 0))


def tables_of_quality(quality: int) -> tuple[bytes, bytes]:
    """Quantization tables of luminance and chrominance for Q from 1 to 99 (RFC 2435 4.2 and appendix A)."""
    factor = min(max(quality, 1), 99)
    scale = 5000 // factor if factor < 50 else 200 - 2 * factor
    return _scaled(_LUMINANCE, scale), _scaled(_CHROMINANCE, scale)


def _scaled(table: bytes, scale: int) -> bytes:
    return bytes(min(max((table[at] * scale + 50) // 100, 1), 255) for at in _ZIGZAG)
