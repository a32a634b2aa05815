"""RTP, RTCP and session descriptions as the examiner reads them (RFC 3550, RFC 4566, Streaming 6.3). Without I/O."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from conformance.model import Failure

REPLAY_ID = 0xABAC
_JPEG_STARTS = (b"\xff\xd8", b"\xff\xff")
_NTP_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)
MAX_DATAGRAM = 1472
"""RTP packets must fit into an Ethernet frame: 1500 less IPv4 and UDP headers."""


# ---- packets ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Extension:
    """The RTP header extension of replay (Replay 6.3)."""

    time: datetime
    clean: bool
    end: bool
    discontinuity: bool
    terminal: bool
    zeros: int
    cseq: int


@dataclass(frozen=True, slots=True)
class Rtp:
    at: float
    """When it arrived, monotonic seconds."""
    sequence: int
    stamp: int
    marker: bool
    payload_type: int
    payload: bytes
    size: int
    extension: Extension | None


def read_rtp(data: bytes, at: float) -> Rtp:
    """RFC 3550 5.1, 5.3.1. Raises Failure for what is no RTP packet."""
    if len(data) < 12 or data[0] >> 6 != 2:
        raise Failure(f"an RTP packet begins with {data[:4].hex()}: version 2 and 12 bytes are wanted")
    first, second, sequence, stamp, _ssrc = struct.unpack_from("!BBHII", data)
    start = 12 + 4 * (first & 0x0F)
    extension = None
    if first & 0x10:
        if len(data) < start + 4:
            raise Failure("an RTP packet announces a header extension and ends before it")
        identity, words = struct.unpack_from("!HH", data, start)
        content = data[start + 4 : start + 4 + 4 * words]
        if len(content) < 4 * words:
            raise Failure("the header extension of an RTP packet is longer than the packet")
        if identity == REPLAY_ID:
            # Streaming 6.3.2: that of RTP/JPEG may follow.
            if words != 3 and content[12:14] not in _JPEG_STARTS:
                raise Failure(f"the replay extension has the length {words}, not 3 (Replay 6.3)")
            seconds, fraction, flags, cseq = struct.unpack_from("!IIBB", content)
            moment = _NTP_EPOCH + timedelta(seconds=seconds, microseconds=round(fraction * 1e6 / (1 << 32)))
            clean, last, discontinuity, terminal = (bool(flags & mask) for mask in (0x80, 0x40, 0x20, 0x10))
            extension = Extension(moment, clean, last, discontinuity, terminal, flags & 0x0F, cseq)
        start += 4 + 4 * words
    end = len(data) - (data[-1] if first & 0x20 else 0)
    if end < start:
        raise Failure("the padding of an RTP packet is longer than the packet")
    return Rtp(at, sequence, stamp, bool(second & 0x80), second & 0x7F, data[start:end], len(data), extension)


def check_rtcp(data: bytes) -> None:
    """A compound packet must begin with a report, and its lengths must add up (RFC 3550 6.1, A.2)."""
    offset = 0
    while offset + 4 <= len(data):
        first, kind, words = struct.unpack_from("!BBH", data, offset)
        if first >> 6 != 2:
            raise Failure(f"an RTCP packet has the version {first >> 6}")
        if not offset and kind not in (200, 201):
            raise Failure(f"a compound RTCP packet begins with type {kind}, not with a report (RFC 3550 6.1)")
        offset += 4 * (words + 1)
    if offset != len(data):
        raise Failure("the lengths in a compound RTCP packet do not add up to its size (RFC 3550 A.2)")


# ---- session description ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Media:
    kind: str
    """video, audio or application."""
    control: str
    track: str
    """TrackReference of a=x-onvif-track; empty if there is none."""
    encoding: str
    """Of a=rtpmap, upper case."""
    clock: int


@dataclass(frozen=True, slots=True)
class Description:
    text: str
    media: tuple[Media, ...]
    control: str


def read_sdp(text: str) -> Description:
    """RFC 4566 as far as replay needs it. Raises Failure."""
    if not text.startswith("v=0"):
        raise Failure(f"the session description does not begin with v=0: {text[:40]!r}")
    session, *sections = text.replace("\r\n", "\n").split("\nm=")

    def attribute(lines: str, name: str) -> str:
        head = f"a={name}:"
        return next((line[len(head) :].strip() for line in lines.split("\n") if line.startswith(head)), "")

    media = []
    for section in sections:
        kind = section.split(" ")[0]
        mapped = attribute(section, "rtpmap").partition(" ")[2]
        name, _, rest = mapped.partition("/")
        clock = rest.partition("/")[0]
        media.append(
            Media(
                kind,
                attribute(section, "control"),
                attribute(section, "x-onvif-track"),
                name.upper(),
                int(clock) if clock.isdigit() else (8000 if kind == "audio" else 90_000),
            )
        )
    return Description(text, tuple(media), attribute(session, "control"))
