"""What the RTSP server and a way for sound to a camera say to each other (Streaming 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from onvifd.access.types import AccessClass, Account, may
from onvifd.errors import Forbidden
from onvifd.media.types import FlushUnit, Kind
from onvifd.rtsp.play import Outlet, TrackDescription

BACKCHANNEL_TAG = "www.onvif.org/ver20/backchannel"
"""Streaming 5.3.1."""

CONTROL = "audioback"
"""Control of the section; it stays the same whatever other tracks a presentation has."""


class Primacy(StrEnum):
    """SendPrimacy of an audio output configuration (Media 5.14): who may send sound while a client has the back channel."""

    SERVER = "www.onvif.org/ver20/HalfDuplex/Server"
    CLIENT = "www.onvif.org/ver20/HalfDuplex/Client"
    AUTO = "www.onvif.org/ver20/HalfDuplex/Auto"


@dataclass(frozen=True, slots=True)
class Talker:
    """Who talks: account, address, and the public id of the RTSP session."""

    account: str
    address: str
    session: str


class Grip(Protocol):
    """One session's hold of a back channel."""

    def hear(self, packet: bytes, now: float) -> None:
        """Take an RTP packet of the client; what cannot be used is counted and left out. Never raises, never blocks."""
        ...

    def release(self) -> None:
        """The session no longer sends."""
        ...


class BackChannel(Protocol):
    """The way to one camera, which one client at a time has."""

    @property
    def track(self) -> TrackDescription:
        """The section of the SDP, with all formats that a client may choose."""
        ...

    @property
    def primacy(self) -> Primacy: ...

    @property
    def closed(self) -> bool:
        """Whether the camera cannot be talked to any more, as it or its loudspeaker is gone."""
        ...

    def check(self, talker: Talker, now: float) -> None:
        """Raises Unavailable while somebody else has it."""
        ...

    def take(self, talker: Talker, now: float) -> Grip:
        """Have it from now on. Raises Unavailable while somebody else has it."""
        ...


def check_talker(account: Account) -> None:
    """Raises Forbidden for accounts that may not act on a camera: sound from its loudspeaker is no reading of media."""
    if not may(account.level, AccessClass.ACTUATE):
        raise Forbidden("the account may not talk")


class HalfDuplexOutlet:
    """Outlet of a session that has a back channel: the camera's sound is left out where the client alone may send."""

    __slots__ = ("_audio", "_line", "_outlet")

    def __init__(self, outlet: Outlet, line: BackChannel, tracks: tuple[TrackDescription, ...]) -> None:
        self._outlet = outlet
        self._line = line
        self._audio = frozenset(
            number for number, track in enumerate(tracks) if track.format.kind is Kind.AUDIO and not track.talk
        )

    def send(self, unit: FlushUnit) -> None:
        """See Outlet."""
        if unit.track in self._audio and self._line.primacy is Primacy.CLIENT:
            return
        self._outlet.send(unit)

    def expect(self, size: int) -> None:
        """See Outlet."""
        self._outlet.expect(size)

    @property
    def ready(self) -> bool:
        """See Outlet."""
        return self._outlet.ready

    async def drain(self) -> None:
        """See Outlet."""
        await self._outlet.drain()

    def end(self) -> None:
        """See Outlet."""
        self._outlet.end()
