"""MPEG-4 part 2 out of RTP packets (RFC 6416 5): pieces of the elementary stream up to the marker."""

from __future__ import annotations

from onvifd.media import mpeg4
from onvifd.media.rtp.frame import MAX_FRAME, NONE, PART, Frame, Payload, Unfragmented, damaged
from onvifd.media.types import TrackFormat


class Mpeg4Depacketizer(Unfragmented):
    """Headers in front of a picture belong to it, and change the format where they say something else."""

    def __init__(self, format: TrackFormat) -> None:
        self.format = format
        self.damaged = 0
        self._parts: list[Payload] = []
        self._size = 0
        self._time: int | None = None
        # joining in the middle of a stream is like a loss
        self._broken = True

    def feed(self, payload: Payload, marker: bool, rtp_time: int, contiguous: bool) -> tuple[Frame, ...]:
        """See Depacketizer."""
        frames = NONE
        if not contiguous:
            frames += self._lost(rtp_time)
        if rtp_time != self._time:
            if self._parts:
                frames += self._finish()
            self._time = rtp_time
            # a picture begins with a start code (RFC 6416 5.2): what does not is the rest of one that was lost
            self._broken = bytes(payload[:3]) != mpeg4.PREFIX
        if len(payload):
            self._parts.append(payload)
            self._size += len(payload) + PART
            self._broken |= self._size > MAX_FRAME
            if self._broken:
                del self._parts[1:]
        if marker:
            frames += self._finish()
        return frames

    def _lost(self, rtp_time: int) -> tuple[Frame, ...]:
        if self._parts:
            self._broken = True
            return NONE
        if rtp_time == self._time:
            return NONE
        self.damaged += 1
        return (damaged(rtp_time),)

    def _finish(self) -> tuple[Frame, ...]:
        parts, broken, rtp_time = self._parts, self._broken, self._time or 0
        self._parts, self._size, self._time = [], 0, None
        if broken or not parts:
            self.damaged += 1
            return (damaged(rtp_time),)
        data = b"".join(parts)
        config = mpeg4.headers(data)
        if config and config != self.format.config:
            self.format = mpeg4.with_config(self.format, config)
        return (Frame(rtp_time, data, mpeg4.is_intra(data)),)
