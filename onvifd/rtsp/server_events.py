"""What the server's machine of one connection keeps and what it asks of its caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from onvifd.access.types import Account
from onvifd.rtsp.backchannel import BackChannel
from onvifd.rtsp.headers import Transport
from onvifd.rtsp.messages import Request
from onvifd.rtsp.play import Multicast, PlayRequest, Presentation, TrackDescription
from onvifd.rtsp.protection import Secured


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one connection. Times in seconds."""

    sessions: int = 8
    login_timeout: float = 30.0
    idle_timeout: float = 120.0
    timeout_grace: float = 5.0
    """Added to the session time-out that the client is told, for requests that are under way."""
    bye_grace: float = 5.0
    """How long a session goes on after its client said BYE."""
    requests_per_second: float = 50.0
    request_burst: int = 200
    frames_per_second: float = 500.0
    """Interleaved frames from the client; receiver reports need a few."""
    failed_logins: int = 20
    buffer: int = 128 << 10
    """Bytes received and not yet looked at."""


@dataclass(frozen=True, slots=True)
class Udp:
    """A track sent to UDP ports; pairs are (RTP, RTCP)."""

    client_port: tuple[int, int]
    server_port: tuple[int, int]


@dataclass(slots=True)
class Session:
    """One RTSP session. `tracks` maps set-up track numbers to interleaved channels, UDP ports or a group; the number behind those
    that the presentation sends is that of the back channel. `held` are tracks that do not play while others do."""

    id: str
    path: str
    base: str
    presentation: Presentation
    deadline: float
    tracks: dict[int, tuple[int, int] | Udp | Multicast] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)
    playing: bool = False
    begun: bool = False
    """Whether it has played at any time."""
    require_replay: bool = False
    secured: dict[int, Secured] = field(default_factory=dict)
    """Tracks under SRTP."""

    @property
    def timeout(self) -> int:
        return self.presentation.session_timeout


def talk_of(presentation: Presentation) -> BackChannel | None:
    """The back channel of a presentation that has one."""
    line: BackChannel | None = getattr(presentation, "talk", None)
    return line


def track_of(session: Session, number: int) -> TrackDescription:
    """A track of a session, the back channel included."""
    tracks = session.presentation.tracks
    line = talk_of(session.presentation)
    return line.track if line is not None and number == len(tracks) else tracks[number]


@dataclass(frozen=True, slots=True)
class Find:
    """Find the presentation at the first of `candidates` (path, track control) that exists; answer `found` or `failed`."""

    candidates: tuple[tuple[str, str | None], ...]
    account: Account


@dataclass(frozen=True, slots=True)
class OpenUdp:
    """Bind a port pair for a track; answer `set_up` or `failed`."""

    session: Session
    track: int
    client_port: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Play:
    """Prepare to play all tracks or one; answer `played` or `failed`, and start when the answer has been written."""

    session: Session
    request: PlayRequest
    track: int | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop sending, at once or at a time (microseconds UTC); answer `paused` or `failed`."""

    session: Session
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Retuned:
    """Tracks of a session that plays were held or torn down: the others go on. No answer."""

    session: Session


@dataclass(frozen=True, slots=True)
class Received:
    """The client sent something for a track: a report, or sound on the back channel. No answer."""

    session: Session
    track: int
    rtcp: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The session is gone: free what belongs to it. No answer."""

    session: Session
    reason: str


@dataclass(frozen=True, slots=True)
class Closed:
    """Close the connection when what is to be sent has been sent. No answer."""

    reason: str
    noteworthy: bool = True


Event = Find | OpenUdp | Play | Pause | Retuned | Received | SessionEnded | Closed


@dataclass(slots=True)
class Pending:
    """The request that waits for the world, with what was read from it so far."""

    request: Request
    then: Callable[..., Event | None]
    session: Session | None = None
    offers: list[Transport] = field(default_factory=list)


class Admission(Protocol):
    """Counts sessions over all connections."""

    def admit(self, session: Session, account: str, address: str) -> None:
        """A session begins. Raises RtspError 453 or 503 where there is no room for it."""
        ...

    def release(self, session: Session) -> None:
        """It has ended; one that was not admitted is ignored."""
        ...


class Bucket:
    """Token bucket."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._last = burst, now

    def take(self, now: float) -> bool:
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._rate)
        self._last = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Verifier(Protocol):
    """What `access.digest.DigestVerifier` does."""

    def challenges(self, now: float, stale: bool = False) -> tuple[str, ...]: ...

    def verify(
        self,
        authorization: str,
        method: str,
        uri: str,
        now: float,
        *,
        peer: str = "",
        local: str = "",
        held: str = "",
    ) -> Account: ...
