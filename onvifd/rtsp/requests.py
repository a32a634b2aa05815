"""What a request of a client asks for: its target, track, transport and how to play."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

from onvifd.rtsp import headers as h
from onvifd.rtsp.backchannel import BACKCHANNEL_TAG
from onvifd.rtsp.messages import Request, RtspError
from onvifd.rtsp.play import Multicast, PlayReply, PlayRequest, Presentation
from onvifd.rtsp.protection import PROFILE
from onvifd.rtsp.server_events import Session, Udp, talk_of, track_of

REPLAY_TAG = "onvif-replay"
"""Streaming 6.4."""

# clients of an HTTP tunnel may name its address
_TARGET = re.compile(r"(?:rtspu?|rtsps|https?)://[^/?#]*([^#]*)", re.IGNORECASE)


def split_target(uri: str) -> tuple[str, str | None]:
    """Path of a request target without trailing `/`, and the track control that a client put behind a query."""
    match = _TARGET.match(uri)
    text = match.group(1) if match else uri
    path, _, query = text.partition("?")
    control = query.rpartition("/")[2] if "/" in query else None
    return "/" + unquote(path).strip("/"), control or None


def without_query(uri: str) -> str:
    return uri.partition("?")[0]


def wants_multicast(uri: str) -> bool:
    """Whether a URL is that of multicast: then the description tells groups and ports (Streaming 5.2.2.5).

    They are told to nobody else, since many players go where a description points, even if they could have unicast.
    """
    return "multicast" in uri.partition("?")[2].split("/")[0].split("&")


def usable_transports(offers: list[h.Transport], tcp_only: bool = False, secure: bool = False) -> list[h.Transport]:
    """Those that we may serve. `secure`: RTSP is within TLS, so that what leaves it must be SRTP, and only there keys are told
    (Streaming 5.1.1.4)."""
    return [
        offer
        for offer in offers
        if (offer.profile == "AVP" or (secure and offer.profile == PROFILE))
        and not (secure and offer.profile == "AVP" and not offer.tcp)
        and offer.mode in ("PLAY", "RECORD", "")  # clients of a back channel are known to say that they record
        and (
            offer.tcp
            or (not tcp_only and (not offer.unicast or (offer.client_port is not None and 0 not in offer.client_port)))
        )
        and not (offer.tcp and not offer.unicast)
    ]


def choose_transport(offers: list[h.Transport], group: Multicast | None) -> h.Transport | None:
    """The first that serves a track with this group; where data is sent is never the client's to say (RFC 2326 12.39)."""
    return next((offer for offer in offers if offer.unicast or group is not None), None)


def track_index(presentation: Presentation, control: str | None) -> int:
    """The number of a track; that of the back channel is behind those of all others."""
    if control is None:
        if len(presentation.tracks) == 1:
            return 0
        raise RtspError(459, "SETUP needs the URL of a track")
    for index, track in enumerate(presentation.tracks):
        if track.control == control:
            return index
    line = talk_of(presentation)
    if line is not None and line.track.control == control:
        return len(presentation.tracks)
    raise RtspError(404, "track does not exist")


def play_request(request: Request, replay: bool) -> PlayRequest:
    get = request.headers.get
    span = h.parse_range(get("Range") or "npt=now-") if "Range" in request.headers else None
    frames, interval = h.parse_frames(get("Frames") or "all")
    rate_control = h.parse_yes_no(get("Rate-Control") or "yes", "Rate-Control")
    scale = h.parse_number(get("Scale") or "1", "Scale")
    if not rate_control and scale not in (1.0, -1.0):
        raise RtspError(456, "Scale must be 1.0 or -1.0 without rate control")  # Streaming 6.5
    start, end = (span.start, span.end) if span else (None, None)
    # Streaming 6.5.1: a closed range runs in the direction of Scale
    if start is not None and end is not None and start != end and (end < start) != (scale < 0):
        raise RtspError(457, "Range runs against Scale")
    return PlayRequest(
        cseq=int(get("CSeq") or 0),
        start=start,
        end=end,
        npt_start=span.npt_start if span else None,
        npt_end=span.npt_end if span else None,
        scale=scale,
        speed=abs(h.parse_number(get("Speed") or "1", "Speed")),
        rate_control=rate_control,
        frames=frames,
        interval=interval,
        immediate=h.parse_yes_no(get("Immediate") or "no", "Immediate"),
        replay=replay,
    )


def play_fields(request: Request, session: Session, reply: PlayReply) -> list[tuple[str, str]]:
    """Range and RTP-Info of a PLAY answer: clock units, and rtptime that belongs to the start (Streaming 5.2.2.3). Scale and
    Speed say what is really done, where they were asked for (RFC 2326 12.34, 12.35). Where no start is known there is no Range: it
    shall not be one of other units."""
    fields = [] if reply.start is None else [("Range", h.Range(start=reply.start, end=reply.end).format())]
    tracks = session.presentation.tracks
    items = [
        h.RtpInfoItem(f"{session.base}/{tracks[info.track].control}", info.seq, info.rtp_time)
        for info in reply.rtp
        if info.track in session.tracks and info.track not in session.held
    ]
    if items:
        fields.append(("RTP-Info", h.format_rtp_info(items)))
    if "Scale" in request.headers:
        fields.append(("Scale", f"{reply.scale:.6g}"))
    if "Speed" in request.headers:
        fields.append(("Speed", f"{reply.speed:.6g}"))
    return fields


def free_channels(
    sessions: Iterable[Session], session: Session, track: int, wanted: tuple[int, int] | None
) -> tuple[int, int]:
    """The interleaved channels that the client wants for a track, or the first free pair if they are taken."""
    used = {
        channel
        for other in sessions
        for number, channels in other.tracks.items()
        if not isinstance(channels, Udp | Multicast) and (other is not session or number != track)
        for channel in channels
    }
    if wanted is not None and used.isdisjoint(wanted):
        return wanted
    for channel in range(0, 256, 2):
        if used.isdisjoint((channel, channel + 1)):
            return channel, channel + 1
    raise RtspError(461, "no interleaved channel is free")


def named_track(request: Request, session: Session) -> int | None:
    """The track that a request is for, None for all of the session.

    Live media can be controlled by track (NonAggregateControl of the media service); the tracks of a recording play together,
    as do those that are sent to groups. Raises RtspError 404 for a URL that is not of the session, 460 (RFC 2326 10.5).
    """
    path, control = split_target(request.uri)
    if path == session.path and control is None:
        return None
    numbers = {track_of(session, number).control: number for number in session.tracks}
    named = control or path.rpartition("/")[2]
    if named in numbers and path in (session.path, f"{session.path}/{named}"):
        if len(session.tracks) == 1:
            return None
        if session.presentation.replay or isinstance(session.tracks[numbers[named]], Multicast):
            raise RtspError(460, "tracks of a session play together")
        return numbers[named]
    if request.uri != "*":
        raise RtspError(404, "URL is not that of the session")
    return None


class Required(NamedTuple):
    """Features that a request requires."""

    replay: bool
    talk: bool


def check_require(request: Request, *, replay: bool, talk: bool = False) -> Required:
    """What is required of what is served. Raises 551 naming what is not supported (RFC 2326 12.32)."""
    tags = h.parse_tags(request.headers.all("Require") + request.headers.all("Proxy-Require"))
    served = {REPLAY_TAG: replay, BACKCHANNEL_TAG: talk}
    unknown = [tag for tag in tags if not served.get(tag)]
    if unknown:
        raise RtspError(551, "feature is not supported", headers=(("Unsupported", ", ".join(unknown)),))
    return Required(REPLAY_TAG in tags, BACKCHANNEL_TAG in tags)
