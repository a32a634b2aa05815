"""The search for events: pages through the history, forward or backward, with virtual events of the state (Search 5.9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onvifd.events.topics import RECORDING_STATE, TRACK_STATE
from onvifd.events.types import Event, Operation
from onvifd.onvif.backend import SearchBackend
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.search.session import Sink

_HISTORY = (RECORDING_STATE.name, TRACK_STATE.name)
PAGE = 500
"""Events asked of the backend at a time."""
FIRST_PAGE = 100
MAX_PAGE = 32_000
"""Most events of one and the same instant; further ones are skipped."""


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """`virtual` marks the state at a moment rather than something that happened then."""

    recording: str
    event: Event
    virtual: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSearch:
    """A search from `start` to `end` (microseconds UTC); backward if `end` is before `start` (Search 5.2.1).

    `bounds` are the first and last time of what recordings hold (None while one goes on): an event of a recording is one
    that is available in its tracks, so that what happened before or after is left out.
    """

    backend: SearchBackend
    start: int
    end: int
    recordings: frozenset[str]
    filter: EventFilter
    start_state: bool
    bounds: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)

    async def run(self, sink: Sink[FoundEvent]) -> None:
        """Write what is found to `sink`, in order of time."""
        if not self.recordings:
            return
        backward = self.end < self.start
        if self.start_state and not await self._states(self.start, sink):
            return
        if not await self._events(backward, sink):
            return
        # Search 5.9: backward, the state at the end point too.
        if self.start_state and backward:
            await self._states(self.end, sink)

    async def _states(self, at: int, sink: Sink[FoundEvent]) -> bool:
        for recording, event in await self.backend.states_at(at, self.recordings):
            if self.filter.matches(event) and not await sink.put(FoundEvent(recording, event, True), at):
                return False
        return True

    async def _events(self, backward: bool, sink: Sink[FoundEvent]) -> bool:
        """Page by page. A page begins at the time of the last event, and skips those of that time already seen."""
        low, high = self._range()
        if low > high:
            return True
        # The first page is what a client wants to see at once; longer ones cost less for each event.
        seen, limit = 0, min(FIRST_PAGE, PAGE)
        topics = self.filter.matches_topic if self.filter.by_topic else None
        while True:
            page = await self.backend.events(
                start=low, end=high, recordings=self.recordings, backward=backward, limit=limit, topics=topics
            )
            for recording, event in page[seen:]:
                if not self._held(recording, event.utc) or _is_beginning(event) or not self.filter.matches(event):
                    continue
                if not await sink.put(FoundEvent(recording, event), event.utc):
                    return False
            if len(page) < limit:
                return True
            edge = page[-1][1].utc
            seen = sum(1 for _, event in page if event.utc == edge)
            # More events of one instant than a page holds: only a larger page gets past them.
            limit = min(limit * 2, PAGE) if seen < len(page) else limit * 2
            if limit > MAX_PAGE:
                seen, limit, edge = 0, PAGE, edge - 1 if backward else edge + 1
            low, high = (low, edge) if backward else (edge, high)
            if low > high:
                return True

    def _held(self, recording: str, utc: int) -> bool:
        bounds = self.bounds.get(recording)
        if bounds is None:
            return True
        first, last = bounds
        return first <= utc and (last is None or utc <= last)

    def _range(self) -> tuple[int, int]:
        """The times to look into: not beyond what all recordings hold."""
        low, high = min(self.start, self.end), max(self.start, self.end)
        if all(recording in self.bounds for recording in self.recordings):
            low = max(low, min(first for first, _ in self.bounds.values()))
            lasts = [last for _, last in self.bounds.values()]
            if None not in lasts:
                high = min(high, max(last for last in lasts if last is not None))
        return low, high


def _is_beginning(event: Event) -> bool:
    """Whether an event tells that a recording holds nothing, said to subscribers when the recorder starts.

    It is no change in the history, where presence of data alternates (Search 5.21), and its time is not that of footage.
    """
    if event.operation is not Operation.INITIALIZED or event.topic not in _HISTORY:
        return False
    return all(value == "false" for _, value in event.data)
