"""The search for events: pages through the history, forward or backward, with virtual events of the state (Search 5.9)."""

from __future__ import annotations

from dataclasses import dataclass

from onvifd.events.types import Event
from onvifd.onvif.backend import SearchBackend
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.search.session import Sink

PAGE = 500
"""Events asked of the backend at a time."""
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
    """A search from `start` to `end` (microseconds UTC); backward if `end` is before `start` (Search 5.2.1)."""

    backend: SearchBackend
    start: int
    end: int
    recordings: frozenset[str]
    filter: EventFilter
    start_state: bool

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
        low, high = min(self.start, self.end), max(self.start, self.end)
        seen, limit = 0, PAGE
        while True:
            page = await self.backend.events(
                start=low, end=high, recordings=self.recordings, backward=backward, limit=limit
            )
            for recording, event in page[seen:]:
                if self.filter.matches(event) and not await sink.put(FoundEvent(recording, event), event.utc):
                    return False
            if len(page) < limit:
                return True
            edge = page[-1][1].utc
            seen = sum(1 for _, event in page if event.utc == edge)
            # More events of one instant than a page holds: only a larger page gets past them.
            limit = PAGE if seen < len(page) else limit * 2
            if limit > MAX_PAGE:
                seen, limit, edge = 0, PAGE, edge - 1 if backward else edge + 1
            low, high = (low, edge) if backward else (edge, high)
            if low > high:
                return True
