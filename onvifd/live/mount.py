"""Live streams as RTSP presentations."""

from __future__ import annotations

from collections.abc import Callable

from onvifd.access.types import Account
from onvifd.errors import NotFound, Unavailable
from onvifd.live.hub import LiveStream, LiveTrack, encodings
from onvifd.media.types import FlushUnit
from onvifd.rtsp.play import Outlet, Playback, PlayReply, PlayRequest, RtpInfo, TrackDescription

FORMAT_WAIT = 5.0
"""Seconds that DESCRIBE waits for a camera that is just connecting."""

MAX_WAITING = 4096
"""Units held between the PLAY answer and the start of sending."""


class LivePresentation:
    """A live stream as a URL names it (rtsp.play.Presentation)."""

    def __init__(self, stream: LiveStream, session_timeout: int) -> None:
        self._stream = stream
        self._session_timeout = session_timeout
        # As described: a session outlives changes of the stream, and its tracks must not vanish under it.
        self._live = stream.tracks

    @property
    def name(self) -> str:
        return self._stream.name

    @property
    def tracks(self) -> tuple[TrackDescription, ...]:
        return tuple(
            TrackDescription(
                format=track.format, payload_type=track.payload_type, control=f"trackID={index}", ssrc=track.ssrc
            )
            for index, track in enumerate(self._live)
        )

    @property
    def replay(self) -> bool:
        return False

    @property
    def range(self) -> tuple[int, int] | None:
        return None

    @property
    def session_timeout(self) -> int:
        return self._session_timeout

    def open(self, outlet: Outlet) -> Playback:
        return LivePlayback(self._stream, outlet, self._live)


class LivePlayback:
    """One session that watches a live stream, from the cached clean point on."""

    def __init__(self, stream: LiveStream, outlet: Outlet, described: tuple[LiveTrack, ...]) -> None:
        self._stream = stream
        self._described = encodings(described)
        self._outlet = outlet
        self._waiting: list[FlushUnit] | None = None
        self._playing = False

    async def play(self, request: PlayRequest, tracks: frozenset[int]) -> PlayReply:
        """Answer with the first unit that will be sent. A Range into the past is not live's to serve: now is played.

        Raises Unavailable when the stream is no longer what was described, or has ended.
        """
        if self._playing:
            # Some clients repeat PLAY to keep a session alive: nothing may be sent twice.
            return PlayReply(start=None)
        self._detach()
        if encodings(self._stream.tracks) != self._described:
            raise Unavailable(f"{self._stream.name} has changed: it must be described again")
        self._waiting = self._stream.backlog()
        self._stream.attach(self._hold, self._outlet.end)
        first: dict[int, FlushUnit] = {}
        for unit in self._waiting:
            if not unit.rtcp and unit.track in tracks:
                first.setdefault(unit.track, unit)
        infos = tuple(
            RtpInfo(track, int.from_bytes(unit.data[unit.starts[0] + 6 : unit.starts[0] + 8], "big"), unit.rtp_time)
            for track, unit in sorted(first.items())
        )
        return PlayReply(start=min((unit.utc for unit in first.values()), default=None), rtp=infos)

    def _hold(self, unit: FlushUnit) -> None:
        if self._waiting is not None and len(self._waiting) < MAX_WAITING:
            self._waiting.append(unit)

    def start(self) -> None:
        if self._waiting is None:
            return
        waiting, self._waiting = self._waiting, None
        self._playing = True
        self._stream.detach(self._hold)
        for unit in waiting:
            self._outlet.send(unit)
        self._stream.attach(self._outlet.send, self._outlet.end)

    def _detach(self) -> None:
        self._stream.detach(self._hold)
        self._stream.detach(self._outlet.send)
        self._waiting = None
        self._playing = False

    async def pause(self) -> None:
        self._detach()

    async def close(self) -> None:
        self._detach()


class LiveMount:
    """The live part of the URL space (rtsp.play.Mount). `lookup` gives the stream of a path, None for no such camera."""

    def __init__(
        self, lookup: Callable[[str], LiveStream | None], session_timeout: int, *, format_wait: float = FORMAT_WAIT
    ) -> None:
        self._lookup = lookup
        self._session_timeout = session_timeout
        self._format_wait = format_wait

    async def find(self, path: str, account: Account) -> LivePresentation:
        """Raises NotFound for an unknown path, Unavailable for a camera that delivers nothing."""
        stream = self._lookup(path)
        if stream is None:
            raise NotFound(f"There is no stream at {path}.")
        if not await stream.known(self._format_wait):
            raise Unavailable(f"The camera of {path} does not deliver.")
        return LivePresentation(stream, self._session_timeout)
