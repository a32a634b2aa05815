"""The hot path of intake, without I/O: bytes of an interleaved RTSP connection in, flush units and access units out.

`Walker` walks the `$ channel length` frames where they lie in the receive buffer (RFC 2326 section 10.12), gives the
packets the recorder's own SSRC, growing sequence numbers and time stamps (once per source, never per client), and cuts a
unit at the RTP marker or when `flush` is called.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from onvifd.clock import US, utc_to_ntp
from onvifd.errors import InvalidArgument, NotSupported
from onvifd.media.rtp.clock import TimestampUnwrapper, TrackClock
from onvifd.media.rtp.depack import Depacketizer, Frame, depacketizer
from onvifd.media.rtp.pack import frame_rtcp
from onvifd.media.rtp.packet import SenderReport, build_sender_report, parse_rtcp
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat

MAX_JUMP = 3000
"""Sequence numbers farther apart than this are a new beginning, not loss (RFC 3550 A.1: MAX_DROPOUT)."""

REPORT_INTERVAL = 5 * US
"""Between our own sender reports, microseconds (RFC 3550 6.2: five seconds)."""

MAX_UNIT = 8 << 20
"""Bytes of a flush unit. More than that without a marker is cut."""

MAX_GARBAGE = 256 << 10
"""Bytes of garbage in a row after which a connection is given up."""

MAX_MESSAGE = 64 << 10
"""Bytes of an RTSP message between media frames."""

_unpack = struct.Struct(">BBHBBHII").unpack_from
_rewrite = struct.Struct(">HII").pack_into
_FRAMING = 4
_HEADER = 12
_MASK = 0xFFFFFFFF
_HALF = 1 << 31
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*(\d{1,6})", re.IGNORECASE)

_UNDECIDED, _NOT_KEY, _KEY = range(3)

# Whether a NAL unit type opens a clean point, opens a picture that is none, or leaves that open (SEI, delimiters, PPS).
_H264_KINDS = tuple(_KEY if kind in (5, 7) else _NOT_KEY if 1 <= kind <= 4 else _UNDECIDED for kind in range(32))
_H265_KINDS = tuple(
    _KEY if 16 <= kind <= 21 or kind in (32, 33) else _NOT_KEY if kind <= 9 else _UNDECIDED for kind in range(64)
)


class BadStream(Exception):
    """The camera sends what cannot be used any more; the connection must be made anew."""


@dataclass(slots=True)
class Counters:
    """What was received on one stream since the worker started. `gov_length` is frames between the last two key frames."""

    frames: int = 0
    bytes: int = 0
    lost_packets: int = 0
    bad_frames: int = 0
    garbage: int = 0
    last_utc: int = 0
    gov_length: int = 0


def _verdict_h264(payload: bytes, at: int) -> int:
    kind = payload[at] & 0x1F
    if kind == 28:  # FU-A: only its first fragment (RFC 6184 5.8)
        if len(payload) > at + 1 and payload[at + 1] & 0x80:
            return _H264_KINDS[payload[at + 1] & 0x1F]
        return _UNDECIDED
    if kind == 24:  # STAP-A: the first NAL unit behind its size (RFC 6184 5.7.1)
        return _H264_KINDS[payload[at + 3] & 0x1F] if len(payload) > at + 3 else _UNDECIDED
    return _H264_KINDS[kind]


def _verdict_h265(payload: bytes, at: int) -> int:
    kind = payload[at] >> 1 & 0x3F
    if kind == 49:  # FU (RFC 7798 4.4.3)
        if len(payload) > at + 2 and payload[at + 2] & 0x80:
            return _H265_KINDS[payload[at + 2] & 0x3F]
        return _UNDECIDED
    if kind == 48:  # AP (RFC 7798 4.4.2)
        return _H265_KINDS[payload[at + 4] >> 1 & 0x3F] if len(payload) > at + 4 else _UNDECIDED
    return _H265_KINDS[kind]


_VERDICTS: dict[Codec, Callable[[bytes, int], int]] = {Codec.H264: _verdict_h264, Codec.H265: _verdict_h265}


class InboundTrack:
    """One track of a source over all its connections: keeps the outgoing numbers growing.

    `index` is its place among the tracks of the stream; `payload_type` and `ssrc` are the recorder's own.
    """

    def __init__(self, index: int, format: TrackFormat, payload_type: int, ssrc: int) -> None:
        self.index = index
        self.channel = 2 * index
        self.payload_type = payload_type
        self.ssrc = ssrc
        # growing over all connections
        self.next_seq = 0
        self.time_out = 0
        self.utc = 0
        self.ticks = 0
        self.packets = 0
        self.octets = 0
        self._unwrapper = TimestampUnwrapper()
        self._began = False
        self.begin(format)

    def begin(self, format: TrackFormat) -> None:
        """A new connection: its numbers have nothing to do with those of the last one."""
        self.format = format
        self.verdict = _VERDICTS.get(format.codec)
        self.clock = TrackClock(format.clock_rate)
        self.depack: Depacketizer | None
        try:
            self.depack = depacketizer(format)
        except NotSupported:
            self.depack = None  # relayed as it is, not recorded
        self.feed: Callable[[memoryview, bool, int, bool], tuple[Frame, ...]] | None = None
        """Where the packets of the present picture go besides the clients; None when nobody wants them."""
        self.expected = -1
        self.seq_offset = 0
        self.time_offset = 0
        self.rtp_time = -1
        self.key_time = -1
        self.decided = -1
        """Time stamp for which it is known whether a clean point starts."""
        self.report_due = 0
        self.by_report = False
        # the unit under way
        self.pieces: list[bytes] = []
        self.sizes = 0
        self.starts: list[int] = []
        self.key = False
        self.unit_time = 0
        self.unit_utc = 0

    def anchor(self, seq: int, rtp_time: int, utc: int) -> None:
        """Choose offsets so that this packet, the first of a new numbering, continues what was sent before it."""
        self.seq_offset = self.next_seq - seq & 0xFFFF
        if self._began:
            # Time stamps go on by the time that passed: players see a pause, not a jump.
            passed = max(1, (utc - self.utc) * self.format.clock_rate // US)
            self.time_offset = self.time_out + passed - rtp_time & _MASK
        self._began = True

    def stamp(self, rtp_time: int, utc: int) -> None:
        """A new time stamp begins."""
        self.rtp_time = rtp_time
        self.time_out = rtp_time + self.time_offset & _MASK
        self.ticks = self._unwrapper.unwrap(self.time_out)
        self.utc = utc


class Walker:
    """Takes the bytes of one connection. `channels` maps the interleaved RTP channel to the track that comes on it.

    `on_unit` gets every flush unit; `on_frame`, unless None, every whole access unit; `on_format` a track whose parameter
    sets changed in-band; `on_message` an RTSP message found between the frames; `on_jump` a track and by how many
    microseconds its clock moved.
    """

    def __init__(
        self,
        channels: dict[int, InboundTrack],
        counters: Counters,
        *,
        on_unit: Callable[[FlushUnit], None],
        on_format: Callable[[InboundTrack], None],
        on_message: Callable[[bytes], None],
        on_jump: Callable[[InboundTrack, int], None],
    ) -> None:
        self._rtp: list[InboundTrack | None] = [None] * 256
        self._rtcp: dict[int, InboundTrack] = {}
        for channel, track in channels.items():
            self._rtp[channel] = track
            self._rtcp[channel + 1] = track
        self.tracks = tuple(sorted(channels.values(), key=lambda track: track.index))
        self.counters = counters
        self.on_frame: Callable[[AccessUnit], None] | None = None
        self._on_unit = on_unit
        self._on_format = on_format
        self._on_message = on_message
        self._on_jump = on_jump
        self._garbage = 0
        self._since_key = 0
        self.pending = False
        """Whether packets wait for their marker; `flush` sends them without."""

    # ---- walking -------------------------------------------------------------------------------

    def receive(self, buffer: bytearray, start: int, end: int, now: int) -> int:
        """Take what lies in `buffer[start:end]`, which arrived at `now` (microseconds UTC).

        Returns how far it was used; the rest is unfinished. Packet headers are rewritten in place. Raises BadStream.
        """
        position = start
        rtp = self._rtp
        view = memoryview(buffer)
        try:
            while end - position >= _FRAMING + _HEADER:
                magic, channel, length, first, second, seq, rtp_time, _ = _unpack(buffer, position)
                track = rtp[channel]
                if magic != 0x24 or (track is not None and (first & 0xC0 != 0x80 or length < _HEADER)):
                    used = self._between(buffer, position, end)
                    if used == position:
                        break
                    position = used
                    continue
                after = position + _FRAMING + length
                if after > end:
                    break
                if track is None:
                    if channel in self._rtcp:
                        self._report(bytes(view[position + _FRAMING : after]), self._rtcp[channel], now)
                elif (
                    rtp_time == track.decided
                    and seq == track.expected
                    and first == 0x80
                    and second < 0x80
                    and track.pieces
                    and track.sizes < MAX_UNIT
                ):
                    # In the middle of a picture nothing is to be found out: what `_packet` does, without its questions.
                    out = track.next_seq
                    track.expected = seq + 1 & 0xFFFF
                    track.next_seq = out + 1 & 0xFFFF
                    buffer[position + 1] = track.channel
                    buffer[position + 5] = track.payload_type
                    _rewrite(buffer, position + 6, out, track.time_out, track.ssrc)
                    piece = bytes(view[position:after])
                    track.starts.append(track.sizes)
                    track.pieces.append(piece)
                    track.sizes += after - position
                    if track.feed is not None:
                        frames = track.feed(memoryview(piece)[_FRAMING + _HEADER :], False, rtp_time, True)
                        if frames:
                            self._deliver(track, frames)
                else:
                    self._packet(buffer, view, position, after, track, first, second, seq, rtp_time, now)
                position = after
        finally:
            view.release()
        self.counters.bytes += position - start
        return position

    def _packet(
        self,
        buffer: bytearray,
        view: memoryview,
        position: int,
        after: int,
        track: InboundTrack,
        first: int,
        second: int,
        seq: int,
        rtp_time: int,
        now: int,
    ) -> None:
        contiguous = seq == track.expected
        if not contiguous:
            contiguous = track.expected < 0
            self._resequence(track, seq, rtp_time, now)
        track.expected = seq + 1 & 0xFFFF
        if rtp_time != track.rtp_time:
            if track.pieces:
                self._emit(track, False)
            self._new_time(track, rtp_time, now)
        out = seq + track.seq_offset & 0xFFFF
        track.next_seq = out + 1 & 0xFFFF
        marker = second & 0x80
        buffer[position + 1] = track.channel
        buffer[position + 5] = marker | track.payload_type
        _rewrite(buffer, position + 6, out, track.time_out, track.ssrc)
        piece = bytes(view[position:after])
        begin = _FRAMING + _HEADER
        end = len(piece)
        if first != 0x80:
            begin, end = _payload(piece, first)
        if not track.pieces:
            track.unit_time, track.unit_utc = track.time_out, track.utc
            track.key = track.verdict is None
        if track.verdict is not None and track.decided != rtp_time and begin < end:
            verdict = track.verdict(piece, begin)
            if verdict != _UNDECIDED:
                track.decided = rtp_time
            if verdict == _KEY:
                track.key, track.key_time = True, rtp_time
        track.starts.append(track.sizes)
        track.pieces.append(piece)
        track.sizes += len(piece)
        self.pending = True
        # G.711 sets no marker (RFC 3551 4.1): a packet is a unit
        if marker or track.verdict is None or track.sizes > MAX_UNIT:
            self._emit(track, True)
        # key frames are always looked into: they bring changed parameter sets
        wanted = self.on_frame is not None or track.key_time == rtp_time or not track.format.parameter_sets
        track.feed = track.depack.feed if wanted and track.depack is not None else None
        if track.feed is not None:
            frames = track.feed(memoryview(piece)[begin:end], marker != 0, rtp_time, contiguous)
            if frames:
                self._deliver(track, frames)

    def _resequence(self, track: InboundTrack, seq: int, rtp_time: int, now: int) -> None:
        """A packet that does not follow: loss, reordering, or a new numbering."""
        if track.expected >= 0:
            missing = seq - track.expected & 0xFFFF
            if missing < MAX_JUMP:
                self.counters.lost_packets += missing
                return
            if 0x10000 - missing < 100:
                return  # an old packet, repeated or late: it keeps its number
        track.anchor(seq, rtp_time, now)

    def _new_time(self, track: InboundTrack, rtp_time: int, now: int) -> None:
        stamp = track.clock.stamp(rtp_time, now)
        if stamp.jump:
            self._on_jump(track, stamp.jump)
        track.stamp(rtp_time, stamp.utc)
        if stamp.jump or stamp.utc >= track.report_due or track.by_report != track.clock.by_report:
            track.by_report = track.clock.by_report
            track.report_due = stamp.utc + REPORT_INTERVAL
            report = SenderReport(
                ssrc=track.ssrc,
                ntp=utc_to_ntp(stamp.utc),
                rtp_time=track.time_out,
                packets=track.packets,
                octets=track.octets & _MASK,
            )
            packet = build_sender_report(report)
            self._on_unit(frame_rtcp(track.index, packet, rtp_time=track.time_out, utc=stamp.utc))
        if track.verdict is not None:
            self.counters.frames += 1
            self.counters.last_utc = stamp.utc

    def _emit(self, track: InboundTrack, end_of_frame: bool) -> None:
        pieces = track.pieces
        count = len(pieces)
        data = pieces[0] if count == 1 else b"".join(pieces)
        unit = FlushUnit(
            track.index, data, tuple(track.starts), track.key, track.unit_time, track.unit_utc, end_of_frame
        )
        if track.verdict is not None and track.key:
            frames = self.counters.frames
            if self._since_key:
                self.counters.gov_length = frames - self._since_key
            self._since_key = frames
        track.packets += count
        track.octets += len(data) - count * (_FRAMING + _HEADER)
        track.pieces = []
        track.starts = []
        track.sizes = 0
        track.key = False
        self._on_unit(unit)

    def flush(self) -> None:
        """Send on what waits for a marker: the camera paces its packets, and clients must not wait for the last one."""
        self.pending = False
        for track in self.tracks:
            if track.pieces:
                self._emit(track, False)

    def _deliver(self, track: InboundTrack, frames: tuple[Frame, ...]) -> None:
        depack, deliver = track.depack, self.on_frame
        if depack is not None and depack.format is not track.format:
            track.format = depack.format
            self._on_format(track)
        if deliver is None:
            return
        for frame in frames:
            if frame.damaged:
                self.counters.bad_frames += 1
                continue
            utc, ticks = track.utc, track.ticks
            if frame.rtp_time != track.rtp_time:
                apart = (frame.rtp_time - track.rtp_time + _HALF & _MASK) - _HALF
                utc += apart * US // track.format.clock_rate
                ticks += apart
            deliver(AccessUnit(track.index, utc, ticks, frame.key, frame.data))

    def _report(self, packet: bytes, track: InboundTrack, now: int) -> None:
        try:
            reports = parse_rtcp(packet)
        except InvalidArgument:
            self.counters.garbage += len(packet)
            return
        for report in reports:
            if isinstance(report, SenderReport):
                track.clock.sender_report(report.ntp, report.rtp_time, now)

    def _between(self, buffer: bytearray, position: int, end: int) -> int:
        """Step over what is no media frame: an RTSP message, or garbage up to the next `$`. `position` means: need more."""
        if buffer[position : position + 5] == b"RTSP/":
            head = buffer.find(b"\r\n\r\n", position, end)
            if head < 0 and end - position < MAX_MESSAGE:
                return position
            if head >= 0:
                length = _CONTENT_LENGTH.search(buffer, position, head + 2)
                after = head + 4 + (int(length.group(1)) if length else 0)
                if after - position <= MAX_MESSAGE:
                    if after > end:
                        return position
                    self._on_message(bytes(buffer[position:after]))
                    self._garbage = 0
                    return after
        found = buffer.find(b"$", position + 1, end)
        skipped = (found if found >= 0 else end) - position
        self._garbage += skipped
        self.counters.garbage += skipped
        if self._garbage > MAX_GARBAGE:
            raise BadStream(f"{self._garbage} bytes without a media frame")
        return position + skipped


def _payload(piece: bytes, first: int) -> tuple[int, int]:
    """Begin and end of the payload of a packet with CSRCs, extension or padding (RFC 3550 5.1); empty if they do not fit."""
    begin = _FRAMING + _HEADER + 4 * (first & 0x0F)
    end = len(piece)
    if first & 0x10 and begin + 4 <= end:
        begin += 4 + 4 * int.from_bytes(piece[begin + 2 : begin + 4], "big")
    if first & 0x20 and piece:
        end -= piece[-1]
    return (begin, end) if begin <= end else (0, 0)
