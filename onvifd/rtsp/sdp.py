"""Session descriptions that cameras give (RFC 4566, RFC 2326 appendix C)."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import re
from dataclasses import dataclass, field, replace

from onvifd.errors import BadInput, OnvifdError
from onvifd.media.fmtp import STATIC_PAYLOAD_TYPES, format_from_fmtp
from onvifd.media.types import Codec, Kind, TrackFormat

log = logging.getLogger(__name__)

MAX_MEDIA = 16
MAX_LINES = 1024
MAX_TYPES = 32
"""Payload types of a section that are looked at."""

_RATES = {"video": "90000", "audio": "8000", "application": "90000"}
"""Clock rates where a camera leaves them out."""

_UNREAD = (Codec.OTHER_VIDEO, Codec.OTHER_AUDIO)

_ABSOLUTE = re.compile(r"rtsps?://[^/?#]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DescribedTrack:
    """A track that a camera describes. `url` is what SETUP asks for; `group` and `port` where it goes by multicast, if told.

    `others` are further payload types of its section, with None for what cannot be read.
    """

    format: TrackFormat
    payload_type: int
    url: str
    group: str = ""
    port: int = 0
    others: tuple[tuple[int, TrackFormat | None], ...] = ()


@dataclass(frozen=True, slots=True)
class DescribedTalk:
    """A section for sound to the camera (Streaming 5.3): payload types and formats of which one is to be sent."""

    url: str
    formats: tuple[tuple[int, TrackFormat], ...]


@dataclass(frozen=True, slots=True)
class Description:
    """What a camera describes. `url` is what PLAY asks for (aggregate control)."""

    url: str
    tracks: tuple[DescribedTrack, ...]
    skipped: tuple[str, ...] = ()
    talk: DescribedTalk | None = None


@dataclass(slots=True)
class _Section:
    """An m= line with its attributes."""

    media: str
    payload_types: list[int]
    port: int = 0
    attributes: list[tuple[str, str]] = field(default_factory=list)
    group: str = ""

    def first(self, name: str) -> str | None:
        return next((value for key, value in self.attributes if key == name), None)

    def of_payload(self, name: str, payload_type: int) -> str | None:
        """The value of `a=rtpmap` or `a=fmtp` behind the payload type."""
        for key, value in self.attributes:
            number, _, rest = value.partition(" ")
            if key == name and number.strip() == str(payload_type):
                return rest.strip()
        return None


def parse_sdp(body: bytes, request_url: str, content_base: str | None = None) -> Description:
    """The usable tracks of a camera's description.

    Liberal: bare line feeds, Latin-1, missing or misplaced rtpmap and fmtp, unknown lines. `content_base` is Content-Base (or Content-Location) of the
    answer (RFC 2326 C.1.1). Raises BadInput when there is no track that can be used.
    """
    session, sections = _split(body)
    base = content_base.strip() if content_base and _ABSOLUTE.match(content_base.strip()) else request_url
    aggregate = _resolve(base, session.first("control"))
    tracks: list[DescribedTrack] = []
    skipped: list[str] = []
    talk: DescribedTalk | None = None
    for section in sections:
        directions = {name for name, _ in section.attributes}
        # Nobody sends pictures to a camera: one that marks its video `sendonly` says what it does itself.
        if "inactive" in directions or ("sendonly" in directions and section.media != "video"):
            talk = talk or _talk(section, base)
            continue
        track = _track(section, base, skipped, session.group)
        if track is not None:
            tracks.append(track)
    if not tracks:
        what = f": {'; '.join(skipped)}" if skipped else ""
        raise BadInput(f"camera describes no usable track{what}"[:300])
    return Description(aggregate, tuple(tracks), tuple(skipped), talk)


def _talk(section: _Section, base: str) -> DescribedTalk | None:
    """A back channel; None for what is none. Formats that we cannot read are left out."""
    if section.media != "audio" or section.first("sendonly") is None:
        return None
    formats: dict[int, TrackFormat] = {}
    for number in section.payload_types:
        with contextlib.suppress(OnvifdError):
            found = _format(section, number)
            if found is not None and found.kind is Kind.AUDIO and found.codec is not Codec.OTHER_AUDIO:
                formats.setdefault(number, found)
    return DescribedTalk(_resolve(base, section.first("control")), tuple(formats.items())) if formats else None


def _split(body: bytes) -> tuple[_Section, list[_Section]]:
    session = current = _Section("", [])
    sections: list[_Section] = []
    # Not splitlines(): it takes a Latin-1 NEL and other controls for line ends.
    for line in re.split(r"\r\n|\n|\r", body.decode("utf-8", "replace"))[:MAX_LINES]:
        kind, mark, value = line.strip(" \t\0").partition("=")
        kind = kind.strip().lower()
        if not mark:
            continue
        if kind == "m":
            words = value.split()
            numbers = [int(word) for word in words[3 : 3 + MAX_TYPES] if re.fullmatch(r"\d{1,3}", word)]
            port = int(words[1].partition("/")[0]) if len(words) > 1 and re.match(r"\d{1,5}(/|$)", words[1]) else 0
            current = _Section(words[0].lower() if words else "", numbers, port)
            sections.append(current)
            if len(sections) > MAX_MEDIA:
                raise BadInput("camera describes too many tracks")
        elif kind == "c":
            current.group = _group(value)
        elif kind == "a":
            name, _, text = value.partition(":")
            current.attributes.append((name.strip().lower(), text.strip()))
    return session, sections


def _group(value: str) -> str:
    """The multicast address of a connection line (RFC 4566 5.7), empty for any other."""
    words = value.split()
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(words[2].partition("/")[0]) if len(words) > 2 else None
        if address is not None and address.is_multicast:
            return str(address)
    return ""


def _track(section: _Section, base: str, skipped: list[str], group: str = "") -> DescribedTrack | None:
    group = section.group or group
    unread: DescribedTrack | None = None
    for number in section.payload_types:
        try:
            found = _format(section, number)
        except OnvifdError as error:
            skipped.append(f"{section.media}: {error.reason}")
            continue
        if found is None:
            skipped.append(f"{section.media}: payload type {number} without rtpmap")
            continue
        port = section.port if group else 0
        track = DescribedTrack(found, number, _resolve(base, section.first("control")), group, port)
        if found.codec not in _UNREAD:
            return replace(track, others=_others(section, number))
        unread = unread or track
    return unread


def _others(section: _Section, chosen: int) -> tuple[tuple[int, TrackFormat | None], ...]:
    """What else a section says that may come: only what has words of its own, or needs none."""
    found: dict[int, TrackFormat | None] = {}
    for number in section.payload_types:
        if number == chosen or not (section.of_payload("rtpmap", number) or number in STATIC_PAYLOAD_TYPES):
            continue
        found[number] = None
        with contextlib.suppress(OnvifdError):
            format = _format(section, number)
            found[number] = None if format is None or format.codec in _UNREAD else format
    return tuple(found.items())


def _format(section: _Section, number: int) -> TrackFormat | None:
    rtpmap, fmtp = section.of_payload("rtpmap", number), section.of_payload("fmtp", number) or ""
    if rtpmap is None:
        static = STATIC_PAYLOAD_TYPES.get(number)
        if static is not None:
            return static
        rtpmap, fmtp = _misplaced(section, fmtp)
        if not rtpmap:
            return None
    name, _, rest = rtpmap.partition("/")
    rate, _, channels = (part.strip() for part in rest.partition("/"))
    if not rate and section.media in _RATES:
        rate = _RATES[section.media]
    if not re.fullmatch(r"\d{1,7}", rate):
        raise BadInput("rtpmap is malformed")
    count = int(channels) if re.fullmatch(r"\d{1,2}", channels) else 0
    return format_from_fmtp(name.strip(), int(rate), count, fmtp, section.media)


def _misplaced(section: _Section, fmtp: str) -> tuple[str, str]:
    """rtpmap and fmtp of a section that has none for its own payload type: the only ones that are there, or what fmtp betrays."""
    found = [value for name, value in section.attributes if name == "rtpmap"]
    formats = [value for name, value in section.attributes if name == "fmtp"]
    fmtp = fmtp or (formats[0].partition(" ")[2].strip() if len(formats) == 1 else "")
    if len(found) == 1:
        return found[0].partition(" ")[2].strip() or found[0], fmtp
    lower = fmtp.lower()
    if "sprop-vps" in lower:
        return "H265/90000", fmtp
    if "sprop-parameter-sets" in lower or "packetization-mode" in lower or "profile-level-id=42" in lower:
        return "H264/90000", fmtp
    return "", fmtp


def _resolve(base: str, control: str | None) -> str:
    """A control URL (RFC 2326 C.1.1).

    Cameras append the control value to the base even if it does not end in `/`, and so do all clients; RFC 1808 would
    take the last segment away. Absolute paths and URLs are resolved as they say.
    """
    if not control or control == "*":
        return base
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", control):
        return control
    root = _ABSOLUTE.match(base)
    if control.startswith("/") and root:
        return root.group() + control
    return base + control if base.endswith("/") else f"{base}/{control}"
