"""The hot path of intake, without I/O: bytes of an interleaved RTSP connection in, flush units and access units out.

`Walker` walks the `$ channel length` frames where they lie in the receive buffer (RFC 2326 section 10.12), gives the
packets the recorder's own SSRC, growing sequence numbers and time stamps (once per source, never per client), and cuts a
unit at the RTP marker or when `flush` is called.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from onvifd.cameras.codec_change import judge_odd, takes_type
from onvifd.cameras.intake_message import message_end
from onvifd.cameras.intake_track import Counters, InboundTrack, payload_of
from onvifd.clock import US
from onvifd.errors import InvalidArgument
from onvifd.media.rtp.clean_point import KEY, ODD, UNDECIDED
from onvifd.media.rtp.depack import Frame
from onvifd.media.rtp.jpeg import read_extension
from onvifd.media.rtp.marker import MIDDLE, SLICE
from onvifd.media.rtp.packet import SenderReport, parse_rtcp
from onvifd.media.types import AccessUnit, FlushUnit, Kind

__all__ = ["BadStream", "Counters", "InboundTrack", "Walker"]

MAX_JUMP = 3000
"""Sequence numbers farther apart than this are a new beginning, not loss (RFC 3550 A.1: MAX_DROPOUT)."""

MAX_LATE = 100
"""Sequence numbers that a packet may lie behind and still be a late or repeated one (RFC 3550 A.1: MAX_MISORDER)."""

REPORT_INTERVAL = 5 * US
"""Between our own sender reports, microseconds (RFC 3550 6.2: five seconds)."""

MAX_UNIT = 8 << 20
"""Bytes of a flush unit. More than that without a marker is cut."""

MAX_GARBAGE = 256 << 10
"""Bytes of garbage in a row after which a connection is given up."""

MAX_RUN = 64
"""Packets taken in one step at most."""

_COUNTING = bytes(range(256)) + bytes(range(MAX_RUN))
_unpack = struct.Struct(">BBHBBHII").unpack_from
_rewrite = struct.Struct(">HII").pack_into
_FRAMING = 4
_HEADER = 12
_MASK = 0xFFFFFFFF
_HALF = 1 << 31
_RTCP_FIRST, _RTCP_LAST = 200, 207
"""Packet types of RTCP; as an RTP header they would be payload types that are never used (RFC 5761 4)."""


class BadStream(Exception):
    """The camera sends what cannot be used any more; the connection must be made anew."""


class Walker:
    """Takes the bytes of one connection. `channels` maps the interleaved RTP channel to the track that comes on it, `reports` the
    RTCP channel (the next one, if left out).

    `on_unit` gets every flush unit; `on_frame`, unless None, every whole access unit, `on_document` those of metadata;
    `on_format` a track whose parameter sets changed in-band; `on_message` an RTSP message found between the frames; `on_jump` a track and by how many
    microseconds its clock moved.
    """

    def __init__(
        self,
        channels: dict[int, InboundTrack],
        counters: Counters,
        *,
        reports: dict[int, InboundTrack] | None = None,
        on_unit: Callable[[FlushUnit], None],
        on_format: Callable[[InboundTrack], None],
        on_message: Callable[[bytes], None],
        on_jump: Callable[[InboundTrack, int], None],
    ) -> None:
        self._rtp: list[InboundTrack | None] = [None] * 256
        self._rtcp: dict[int, InboundTrack] = {}
        self._agreed = dict(channels)
        for channel, track in channels.items():
            self._rtp[channel] = track
        for channel, track in (reports or {one + 1 & 0xFF: track for one, track in channels.items()}).items():
            if self._rtp[channel] is None:
                self._rtcp[channel] = track
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

        Returns how far it was used; the rest is unfinished. Packet headers are rewritten in place. Raises BadStream, or
        CodecChanged when the camera has begun to send another encoding.
        """
        position = start
        rtp = self._rtp
        view = memoryview(buffer)
        try:
            while end - position >= _FRAMING + _HEADER:
                magic, channel, length, first, second, seq, rtp_time, ssrc = _unpack(buffer, position)
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
                    if first & 0xC0 == 0x80 and not _RTCP_FIRST <= second <= _RTCP_LAST and length >= _HEADER:
                        if self._elsewhere(channel, second & 0x7F):
                            continue
                    elif channel in self._rtcp:
                        self._report(bytes(view[position + _FRAMING : after]), self._rtcp[channel], now)
                elif (
                    rtp_time == track.decided
                    and seq == track.expected
                    and first == 0x80
                    and second == track.coming
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
                    self._packet(buffer, view, position, after, track, first, second, seq, rtp_time, ssrc, now)
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
        ssrc: int,
        now: int,
    ) -> None:
        if _RTCP_FIRST <= second <= _RTCP_LAST:
            self._report(bytes(view[position + _FRAMING : after]), track, now)
            return
        begin, end = position + _FRAMING + _HEADER, after
        if first != 0x80:
            begin, end = payload_of(buffer, position, after, first)
            if begin > end:
                # A header longer than its packet: no client could read it. What it was is missing, and shows as a gap.
                self.counters.garbage += after - position
                return
        contiguous = seq == track.expected
        if second & 0x7F != track.coming and not takes_type(track, second & 0x7F, rtp_time):
            if contiguous and ssrc == track.source:
                track.leave_out(seq)
            self.counters.strays += 1
            return
        if ssrc != track.source or not contiguous:
            first_of_all, same = track.expected < 0, ssrc == track.source
            if not self._follows(track, seq, rtp_time, ssrc, now):
                return
            # Equal now: it was its number that something left out had.
            contiguous = first_of_all or (same and track.expected == seq)
        track.expected = seq + 1 & 0xFFFF
        if rtp_time != track.rtp_time:
            if track.starts:
                # Whatever its marker said, here the picture ends.
                self._emit(track, track.judge is not None, view, mark=track.judge is not None)
            self._new_time(track, rtp_time, now)
            track.reception.first_of_picture(seq, rtp_time, now)
        out = seq + track.seq_offset & 0xFFFF
        track.next_seq = out + 1 & 0xFFFF
        marker = second & 0x80
        if first & 0x10:
            read_extension(track.depack, view[position + _FRAMING : after])
        if track.judge is not None and begin < end and (marker or track.marked == rtp_time):
            marker = self._marker(track, track.judge(buffer, begin, end), marker, rtp_time)
        buffer[position + 1] = track.channel
        buffer[position + 5] = marker | track.payload_type
        _rewrite(buffer, position + 6, out, track.time_out, track.ssrc)
        if not track.starts:
            track.unit_time, track.unit_utc = track.time_out, track.utc
            track.key = track.verdict is None
        if track.verdict is not None and track.decided != rtp_time and begin < end:
            verdict = track.verdict(buffer, begin, end)
            if verdict == ODD:
                verdict = judge_odd(track, bytes(view[begin:end]), rtp_time)
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

    def _marker(self, track: InboundTrack, part: int, marker: int, rtp_time: int) -> int:
        """The marker as it should be: at the end of a picture. Packets that carry none never end one, and a camera that sets it in
        the middle of pictures is not believed any more; then the next time stamp tells."""
        if part == MIDDLE or (part == SLICE and track.marked == rtp_time):
            track.honest = False
        if part != SLICE or not track.honest:
            return 0
        if marker:
            track.marked = rtp_time
        return marker

    def _follows(self, track: InboundTrack, seq: int, rtp_time: int, ssrc: int, now: int) -> bool:
        """A packet of another source, or one that does not follow: loss, repetition, or a new numbering. False: to be left out."""
        changed = ssrc != track.source
        if changed:
            first = track.source < 0
            if not track.accepts(ssrc, now):
                self.counters.strays += 1
                return False
            changed = not first
        if track.expected >= 0 and not changed:
            missing = seq - track.expected & 0xFFFF
            if missing == 0 or track.takes_back(seq):
                return True
            if missing < MAX_JUMP:
                self.counters.lost_packets += missing
                track.reception.lost += missing
                if self.on_frame is None:
                    # nobody joins frames who would notice
                    self.counters.bad_frames += track.verdict is not None
                return True
            newer = 0 < (rtp_time - track.rtp_time & _MASK) < _HALF
            if 0x10000 - missing <= MAX_LATE and not newer:
                self.counters.duplicates += 1
                return False
        if track.expected >= 0:
            self.counters.restarts += 1
        track.anchor(seq, rtp_time, now)
        track.reception.begin(seq)
        track.rtp_time = -1
        return True

    def _new_time(self, track: InboundTrack, rtp_time: int, now: int) -> None:
        if track.leaps(rtp_time, now):
            self.counters.restarts += 1
            track.retime(rtp_time, now)
        track.arrived = now
        stamp = track.clock.stamp(rtp_time, now)
        if stamp.jump:
            self._on_jump(track, stamp.jump)
        track.stamp(rtp_time, stamp.utc)
        if stamp.jump or stamp.utc >= track.report_due or track.by_report != track.clock.by_report:
            track.by_report = track.clock.by_report
            track.report_due = stamp.utc + REPORT_INTERVAL
            self._on_unit(track.report())
        if track.verdict is not None:
            self.counters.frames += 1
            self.counters.last_utc = stamp.utc

    def _emit(
        self, track: InboundTrack, end_of_frame: bool, view: memoryview | None = None, *, mark: bool = False
    ) -> None:
        pieces = track.pieces
        if view is not None and track.span_end:
            self._span(view, track, 0)
            track.span_end = 0
        count = len(track.starts)
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if mark:
            at = track.starts[-1] + 5
            data = b"".join((data[:at], bytes((data[at] | 0x80,)), data[at + 1 :]))
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
            if frame.rtp_time == track.previous[0]:
                _, utc, ticks = track.previous
            elif frame.rtp_time != track.rtp_time:
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
            reports = parse_rtcp(packet, liberal=True)
        except InvalidArgument:
            self.counters.garbage += len(packet)
            return
        for report in reports:
            if isinstance(report, SenderReport):
                if track.follow_reports:
                    track.clock.sender_report(report.ntp, report.rtp_time, now)
                track.reception.sender_report(report.ntp, now)

    def _elsewhere(self, channel: int, payload_type: int) -> bool:
        """RTP on a channel where none was to come: that of a track of which nothing came yet, if the payload type is its own.
        What comes on the channel that was agreed upon is always taken: then the other was an accident.

        True if it was taken over and the packet can be read.
        """
        swapped = self._rtcp.get(channel)
        candidates = (swapped,) if swapped is not None else self.tracks
        for track in candidates:
            if (track.expected < 0 or self._agreed.get(channel) is track) and track.described == payload_type:
                for number, other in enumerate(self._rtp):
                    if other is track:
                        self._rtp[number] = None
                        self._rtcp[number] = track
                self._rtcp.pop(channel, None)
                self._rtp[channel] = track
                return True
        self.counters.strays += 1
        return False

    def _between(self, buffer: bytearray, position: int, end: int) -> int:
        """Step over what is no media frame: an RTSP message, a frame that is no RTP, or garbage up to the next `$`.

        `position` means: need more.
        """
        if buffer[position] == 0x24:
            after = position + _FRAMING + (buffer[position + 2] << 8 | buffer[position + 3])
            if after < end and (buffer[after] == 0x24 or buffer[after] == 0x52):
                # Framed as it should be: a `$` within it means nothing.
                if after - position >= _FRAMING + _HEADER:
                    self._skip(after - position)
                return after
        else:
            after = message_end(buffer, position, end)
            if after == position:
                return position
            if after > position:
                self._on_message(bytes(buffer[position:after]))
                self._garbage = 0
                return after
        found = buffer.find(b"$", position + 1, end)
        skipped = (found if found >= 0 else end) - position
        self._skip(skipped)
        return position + skipped

    def _skip(self, size: int) -> None:
        self._garbage += size
        self.counters.garbage += size
        if self._garbage > MAX_GARBAGE:
            raise BadStream(f"{self._garbage} bytes without a media frame")
