"""Odd ways of cameras, and what is done about each.

Most are borne always, since that harms no other camera. What would, or costs something, is switched on per camera and stream
(`onvifd camera set ID --quirk NAME`). Each has a test that carries its id: `tests/cameras/test_quirks.py` sees to that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from onvifd.errors import InvalidArgument
from onvifd.rtsp.client_session import ClientOptions
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import Trust


class Switch(StrEnum):
    """ALWAYS is borne of every camera, CAMERA is off until a person sets it."""

    ALWAYS = "always"
    CAMERA = "camera"


@dataclass(frozen=True, slots=True)
class Quirk:
    """`what` the camera does and we do about it; `source` is who has met it."""

    id: str
    switch: Switch
    what: str
    source: str


_FFMPEG = "libavformat bears it in its RTSP and SDP readers"
_GST = "GStreamer's rtspsrc bears it or has a property for it"
_LIVE555 = "live555, and with it VLC and many VMS, bears it"
_RETINA = "the Rust client of Moonfire NVR has a policy for it"

QUIRKS: Final[tuple[Quirk, ...]] = (
    Quirk("line-feeds", Switch.ALWAYS, "Lines of answers and descriptions end in a bare line feed.", _FFMPEG),
    Quirk("bad-headers", Switch.ALWAYS, "Header lines without a colon are left out.", _GST),
    Quirk(
        "rubbish", Switch.ALWAYS, "Bytes between messages and frames that belong to neither are stepped over.", _FFMPEG
    ),
    Quirk("cseq-own", Switch.ALWAYS, "Answers have a CSeq that was never sent: they are taken.", _FFMPEG),
    Quirk("odd-session", Switch.ALWAYS, "Session identifiers hold characters that RFC 2326 forbids.", _LIVE555),
    Quirk("no-session-timeout", Switch.ALWAYS, "No time-out is told, or 0: it is taken to be 60 s.", _LIVE555),
    Quirk("no-options", Switch.CAMERA, "OPTIONS makes the camera close the connection: it is not asked.", _GST),
    Quirk("short-headers", Switch.CAMERA, "A request with headers that it does not know is refused.", _GST),
    Quirk("control-missing", Switch.ALWAYS, "Tracks without control, or `*`: the aggregate URL is set up.", _FFMPEG),
    Quirk("rtpmap-wrong", Switch.ALWAYS, "rtpmap is missing, has another number or no clock rate.", _FFMPEG),
    Quirk("fmtp-broken", Switch.ALWAYS, "Broken parameter sets in the description: those in band are used.", _GST),
    Quirk("video-sendonly", Switch.ALWAYS, "Its own video is called sendonly, as the camera sees it.", _FFMPEG),
    Quirk(
        "channels-other", Switch.ALWAYS, "Media come on other channels than told, or with RTP and RTCP swapped.", _GST
    ),
    Quirk(
        "transport-empty", Switch.ALWAYS, "The answer to SETUP has no Transport, no ports, or channels 0-0.", _LIVE555
    ),
    Quirk("ports-other", Switch.ALWAYS, "Datagrams come from other ports or another address than told.", _LIVE555),
    Quirk("early-media", Switch.ALWAYS, "The first picture comes before the answer to PLAY.", _GST),
    Quirk("ssrc-wrong", Switch.ALWAYS, "Packets have another SSRC than told, or it changes.", _GST),
    Quirk(
        "stale-session", Switch.ALWAYS, "Packets of an old session are mixed in: the newer source is followed.", _RETINA
    ),
    Quirk("markers-wrong", Switch.ALWAYS, "Markers on every packet or on parameter sets: time stamps tell.", _FFMPEG),
    Quirk("markers-none", Switch.ALWAYS, "Markers are never set: the next time stamp ends a picture.", _LIVE555),
    Quirk("no-markers", Switch.CAMERA, "Markers are random: none is believed from the beginning.", _RETINA),
    Quirk("time-leaps", Switch.ALWAYS, "Time stamps or sequence numbers begin anew: clients see them go on.", _FFMPEG),
    Quirk(
        "codec-changes",
        Switch.ALWAYS,
        "It sends another encoding within a session: a new description is asked for.",
        "our own tests; libavformat and GStreamer go on with the old decoder",
    ),
    Quirk(
        "codec-wrong",
        Switch.ALWAYS,
        "Its description names another codec than it sends: what comes counts.",
        "AlexxIT/go2rtc issue 264",
    ),
    Quirk(
        "types-other",
        Switch.ALWAYS,
        "Packets of payload types that are not described are mixed in: they are left out.",
        "BogdanovKirill/RtspClientSharp issue 98, bluenviron/mediamtx issue 4036",
    ),
    Quirk("units-own", Switch.ALWAYS, "NAL units of types without meaning in front of pictures are left out.", _FFMPEG),
    Quirk("fragments-open", Switch.ALWAYS, "Fragments never have their end bit: what follows ends them.", _GST),
    Quirk("clock-insane", Switch.ALWAYS, "Sender reports that are far from the present time are not followed.", _GST),
    Quirk("arrival-time", Switch.CAMERA, "Its clock is near but drifts in steps: sender reports are left alone.", _GST),
    Quirk("rtcp-odd", Switch.ALWAYS, "RTCP is missing, broken, or comes on the channel of RTP.", _FFMPEG),
    Quirk("empty-frames", Switch.ALWAYS, "Interleaved frames of length 0.", _FFMPEG),
    Quirk("duplicates", Switch.ALWAYS, "Packets come twice, or late: they are left out.", _LIVE555),
    Quirk("keep-alive-refused", Switch.ALWAYS, "A refused keep-alive is followed by the next method.", _GST),
    Quirk("keep-alive-options", Switch.CAMERA, "GET_PARAMETER ends its session: OPTIONS keeps it alive.", _FFMPEG),
    Quirk("no-keep-alive", Switch.CAMERA, "Any request during the session disturbs it: none is sent.", _GST),
    Quirk("no-reports", Switch.CAMERA, "Receiver reports disturb it: none are sent.", _GST),
    Quirk("nonce-fresh", Switch.ALWAYS, "A nonce runs out without stale=true: the new one is used.", _RETINA),
    Quirk(
        "basic-clear",
        Switch.CAMERA,
        "It has offered Digest once and wants Basic now: the password is sent in clear.",
        "our own tests; who is in the middle of a connection can ask for the same",
    ),
    Quirk(
        "closes-challenged",
        Switch.ALWAYS,
        "It closes the connection behind a challenge: the login goes on another one.",
        _GST,
    ),
    Quirk("md5-only", Switch.CAMERA, "It offers SHA-256 and computes it wrongly: MD5 is used.", _GST),
    Quirk("redirects", Switch.ALWAYS, "It redirects DESCRIBE, or a session with REDIRECT.", _LIVE555),
    Quirk("requests-us", Switch.ALWAYS, "It sends OPTIONS or ANNOUNCE itself: it gets an answer.", _GST),
    Quirk(
        "no-metadata",
        Switch.CAMERA,
        "Setting up its metadata track disturbs its pictures.",
        "our own tests with a camera that closes then",
    ),
    Quirk(
        "libav", Switch.CAMERA, "libavformat receives it instead of our client.", "what only libavformat understands"
    ),
    Quirk(
        "no-libav",
        Switch.CAMERA,
        "libavformat is never tried.",
        "a camera that takes one connection and is refused three times",
    ),
)

BY_ID: Final = {quirk.id: quirk for quirk in QUIRKS}


def parse_quirks(ids: Iterable[str]) -> frozenset[str]:
    """Ids of quirks that are to be switched on. Raises InvalidArgument for unknown ones and for those that always hold."""
    found = frozenset(one for one in ids if one)
    for one in sorted(found):
        quirk = BY_ID.get(one)
        if quirk is None:
            known = ", ".join(each.id for each in QUIRKS if each.switch is Switch.CAMERA)
            raise InvalidArgument(f"there is no quirk {one[:40]!r}; known are {known}")
        if quirk.switch is Switch.ALWAYS:
            raise InvalidArgument(f"the quirk {one} is borne of every camera")
    return found


def client_options(
    way: Way, tunnel_port: int, trust: Trust, quirks: frozenset[str], *, digest: bool = False
) -> ClientOptions:
    """How the client talks to a camera with these quirks; `digest` is whether it has offered Digest before."""
    keep_alive = "none" if "no-keep-alive" in quirks else "OPTIONS" if "keep-alive-options" in quirks else ""
    return ClientOptions(
        way=way,
        tunnel_port=tunnel_port,
        trust=trust,
        md5_only="md5-only" in quirks,
        keep_alive=keep_alive,
        options_first="no-options" not in quirks,
        reports="no-reports" not in quirks,
        short_headers="short-headers" in quirks,
        basic="basic-clear" in quirks or not digest,
    )
