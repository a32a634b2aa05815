"""RTP payloads to access units: the counterpart of `pack`, for whatever a camera sends.

`feed` takes one packet's payload and returns the frames that it completes, mostly none. It never raises, whatever the
bytes. A frame with `damaged` set has no data: it says that at least one access unit is missing at this place, so that what
refers to it cannot be decoded until the next key frame. Payloads must stay unchanged until the frame is returned.
"""

from __future__ import annotations

import re
import struct
import zlib
from functools import lru_cache
from typing import ClassVar

from onvifd.errors import NotSupported
from onvifd.media import h264, h265, video
from onvifd.media.fmtp import is_latm
from onvifd.media.rtp.depack_mpeg4 import Mpeg4Depacketizer
from onvifd.media.rtp.depack_sound import (
    AacDepacketizer,
    LatmDepacketizer,
    OtherAacDepacketizer,
    SampleDepacketizer,
)
from onvifd.media.rtp.frame import MAX_FRAME, NONE, PART, Depacketizer, Frame, Payload, Unfragmented, damaged
from onvifd.media.rtp.jpeg import JpegDepacketizer
from onvifd.media.types import Codec, TrackFormat

__all__ = ["MAX_FRAME", "Depacketizer", "Frame", "depacketizer"]

MAX_DOCUMENT = 1 << 20
"""Bytes of a metadata document, unpacked: a thousand objects with their shapes."""

_MAX_SETS = 16


@lru_cache(1024)
def _cutter(skip: int, size: int, count: int) -> struct.Struct:
    """Takes `size` bytes behind `skip` bytes, `count` times: quicker than slices."""
    return struct.Struct(f"{skip}x{size}s" * count)


def depacketizer(format: TrackFormat) -> Depacketizer:
    """The depacketizer for a format. Raises NotSupported for what is relayed unread."""
    if format.codec is Codec.H264:
        return H264Depacketizer(format)
    if format.codec is Codec.H265:
        return H265Depacketizer(format)
    if format.codec is Codec.MPEG4:
        return Mpeg4Depacketizer(format)
    if format.codec is Codec.AAC:
        if is_latm(format):
            return LatmDepacketizer(format)
        return OtherAacDepacketizer(format) if format.rtpmap else AacDepacketizer(format)
    if format.codec is Codec.JPEG:
        return JpegDepacketizer(format)
    if format.codec is Codec.METADATA:
        return MetadataDepacketizer(format)
    if format.codec in (Codec.PCMU, Codec.PCMA, Codec.G726, Codec.OPUS, Codec.L16):
        return SampleDepacketizer(format)
    raise NotSupported(f"no RTP depacketisation of {format.codec}")


class _VideoDepacketizer:
    """What both video payload formats share: joining, damage, parameter sets.

    `_parts` holds the NAL units of the current frame, each behind its length; `_open` is the place in `_parts` where the
    length of the NAL unit under reassembly goes, or -1. NAL units that precede a picture (parameter sets, SEI) wait for
    its first slice, even behind a marker that a camera puts on them by mistake.
    """

    _header: ClassVar[int]
    """Bytes of a NAL unit header."""
    _sets: ClassVar[range]
    """NAL unit types of parameter sets."""
    _slices: ClassVar[range]
    _keys: ClassVar[range]
    _bare: ClassVar[range]
    """NAL unit types that are a header alone: ends of sequence and stream."""

    def __init__(self, format: TrackFormat) -> None:
        self.format = format
        self.damaged = 0
        self._time: int | None = None
        # joining in the middle of a stream is like a loss
        self._after_loss = True
        self._reset()

    def _reset(self) -> None:
        self._parts: list[Payload] = []
        self._size = 0
        self._open = -1
        self._open_size = 0
        self._open_kind = 0
        self._broken = False
        self._key = False
        self._picture = False
        self._headless = False
        self._found: list[bytes] = []

    def feed(self, payload: Payload, marker: bool, rtp_time: int, contiguous: bool) -> tuple[Frame, ...]:
        """See Depacketizer."""
        frames = NONE
        if not contiguous:
            frames = self._lost(rtp_time)
        if rtp_time != self._time:
            # a camera that sets no marker: the next time stamp ends the frame (RFC 6184 5.1)
            if self._picture or self._broken:
                frames += self._finish()
            self._time = rtp_time
        size = len(payload)
        if size and not self._broken and (self._size + size > MAX_FRAME or not self._take(payload)):
            self._break()
        if marker and (self._picture or self._broken):
            frames += self._finish()
        return frames

    def feed_run(self, run: memoryview, skip: int, stride: int, rtp_time: int) -> bool:
        """See Depacketizer."""
        header = self._header + 1  # payload header and FU header, RFC 6184 5.8 and RFC 7798 4.4.3
        count = len(run) // stride
        body = stride - skip - header
        if self._open < 0 or rtp_time != self._time or body <= 0 or self._size + count * (body + PART) > MAX_FRAME:
            return False
        if not self._continues(run[skip], run[skip + header - 1]):
            return False
        for at in range(skip, skip + header):
            column = run[at::stride].tobytes()
            if column.count(column[0]) != count:
                return False
        self._parts.extend(_cutter(skip + header, body, count).unpack(run))
        self._open_size += count * body
        self._size += count * (body + PART)
        return True

    def _continues(self, first: int, flags: int) -> bool:
        """Whether a payload with this first byte and FU header is the middle of a fragmented NAL unit."""
        raise NotImplementedError

    def _kind(self, first: int) -> int:
        """NAL unit type from the first byte of a header."""
        raise NotImplementedError

    def _take(self, payload: Payload) -> bool:
        """Take the payload of one packet; false if it cannot be used."""
        raise NotImplementedError

    def _lost(self, rtp_time: int) -> tuple[Frame, ...]:
        """Packets are missing in front of this one."""
        frames = NONE
        if self._parts or self._broken:
            self._break()
            if rtp_time != self._time:
                frames = self._finish()
        else:
            self.damaged += 1
            frames = (damaged(rtp_time),)
        self._after_loss = True
        return frames

    def _nal(self, nal: Payload) -> bool:
        """A whole NAL unit."""
        size = len(nal)
        if size <= self._header:
            return size == self._header and self._kind(nal[0]) in self._bare
        if self._open >= 0:
            self._close()
        kind = self._kind(nal[0])
        self._parts += (size.to_bytes(4, "big"), nal)
        self._size += size + PART
        if kind in self._sets:
            self._found.append(bytes(nal))
        elif kind in self._slices:
            self._slice(kind, nal[self._header])
        return True

    def _aggregate(self, payload: Payload, position: int) -> bool:
        """NAL units behind 16-bit lengths: STAP-A (RFC 6184 5.7.1) or AP (RFC 7798 4.4.2)."""
        first, end = position, len(payload)
        while position + 2 <= end:
            begin = position + 2
            position = begin + (payload[position] << 8 | payload[position + 1])
            # Units of no size are what some fill up with.
            if position > end or (position > begin and not self._nal(payload[begin:position])):
                return False
        return position == end or (position > first and payload[position] == 0)

    def _fragment(self, header: bytes, fragment: Payload, flags: int) -> bool:
        """A part of a NAL unit; `header` is its header before it was cut, `flags` the FU header with start and end bit."""
        if flags & 0x80:
            if not len(fragment):
                return False
            if self._open >= 0:
                self._close()
            self._open = len(self._parts)
            self._open_size = len(header)
            self._open_kind = kind = self._kind(header[0])
            self._parts += (b"", header)
            if kind in self._slices:
                self._slice(kind, fragment[0])
        elif self._open < 0:
            return False
        size = len(fragment)
        self._parts.append(fragment)
        self._open_size += size
        self._size += size + PART
        if flags & 0x40:
            self._close()
        return True

    def _close(self) -> None:
        """The fragmented NAL unit is whole: by its end bit, or, as no packet is missing, by what follows it. Some cameras never
        set that bit."""
        self._parts[self._open] = self._open_size.to_bytes(4, "big")
        if self._open_kind in self._sets:
            self._found.append(b"".join(self._parts[self._open + 1 :]))
        self._open = -1

    def _slice(self, kind: int, flags: int) -> None:
        if not self._picture:
            self._picture = True
            # H.264 7.3.3 and H.265 7.3.6.1: the top bit says first macroblock or first slice of the picture
            self._headless = flags < 0x80
        if kind in self._keys:
            self._key = True

    def _break(self) -> None:
        """Give up the current frame but stay in it up to its end."""
        self._reset()
        self._broken = True

    def _finish(self) -> tuple[Frame, ...]:
        rtp_time = self._time or 0
        # a slice lost at the head of a picture can be told only after a loss: some encoders reorder slices
        if self._broken or (self._after_loss and self._headless):
            self.damaged += 1
            frame = damaged(rtp_time)
        else:
            if self._open >= 0:
                self._close()
            if self._found:
                self._update_sets()
            frame = Frame(rtp_time, b"".join(self._parts), self._key)
        self._after_loss = False
        self._reset()
        return (frame,)

    def _update_sets(self) -> None:
        """New parameter sets take the place of all old ones of their type."""
        kinds = {self._kind(nal[0]) for nal in self._found}
        kept = [nal for nal in self.format.parameter_sets if self._kind(nal[0]) not in kinds]
        # bounded: a picture that repeats sets with ever new content does not make the format grow
        sets = (*kept, *dict.fromkeys(self._found[:_MAX_SETS]))
        if set(sets) != set(self.format.parameter_sets):
            self.format = video.with_parameter_sets(self.format, sets)


class H264Depacketizer(_VideoDepacketizer):
    """RFC 6184, packetization modes 0 and 1."""

    _header = 1
    _sets = range(h264.NAL_SPS, h264.NAL_PPS + 1)
    _slices = range(h264.NAL_SLICE, h264.NAL_IDR + 1)
    _keys = range(h264.NAL_IDR, h264.NAL_IDR + 1)
    _bare = range(10, 12)

    def feed(self, payload: Payload, marker: bool, rtp_time: int, contiguous: bool) -> tuple[Frame, ...]:
        """See Depacketizer. Nine packets of ten are the middle of a fragmented slice: they are only kept."""
        if self._open >= 0 and contiguous and not marker and rtp_time == self._time:
            size = len(payload)
            if size > 2 and payload[0] & 0x1F == h264.NAL_FU_A and payload[1] < 0x40 and self._size + size <= MAX_FRAME:
                self._parts.append(payload[2:])
                self._open_size += size - 2
                self._size += size + PART
                return NONE
        return super().feed(payload, marker, rtp_time, contiguous)

    def _continues(self, first: int, flags: int) -> bool:
        return first & 0x1F == h264.NAL_FU_A and flags < 0x40

    def _kind(self, first: int) -> int:
        return first & 0x1F

    def _take(self, payload: Payload) -> bool:
        first = payload[0]
        kind = first & 0x1F
        if kind == h264.NAL_FU_A:
            if len(payload) < 2:
                return False
            flags = payload[1]
            return self._fragment(bytes((first & 0xE0 | flags & 0x1F,)), payload[2:], flags)
        if kind == h264.NAL_STAP_A:
            return self._aggregate(payload, 1)
        if kind in _H264_OWN:
            return payload[:2] != b"\0\0"
        return kind < h264.NAL_STAP_A and self._nal(payload)


_H264_OWN = (0, 30, 31)
"""NAL unit types that mean nothing in RTP (RFC 6184 5.2): cameras put units of their own in front of pictures. Those that begin as
a start code does hold the pictures themselves, in a way that cannot be read."""

_FU_HEADER = h265.NAL_FU << 1
"""First byte of an FU's payload header, without the forbidden bit and the top bit of the layer id."""


class H265Depacketizer(_VideoDepacketizer):
    """RFC 7798 without decoding order numbers (sprop-max-don-diff = 0)."""

    _header = 2
    _sets = range(h265.NAL_VPS, h265.NAL_PPS + 1)
    _slices = range(h265.NAL_VPS)
    _keys = range(h265.NAL_BLA_W_LP, h265.NAL_CRA + 1)
    _bare = range(36, 38)

    def feed(self, payload: Payload, marker: bool, rtp_time: int, contiguous: bool) -> tuple[Frame, ...]:
        """See Depacketizer. Nine packets of ten are the middle of a fragmented slice: they are only kept."""
        if self._open >= 0 and contiguous and not marker and rtp_time == self._time:
            size = len(payload)
            if size > 3 and payload[0] & 0x7E == _FU_HEADER and payload[2] < 0x40 and self._size + size <= MAX_FRAME:
                self._parts.append(payload[3:])
                self._open_size += size - 3
                self._size += size + PART
                return NONE
        return super().feed(payload, marker, rtp_time, contiguous)

    def _continues(self, first: int, flags: int) -> bool:
        return first & 0x7E == _FU_HEADER and flags < 0x40

    def _kind(self, first: int) -> int:
        return (first >> 1) & 0x3F

    def _take(self, payload: Payload) -> bool:
        if len(payload) < 2:
            return False
        first = payload[0]
        kind = (first >> 1) & 0x3F
        if kind == h265.NAL_FU:
            if len(payload) < 3:
                return False
            flags = payload[2]
            return self._fragment(bytes((first & 0x81 | (flags & 0x3F) << 1, payload[1])), payload[3:], flags)
        if kind == h265.NAL_AP:
            return self._aggregate(payload, 2)
        # 50 is PACI, which holds pictures (RFC 7798 4.4.4); beyond are units of the camera's own.
        return kind > 50 or (kind < h265.NAL_AP and self._nal(payload))


_GZIP = b"\x1f\x8b"
_ROOT = re.compile(rb"<([\w.-]+:)?MetadataStream[\s/>]", re.IGNORECASE)
_END = re.compile(rb"(</([\w.-]+:)?MetadataStream\s*|<([\w.-]+:)?MetadataStream[^<>]*/)>\s*\Z", re.IGNORECASE)
_WITHIN = 4096
"""Bytes of a document's begin and end that are looked at."""


def metadata_document(data: bytes) -> bytes | None:
    """A whole document as XML, unpacked if it is compressed (Streaming 5.1.2.1.1, 5.2.2.4); None if it is none."""
    if data[:2] == _GZIP:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            data = unpacker.decompress(data, MAX_DOCUMENT)
        except zlib.error:
            return None
        if not unpacker.eof:
            return None
    if _ROOT.search(data, 0, _WITHIN) is None or _END.search(data, max(0, len(data) - _WITHIN)) is None:
        return None
    return data


class MetadataDepacketizer(Unfragmented):
    """XML documents cut into packets; the marker ends a document (Streaming 5.1.2.1.1), whatever the time stamps say.

    What does not begin and end as a tt:MetadataStream does is damaged.
    """

    def __init__(self, format: TrackFormat) -> None:
        self.format = format
        self.damaged = 0
        self._parts: list[Payload] = []
        self._size = 0
        self._broken = False

    def feed(self, payload: Payload, marker: bool, rtp_time: int, contiguous: bool) -> tuple[Frame, ...]:
        """See Depacketizer."""
        if not contiguous or self._size + len(payload) > MAX_DOCUMENT:
            self._parts, self._size, self._broken = [], 0, True
        if not self._broken and len(payload):
            self._parts.append(payload)
            self._size += len(payload) + PART
        if not marker or not (self._parts or self._broken):
            return NONE
        document = None if self._broken else metadata_document(b"".join(self._parts))
        self._parts, self._size, self._broken = [], 0, False
        if document is None:
            self.damaged += 1
            return (damaged(rtp_time),)
        return (Frame(rtp_time, document, True),)
