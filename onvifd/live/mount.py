"""Live streams as RTSP presentations."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from weakref import WeakValueDictionary

from onvifd.access.types import Account
from onvifd.errors import NotFound, OnvifdError, Unavailable
from onvifd.live.hub import LiveStream, LiveTrack, encodings
from onvifd.live.parts import Blend, Composition, Feed, Part, feed_of
from onvifd.live.talk import TalkLine
from onvifd.media.types import Codec, FlushUnit
from onvifd.rtsp.multicast import GroupPlayback, Groups
from onvifd.rtsp.play import Outlet, Playback, PlayReply, PlayRequest, Protector, TrackDescription, first_packet

FORMAT_WAIT = 5.0
"""Seconds that DESCRIBE waits for a camera that is just connecting."""

FIRST_WAIT = 3.0
"""Seconds that the answer to PLAY waits for the first unit of a stream that has sent nothing yet."""

MAX_WAITING = 4096
"""Units held between the PLAY answer and the start of sending."""


class LivePresentation:
    """What a URL of live media names (rtsp.play.Presentation). Without `parts` it is all tracks of the stream `feed`."""

    def __init__(
        self,
        feed: Feed,
        session_timeout: int,
        *,
        name: str = "",
        parts: tuple[Part, ...] = (),
        profile: str = "",
        talk: TalkLine | None = None,
        groups: Groups | None = None,
    ) -> None:
        self._feed = feed
        self._parts = parts
        self._groups = groups
        self.talk = talk
        """The back channel (Streaming 5.3)."""
        self._name = name or feed.name
        self._session_timeout = session_timeout
        # As described: a session outlives changes of the stream, and its tracks must not vanish under it.
        self._live = feed.tracks
        self._tracks = tuple(
            _describe(track, number, parts, profile, groups is not None)
            for number, track in enumerate(self._live[: len(parts)] if parts else self._live)
        )

    @property
    def name(self) -> str:
        return self._name

    @property
    def tracks(self) -> tuple[TrackDescription, ...]:
        return self._tracks

    @property
    def replay(self) -> bool:
        return False

    @property
    def range(self) -> tuple[int, int] | None:
        return None

    @property
    def session_timeout(self) -> int:
        return self._session_timeout

    @property
    def bitrate(self) -> int:
        """Bit/s, 0 until they are known."""
        return self._feed.bitrate

    def rollover(self, track: int) -> int:
        """See rtsp.play.CountsRollovers."""
        return self._feed.rollover(track) if track < len(self._live) else 0

    def open(self, outlet: Outlet) -> Playback:
        return LivePlayback(self._feed, outlet, self._live)

    def open_groups(
        self,
        tracks: frozenset[int],
        ended: Callable[[], None],
        local: str,
        protect: Mapping[int, Protector] | None = None,
    ) -> Playback:
        """See rtsp.play.SentToGroups."""
        wanted = []
        for number in sorted(tracks):
            part = self._parts[number]
            if part.multicast is not None:
                wanted.append((number, part.stream, part.track, part.multicast))
        if self._groups is None:
            raise Unavailable("nothing is sent by multicast")
        return GroupPlayback(
            self._groups, wanted, ended, local, protect, lambda: _ready(self._feed, encodings(self._live))
        )

    def want_keyframe(self) -> None:
        """A client has lost its way and asks for a clean point."""
        self._feed.want_keyframe()


def _describe(
    track: LiveTrack, number: int, parts: tuple[Part, ...], profile: str, multicast: bool
) -> TrackDescription:
    return TrackDescription(
        format=track.format,
        payload_type=track.payload_type,
        control=parts[number].control if parts else f"trackID={number}",
        ssrc=track.ssrc,
        multicast=parts[number].multicast if parts and multicast else None,
        profile=profile,
    )


async def _ready(feed: Feed, described: tuple[tuple[Codec, int, int], ...]) -> None:
    """Wait for pictures on demand that nobody has watched for a while: they begin anew. Raises Unavailable as `_check` does."""
    if not feed.tracks:
        await feed.known(FIRST_WAIT)
    _check(feed, described)


def _check(feed: Feed, described: tuple[tuple[Codec, int, int], ...]) -> None:
    """Raises Unavailable when a feed carries something else than was described, or has ended."""
    if encodings(feed.tracks) != described:
        raise Unavailable(f"{feed.name} has changed: it must be described again")


class LivePlayback:
    """One session that watches a live stream, from the cached clean point on."""

    def __init__(self, stream: Feed, outlet: Outlet, described: tuple[LiveTrack, ...]) -> None:
        self._stream = stream
        self._described = encodings(described)
        self._outlet = outlet
        self._waiting: list[FlushUnit] | None = None
        self._playing = False
        self._held = asyncio.Event()
        self._tracks: frozenset[int] = frozenset()
        """Those that the session has set up."""

    async def play(self, request: PlayRequest, tracks: frozenset[int]) -> PlayReply:
        """Answer with the first unit that will be sent. A Range into the past is not live's to serve: now is played.

        Raises Unavailable when the stream is no longer what was described, or has ended.
        """
        if self._playing:
            # Some clients repeat PLAY to keep a session alive: nothing may be sent twice.
            return PlayReply(start=None)
        self._detach()
        await _ready(self._stream, self._described)
        self._tracks = tracks
        self._waiting = self._stream.backlog()
        self._stream.attach(self._hold, self._outlet.end)
        if not any(unit.track in tracks for unit in self._waiting):
            # The answer tells where sequence numbers and time stamps begin (RFC 2326 12.33): a stream that has only just been
            # begun has none yet, and what else is in the presentation has no word for it.
            self._held.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_WAIT):
                    await self._held.wait()
            _check(self._stream, self._described)
        waiting = self._waiting or []
        first: dict[int, FlushUnit] = {}
        reports: dict[int, FlushUnit] = {}
        for unit in waiting:
            if unit.track in tracks and unit.rtcp:
                reports[unit.track] = unit
            elif unit.track in tracks:
                first.setdefault(unit.track, unit)
        rates = [track.format.clock_rate for track in self._stream.tracks]
        if first:
            start, found = min(unit.utc for unit in first.values()), first
        elif reports:
            # no unit is there yet: the answer tells the time of the last sender reports
            start, found = max(report.utc for report in reports.values()), reports
        else:
            return PlayReply(start=None)
        infos = tuple(first_packet(track, unit, start, rates[track]) for track, unit in sorted(found.items()))
        return PlayReply(start=start, rtp=infos)

    def _hold(self, unit: FlushUnit) -> None:
        if self._waiting is not None and len(self._waiting) < MAX_WAITING:
            self._waiting.append(unit)
            if not unit.rtcp and unit.track in self._tracks:
                self._held.set()

    def start(self) -> None:
        if self._waiting is None:
            return
        waiting, self._waiting = self._waiting, None
        if encodings(self._stream.tracks) != self._described:
            return  # changed since the answer: the session has been told to end
        self._playing = True
        self._outlet.expect(sum(len(unit.data) for unit in waiting))
        for unit in waiting:
            self._outlet.send(unit)
        self._stream.attach(self._outlet.send, self._outlet.end)
        # last: a stream that nobody watches may be let go
        self._stream.detach(self._hold)

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
    """The live part of the URL space (rtsp.play.Mount).

    `lookup` gives the stream of a path, or what it is composed of, None for no such path. `groups` sends by multicast.
    """

    def __init__(
        self,
        lookup: Callable[[str], LiveStream | Composition | None],
        session_timeout: int,
        *,
        format_wait: float = FORMAT_WAIT,
        groups: Groups | None = None,
    ) -> None:
        self._groups = groups
        self._lookup = lookup
        self._session_timeout = session_timeout
        self._format_wait = format_wait
        self._blends: WeakValueDictionary[tuple[str, tuple[Part, ...]], Blend] = WeakValueDictionary()
        """By path and parts, for as long as somebody has them: sessions share what those before them watch."""

    async def find(self, path: str, account: Account) -> LivePresentation:
        """Raises NotFound for an unknown path, Unavailable for a camera that delivers nothing."""
        found = self._lookup(path)
        if found is None:
            raise NotFound(f"There is no stream at {path}.")
        if isinstance(found, Composition):
            return await self._compose(path, found)
        if not await found.known(self._format_wait):
            raise Unavailable(f"The camera of {path} does not deliver.")
        return LivePresentation(found, self._session_timeout)

    async def _compose(self, path: str, wanted: Composition) -> LivePresentation:
        sources = [stream for _, stream in wanted.sources]
        waits = (stream.known(self._format_wait) for stream in dict.fromkeys(sources))
        known = await asyncio.gather(*waits, return_exceptions=True)
        if known and isinstance(known[0], BaseException):
            raise known[0]
        if faults := [each for each in known if isinstance(each, BaseException) and not isinstance(each, OnvifdError)]:
            raise faults[0]
        parts = wanted.parts()
        # What is behind the first may be missing: pictures without sound are better than nothing.
        if not known or not known[0] or not parts or parts[0].stream is not sources[0]:
            raise Unavailable(f"The camera of {path} does not deliver.")
        feed = self._blends.get((path, parts)) or feed_of(wanted.name, parts)
        if isinstance(feed, Blend):
            self._blends[path, parts] = feed
        return LivePresentation(
            feed,
            self._session_timeout,
            name=wanted.name,
            parts=parts,
            profile=wanted.profile,
            talk=wanted.talk,
            groups=self._groups,
        )
