"""Access units to RTP packets, whole flush units at a time.

H.264 RFC 6184 (single NAL unit and FU-A), H.265 RFC 7798 (single NAL unit and FU), MPEG-4 RFC 6416, JPEG RFC 2435, G.711,
G.726 and L16 RFC 3551, AAC-hbr RFC 3640, AAC as LATM RFC 6416, Opus RFC 7587, ONVIF metadata (Streaming, metadata
chapter). All packets of a unit stand behind each other with interleaved framing (RFC 2326 10.12): one header is packed per packet and everything is joined once, so each payload byte is copied once.
"""

from __future__ import annotations

import struct
from itertools import accumulate

from msgspec import structs

from onvifd.clock import utc_to_ntp
from onvifd.errors import InvalidArgument, NotSupported
from onvifd.media import h264, h265, latm, mpeg4
from onvifd.media.fmtp import is_latm
from onvifd.media.rtp import jpeg
from onvifd.media.rtp.packet import RTP_HEADER, SenderReport, build_sender_report
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat

DEFAULT_MTU = 1400
"""Bytes of an RTP packet with its header. With UDP and IPv6 headers it stays below every common path MTU."""

MIN_MTU = 128

_FRAMING = 4
_DOLLAR = 0x24
_PLAIN, _EXTENDED = 0x80, 0x90
_MARKER = 0x80
# '$', channel, length, then the RTP header (RFC 3550 5.1), then what the payload format puts in front
_HEAD = struct.Struct(">BBHBBHII").pack
# the same in two parts, for packets of which nothing but the sequence number between them differs
_BEFORE = struct.Struct(">BBHBB").pack
_AFTER = struct.Struct(">II").pack
_SEQUENCE = tuple(number.to_bytes(2, "big") for number in range(1 << 16))

_SUPPORTED = frozenset(Codec) - {Codec.OTHER_VIDEO, Codec.OTHER_AUDIO}
_Parts = list[bytes | memoryview]


class Packer:
    """Makes the packets of one track with growing sequence numbers.

    `ticks_offset` is added to the ticks of each unit to give its RTP time. `mtu` bounds an RTP packet in bytes, header and
    extension included. Parameter sets of `format` are put before a key unit that brings none. `seq` is the sequence
    number of the next packet. Raises NotSupported for encodings that it does not know.
    """

    def __init__(
        self,
        format: TrackFormat,
        *,
        track: int,
        payload_type: int,
        ssrc: int,
        seq: int = 0,
        mtu: int = DEFAULT_MTU,
        ticks_offset: int = 0,
    ) -> None:
        if format.codec not in _SUPPORTED:
            raise NotSupported(f"no RTP packetisation of {format.codec}")
        if not MIN_MTU <= mtu <= 65535:
            raise InvalidArgument("MTU of RTP packets is out of range")
        self.format = format
        self.track = track
        self.payload_type = payload_type
        self.ssrc = ssrc
        self.seq = seq & 0xFFFF
        self.ticks_offset = ticks_offset
        self.packets = 0
        self.octets = 0
        self._room = mtu - RTP_HEADER
        self._channel = 2 * track
        self._extension = b""
        self._latm = is_latm(format)
        self._unit = _sample_unit(format)

    def rtp_time(self, ticks: int) -> int:
        """RTP time stamp of a unit with `ticks`."""
        return (ticks + self.ticks_offset) & 0xFFFFFFFF

    def pack(self, unit: AccessUnit, extension: bytes = b"", last: bytes = b"") -> FlushUnit:
        """The packets of `unit`; the last has the marker (G.711: none has, RFC 3551 4.1, for it is no talk spurt).

        `extension` is a whole RTP header extension (a multiple of 4 bytes) for the first packet, `last` one as long for the
        last packet, also where that is the first. Raises InvalidArgument for lengths that do not fit and for a unit without
        data.
        """
        if len(extension) & 3 or len(extension) > 64 or (last and len(last) != len(extension)):
            raise InvalidArgument("RTP header extension has a bad length")
        if last:
            return self._pack_with_last(unit, extension, last)
        self._extension = extension
        rtp_time = (unit.ticks + self.ticks_offset) & 0xFFFFFFFF
        parts: _Parts = []
        sizes: list[int] = []
        codec = self.format.codec
        if codec is Codec.H264 or codec is Codec.H265:
            self._nals(unit, rtp_time, parts, sizes)
        elif codec is Codec.AAC and self._latm:
            self._chunks(latm.build_element(unit.data), rtp_time, parts, sizes)
        elif codec is Codec.AAC:
            self._aac(unit.data, rtp_time, parts, sizes)
        elif codec is Codec.JPEG:
            self._jpeg(unit.data, rtp_time, parts, sizes)
        elif codec is Codec.METADATA:
            self._chunks(unit.data, rtp_time, parts, sizes)
        elif codec is Codec.MPEG4:
            self._chunks(self._with_config(unit), rtp_time, parts, sizes)
        elif codec is Codec.OPUS:
            # RFC 7587 4.2: never more or less than one packet, whatever its size
            self._packet(unit.data, self.payload_type, rtp_time, parts, sizes)
        else:
            self._samples(unit.data, rtp_time, parts, sizes)
        if not sizes:
            raise InvalidArgument("access unit is empty")
        data = b"".join(parts)
        self.packets += len(sizes)
        self.octets += len(data) - (_FRAMING + RTP_HEADER) * len(sizes)
        sizes.pop()
        return FlushUnit(
            track=self.track,
            data=data,
            starts=tuple(accumulate(sizes, initial=0)),
            key=unit.key,
            rtp_time=rtp_time,
            utc=unit.utc,
        )

    def _pack_with_last(self, unit: AccessUnit, extension: bytes, last: bytes) -> FlushUnit:
        self._room -= len(last)
        try:
            packed = self.pack(unit, extension)
        finally:
            self._room += len(last)
        data, begin = bytearray(packed.data), packed.starts[-1]
        payload = begin + _FRAMING + RTP_HEADER
        if begin:
            data[begin + _FRAMING] |= _EXTENDED
            size = len(data) - begin - _FRAMING + len(last)
            data[begin + 2 : begin + _FRAMING] = size.to_bytes(2, "big")
            data[payload:payload] = last
            self.octets += len(last)
        else:
            # its length stays: words of the payload format may stand behind it (Streaming 6.3.2)
            data[payload : payload + 2], data[payload + 4 : payload + len(last)] = last[:2], last[4:]
        return structs.replace(packed, data=bytes(data))

    def sender_report(self, utc: int, ticks: int) -> FlushUnit:
        """An RTCP sender report that ties `utc` to `ticks` exactly (RFC 3550 6.4.1)."""
        report = SenderReport(
            ssrc=self.ssrc,
            ntp=utc_to_ntp(utc),
            rtp_time=self.rtp_time(ticks),
            packets=self.packets,
            octets=self.octets,
        )
        return frame_rtcp(self.track, build_sender_report(report), rtp_time=report.rtp_time, utc=utc)

    def _nals(self, unit: AccessUnit, rtp_time: int, parts: _Parts, sizes: list[int]) -> None:
        nals = _split(unit.data)
        if unit.key:
            nals = self._with_parameter_sets(nals)
        mark = self.payload_type
        final = len(nals) - 1
        for index, nal in enumerate(nals):
            if index == final:
                mark |= _MARKER
            if len(nal) <= self._room - len(self._extension):
                self._packet(nal, mark, rtp_time, parts, sizes)
            else:
                self._fragment(nal, mark, rtp_time, parts, sizes)

    def _with_parameter_sets(self, nals: list[memoryview]) -> list[memoryview]:
        if self.format.codec is Codec.H264:
            present = any(nal[0] & 0x1F == h264.NAL_SPS for nal in nals)
        else:
            present = any(nal[0] >> 1 == h265.NAL_SPS for nal in nals)
        return nals if present else [*(memoryview(nal) for nal in self.format.parameter_sets), *nals]

    def _packet(
        self,
        payload: bytes | memoryview,
        mark: int,
        rtp_time: int,
        parts: _Parts,
        sizes: list[int],
        prefix: bytes = b"",
    ) -> None:
        """One packet, with the header extension if it is still due."""
        extension = self._extension
        self._extension = b""
        size = RTP_HEADER + len(extension) + len(prefix) + len(payload)
        flags = _EXTENDED if extension else _PLAIN
        parts += (
            _HEAD(_DOLLAR, self._channel, size, flags, mark, self.seq, rtp_time, self.ssrc),
            extension + prefix,
            payload,
        )
        sizes.append(size + _FRAMING)
        self.seq = (self.seq + 1) & 0xFFFF

    def _fragment(self, nal: memoryview, mark: int, rtp_time: int, parts: _Parts, sizes: list[int]) -> None:
        """A NAL unit over several packets: FU-A (RFC 6184 5.8) or FU (RFC 7798 4.4.3)."""
        if self.format.codec is Codec.H264:
            skip = 1
            front, kind = bytes((nal[0] & 0xE0 | h264.NAL_FU_A,)), nal[0] & 0x1F
        else:
            skip = 2
            front, kind = bytes((nal[0] & 0x81 | h265.NAL_FU << 1, nal[1])), (nal[0] >> 1) & 0x3F
        prefix, middle = front + bytes((0x80 | kind,)), front + bytes((kind,))
        chunk = self._room - len(prefix)
        begin, end = skip, len(nal)
        if self._extension:
            stop = begin + chunk - len(self._extension)
            self._packet(nal[begin:stop], self.payload_type, rtp_time, parts, sizes, prefix)
            begin, prefix = stop, middle
        length = self._room + RTP_HEADER
        offsets = range(begin, end - chunk, chunk)
        count = len(offsets)
        if count:
            # Whole columns at once: a loop over the packets would cost more than copying their bytes.
            seq, after = self.seq, _AFTER(rtp_time, self.ssrc)
            stop = seq + count
            column = _SEQUENCE[seq:stop] if stop <= 1 << 16 else _SEQUENCE[seq:] + _SEQUENCE[: stop - (1 << 16)]
            rows: _Parts = [_BEFORE(_DOLLAR, self._channel, length, _PLAIN, self.payload_type)] * (4 * count)
            rows[1::4] = column
            rows[2::4] = [after + middle] * count
            rows[2] = after + prefix
            rows[3::4] = [nal[offset : offset + chunk] for offset in offsets]
            parts += rows
            sizes += [length + _FRAMING] * count
            self.seq = stop & 0xFFFF
            prefix = middle
            begin += chunk * count
        self._packet(nal[begin:end], mark, rtp_time, parts, sizes, front + bytes((0x40 | kind,)))

    def _aac(self, data: bytes, rtp_time: int, parts: _Parts, sizes: list[int]) -> None:
        """One AAC frame (RFC 3640 3.3.6). A frame that does not fit repeats its AU header in every packet (3.2.3)."""
        if len(data) > 0x1FFF:
            raise InvalidArgument("AAC frame is longer than 8191 bytes")
        prefix = struct.pack(">HH", 16, len(data) << 3)
        begin, end = 0, len(data)
        while begin < end:
            stop = min(end, begin + self._room - 4 - len(self._extension))
            mark = self.payload_type | (_MARKER if stop == end else 0)
            self._packet(data[begin:stop], mark, rtp_time, parts, sizes, prefix)
            begin = stop

    def _jpeg(self, data: bytes, rtp_time: int, parts: _Parts, sizes: list[int]) -> None:
        packets = list(jpeg.split(data, self._room, self._extension))
        for number, packet in enumerate(packets, 1):
            self._extension = packet.extension
            mark = self.payload_type | (_MARKER if number == len(packets) else 0)
            self._packet(packet.data, mark, rtp_time, parts, sizes, packet.head)

    def _with_config(self, unit: AccessUnit) -> bytes:
        """MPEG-4 that can be decoded from here: a clean point has its headers in front (RFC 6416 5)."""
        if not unit.key or mpeg4.headers(unit.data):
            return unit.data
        return self.format.config + unit.data

    def _chunks(self, data: bytes, rtp_time: int, parts: _Parts, sizes: list[int]) -> None:
        """Bytes cut where the packet is full; the last packet has the marker."""
        begin, end = 0, len(data)
        while begin < end:
            stop = min(end, begin + self._room - len(self._extension))
            mark = self.payload_type | (_MARKER if stop == end else 0)
            self._packet(data[begin:stop], mark, rtp_time, parts, sizes)
            begin = stop

    def _samples(self, data: bytes, rtp_time: int, parts: _Parts, sizes: list[int]) -> None:
        """Samples, cut where the packet is full, each packet with its own time."""
        unit, samples = self._unit
        begin, end = 0, len(data)
        while begin < end:
            room = self._room - len(self._extension)
            if room < unit:
                raise InvalidArgument("not even one sample of all channels fits into a packet")
            stop = min(end, begin + room - room % unit)
            self._packet(data[begin:stop], self.payload_type, rtp_time, parts, sizes)
            rtp_time = (rtp_time + (stop - begin) * samples // unit) & 0xFFFFFFFF
            begin = stop


def _sample_unit(format: TrackFormat) -> tuple[int, int]:
    """The least number of bytes that are whole samples of all channels, and how many samples of each they are."""
    channels = max(1, format.channels)
    if format.codec is Codec.G726:
        if not 2 <= format.bits <= 5:
            raise InvalidArgument("G.726 has 2 to 5 bits per sample")
        # RFC 3551 4.5.4: eight samples fill as many bytes as a sample has bits
        return format.bits * channels, 8
    return channels * (2 if format.codec is Codec.L16 else 1), 1


def _split(data: bytes) -> list[memoryview]:
    """NAL units of length-prefixed data, without copying."""
    view = memoryview(data)
    nals = []
    position, end = 0, len(data)
    while position < end:
        begin = position + 4
        position = begin + int.from_bytes(data[position:begin], "big")
        if position > end or begin + 2 > position:
            raise InvalidArgument("length of a NAL unit does not fit")
        nals.append(view[begin:position])
    return nals


def frame_rtcp(track: int, packet: bytes, *, rtp_time: int, utc: int) -> FlushUnit:
    """A compound RTCP packet as a flush unit on the track's RTCP channel."""
    head = struct.pack(">BBH", _DOLLAR, 2 * track + 1, len(packet))
    return FlushUnit(
        track=track,
        data=head + packet,
        starts=(0,),
        key=False,
        rtp_time=rtp_time,
        utc=utc,
        end_of_frame=False,
        rtcp=True,
    )
