"""RTP, RTCP and session descriptions as the examiner reads them (RFC 3550, RFC 4566, Streaming 5 and 6.3). Without I/O."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from conformance.model import Failure

REPLAY_ID = 0xABAC
JPEG_FIRST, JPEG_NEXT = 0xFFD8, 0xFFFF
"""Identifiers of the header extension of RTP/JPEG (Streaming 5.1.4.1)."""
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
    ssrc: int = 0
    sources: int = 0
    """CSRC count."""
    header: tuple[int, bytes] | None = None
    """Identifier and content of a header extension that is not replay's."""


def ahead(later: int, earlier: int) -> int:
    """Ticks from one RTP time to another; negative if the first is the older one."""
    return (later - earlier + (1 << 31) & 0xFFFFFFFF) - (1 << 31)


def moment_of(seconds: int, fraction: int) -> datetime:
    """NTP time."""
    return _NTP_EPOCH + timedelta(seconds=seconds, microseconds=round(fraction * 1e6 / (1 << 32)))


def read_rtp(data: bytes, at: float) -> Rtp:
    """RFC 3550 5.1, 5.3.1. Raises Failure for what is no RTP packet."""
    if len(data) < 12 or data[0] >> 6 != 2:
        raise Failure(f"an RTP packet begins with {data[:4].hex()}: version 2 and 12 bytes are wanted")
    first, second, sequence, stamp, ssrc = struct.unpack_from("!BBHII", data)
    start = 12 + 4 * (first & 0x0F)
    extension, header = None, None
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
            moment = moment_of(seconds, fraction)
            clean, last, discontinuity, terminal = (bool(flags & mask) for mask in (0x80, 0x40, 0x20, 0x10))
            extension = Extension(moment, clean, last, discontinuity, terminal, flags & 0x0F, cseq)
        else:
            header = identity, content
        start += 4 + 4 * words
    end = len(data) - (data[-1] if first & 0x20 else 0)
    if end < start:
        raise Failure("the padding of an RTP packet is longer than the packet")
    return Rtp(
        *(at, sequence, stamp, bool(second & 0x80), second & 0x7F, data[start:end], len(data), extension),
        *(ssrc, first & 0x0F, header),
    )


# ---- RTCP ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
    """A sender report (RFC 3550 6.4.1)."""

    at: float
    ssrc: int
    time: datetime
    stamp: int
    packets: int
    octets: int
    heard: int = 0
    """RTP packets of the track that had come before it."""


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


def read_reports(data: bytes, at: float) -> list[Report]:
    """Sender reports in a compound packet that is in order."""
    found, offset = [], 0
    while offset + 4 <= len(data):
        _first, kind, words = struct.unpack_from("!BBH", data, offset)
        if kind == 200:
            if words < 6:
                raise Failure(f"an RTCP sender report has {words} words, at least 6 are wanted (RFC 3550 6.4.1)")
            ssrc, seconds, fraction, stamp, packets, octets = struct.unpack_from("!6I", data, offset + 4)
            found.append(Report(at, ssrc, moment_of(seconds, fraction), stamp, packets, octets))
        offset += 4 * (words + 1)
    return found


# ---- session description ------------------------------------------------------------------------------

STATIC = {"0": "PCMU", "8": "PCMA", "26": "JPEG", "32": "MPV"}
"""Payload types of RFC 3551 that need no a=rtpmap."""


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
    formats: tuple[str, ...] = ()
    """Payload types of the m= line."""
    maps: tuple[tuple[str, str], ...] = ()
    """Payload types with the names of their a=rtpmap, upper case, as `PCMU/8000`."""
    fmtp: tuple[tuple[str, str], ...] = ()
    """Payload types with their a=fmtp."""
    direction: str = ""
    """sendonly, recvonly, sendrecv, inactive; empty if nothing is said."""
    port: int = 0
    group: str = ""
    """Address of its c=, or of the session's, without time to live."""
    protocol: str = "RTP/AVP"

    @property
    def codec(self) -> str:
        """Name of the encoding, that of a static payload type included."""
        return self.encoding or (STATIC.get(self.formats[0], "") if self.formats else "")

    @property
    def codecs(self) -> dict[str, str]:
        """Names of all encodings by payload type."""
        mapped = {key: value.partition("/")[0] for key, value in self.maps}
        return {each: mapped.get(each) or STATIC.get(each, "") for each in self.formats}

    def parameters(self, payload_type: int) -> dict[str, str]:
        """Of a=fmtp; names in lower case."""
        value = dict(self.fmtp).get(str(payload_type), "")
        pairs = (each.strip().partition("=") for each in value.split(";"))
        return {name.strip().lower(): content.strip() for name, _, content in pairs if name.strip()}


@dataclass(frozen=True, slots=True)
class Description:
    text: str
    media: tuple[Media, ...]
    control: str
    lines: tuple[str, ...] = field(default=())


def read_sdp(text: str) -> Description:
    """RFC 4566 as far as streaming needs it. Raises Failure."""
    if not text.startswith("v=0"):
        raise Failure(f"the session description does not begin with v=0: {text[:40]!r}")
    whole = text.replace("\r\n", "\n")
    session, *sections = whole.split("\nm=")
    common = _address(session)
    media = tuple(_media(section, common) for section in sections)
    return Description(text, media, _attribute(session, "control"), tuple(whole.split("\n")))


def _attribute(lines: str, name: str) -> str:
    head = f"a={name}:"
    return next((line[len(head) :].strip() for line in lines.split("\n") if line.startswith(head)), "")


def _address(lines: str) -> str:
    value = next((line for line in lines.split("\n") if line.startswith("c=")), "")
    return value.rpartition(" ")[2].partition("/")[0].strip()


def _pairs(lines: str, name: str, change: Callable[[str], str]) -> tuple[tuple[str, str], ...]:
    head = f"a={name}:"
    values = (line[len(head) :].strip().partition(" ") for line in lines.split("\n") if line.startswith(head))
    return tuple((key, change(value.strip())) for key, _, value in values)


def _media(section: str, common: str) -> Media:
    first, _, lines = section.partition("\n")
    kind, port, protocol = [*first.split(), "", "", ""][:3]
    maps = _pairs(lines, "rtpmap", str.upper)
    name, _, rest = (maps[0][1] if maps else "").partition("/")
    clock = rest.partition("/")[0]
    marks = {line[2:].strip() for line in lines.split("\n") if line.startswith("a=")}
    number = port.partition("/")[0]
    return Media(
        kind,
        _attribute(lines, "control"),
        _attribute(lines, "x-onvif-track"),
        name,
        int(clock) if clock.isdigit() else (8000 if kind == "audio" else 90_000),
        tuple(first.split()[3:]),
        maps,
        _pairs(lines, "fmtp", str),
        next((each for each in ("sendonly", "recvonly", "sendrecv", "inactive") if each in marks), ""),
        int(number) if number.isdigit() else 0,
        _address(lines) or common,
        protocol,
    )
