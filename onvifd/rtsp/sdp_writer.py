"""Session descriptions that we give (RFC 4566, RFC 2326 appendix C, RFC 5888; Streaming 5.2.2.5, 5.3.2, 5.4, 6.2)."""

from __future__ import annotations

from collections.abc import Mapping

from onvifd.media.fmtp import format_to_fmtp, format_to_rtpmap
from onvifd.media.types import Kind, TrackFormat
from onvifd.rtsp.headers import Range
from onvifd.rtsp.play import Multicast, Presentation, TrackDescription

_MEDIA_NAMES = {Kind.VIDEO: "video", Kind.AUDIO: "audio", Kind.METADATA: "application"}


def build_sdp(
    presentation: Presentation,
    host: str,
    session_id: int,
    session_version: int,
    *,
    talk: TrackDescription | None = None,
    multicast: bool = False,
    keys: Mapping[int, str] | None = None,
) -> bytes:
    """The description of a presentation for a client that reaches us as `host` (an address without port).

    `talk` is the back channel, where it was asked for. `keys` are MIKEY messages of tracks under SRTP by their place, that of the
    back channel behind all others. `multicast` tells the groups and ports of tracks that have them.
    """
    anywhere = "IP6 ::" if ":" in host else "IP4 0.0.0.0"
    groups = [track.multicast for track in presentation.tracks if track.multicast is not None] if multicast else []
    span = presentation.range
    lines = [
        "v=0",
        f"o=- {session_id} {session_version} IN {'IP6' if ':' in host else 'IP4'} {host}",
        f"s={_clean(presentation.name) or '-'}",
        f"c=IN {_connection(groups[0]) if groups else anywhere}",
        "t=0 0",
        "a=control:*",
        f"a=range:{'npt=now-' if span is None else Range(start=span[0], end=span[1]).format()}",
    ]
    videos = [track for track in presentation.tracks if track.format.kind is Kind.VIDEO]
    together = len(videos) > 1  # Streaming 5.4: a camera of several sensors
    if together:
        lines.append("a=group:LS " + " ".join(str(number) for number in range(1, len(presentation.tracks) + 1)))
    for number, track in enumerate(presentation.tracks, 1):
        group = track.multicast if multicast else None
        where = _connection(group) if group is not None else anywhere
        key = keys.get(number - 1) if keys else None
        lines += _media(track, group.port if group is not None else 0, where if groups else "", secure=key is not None)
        lines += _about(track, number if together else None)
        if key is not None:
            lines.append(f"a=key-mgmt:mikey {key}")  # RFC 4567 3.1
    if talk is not None:
        key = keys.get(len(presentation.tracks)) if keys else None
        lines += _media(talk, 0, anywhere if groups else "", secure=key is not None)
        lines += [f"a=control:{talk.control}", "a=sendonly"]  # as the client sees it
        if key is not None:
            lines.append(f"a=key-mgmt:mikey {key}")
    return ("\r\n".join(lines) + "\r\n").encode()


def _clean(text: str) -> str:
    return " ".join(text.split())


def _connection(group: Multicast) -> str:
    """RFC 4566 5.7: IPv6 has no TTL here."""
    return f"IP6 {group.address}" if ":" in group.address else f"IP4 {group.address}/{group.ttl}"


def _media(track: TrackDescription, port: int, connection: str, *, secure: bool = False) -> list[str]:
    formats = ((track.payload_type, track.format), *track.alternatives)
    numbers = " ".join(str(number) for number, _ in formats)
    lines = [f"m={_MEDIA_NAMES[track.format.kind]} {port} RTP/{'SAVP' if secure else 'AVP'} {numbers}"]
    if connection:
        lines.append(f"c=IN {connection}")
    for number, format in formats:
        lines += _encoding(number, format)
    return lines


def _encoding(number: int, format: TrackFormat) -> list[str]:
    lines = [f"a=rtpmap:{number} {format_to_rtpmap(format)}"]
    fmtp = format_to_fmtp(format, number)
    if fmtp:
        lines.append(f"a=fmtp:{fmtp}")
    if format.width and format.height:
        lines.append(f"a=framesize:{number} {format.width}-{format.height}")  # RFC 6064 6.2.1
    return lines


def _about(track: TrackDescription, mid: int | None) -> list[str]:
    lines = [f"a=control:{track.control}", "a=recvonly"]
    if mid is not None:
        lines.append(f"a=mid:{mid}")
        if track.ssrc is not None:
            lines.append(f"a=ssrc:{track.ssrc}")
    if track.profile and track.format.kind is Kind.VIDEO:
        lines.append(f"a=x-onvif-profile:{track.profile}")  # Streaming 5.4.3
    if track.token is not None:
        lines.append(f"a=x-onvif-track:{track.token}")  # Streaming 6.2
    return lines
