"""The event store in the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from onvifd.events.store import Numbered, Position
from onvifd.events.types import Event, Operation
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import EventRow


class CatalogueEventStore:
    """An `EventStore` over the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._events = catalogue.events

    def insert_events(self, events: Sequence[Event]) -> None:
        self._events.insert([_row(event) for event in events])

    def events_between(
        self,
        *,
        start: int,
        end: int | None,
        recordings: frozenset[str] | None,
        backward: bool,
        limit: int,
        topics: frozenset[str] | None = None,
    ) -> tuple[Event, ...]:
        found = self._events.between(
            start=start, end=end, recordings=recordings, backward=backward, limit=limit, topics=topics
        )
        return tuple(_event(row) for row in found)

    def topics(self) -> tuple[str, ...]:
        return self._events.topics()

    def states_at(self, at: int, recordings: frozenset[str] | None) -> tuple[Event, ...]:
        return tuple(_event(row) for row in self._events.states_at(at, recordings))

    def bounds(self) -> tuple[int, int | None]:
        return self._events.bounds()

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
        found = self._events.page(
            utc=utc,
            reverse=reverse,
            numbers=(after, seam),
            behind=None if position is None else (position.utc, position.number),
            topics=topics,
            limit=limit,
        )
        return tuple((number, _event(row)) for number, row in found)


def _row(event: Event) -> EventRow:
    return EventRow(
        utc=event.utc,
        topic=event.topic,
        recording=event.recording,
        operation="" if event.operation is None else event.operation.value,
        source=event.source,
        key=event.key,
        data=event.data,
        elements=event.elements,
    )


def _event(row: EventRow) -> Event:
    return Event(
        topic=row.topic,
        utc=row.utc,
        source=row.source,
        key=row.key,
        data=row.data,
        elements=row.elements,
        operation=Operation(row.operation) if row.operation else None,
        recording=row.recording,
    )
