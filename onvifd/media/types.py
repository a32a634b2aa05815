"""Typed data that every room of the data plane shares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """What a track carries."""

    VIDEO = "video"
    AUDIO = "audio"
    METADATA = "metadata"


class PtzPart(StrEnum):
    """What metadata tells of where a camera looks (tt:PTZStatus)."""

    PAN_TILT_STATUS = "pan-tilt-status"
    ZOOM_STATUS = "zoom-status"
    PAN_TILT_POSITION = "pan-tilt-position"
    ZOOM_POSITION = "zoom-position"


class Codec(StrEnum):
    """Encodings that are received and sent without transcoding, and stored where MP4 can carry them (`mp4.storable`).

    OTHER_VIDEO and OTHER_AUDIO are whatever else a camera sends: relayed unread, never stored.
    """

    H264 = "h264"
    H265 = "h265"
    MPEG4 = "mpeg4"
    PCMU = "pcmu"
    PCMA = "pcma"
    AAC = "aac"
    G726 = "g726"
    OPUS = "opus"
    L16 = "l16"
    JPEG = "jpeg"
    METADATA = "metadata"
    OTHER_VIDEO = "other-video"
    OTHER_AUDIO = "other-audio"

    @property
    def kind(self) -> Kind:
        if self in (Codec.H264, Codec.H265, Codec.MPEG4, Codec.JPEG, Codec.OTHER_VIDEO):
            return Kind.VIDEO
        return Kind.METADATA if self is Codec.METADATA else Kind.AUDIO


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackFormat:
    """How one track is encoded.

    `parameter_sets` are whole NAL units without start code: (SPS, PPS) for H.264, (VPS, SPS, PPS) for H.265; empty until
    known. `config` is the AudioSpecificConfig of AAC, or what stands before the first picture of MPEG-4 (its object layer).
    `clock_rate` is the RTP clock in Hz (90000 for video, the sample rate for audio). `width` and `height` are pixels of the
    cropped picture, 0 if unknown. `bits` is bits per sample of G.726.

    `rtpmap` and `fmtp` are the sender's own words (without payload type) where its packets are not those that `rtp.pack` makes
    of the codec: AAC as LATM or with other AU headers, and all that is relayed unread. Else both are empty.
    """

    codec: Codec
    clock_rate: int
    parameter_sets: tuple[bytes, ...] = ()
    config: bytes = b""
    width: int = 0
    height: int = 0
    channels: int = 0
    bits: int = 0
    rtpmap: str = ""
    fmtp: str = ""

    @property
    def kind(self) -> Kind:
        return self.codec.kind

    @property
    def stored(self) -> TrackFormat:
        """The same encoding without the words about packets."""
        return replace(self, rtpmap="", fmtp="") if self.rtpmap or self.fmtp else self


class AccessUnit(Struct, frozen=True, gc=False):
    """One video frame, one audio packet or one metadata document.

    `track` indexes the formats of its stream. `utc` is the capture time in microseconds. `ticks` is the RTP time
    unwrapped to a growing integer in the track's clock rate. `data` is the payload as MP4 stores it: for H.264 and
    H.265 every NAL unit behind its length in 4 bytes, big endian; for MPEG-4 with its start codes; for audio the raw frame(s). `key` marks a clean point
    (IDR, or any audio and metadata unit).
    """

    track: int
    utc: int
    ticks: int
    key: bool
    data: bytes


class FlushUnit(Struct):
    """Whole RTP packets up to a marker (or 5 ms), forwarded as one immutable `bytes` to every client.

    `data` carries the packets with RTSP interleaved framing (RFC 2326 section 10.12: `$`, channel, 16-bit length) on
    the canonical channels: `2 * track` for RTP, `2 * track + 1` for RTCP. `starts` are the offsets of the `$` of each
    packet in `data`. `key` is true on the unit in which a clean point starts; `rtp_time` and `utc` belong to its first
    packet. `end_of_frame` is true when the last packet has the marker bit. `rtcp` is true when it holds RTCP only.
    `rollover` is how often the sequence numbers of the track have begun anew before the first packet, where somebody counts it
    (live streams do): SRTP's packet index must not depend on who was listening when.
    `cache` is for forms derived once per unit (other channel numbers, datagrams); whoever derives one stores it there.
    """

    track: int
    data: bytes
    starts: tuple[int, ...]
    key: bool
    rtp_time: int
    utc: int
    end_of_frame: bool = True
    rtcp: bool = False
    cache: dict[object, object] = {}
    rollover: int | None = None
