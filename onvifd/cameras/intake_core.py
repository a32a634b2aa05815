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
from onvifd.media.rtp.clean_point import KEY, UNDECIDED, VERDICTS
from onvifd.media.rtp.clock import TimestampUnwrapper, TrackClock
from onvifd.media.rtp.depack import Depacketizer, Frame, depacketizer
from onvifd.media.rtp.pack import frame_rtcp
from onvifd.media.rtp.packet import SenderReport, build_sender_report, parse_rtcp
from onvifd.media.types import AccessUnit, FlushUnit, Kind, TrackFormat

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

MAX_RUN = 64
"""Packets taken in one step at most."""

_COUNTING = bytes(range(256)) + bytes(range(MAX_RUN))
_unpack = struct.Struct(">BBHBBHII").unpack_from
_rewrite = struct.Struct(">HII").pack_into
_FRAMING = 4
_HEADER = 12
_MASK = 0xFFFFFFFF
_HALF = 1 << 31
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*(\d{1,6})", re.IGNORECASE)


class BadStream(Exception):
    """The camera sends what cannot be used any more; the connection must be made anew."""


@dataclass(slots=True)
class Counters:
    """What was received on one stream since the worker started. `gov_length` is frames between the last two key frames."""

    frames: int = 0
    bytes: int = 0
    lost_packets: int = 0
    bad_frames: int = 0
    bad_documents: int = 0
    garbage: int = 0
    last_utc: int = 0
    gov_length: int = 0


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
        self.told = False
        """Whether clients may know the SSRC."""
        self._unwrapper = TimestampUnwrapper()
        self._began = False
        self.begin(format)

    def begin(self, format: TrackFormat) -> None:
        """A new connection: its numbers have nothing to do with those of the last one."""
        self.format = format
        self.verdict = VERDICTS.get(format.codec)
        self.clock = TrackClock(format.clock_rate)
        self.depack: Depacketizer | None
        try:
            self.depack = depacketizer(format)
        except NotSupported:
            self.depack = None  # relayed as it is, not recorded
        self.feed: Callable[[bytes | memoryview, bool, int, bool], tuple[Frame, ...]] | None = None
        """Where the packets of the present picture go besides the clients; None when nobody wants them."""
        self.expected = -1
        self.seq_offset = 0
        self.time_offset = 0
        self.rtp_time = -1
        self.key_time = -1
        self.decided = -1
        """The present time stamp once it is known whether a clean point starts with it, else -1."""
        self.report_due = 0
        self.by_report = False
        # the unit under way
        self.pieces: list[bytes] = []
        self.sizes = 0
        self.starts: list[int] = []
        self.span_begin = self.span_end = 0
        """Where the last packets of the unit lie in the receive buffer; copied when the unit or the buffer ends."""
        self.key = False
        self.unit_time = 0
        self.unit_utc = 0

    def adopt(self, ssrc: int) -> None:
        """Keep the camera's SSRC, as long as nobody was told another: its packets then need no rewriting."""
        if not (self.told or self._began):
            self.ssrc = ssrc

    def anchor(self, seq: int, rtp_time: int, utc: int) -> None:
        """Choose offsets so that this packet, the first of a new numbering, continues what was sent before it.

        The first of all passes as it is.
        """
        if self._began:
            self.seq_offset = self.next_seq - seq & 0xFFFF
            # Time stamps go on by the time that passed: players see a pause, not a jump.
            passed = max(1, (utc - self.utc) * self.format.clock_rate // US)
            self.time_offset = self.time_out + passed - rtp_time & _MASK
        self._began = True

    def stamp(self, rtp_time: int, utc: int) -> None:
        """A new time stamp begins."""
        self.rtp_time = rtp_time
        self.decided = -1
        self.time_out = rtp_time + self.time_offset & _MASK
        self.ticks = self._unwrapper.unwrap(self.time_out)
        self.utc = utc


class Walker:
    """Takes the bytes of one connection. `channels` maps the interleaved RTP channel to the track that comes on it.

    `on_unit` gets every flush unit; `on_frame`, unless None, every whole access unit, `on_document` those of metadata;
    `on_format` a track whose parameter sets changed in-band; `on_message` an RTSP message found between the frames; `on_jump` a track and by how many
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
        self.on_document: Callable[[AccessUnit], None] | None = None
        self._on_unit = on_unit
        self._on_format = on_format
        self._on_message = on_message
        self._on_jump = on_jump
        self._garbage = 0
        self._since_key = 0

    @property
    def pending(self) -> bool:
        """Whether packets wait for their marker; `flush` sends them without."""
        return any(track.starts for track in self.tracks)

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
                    and track.starts
                    and track.sizes < MAX_UNIT
                ):
                    # In the middle of a picture nothing is to be found out: what `_packet` does, without its questions.
                    if end - after >= after - position:
                        count = self._run(buffer, view, position, end, track)
                        if count:
                            position += count * (after - position)
                            continue
                    out = track.next_seq
                    track.expected = seq + 1 & 0xFFFF
                    track.next_seq = out + 1 & 0xFFFF
                    buffer[position + 1] = track.channel
                    buffer[position + 5] = track.payload_type
                    _rewrite(buffer, position + 6, out, track.time_out, track.ssrc)
                    track.starts.append(track.sizes)
                    track.sizes += after - position
                    if track.span_end != position:
                        self._span(view, track, position)
                    track.span_end = after
                    if track.feed is not None:
                        payload = bytes(view[position + _FRAMING + _HEADER : after])
                        frames = track.feed(payload, False, rtp_time, True)
                        if frames:
                            self._deliver(track, frames)
                else:
                    self._packet(buffer, view, position, after, track, first, second, seq, rtp_time, now)
                position = after
        finally:
            # The caller may move what is left in the buffer.
            for track in self.tracks:
                if track.span_end:
                    self._span(view, track, 0)
                    track.span_end = 0
            view.release()
        self.counters.bytes += position - start
        return position

    @staticmethod
    def _span(view: memoryview, track: InboundTrack, begin: int) -> None:
        """Copy what the unit has in the buffer; its next packet lies at `begin`, not behind the one before."""
        if track.span_end > track.span_begin:
            track.pieces.append(bytes(view[track.span_begin : track.span_end]))
        track.span_begin = begin

    def _run(self, buffer: bytearray, view: memoryview, position: int, end: int, track: InboundTrack) -> int:
        """Take packets of one size that continue the picture, all in one; returns how many, 0 if there are not at least two.

        Encoders cut a slice into fragments of one size. Their headers are compared column by column, so that the cost of a
        picture hardly depends on the number of its packets. The packet at `position` is known to continue the picture.
        """
        _, _, length, _, second, seq, rtp_time, ssrc = _unpack(buffer, position)
        stride = length + _FRAMING
        count: int = min((end - position) // stride, MAX_RUN)
        stop = position + count * stride
        for at in range(position, position + 6):
            column = buffer[at:stop:stride]
            if column.count(column[0]) != count:
                count -= len(column.lstrip(column[:1]))
                if count < 2:
                    return 0
                stop = position + count * stride
        low = seq & 0xFF
        last = _unpack(buffer, stop - stride)
        if (
            buffer[position + 7 : stop : stride] != _COUNTING[low : low + count]
            or last[5] != seq + count - 1 & 0xFFFF
            or last[6] != rtp_time
        ):
            return 0
        out, time_out = track.next_seq, track.time_out
        if out != seq or time_out != rtp_time or ssrc != track.ssrc:
            for at in range(position + 6, stop, stride):
                _rewrite(buffer, at, out, time_out, track.ssrc)
                out = out + 1 & 0xFFFF
        else:
            out = out + count & 0xFFFF
        if buffer[position + 1] != track.channel:
            buffer[position + 1 : stop : stride] = bytes((track.channel,)) * count
        if second != track.payload_type:
            buffer[position + 5 : stop : stride] = bytes((track.payload_type,)) * count
        track.next_seq = out
        track.expected = seq + count & 0xFFFF
        track.starts.extend(range(track.sizes, track.sizes + stop - position, stride))
        track.sizes += stop - position
        if track.span_end != position:
            self._span(view, track, position)
        track.span_end = stop
        feed, depack = track.feed, track.depack
        if feed is None or depack is None or depack.feed_run(view[position:stop], _FRAMING + _HEADER, stride, rtp_time):
            return count
        for at in range(position, stop, stride):
            frames = feed(bytes(view[at + _FRAMING + _HEADER : at + stride]), False, rtp_time, True)
            if frames:
                self._deliver(track, frames)
        return count

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
            if track.starts:
                self._emit(track, False, view)
            self._new_time(track, rtp_time, now)
        out = seq + track.seq_offset & 0xFFFF
        track.next_seq = out + 1 & 0xFFFF
        marker = second & 0x80
        buffer[position + 1] = track.channel
        buffer[position + 5] = marker | track.payload_type
        _rewrite(buffer, position + 6, out, track.time_out, track.ssrc)
        begin, end = position + _FRAMING + _HEADER, after
        if first != 0x80:
            begin, end = _payload(buffer, position, after, first)
        if not track.starts:
            track.unit_time, track.unit_utc = track.time_out, track.utc
            track.key = track.verdict is None
        if track.verdict is not None and track.decided != rtp_time and begin < end:
            verdict = track.verdict(buffer, begin, end)
            if verdict != UNDECIDED:
                track.decided = rtp_time
            if verdict == KEY:
                track.key, track.key_time = True, rtp_time
        track.starts.append(track.sizes)
        track.sizes += after - position
        if track.span_end != position:
            self._span(view, track, position)
        track.span_end = after
        # G.711 sets no marker (RFC 3551 4.1): a packet is a unit
        if marker or track.verdict is None or track.sizes > MAX_UNIT:
            self._emit(track, True, view)
        # key frames are always looked into: they bring changed parameter sets
        wanted = self.on_frame is not None or track.key_time == rtp_time or not track.format.parameter_sets
        track.feed = track.depack.feed if wanted and track.depack is not None else None
        if track.feed is not None:
            frames = track.feed(bytes(view[begin:end]), marker != 0, rtp_time, contiguous)
            if frames:
                self._deliver(track, frames)

    def _resequence(self, track: InboundTrack, seq: int, rtp_time: int, now: int) -> None:
        """A packet that does not follow: loss, reordering, or a new numbering."""
        if track.expected >= 0:
            missing = seq - track.expected & 0xFFFF
            if missing < MAX_JUMP:
                self.counters.lost_packets += missing
                if self.on_frame is None:
                    # nobody joins frames who would notice
                    self.counters.bad_frames += track.verdict is not None
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

    def _emit(self, track: InboundTrack, end_of_frame: bool, view: memoryview | None = None) -> None:
        pieces = track.pieces
        if view is not None and track.span_end:
            self._span(view, track, 0)
            track.span_end = 0
        count = len(track.starts)
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
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
        self._garbage = 0
        track.pieces = []
        track.starts = []
        track.sizes = 0
        track.key = False
        self._on_unit(unit)

    def flush(self) -> None:
        """Send on what waits for a marker: the camera paces its packets, and clients must not wait for the last one."""
        for track in self.tracks:
            if track.starts:
                self._emit(track, False)

    def _deliver(self, track: InboundTrack, frames: tuple[Frame, ...]) -> None:
        depack, deliver = track.depack, self.on_frame
        if depack is not None and depack.format is not track.format:
            track.format = depack.format
            self._on_format(track)
        document = self.on_document if track.format.kind is Kind.METADATA else None
        if deliver is None and document is None:
            return
        for frame in frames:
            if frame.damaged:
                documents = track.format.kind is Kind.METADATA
                self.counters.bad_documents += documents
                self.counters.bad_frames += not documents
                continue
            utc, ticks = track.utc, track.ticks
            if frame.rtp_time != track.rtp_time:
                apart = (frame.rtp_time - track.rtp_time + _HALF & _MASK) - _HALF
                utc += apart * US // track.format.clock_rate
                ticks += apart
            unit = AccessUnit(track.index, utc, ticks, frame.key, frame.data)
            if deliver is not None:
                deliver(unit)
            if document is not None:
                document(unit)

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


def _payload(buffer: bytearray, position: int, after: int, first: int) -> tuple[int, int]:
    """Begin and end of the payload of a packet with CSRCs, extension or padding (RFC 3550 5.1); empty if they do not fit."""
    begin = position + _FRAMING + _HEADER + 4 * (first & 0x0F)
    end = after
    if first & 0x10 and begin + 4 <= end:
        begin += 4 + 4 * int.from_bytes(buffer[begin + 2 : begin + 4], "big")
    if first & 0x20:
        end -= buffer[after - 1]
    return (begin, end) if begin <= end else (after, after)
