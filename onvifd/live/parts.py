"""Presentations of several live streams of one camera: the picture of one, the sound of another, metadata.

Where all tracks are those of one stream, in its order, clients watch that stream itself and nothing here costs anything. Else
a `Blend` takes from each stream what is wanted, once for all who watch.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from onvifd.live.hub import LiveStream, LiveTrack, Sink
from onvifd.live.talk import TalkLine
from onvifd.media.types import FlushUnit, Kind
from onvifd.rtsp.play import Multicast

CONTROLS = {Kind.VIDEO: "trackID=0", Kind.AUDIO: "trackID=1", Kind.METADATA: "trackID=2"}
"""Controls of a composed presentation: they stay the same when a track is missing for a while."""


class Feed(Protocol):
    """What sessions watch: a LiveStream or a Blend. Its units are numbered as its tracks are."""

    @property
    def name(self) -> str: ...

    @property
    def tracks(self) -> tuple[LiveTrack, ...]: ...

    @property
    def bitrate(self) -> int: ...

    async def known(self, timeout: float) -> bool: ...

    def backlog(self) -> list[FlushUnit]: ...

    def rollover(self, track: int) -> int: ...

    def attach(self, sink: Sink, ended: Callable[[], None]) -> None: ...

    def detach(self, sink: Sink) -> None: ...

    def want_keyframe(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A track of a presentation: a track of a live stream by its number there, and how it is asked for."""

    stream: LiveStream
    track: int
    control: str
    multicast: Multicast | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """What a path is to be composed of. Streams that are not named are None; `multicast` is by kind of track. `talk` is the way
    for sound to the camera."""

    name: str
    profile: str
    video: LiveStream | None = None
    audio: LiveStream | None = None
    metadata: LiveStream | None = None
    talk: TalkLine | None = None
    multicast: Mapping[Kind, Multicast] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[tuple[Kind, LiveStream], ...]:
        """The streams by what is taken from them, the one without which there is nothing first."""
        found = ((Kind.VIDEO, self.video), (Kind.AUDIO, self.audio), (Kind.METADATA, self.metadata))
        return tuple((kind, stream) for kind, stream in found if stream is not None)

    def parts(self) -> tuple[Part, ...]:
        """The tracks that there are now."""
        found = []
        for kind, stream in self.sources:
            for number, track in enumerate(stream.tracks):
                if track.format.kind is kind:
                    found.append(Part(stream, number, CONTROLS[kind], self.multicast.get(kind)))
                    break
        return tuple(found)


def feed_of(name: str, parts: tuple[Part, ...]) -> Feed:
    """The stream itself where the parts are its first tracks, else a blend."""
    stream = parts[0].stream
    if all(part.stream is stream and part.track == number for number, part in enumerate(parts)):
        return stream
    return Blend(name, parts)


class Blend:
    """Tracks of several live streams as one Feed; it watches them only while it is watched itself."""

    def __init__(self, name: str, parts: tuple[Part, ...]) -> None:
        self.name = name
        self.parts = parts
        self._sinks: list[Sink] = []
        self._ended: dict[Sink, Callable[[], None]] = {}
        self._numbers: dict[LiveStream, dict[int, int]] = {}
        for number, part in enumerate(parts):
            self._numbers.setdefault(part.stream, {})[part.track] = number
        self._inlets: dict[LiveStream, Sink] = {}
        """While it is watched."""

    @property
    def tracks(self) -> tuple[LiveTrack, ...]:
        """Empty when a stream has lost a track that is part of this."""
        if any(part.track >= len(part.stream.tracks) for part in self.parts):
            return ()
        return tuple(part.stream.tracks[part.track] for part in self.parts)

    @property
    def clients(self) -> int:
        return len(self._sinks)

    @property
    def bitrate(self) -> int:
        """Bit/s of the streams, of which this may be a part only."""
        return sum(stream.bitrate for stream in self._numbers)

    async def known(self, timeout: float) -> bool:
        """See LiveStream."""
        return all(await asyncio.gather(*(stream.known(timeout) for stream in self._numbers)))

    def _inlet(self, numbers: dict[int, int]) -> Sink:
        def take(unit: FlushUnit) -> None:
            number = numbers.get(unit.track)
            if number is None:
                return
            mine = as_track(unit, number)
            for send in self._sinks:
                send(mine)

        return take

    def backlog(self) -> list[FlushUnit]:
        """What a late joiner gets first: from the clean point of the picture on, and the latest of what has its own rhythm."""
        reports: list[FlushUnit] = []
        lines: list[list[FlushUnit]] = []
        since: int | None = None
        first = self.parts[0].stream
        for stream, numbers in self._numbers.items():
            line: list[FlushUnit] = []
            for unit in stream.backlog():
                number = numbers.get(unit.track)
                if number is not None:
                    (reports if unit.rtcp else line).append(as_track(unit, number))
            if stream is first and line:
                since = line[0].utc
            elif since is not None and line:
                line = [unit for unit in line if unit.utc >= since] or line[-1:]
            lines.append(line)
        # within a stream the order stays, whatever its clock says
        return [*reports, *heapq.merge(*lines, key=lambda unit: unit.utc)]

    def rollover(self, track: int) -> int:
        """See LiveStream."""
        part = self.parts[track]
        return part.stream.rollover(part.track)

    def attach(self, sink: Sink, ended: Callable[[], None]) -> None:
        """See LiveStream."""
        if not self._sinks:
            self._inlets = {stream: self._inlet(numbers) for stream, numbers in self._numbers.items()}
            for stream, inlet in self._inlets.items():
                stream.attach(inlet, self._end)
        self._sinks = [*self._sinks, sink]
        self._ended[sink] = ended

    def detach(self, sink: Sink) -> None:
        """See LiveStream."""
        if sink not in self._ended:
            return
        del self._ended[sink]
        self._sinks = [other for other in self._sinks if other != sink]
        if not self._sinks:
            self._leave()

    def _end(self) -> None:
        """One of the streams is not what was described any more."""
        ended = list(self._ended.values())
        self._sinks, self._ended = [], {}
        self._leave()
        for end in ended:
            end()

    def _leave(self) -> None:
        inlets, self._inlets = self._inlets, {}
        for stream, inlet in inlets.items():
            stream.detach(inlet)

    def want_keyframe(self) -> None:
        """Ask for a clean point of all parts. Sound has one at any time: the picture that goes with it elsewhere is left alone."""
        for stream in dict.fromkeys(
            part.stream
            for part, track in zip(self.parts, self.tracks, strict=False)
            if track.format.kind is not Kind.AUDIO
        ):
            stream.want_keyframe()


def as_track(unit: FlushUnit, number: int) -> FlushUnit:
    """The unit as one of track `number`, on the canonical channels of that; made once per unit."""
    if unit.track == number:
        return unit
    key = ("track", number)
    made = unit.cache.get(key)
    if isinstance(made, FlushUnit):
        return made
    data = bytearray(unit.data)
    for start in unit.starts:
        data[start + 1] = number << 1 | data[start + 1] & 1
    made = FlushUnit(
        number,
        bytes(data),
        unit.starts,
        unit.key,
        unit.rtp_time,
        unit.utc,
        unit.end_of_frame,
        rtcp=unit.rtcp,
        rollover=unit.rollover,
    )
    unit.cache[key] = made
    return made
