"""What the RTSP server and the makers of media (live hub, replay, simulated camera) say to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from onvifd.access.types import Account
from onvifd.media.types import FlushUnit, TrackFormat


class Frames(StrEnum):
    """The `Frames` header of a PLAY request (Streaming, replay chapter)."""

    ALL = "all"
    INTRA = "intra"
    PREDICTED = "predicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayRequest:
    """A PLAY request, parsed.

    `start` and `end` are microseconds UTC from `Range: clock=`; both None without a Range header (resume, or live "now").
    `npt_start` and `npt_end` are seconds from `Range: npt=` (None for `now-` or without). `interval` is the least distance of intra
    frames in microseconds of recording time, 0 for every one. `replay` is true when `Require: onvif-replay` was sent.
    """

    cseq: int
    start: int | None = None
    end: int | None = None
    npt_start: float | None = None
    npt_end: float | None = None
    scale: float = 1.0
    speed: float = 1.0
    rate_control: bool = True
    frames: Frames = Frames.ALL
    interval: int = 0
    immediate: bool = False
    replay: bool = False


@dataclass(frozen=True, slots=True)
class RtpInfo:
    """First packet of one track after a PLAY (RFC 2326 section 12.33). `seq` is None when the packet is still to come; then
    `rtp_time` belongs to the time that the answer states."""

    track: int
    seq: int | None
    rtp_time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayReply:
    """What a PLAY answer states: the time of the first unit (microseconds UTC), the end if bounded, RTP-Info."""

    start: int | None
    end: int | None = None
    rtp: tuple[RtpInfo, ...] = ()
    scale: float = 1.0
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Multicast:
    """A group that a track is sent to; RTCP goes to the next port. `address` is a literal of either family."""

    address: str
    port: int
    ttl: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackDescription:
    """One media section of the SDP. `token` is the recording track token in replay (`a=x-onvif-track`), else None.

    `multicast` is where the track goes by multicast. A track with `talk` is sent by the client (Streaming 5.3): then
    `alternatives` are further formats that it may choose, each with its payload type. `profile` is the media profile of live
    media.
    """

    format: TrackFormat
    payload_type: int
    control: str
    ssrc: int | None = None
    token: str | None = None
    multicast: Multicast | None = None
    talk: bool = False
    alternatives: tuple[tuple[int, TrackFormat], ...] = ()
    profile: str = ""


def first_packet(track: int, unit: FlushUnit, start: int, clock_rate: int) -> RtpInfo:
    """What an answer that states `start` tells of a track whose first unit is this one: its time stamp is that of `start`, whenever
    the unit is (Streaming 5.2.2.3). Of a sender report there is no number to tell."""
    seq = None if unit.rtcp else int.from_bytes(unit.data[unit.starts[0] + 6 : unit.starts[0] + 8], "big")
    return RtpInfo(track, seq, unit.rtp_time + (start - unit.utc) * clock_rate // 1_000_000 & 0xFFFFFFFF)


class Outlet(Protocol):
    """One RTSP session's way out. The server makes it; a Playback feeds it.

    It maps canonical channels to the client's (interleaved channels or UDP ports) and drops tracks that were not set up.
    """

    def send(self, unit: FlushUnit) -> None:
        """Queue a unit, never blocking. At the bound (2 MB or 2 s) it drops to the next key unit."""
        ...

    def expect(self, size: int) -> None:
        """So many bytes come at once now, from a clean point on: they may wait beside the bound until they are late."""
        ...

    @property
    def ready(self) -> bool:
        """Whether `drain` would return at once."""
        ...

    async def drain(self) -> None:
        """Wait until what was sent is below the low-water mark; for senders that must not drop (replay)."""
        ...

    def end(self) -> None:
        """Nothing more will come from this playback (source gone): close the session after the queue is empty."""
        ...


class Playback(Protocol):
    """Media for one RTSP session."""

    async def play(self, request: PlayRequest, tracks: frozenset[int]) -> PlayReply:
        """Prepare to send the set-up `tracks` as asked. No unit leaves before `start`. Raises OnvifdError leaves."""
        ...

    def start(self) -> None:
        """Begin sending: the server calls it when the PLAY answer has been written."""
        ...

    async def pause(self) -> None:
        """Stop sending and remember the position."""
        ...

    async def close(self) -> None:
        """Stop for good and free everything."""
        ...


@runtime_checkable
class PausesAt(Protocol):
    """A Playback that can be told where to pause (RFC 2326 10.6): that of a recording."""

    async def pause_at(self, utc: int) -> bool:
        """Stop at a time in microseconds UTC. True when it has been passed and sending has stopped."""
        ...


@runtime_checkable
class AsksKeyframes(Protocol):
    """A Presentation whose source can be asked for a clean point."""

    def want_keyframe(self) -> None:
        """A client has lost its way."""
        ...


@runtime_checkable
class CountsRollovers(Protocol):
    """A Presentation whose units tell their rollover counter (FlushUnit.rollover)."""

    def rollover(self, track: int) -> int:
        """That of the first packet that who plays now would get."""
        ...


class Protector(Protocol):
    """Encrypts what is sent (rtsp.srtp.Sender)."""

    def protect(self, unit: FlushUnit) -> FlushUnit: ...


@runtime_checkable
class SentToGroups(Protocol):
    """A Presentation whose tracks can be sent by multicast."""

    def open_groups(
        self,
        tracks: frozenset[int],
        ended: Callable[[], None],
        local: str,
        protect: Mapping[int, Protector] | None = None,
    ) -> Playback:
        """A playback of a session all of whose tracks go to groups. `ended` is called when the source ends; `local` is the address
        by which the client came. `protect` is what encrypts a track."""
        ...


class Presentation(Protocol):
    """What a URL names: tracks that can be described and played."""

    @property
    def name(self) -> str: ...

    @property
    def tracks(self) -> tuple[TrackDescription, ...]: ...

    @property
    def replay(self) -> bool:
        """True for recordings: PAUSE, Range and the replay headers are served; SETUP may require `onvif-replay`."""
        ...

    @property
    def range(self) -> tuple[int, int] | None:
        """Microseconds UTC of the first and last unit for `a=range:clock=`; None for live (`a=range:npt=now-`)."""
        ...

    @property
    def session_timeout(self) -> int:
        """Seconds of silence after which the session ends."""
        ...

    def open(self, outlet: Outlet) -> Playback: ...


class Mount(Protocol):
    """A part of the URL space."""

    async def find(self, path: str, account: Account) -> Presentation:
        """The presentation at `path` (no host, no query, no track suffix). Raises NotFound or Unavailable."""
        ...
