"""What the bus and the search need of the place where events are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from onvifd.events.types import Event

StoredEvent = Event
"""A row holds all of an Event: the recording token is part of it."""


Numbered = tuple[int, Event]
"""An event with its number: numbers rise with the order of insertion."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a reader stands: the UtcTime (microseconds) and the number of the event that it read last."""

    utc: int
    number: int


class EventStore(Protocol):
    """Events on disk. All methods block: callers run them in a thread.

    Order is by `utc`, then by order of insertion; `backward` is the exact reverse. Failures raise Unavailable.
    """

    def insert_events(self, events: Sequence[StoredEvent]) -> None:
        """Keep all of them or none, in one transaction."""
        ...

    def events_between(
        self,
        *,
        start: int,
        end: int | None,
        recordings: frozenset[str] | None,
        backward: bool,
        limit: int,
        topics: frozenset[str] | None = None,
    ) -> tuple[StoredEvent, ...]:
        """At most `limit` events with `start` <= utc <= `end` (microseconds UTC; no end if None).

        `recordings` and `topics` choose by exact token and topic; None chooses all, and the token "" those of no recording.
        """
        ...

    def topics(self) -> tuple[str, ...]:
        """All topics that stored events ever had."""
        ...

    def states_at(self, at: int, recordings: frozenset[str] | None) -> tuple[StoredEvent, ...]:
        """The last event with `utc` <= `at` of every property instance, unless that event is a deletion.

        Times and operations are as stored; the caller turns them into virtual events.
        """
        ...

    def bounds(self) -> tuple[int, int | None]:
        """The highest number given (0: none yet), and the lowest UtcTime that is stored (None: nothing is)."""
        ...

    def page(
        self,
        *,
        utc: int,
        reverse: bool,
        after: int,
        seam: int,
        position: Position | None,
        topics: Sequence[str] | None,
        limit: int,
    ) -> tuple[Numbered, ...]:
        """At most `limit` events from `utc` on (or back, with `reverse`), numbered above `after` up to `seam`, behind `position`.

        The order is by UtcTime and number, or the exact reverse.
        """
        ...
