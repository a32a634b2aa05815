"""The searches in recorded metadata: for documents by XPath (Search 5.13), and for PTZ positions (Search 5.11).

Each recording is read in steps of a fraction of a second, in a thread of the backend. Results come in order of time over all
recordings.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from onvifd.onvif.backend import SearchBackend, Take
from onvifd.onvif.search.session import Sink
from onvifd.onvif.search.xpath import parse_metadata
from onvifd.onvif.soap.codec import Element
from onvifd.onvif.soap.namespaces import TT

PAN_TILT_SPACE = "http://www.onvif.org/ver10/tptz/PanTiltSpaces/PositionGenericSpace"
ZOOM_SPACE = "http://www.onvif.org/ver10/tptz/ZoomSpaces/PositionGenericSpace"
TOLERANCE = 1e-5
"""How far a position may lie outside of its bounds: clients keep single precision."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class MetadataTrack:
    """A metadata track within the scope, and the times between which it holds data (microseconds UTC)."""

    recording: str
    track: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FoundMetadata:
    """A document that matches."""

    recording: str
    track: str
    utc: int


@dataclass(frozen=True, slots=True)
class Axes:
    """A position on one PTZ element: x and y of pan and tilt, x alone of zoom."""

    values: tuple[float, ...]
    space: str


@dataclass(frozen=True, slots=True)
class Position:
    """A PTZ vector."""

    pan_tilt: Axes | None = None
    zoom: Axes | None = None


@dataclass(frozen=True, slots=True)
class FoundPosition:
    """A position that matches."""

    recording: str
    track: str
    utc: int
    position: Position


@dataclass(slots=True)
class _Progress(Generic[T]):
    """How far one track is read. `edge` is the next time to read; beyond the end of the range there is nothing left."""

    track: MetadataTrack
    start: int
    end: int
    backward: bool
    found: deque[tuple[int, T]] = field(default_factory=deque)
    last: int | None = None

    @property
    def exhausted(self) -> bool:
        return self.start > self.end

    @property
    def frontier(self) -> float:
        """Up to here it is known what there is, in the direction of the search."""
        if self.exhausted:
            return math.inf
        return -self.end if self.backward else self.start

    def take(self, found: deque[tuple[int, T]], reached: int) -> None:
        # Two documents of one instant are one result: a result is told by recording, track and time (Search 5.3.10).
        for utc, value in found:
            if utc != self.last:
                self.found.append((utc, value))
                self.last = utc
        if self.backward:
            self.end = reached - 1
        else:
            self.start = reached + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataSearch(Generic[T, R]):
    """A search from `start` to `end`; backward if `end` is before `start` (Search 5.2.1)."""

    backend: SearchBackend
    start: int
    end: int
    tracks: tuple[MetadataTrack, ...]
    take: Take[T]
    judge: Callable[[MetadataTrack, int, T], R | None]

    async def run(self, sink: Sink[R]) -> None:
        """Write what is found to `sink`, in order of time."""
        backward = self.end < self.start
        low, high = min(self.start, self.end), max(self.start, self.end)
        places: list[_Progress[T]] = [
            _Progress(track, max(low, track.start), min(high, track.end), backward) for track in self.tracks
        ]
        waiting = [(place.frontier, number) for number, place in enumerate(places) if not place.exhausted]
        heapq.heapify(waiting)
        while waiting:
            _, number = heapq.heappop(waiting)
            place = places[number]
            await self._step(place)
            if not place.exhausted:
                heapq.heappush(waiting, (place.frontier, number))
            # What lies before all that is still to be read can go.
            edge = waiting[0][0] if waiting else math.inf
            if not await self._give(places, edge, backward, sink):
                return
            if waiting:
                sink.reach(abs(round(edge)))

    async def _step(self, place: _Progress[T]) -> None:
        scan = await self.backend.scan_metadata(
            place.track.recording, place.start, place.end, self.take, backward=place.backward
        )
        place.take(deque(scan.found), scan.reached)

    async def _give(self, places: list[_Progress[T]], edge: float, backward: bool, sink: Sink[R]) -> bool:
        sign = -1 if backward else 1
        heads = [(sign * place.found[0][0], number) for number, place in enumerate(places) if place.found]
        heapq.heapify(heads)
        while heads and heads[0][0] < edge:
            _, number = heads[0]
            place = places[number]
            utc, taken = place.found.popleft()
            if place.found:
                heapq.heapreplace(heads, (sign * place.found[0][0], number))
            else:
                heapq.heappop(heads)
            result = self.judge(place.track, utc, taken)
            if result is not None and not await sink.put(result, utc):
                return False
        return True


def found_metadata(track: MetadataTrack, utc: int, taken: bool) -> FoundMetadata:
    """The judge of a search for documents: all that matched."""
    return FoundMetadata(track.recording, track.track, utc)


# ---- PTZ positions ---------------------------------------------------------------------------------


@dataclass(slots=True)
class PositionJudge:
    """Decides which positions are results (Search 5.3.8).

    With `crossings` those at which the volume is entered or left. They are the same ones in both directions: the first
    position on the other side, as time goes. The first position of the range crosses nothing, for what was before is not
    looked at (Search 5.11).
    """

    least: Position
    most: Position
    crossings: bool
    backward: bool
    _former: dict[str, tuple[int, Position, bool]] = field(default_factory=dict)

    def __call__(self, track: MetadataTrack, utc: int, taken: Position) -> FoundPosition | None:
        inside = self._inside(taken)
        here = FoundPosition(track.recording, track.track, utc, taken)
        if not self.crossings:
            return here if inside else None
        former = self._former.get(track.recording)
        self._former[track.recording] = (utc, taken, inside)
        if former is None or former[2] == inside:
            return None
        if self.backward:
            return FoundPosition(track.recording, track.track, former[0], former[1])
        return here

    def _inside(self, position: Position) -> bool:
        return _between(position.pan_tilt, self.least.pan_tilt, self.most.pan_tilt, PAN_TILT_SPACE) and _between(
            position.zoom, self.least.zoom, self.most.zoom, ZOOM_SPACE
        )


def _between(value: Axes | None, least: Axes | None, most: Axes | None, generic: str) -> bool:
    """Whether each axis lies between its bounds; an element that the bounds do not name is free."""
    if least is None and most is None:
        return True
    if value is None:
        return False
    for bound in (least, most):
        if bound is not None and (bound.space or generic) != (value.space or generic):
            return False
    # Bounds may come in either order, and one may be left out.
    infinite = (math.inf,) * len(value.values)
    low = least.values if least is not None else tuple(-each for each in infinite)
    high = most.values if most is not None else infinite
    return all(
        min(a, b) - TOLERANCE <= each <= max(a, b) + TOLERANCE
        for each, a, b in zip(value.values, low, high, strict=True)
    )


def position_of(_utc: int, document: bytes) -> Position | None:
    """The first PTZ position in a document, of a PTZ stream or of a described scene (Streaming 5.1.2.1.1)."""
    if b"PTZStatus" not in document:
        return None
    root = parse_metadata(document)
    if root is None:
        return None
    for status in root.iter(f"{{{TT}}}PTZStatus"):
        vector = status.find(f"{{{TT}}}Position")
        if vector is None:
            continue
        position = Position(_axes(vector, "PanTilt", "xy"), _axes(vector, "Zoom", "x"))
        if position.pan_tilt is not None or position.zoom is not None:
            return position
    return None


def _axes(vector: Element, name: str, axes: str) -> Axes | None:
    found = vector.find(f"{{{TT}}}{name}")
    if found is None:
        return None
    try:
        values = tuple(float(found.get(axis, "")) for axis in axes)
    except ValueError:
        return None
    return Axes(values, found.get("space") or "") if all(map(math.isfinite, values)) else None


def spaces_of(documents: tuple[bytes, ...]) -> tuple[str, ...]:
    """The spaces of the PTZ positions in some documents; the generic ones where a position names none (Search 5.6)."""
    spaces: dict[str, None] = {}
    for document in documents:
        position = position_of(0, document)
        if position is None:
            continue
        if position.pan_tilt is not None:
            spaces[position.pan_tilt.space or PAN_TILT_SPACE] = None
        if position.zoom is not None:
            spaces[position.zoom.space or ZOOM_SPACE] = None
    return tuple(spaces)
