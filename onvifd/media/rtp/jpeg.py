"""JPEG over RTP (RFC 2435) with the header extension of ONVIF (Streaming 5.1.4).

RFC 2435 carries pictures up to 2040 pixels each way, in sizes of whole blocks, with two samplings and the standard Huffman tables.
What does not fit there travels as marker segments in a header extension: 0xFFD8 in the first packet of a picture, 0xFFFF in others.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from onvifd.errors import InvalidArgument
from onvifd.media import jpeg
from onvifd.media.jpeg import Component, Headers, Picture
from onvifd.media.rtp.frame import NONE, PART, Depacketizer, Frame, Payload, Unfragmented, damaged
from onvifd.media.rtp.packet import REPLAY_EXTENSION, RtpPacket, parse_rtp
from onvifd.media.types import TrackFormat

FIRST, FURTHER = 0xFFD8, 0xFFFF
"""Words that begin the header extension (Streaming 5.1.4.1)."""

MAX_SIDE = 2040
"""Pixels that RFC 2435 3.1.5 has room for."""

MAX_EXTENSION = 64 << 10
"""Bytes of marker segments of one picture: many times all tables that there can be."""

_HEADER = struct.Struct(">BBHBBBB")
_WITH_RESTART = 64
_DYNAMIC = 255
"""Q of tables that may change with every picture, so that all bring them (RFC 2435 4.2)."""
_SMALLEST_CHUNK = 64
_REPLAY_WORDS = 3

# RFC 2435 4.1: sampling of types 0 (4:2:2) and 1 (4:2:0); the numbers of components are those of JFIF
_SAMPLINGS = (((2, 1), (1, 1), (1, 1)), ((2, 2), (1, 1), (1, 1)))


def _components(kind: int) -> tuple[Component, ...]:
    return tuple(
        Component(index + 1, across, down, min(index, 1), min(index, 1), min(index, 1))
        for index, (across, down) in enumerate(_SAMPLINGS[kind])
    )


@lru_cache(1)
def _qualities() -> dict[tuple[bytes, bytes], int]:
    return {jpeg.tables_of_quality(quality): quality for quality in range(1, 100)}


# ---- sending -----------------------------------------------------------------------------------


class RtpPart(NamedTuple):
    """What one packet has behind its RTP header: a whole header extension or none, RTP/JPEG headers, and data."""

    extension: bytes
    head: bytes
    data: Payload


class _Plan(NamedTuple):
    kind: int
    quality: int
    width: int
    height: int
    restart: bytes
    tables: bytes
    segments: bytes

    def head(self, offset: int) -> bytes:
        """RTP/JPEG header, restart header, and with the begin of the data the quantization tables (RFC 2435 3.1)."""
        main = _HEADER.pack(0, offset >> 16, offset & 0xFFFF, self.kind, self.quality, self.width, self.height)
        return main + self.restart + (b"" if offset else self.tables)


def _plan(picture: Picture) -> _Plan:
    sampling = tuple((each.horizontal, each.vertical) for each in picture.components)
    standard = (
        sampling in _SAMPLINGS
        and picture.quantization[1] == picture.quantization[2]
        and picture.dc == (jpeg.DC_LUMINANCE, jpeg.DC_CHROMINANCE, jpeg.DC_CHROMINANCE)
        and picture.ac == (jpeg.AC_LUMINANCE, jpeg.AC_CHROMINANCE, jpeg.AC_CHROMINANCE)
    )
    kind = _SAMPLINGS.index(sampling) if sampling in _SAMPLINGS else 1
    luminance, chrominance = picture.quantization[0], picture.quantization[min(1, len(picture.quantization) - 1)]
    quality = _qualities().get((luminance, chrominance), _DYNAMIC)
    tables = b""
    if quality == _DYNAMIC:
        precision = (len(luminance) > 64) | (len(chrominance) > 64) << 1
        tables = struct.pack(">BBH", 0, precision, len(luminance) + len(chrominance)) + luminance + chrominance
    restart = b""
    if picture.restart:
        # RFC 2435 3.1.7: first, last and count all ones: only whole pictures can be decoded
        restart, kind = struct.pack(">HH", picture.restart, 0xFFFF), kind | _WITH_RESTART
    fits = max(picture.width, picture.height) <= MAX_SIDE
    whole = not (picture.width % 8 or picture.height % 8)
    plain = standard and fits and whole and picture.aspect[0] == picture.aspect[1]
    width, height = ((side + 7) // 8 if fits else 0 for side in (picture.width, picture.height))
    return _Plan(kind, quality, width, height, restart, tables, b"" if plain else _segments(picture))


def _segments(picture: Picture) -> bytes:
    """All headers, for Streaming 5.1.4.2 advises to repeat them with every picture. Whole words: filled up before SOS."""
    numbered = jpeg.with_own_numbers(picture)
    front = b"".join(
        (
            jpeg.aspect_segment(picture.aspect) if picture.aspect[0] != picture.aspect[1] else b"",
            jpeg.quantization_segment(numbered),
            jpeg.frame_segment(numbered),
            jpeg.huffman_segment(numbered),
            jpeg.restart_segment(picture.restart) if picture.restart else b"",
        )
    )
    scan = jpeg.scan_segment(numbered)
    return front + b"\xff" * (-(len(front) + len(scan)) % 4) + scan


def split(data: bytes, room: int, extension: bytes = b"") -> Iterator[RtpPart]:
    """The packets of a picture; the last one has the marker. `room` is bytes behind the RTP header.

    `extension` is a whole header extension for the first packet, that of replay: the one of JPEG goes behind it (Streaming
    6.3.2). Raises InvalidArgument for what is no baseline JPEG, or when the headers do not fit.
    """
    picture = jpeg.parse(data)
    plan = _plan(picture)
    if len(plan.head(0)) + len(extension) + _SMALLEST_CHUNK > room:
        raise InvalidArgument("JPEG headers do not fit into a packet")
    view = memoryview(picture.scan)
    segments, first = plan.segments, extension
    if segments:
        free = room - len(plan.head(0)) - len(extension) - 4
        if len(segments) + _SMALLEST_CHUNK <= free:
            first, segments = _extended(extension, FIRST, segments), b""
        else:
            begin = free & ~3
            yield RtpPart(_extended(extension, FIRST, segments[:begin]), plan.head(0), b"")
            first, segments = b"", segments[begin:]
    while segments:
        # No scan data, so no RTP/JPEG header either (5.1.4.1).
        size = room - 4 & ~3
        yield RtpPart(_extended(b"", FURTHER, segments[:size]), b"", b"")
        segments = segments[size:]
    position = 0
    while position < len(view):
        head = plan.head(position)
        stop = position + room - len(head) - len(first)
        yield RtpPart(first, head, view[position:stop])
        first, position = b"", stop


def _extended(before: bytes, word: int, segments: bytes) -> bytes:
    """A header extension of JPEG, behind another one if there is one."""
    own = struct.pack(">HH", word, len(segments) // 4) + segments
    if not before:
        return own
    return before[:2] + ((len(before) + len(own)) // 4 - 1).to_bytes(2, "big") + before[4:] + own


# ---- receiving ---------------------------------------------------------------------------------


def extension_of(profile: int, body: bytes) -> tuple[int, bytes] | None:
    """Word and content of the JPEG extension in the header extension of a packet, also behind that of replay."""
    if profile in (FIRST, FURTHER):
        return profile, body
    rest = body[4 * _REPLAY_WORDS :]
    if profile == REPLAY_EXTENSION and len(rest) >= 4:
        word, count = struct.unpack_from(">HH", rest)
        if word in (FIRST, FURTHER):
            return word, rest[4 : 4 + 4 * count]
    return None


def tell_extension(joiner: Depacketizer | None, packet: RtpPacket) -> None:
    """Give a packet's header extension to the depacketizer that takes its payload next, if that reads such."""
    if packet.extension is not None and isinstance(joiner, JpegDepacketizer):
        joiner.extend(*packet.extension)


def read_extension(joiner: Depacketizer | None, packet: memoryview) -> None:
    """The same for a packet that was not parsed."""
    if isinstance(joiner, JpegDepacketizer):
        with contextlib.suppress(InvalidArgument):
            tell_extension(joiner, parse_rtp(packet))


class JpegDepacketizer(Unfragmented):
    """Joins pictures; each is a clean point. `extend` brings the header extension of the packet that `feed` takes next.

    A frame's data is a whole JPEG file. Damaged is a picture of which a packet is missing, or whose headers make none.
    """

    def __init__(self, format: TrackFormat) -> None:
        self.format = format
        self.damaged = 0
        self._time: int | None = None
        self._open = False
        self._before = Headers()
        """Of the last picture: what the next one does not tell goes on (Streaming 5.1.4.2)."""
        self._tables: dict[int, tuple[bytes, ...]] = {}
        """By Q from 128 to 254: sent once, then only meant (RFC 2435 3.1.8)."""
        self._next: tuple[int, bytes] | None = None
        self._reset()

    def _reset(self) -> None:
        self._parts: list[Payload] = []
        self._size = 0
        self._extended = False
        self._front = bytearray()
        self._main: tuple[int, int, int, int] | None = None
        """Type, Q, width and height of the picture's first RTP/JPEG header."""
        self._restart = 0
        self._given: tuple[bytes, ...] | None = None
        self._broken = False

    def extend(self, profile: int, body: bytes) -> None:
        """The header extension of the packet to come: profile word and content."""
        self._next = extension_of(profile, body)

    def feed(self, payload: Payload, marker: bool, rtp_time: int, contiguous: bool) -> tuple[Frame, ...]:
        """See Depacketizer."""
        extension, self._next = self._next, None
        frames = NONE
        if not contiguous:
            if self._open:
                self._broken = True
            else:
                self.damaged += 1
                frames = (damaged(rtp_time),)
        if self._open and rtp_time != self._time:
            # the marker was lost, or the camera sets none
            frames += self._finish()
        begins = not self._open
        self._open, self._time = True, rtp_time
        if not self._broken and not self._take(payload, extension, begins):
            self._give_up()
        return (*frames, *self._finish()) if marker else frames

    def _give_up(self) -> None:
        self._reset()
        self._broken = True

    def _take(self, payload: Payload, extension: tuple[int, bytes] | None, begins: bool) -> bool:
        if extension is not None:
            self._extended |= begins and extension[0] == FIRST
            if self._extended and not self._parts:
                self._front += extension[1]
            else:
                # 5.1.4.2: what is not in front of the scan data is a part of them
                self._parts.append(extension[1])
                self._size += len(extension[1]) + PART
            if self._size > jpeg.MAX_PICTURE or len(self._front) > MAX_EXTENSION:
                return False
        if not len(payload):
            return not begins
        position = self._heads(payload, begins)
        if position < 0 or self._size + len(payload) > jpeg.MAX_PICTURE:
            return False
        if position < len(payload):
            self._parts.append(payload[position:])
            self._size += len(payload) - position + PART
        return True

    def _heads(self, payload: Payload, begins: bool) -> int:
        """Read the headers of a packet; returns where its data begin, -1 if they are wrong."""
        if len(payload) < 8:
            return -1
        _, high, low, kind, quality, width, height = _HEADER.unpack_from(payload)
        offset, position = high << 16 | low, 8
        if begins:
            if offset and not self._extended:
                return -1  # the begin is missing
            self._main = (kind, quality, width, height)
        elif self._main is None or (kind, quality) != self._main[:2]:
            return -1
        if _WITH_RESTART <= kind < 2 * _WITH_RESTART:
            if len(payload) < position + 4:
                return -1
            self._restart = payload[position] << 8 | payload[position + 1]
            position += 4
        if quality >= 128 and not offset:
            return self._quantization(payload, position, quality)
        return position

    def _quantization(self, payload: Payload, position: int, quality: int) -> int:
        """The quantization table header (RFC 2435 3.1.8)."""
        if len(payload) < position + 4:
            return -1
        precision = payload[position + 1]
        size = payload[position + 2] << 8 | payload[position + 3]
        position += 4
        end = position + size
        if end > len(payload) or size > 4 * 128:
            return -1
        found: list[bytes] = []
        while position < end:
            width = 128 if precision >> len(found) & 1 else 64
            found.append(bytes(payload[position : position + width]))
            position += width
        if position != end:
            return -1
        if found:
            self._given = tuple(found)
            if quality != _DYNAMIC:
                self._tables[quality] = self._given
        elif quality != _DYNAMIC:
            self._given = self._tables.get(quality, self._given)
        return end

    def _finish(self) -> tuple[Frame, ...]:
        rtp_time = self._time or 0
        data = b""
        if not self._broken and self._main is not None:
            try:
                data = self._picture(*self._main)
            except InvalidArgument:
                data = b""
        self._open = False
        self._reset()
        if not data:
            self.damaged += 1
            return (damaged(rtp_time),)
        return (Frame(rtp_time, data, True),)

    def _picture(self, kind: int, quality: int, width: int, height: int) -> bytes:
        """The file. Raises InvalidArgument when the headers do not make one."""
        headers, before = Headers(), self._before
        derived = kind & ~_WITH_RESTART
        headers.dc[:2], headers.ac[:2] = jpeg.STANDARD_DC, jpeg.STANDARD_AC
        if self._extended:
            headers.dc = [new or old for new, old in zip(before.dc, headers.dc, strict=True)]
            headers.ac = [new or old for new, old in zip(before.ac, headers.ac, strict=True)]
        headers.quantization = self._pre_initialized(quality)
        data = bytes(self._front)
        position = headers.read(data)
        if not headers.width:
            self._derive_frame(headers, derived, 8 * width, 8 * height)
        if not headers.scanned:
            self._derive_scan(headers)
        if headers.restart is None:
            headers.restart = self._restart
        scan = data[position:] + b"".join(self._parts)
        picture = jpeg.picture_of(headers, jpeg.scan_of(scan))
        if (picture.width, picture.height) != (self.format.width, self.format.height):
            self.format = replace(self.format, width=picture.width, height=picture.height)
        headers.restart = None  # 5.1.4.2: never derived from previous frames
        self._before = headers
        return jpeg.build(picture)

    def _pre_initialized(self, quality: int) -> list[bytes]:
        if self._given is not None:
            given = (*self._given, *self._given[-1:])[: max(2, len(self._given))]
        elif 1 <= quality < 128:
            given = jpeg.tables_of_quality(quality)
        else:
            return list(self._before.quantization)
        return [*given, *self._before.quantization][:4]

    def _derive_frame(self, headers: Headers, kind: int, width: int, height: int) -> None:
        """A frame header that nobody sent: of the last picture, or after RFC 2435."""
        chosen = headers.components
        if not (width and height):
            headers.width, headers.height = self._before.width, self._before.height
            headers.components = self._before.components
        elif kind < len(_SAMPLINGS):
            headers.width, headers.height, headers.components = width, height, _components(kind)
        else:
            raise InvalidArgument("JPEG: unknown type of picture")
        if headers.scanned:
            if len(chosen) != len(headers.components):
                raise InvalidArgument("JPEG: the scan has not all components")
            pairs = zip(headers.components, chosen, strict=True)
            headers.components = tuple(frame._replace(dc=scan.dc, ac=scan.ac) for frame, scan in pairs)

    @staticmethod
    def _derive_scan(headers: Headers) -> None:
        """RFC 2435 appendix B: tables 0 for the first component, 1 for the others."""
        headers.components = tuple(
            each._replace(dc=min(index, 1), ac=min(index, 1)) for index, each in enumerate(headers.components)
        )
        headers.scanned = True
