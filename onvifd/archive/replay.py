"""Recordings over RTSP (Streaming, playback chapter): presentations under `/replay/<recording>`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from onvifd.access.types import Account
from onvifd.archive.pace import Metronome
from onvifd.archive.playback import ReplayPlayback
from onvifd.archive.reader import RecordingReader, same_encoding
from onvifd.archive.tracks import TrackNumbers
from onvifd.clock import Clock
from onvifd.errors import NotFound
from onvifd.media.fmtp import payload_type
from onvifd.media.rtp.pack import DEFAULT_MTU
from onvifd.media.types import TrackFormat
from onvifd.rtsp.play import Outlet, TrackDescription

ReaderFactory = Callable[[str], RecordingReader]
"""Makes a reader for a recording token."""

_FIRST_PAYLOAD_TYPE = 96

KNOWN_SECONDS = 600.0
"""How long it may take until footage of other encodings that is put into the past (a volume that was brought) is described."""
_MAX_KNOWN = 1000


def controls(tokens: Iterable[str]) -> tuple[str, ...]:
    """Names within the presentation: the track's token, or for a second rate of the same encoding, which is the same track but
    another RTP stream, with a number."""
    seen: dict[str, int] = {}
    found = []
    for token in tokens:
        seen[token] = seen.get(token, 0) + 1
        found.append(token if seen[token] == 1 else f"{token}-{seen[token]}")
    return tuple(found)


def encodings(newest: Iterable[TrackFormat], others: Iterable[TrackFormat]) -> tuple[TrackFormat, ...]:
    """A format for each encoding: those of the newest segment, then what only older footage has (a codec that was changed, sound
    or metadata that was switched off)."""
    found = list(newest)
    for each in others:
        if not any(same_encoding(each, known) for known in found):
            found.append(each)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Known:
    """The formats of a recording that had these encodings, as they were found `at` (monotonic seconds)."""

    numbers: TrackNumbers
    at: float
    formats: tuple[TrackFormat, ...]


class ReplayMount:
    """All recordings below one prefix. `session_timeout` gives the seconds of the replay configuration."""

    def __init__(
        self,
        readers: ReaderFactory,
        clock: Clock,
        *,
        prefix: str = "/replay/",
        session_timeout: Callable[[], int] = lambda: 60,
        mtu: int = DEFAULT_MTU,
    ) -> None:
        self._readers = readers
        self._clock = clock
        self._prefix = prefix
        self._session_timeout = session_timeout
        self._mtu = mtu
        self._metronome = Metronome(clock)
        self._known: dict[str, _Known] = {}
        """By recording, those that were asked for last at the end."""

    async def find(self, path: str, account: Account) -> ReplayPresentation:
        """The recording at `/replay/<token>`. Raises NotFound without one, or when it has no footage yet."""
        recording = path.removeprefix(self._prefix).strip("/")
        if not path.startswith(self._prefix) or not recording or "/" in recording:
            raise NotFound("no recording at this path", detail="NoRecording")
        reader = self._readers(recording)
        times, newest = await reader.times(), await reader.newest_formats()
        if times is None or not newest:
            raise NotFound("no footage in this recording", detail="NoRecording")
        numbers = await reader.track_numbers()
        formats = encodings(newest, await self._all_formats(reader, numbers))
        return ReplayPresentation(
            recording,
            formats,
            tuple(numbers.with_formats(formats).token(each.codec) for each in formats),
            times,
            self._session_timeout(),
            self._readers,
            self._clock,
            self._metronome,
            self._mtu,
        )

    async def _all_formats(self, reader: RecordingReader, numbers: TrackNumbers) -> tuple[TrackFormat, ...]:
        """What the recording holds in all. That is asked for rarely: a month of segments takes long to look through, and what
        comes from now on is in `numbers` or in the newest segment."""
        now = self._clock.monotonic()
        known = self._known.pop(reader.recording, None)
        if known is None or known.numbers != numbers or now - known.at > KNOWN_SECONDS:
            known = _Known(numbers, now, await reader.all_formats())
        self._known[reader.recording] = known
        while len(self._known) > _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return known.formats


class ReplayPresentation:
    """One recording as it is at the time of DESCRIBE."""

    def __init__(
        self,
        recording: str,
        formats: tuple[TrackFormat, ...],
        tokens: tuple[str, ...],
        times: tuple[int, int],
        session_timeout: int,
        readers: ReaderFactory,
        clock: Clock,
        metronome: Metronome,
        mtu: int,
    ) -> None:
        self._recording = recording
        self._times = times
        self._session_timeout = session_timeout
        self._readers = readers
        self._clock = clock
        self._metronome = metronome
        self._mtu = mtu
        self._tracks = tuple(
            TrackDescription(
                format=format,
                payload_type=payload_type(format, _FIRST_PAYLOAD_TYPE + index),
                control=control,
                token=token,
            )
            for index, (format, token, control) in enumerate(zip(formats, tokens, controls(tokens), strict=True))
        )

    @property
    def name(self) -> str:
        return self._recording

    @property
    def tracks(self) -> tuple[TrackDescription, ...]:
        return self._tracks

    @property
    def replay(self) -> bool:
        return True

    @property
    def range(self) -> tuple[int, int] | None:
        return self._times

    @property
    def session_timeout(self) -> int:
        return self._session_timeout

    def open(self, outlet: Outlet) -> ReplayPlayback:
        reader = self._readers(self._recording)
        return ReplayPlayback(reader, self._tracks, outlet, self._clock, self._metronome, self._mtu)
