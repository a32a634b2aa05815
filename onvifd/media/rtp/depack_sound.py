"""Sound out of RTP packets: samples (RFC 3551), Opus (RFC 7587), AAC behind AU headers (RFC 3640) and as LATM (RFC 6416 6)."""

from __future__ import annotations

from dataclasses import replace

from onvifd.errors import InvalidArgument
from onvifd.media import aac, latm
from onvifd.media.bits import BitReader
from onvifd.media.fmtp import au_headers, parse_parameters
from onvifd.media.rtp.frame import NONE, PART, Frame, Payload, Unfragmented, damaged
from onvifd.media.types import TrackFormat

MAX_ELEMENT = 64 << 10
"""Bytes of a LATM element: ten frames of the largest kind."""
MAX_HEADERS = 256
"""Bytes of AU headers in a packet: a hundred frames and more."""
_USUAL_HEADER = {"sizelength": 13, "indexlength": 3, "indexdeltalength": 3}


class SampleDepacketizer(Unfragmented):
    """G.711, G.726, L16 and Opus: every packet is a frame. The marker starts a talk spurt and means nothing here (RFC 3551 4.1)."""

    def __init__(self, format: TrackFormat) -> None:
        self.format = format
        self.damaged = 0

    def feed(self, payload: Payload, marker: bool, rtp_time: int, contiguous: bool) -> tuple[Frame, ...]:
        """See Depacketizer."""
        frames = NONE
        if not contiguous:
            self.damaged += 1
            frames = (damaged(rtp_time),)
        return (*frames, Frame(rtp_time, bytes(payload), True)) if len(payload) else frames


def _samples(format: TrackFormat) -> int:
    """Ticks of a frame."""
    try:
        info = aac.parse_config(format.config)
    except InvalidArgument:
        return 1024
    return info.samples * format.clock_rate // info.sample_rate


class AacDepacketizer(Unfragmented):
    """AAC-hbr (RFC 3640 3.3.6): whole frames behind their AU headers, or one frame over several packets."""

    def __init__(self, format: TrackFormat) -> None:
        self.format = format
        self.damaged = 0
        self._samples = _samples(format)
        self._parts: list[Payload] = []
        self._size = 0
        self._whole = 0
        self._broken = False

    def feed(self, payload: Payload, marker: bool, rtp_time: int, contiguous: bool) -> tuple[Frame, ...]:
        """See Depacketizer."""
        frames: list[Frame] = []
        if not contiguous:
            self._parts, self._broken = [], False
            frames.append(damaged(rtp_time))
        if self._parts or self._broken:
            self._continue(payload, marker, rtp_time, frames)
        elif len(payload) and not self._packet(payload, marker, rtp_time, frames):
            frames.append(damaged(rtp_time))
        self.damaged += sum(frame.damaged for frame in frames)
        return tuple(frames)

    def _packet(self, payload: Payload, marker: bool, rtp_time: int, frames: list[Frame]) -> bool:
        # 3.2.1: AU-headers-length counts bits; one AU header is 13 bits of size and 3 bits of index
        count, rest = divmod(payload[0] << 8 | payload[1], 16) if len(payload) > 4 else (0, 1)
        position = 2 + 2 * count
        if rest or not count or position >= len(payload):
            return False
        for index in range(count):
            size = (payload[2 + 2 * index] << 8 | payload[3 + 2 * index]) >> 3
            data = payload[position : position + size]
            if len(data) < size:
                # 3.2.3: a frame that is longer than its packet is alone in it
                if count > 1 or marker:
                    return False
                self._parts, self._size, self._whole = [data], len(data), size
                return True
            if not size:
                return False
            frames.append(Frame((rtp_time + index * self._samples) & 0xFFFFFFFF, bytes(data), True))
            position += size
        return True

    def _continue(self, payload: Payload, marker: bool, rtp_time: int, frames: list[Frame]) -> None:
        fits = len(payload) > 4 and payload[:2] == b"\x00\x10" and (payload[2] << 8 | payload[3]) >> 3 == self._whole
        if not self._broken and fits:
            self._parts.append(payload[4:])
            self._size += len(payload) - 4
        else:
            self._broken = True
        if not marker and not self._broken and self._size < self._whole:
            return
        if not self._broken and self._size == self._whole:
            frames.append(Frame(rtp_time, b"".join(self._parts), True))
        else:
            frames.append(damaged(rtp_time))
        self._parts, self._size, self._broken = [], 0, False


class OtherAacDepacketizer(Unfragmented):
    """AAC behind AU headers of any shape: AAC-lbr and generic modes (RFC 3640 3.2.1, 3.3.5). Frames are never interleaved in
    what is taken, and never cut (AAC-lbr does not allow it)."""

    def __init__(self, format: TrackFormat) -> None:
        self.format = format
        self.damaged = 0
        self._samples = _samples(format)
        self._fields = au_headers(parse_parameters(format.fmtp))

    def feed(self, payload: Payload, marker: bool, rtp_time: int, contiguous: bool) -> tuple[Frame, ...]:
        """See Depacketizer."""
        frames: list[Frame] = [] if contiguous else [damaged(rtp_time)]
        try:
            found = self._split(bytes(payload)) if len(payload) else []
            frames += [
                Frame((rtp_time + index * self._samples) & 0xFFFFFFFF, data, True) for index, data in enumerate(found)
            ]
        except InvalidArgument:
            frames.append(damaged(rtp_time))
        self.damaged += sum(frame.damaged for frame in frames)
        return tuple(frames)

    def _split(self, payload: bytes) -> list[bytes]:
        sizes, position = self._sizes(payload)
        extra = self._fields["auxiliarydatasizelength"]
        if extra:
            # 3.2.2: auxiliary data, stepped over
            bits = BitReader(payload[position : position + 8])
            position += (extra + bits.u(extra) + 7) // 8
        constant = self._fields["constantsize"]
        if not sizes and constant:
            sizes = [constant] * ((len(payload) - position) // constant)
        if not sizes or position + sum(sizes) != len(payload) or not all(sizes):
            raise InvalidArgument("AAC frames do not fill the packet")
        found = []
        for size in sizes:
            found.append(payload[position : position + size])
            position += size
        return found

    def _sizes(self, payload: bytes) -> tuple[list[int], int]:
        """Sizes of the frames by their headers, and where the header section ends."""
        fields = self._fields
        usual = sum(fields[name] for name in fields if name not in ("constantsize", "auxiliarydatasizelength"))
        if not usual:
            return [], 0
        if len(payload) < 2:
            raise InvalidArgument("AU headers are cut")
        length = int.from_bytes(payload[:2], "big")
        if length > 8 * MAX_HEADERS:
            raise InvalidArgument("there are too many AU headers")
        end = 2 + (length + 7) // 8
        bits = BitReader(payload[2:end])
        stop = bits.left - length
        sizes: list[int] = []
        while bits.left > stop:
            sizes.append(bits.u(fields["sizelength"]) or fields["constantsize"])
            if bits.u(fields["indexdeltalength"] if len(sizes) > 1 else fields["indexlength"]):
                raise InvalidArgument("interleaved AAC is not supported")
            for name in ("ctsdeltalength", "dtsdeltalength"):
                if fields[name] and bits.u(1):
                    bits.skip(fields[name])
            bits.skip(bool(fields["randomaccessindication"]) + fields["streamstateindication"])
        if bits.left != stop:
            raise InvalidArgument("AU headers do not end where they should")
        return sizes, end


class LatmDepacketizer(Unfragmented):
    """AAC as LATM: an element, over several packets if need be, ends with the marker (RFC 6416 6.1 to 6.3)."""

    def __init__(self, format: TrackFormat) -> None:
        self.format = format
        self.damaged = 0
        parameters = parse_parameters(format.fmtp)
        self._in_band = parameters.get("cpresent", "1") != "0"
        self._mux: latm.StreamMux | None = None
        text = parameters.get("config", "")
        if text:
            try:
                self._mux = latm.parse_mux_config(bytes.fromhex(text))
            except (ValueError, InvalidArgument):
                self._in_band = True
        self._samples = _samples(format)
        self._parts: list[Payload] = []
        self._size = 0
        self._time = 0
        self._broken = False

    def feed(self, payload: Payload, marker: bool, rtp_time: int, contiguous: bool) -> tuple[Frame, ...]:
        """See Depacketizer."""
        frames: list[Frame] = []
        if (self._parts or self._broken) and rtp_time != self._time:
            self._end(frames)  # a camera that sets no marker
        if not contiguous:
            self._parts, self._size, self._broken = [], 0, True
        self._time = rtp_time
        if len(payload) and not self._broken:
            self._parts.append(payload)
            self._size += len(payload) + PART
            if self._size > MAX_ELEMENT:
                self._parts, self._broken = [], True
        if marker:
            self._end(frames)
        self.damaged += sum(frame.damaged for frame in frames)
        return tuple(frames)

    def _end(self, frames: list[Frame]) -> None:
        data, broken = b"" if self._broken else b"".join(self._parts), self._broken
        self._parts, self._size, self._broken = [], 0, False
        if not data and not broken:
            return
        try:
            if broken:
                raise InvalidArgument("packets are missing")
            mux, found = latm.parse_element(data, self._mux, self._in_band)
            if mux is not self._mux:
                self._learn(mux)
        except InvalidArgument:
            frames.append(damaged(self._time))
            return
        step = self._samples
        frames += [Frame((self._time + n * step) & 0xFFFFFFFF, one, True) for n, one in enumerate(found)]

    def _learn(self, mux: latm.StreamMux) -> None:
        """A configuration that came in band. Raises InvalidArgument."""
        info = aac.parse_config(mux.config)
        self._mux = mux
        if mux.config != self.format.config:
            self.format = replace(self.format, config=mux.config, channels=info.channels)
            self._samples = _samples(self.format)
