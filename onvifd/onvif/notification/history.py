"""Reading stored events through a pull point (Core 9.1.5, 9.1.7, 9.11): where a Seek stands. No I/O.

The store numbers its events by insertion. A Seek reads those up to the last number at its moment (the seam) in order of their
UtcTime; what is published after the seam waits in the pull point's queue, so nothing is lost nor delivered twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from onvifd.events.store import Numbered, Position
from onvifd.events.topics import BUFFER_BEGIN
from onvifd.events.types import Event
from onvifd.onvif.notification.filters import EventFilter


class History:
    """The rest of what a Seek asked for. `utc` is its UtcTime in microseconds."""

    def __init__(self, utc: int, *, reverse: bool) -> None:
        self.utc = utc
        self.reverse = reverse
        self.seam: int | None = None
        """Number of the last event in the store when the Seek came; None until it is known."""
        self.after = 0
        """Numbers up to this one were read by an earlier pass."""
        self.position: Position | None = None
        self.done = False
        """Nothing of the store is left to be read."""
        self._ready: deque[Event] = deque()
        self._begin: Event | None = None
        """The BeginOfBuffer that may still be due."""

    def begin(self, first: int | None, seam: int, filter_: EventFilter) -> None:
        """The store begins at UtcTime `first` (None: it is empty) and ends with number `seam`.

        BeginOfBuffer is due at once when the Seek went before the begin, whatever the direction of reading (Core 9.11.1). A Seek
        to the very begin counts as well, for a client can learn that time only from this event.
        """
        self.seam = seam
        # Whole milliseconds, rounded down: clients write it back with three digits and must still be at the begin.
        made = Event(topic=BUFFER_BEGIN.name, utc=(self.utc if first is None else first) // 1000 * 1000)
        self._begin = made if filter_.matches(made) else None
        before = first is None or (self.utc < first if self.reverse else self.utc <= first)
        self.done = first is None or (self.reverse and before)
        if before:
            self._at_begin()

    def _at_begin(self) -> None:
        if self._begin is not None:
            self._ready.append(self._begin)
            self._begin = None  # at most once for each Seek

    def receive(self, page: Sequence[Numbered], filter_: EventFilter, *, last: bool) -> None:
        """A page of the store was read; `last` if none follows."""
        self._ready.extend(event for _, event in page if filter_.matches(event))
        if page:
            number, event = page[-1]
            self.position = Position(event.utc, number)
        if last:
            self.done = True
            if self.reverse:
                self._at_begin()

    def take(self, limit: int) -> tuple[Event, ...]:
        """At most `limit` of the events that were read."""
        return tuple(self._ready.popleft() for _ in range(min(limit, len(self._ready))))

    def again(self, seam: int, *, after: int | None = None) -> None:
        """The queue of live events overflowed: read what was stored meanwhile, too, up to number `seam`.

        That begins after the seam of the last pass, or after the number `after` when later events were delivered live.
        """
        assert self.seam is not None
        self.after = self.seam if after is None else max(self.seam, after)
        self.seam, self.position, self.done = seam, None, False
