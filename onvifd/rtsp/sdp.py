"""Session descriptions that cameras give (RFC 4566, RFC 2326 appendix C)."""

from __future__ import annotations

import contextlib
import logging
import re
from dataclasses import dataclass, field

from onvifd.errors import BadInput, OnvifdError
from onvifd.media.fmtp import STATIC_PAYLOAD_TYPES, format_from_fmtp
from onvifd.media.types import Codec, Kind, TrackFormat

log = logging.getLogger(__name__)

MAX_MEDIA = 16
MAX_LINES = 1024

_ABSOLUTE = re.compile(r"rtsps?://[^/?#]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DescribedTrack:
    """A track that a camera describes. `url` is what SETUP asks for."""

    format: TrackFormat
    payload_type: int
    url: str


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
    attributes: list[tuple[str, str]] = field(default_factory=list)

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

    Liberal: bare line feeds, missing fmtp, unknown lines. `content_base` is Content-Base (or Content-Location) of the
    answer (RFC 2326 C.1.1). Raises BadInput when there is no track that can be used.
    """
    session, sections = _split(body)
    base = content_base.strip() if content_base and _ABSOLUTE.match(content_base.strip()) else request_url
    aggregate = _resolve(base, session.first("control"))
    tracks: list[DescribedTrack] = []
    skipped: list[str] = []
    talk: DescribedTalk | None = None
    for section in sections:
        if any(name in ("sendonly", "inactive") for name, _ in section.attributes):
            talk = talk or _talk(section, base)
            continue
        track = _track(section, base, skipped)
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
    for line in body.decode("utf-8", "replace").splitlines()[:MAX_LINES]:
        kind, mark, value = line.strip().partition("=")
        if not mark:
            continue
        if kind == "m":
            words = value.split()
            numbers = [int(word) for word in words[3:] if re.fullmatch(r"\d{1,3}", word)]
            current = _Section(words[0] if words else "", numbers)
            sections.append(current)
            if len(sections) > MAX_MEDIA:
                raise BadInput("camera describes too many tracks")
        elif kind == "a":
            name, _, text = value.partition(":")
            current.attributes.append((name.strip().lower(), text.strip()))
    return session, sections


def _track(section: _Section, base: str, skipped: list[str]) -> DescribedTrack | None:
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
        track = DescribedTrack(found, number, _resolve(base, section.first("control")))
        if found.codec not in (Codec.OTHER_VIDEO, Codec.OTHER_AUDIO):
            return track
        unread = unread or track
    return unread


def _format(section: _Section, number: int) -> TrackFormat | None:
    rtpmap = section.of_payload("rtpmap", number)
    if rtpmap is None:
        return STATIC_PAYLOAD_TYPES.get(number)
    name, _, rest = rtpmap.partition("/")
    rate, _, channels = rest.partition("/")
    if not re.fullmatch(r"\d{1,7}", rate.strip()):
        raise BadInput("rtpmap is malformed")
    count = int(channels) if re.fullmatch(r"\d{1,2}", channels.strip()) else 0
    return format_from_fmtp(name.strip(), int(rate), count, section.of_payload("fmtp", number) or "", section.media)


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
