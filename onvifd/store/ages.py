"""What retention asks: the oldest segments of a volume, of a recording or of both, except what is locked.

Each recording on each volume is one run of rows in order of time (index ix_segments_age). The oldest of all are found by the
first row of each run. Locked stretches are jumped over, so that a million locked rows in front cost no more than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, or_, select

from onvifd.store import schema

Stretch = tuple[int, int]
"""Start and end, microseconds UTC."""
_EVER = 1 << 62
_OPEN = "open"


@dataclass(frozen=True, slots=True)
class _Run:
    recording: str
    volume: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """A question: at most `limit` segments, those that end before `before` (None: any)."""

    limit: int
    volume: str | None = None
    recording: str | None = None
    before: int | None = None
    after: tuple[int, int] | None = None
    """Start and number of the row behind which to go on."""
    locks: Mapping[str, Sequence[Stretch]]
    """By recording: stretches of which no segment may be deleted that overlaps them."""

    def ids(self, connection: Connection) -> list[int]:
        """Numbers of the segments, oldest first."""
        heads = sorted(self._heads(connection), key=lambda found: found[0])
        if not heads:
            return []
        # As many runs as rows are wanted begin no later than this: what is younger in any run is not among the oldest.
        bound = heads[min(self.limit, len(heads)) - 1][0] if len(heads) >= self.limit else _EVER
        found: list[tuple[int, int]] = []
        for start, run in heads:
            if start <= bound:
                found += self._rows(connection, run, start, bound)
        return [segment for _, segment in sorted(found)[: self.limit]]

    def _heads(self, connection: Connection) -> Iterator[tuple[int, _Run]]:
        """The start of the first row of each run that may be deleted."""
        u, t = schema.usage, schema.segments
        runs = select(u.c.recording, u.c.volume).distinct()
        if self.volume is not None:
            runs = runs.where(u.c.volume == self.volume)
        if self.recording is not None:
            runs = runs.where(u.c.recording == self.recording)
        run = runs.subquery()
        first = (
            self._chosen(select(t.c.start), run.c.recording, run.c.volume)
            .order_by(t.c.start)
            .limit(1)
            .correlate(run)
            .scalar_subquery()
        )
        for row in connection.execute(select(run.c.recording, run.c.volume, first.label("head"))).all():
            each = _Run(row.recording, row.volume)
            if row.head is None:
                continue
            if not self.locks.get(row.recording):
                yield row.head, each
                continue
            for low, high in self._free(row.recording, row.head):
                head = connection.scalar(self._within(select(t.c.start), each, low, high).limit(1))
                if head is not None:
                    yield head, each
                    break

    def _rows(self, connection: Connection, run: _Run, start: int, bound: int) -> list[tuple[int, int]]:
        """Start and number of at most `limit` rows of a run that start from `start` to `bound`."""
        t = schema.segments
        found: list[tuple[int, int]] = []
        for low, high in self._free(run.recording, start):
            if low > bound or len(found) >= self.limit:
                break
            query = self._within(select(t.c.start, t.c.id), run, low, high).where(t.c.start <= bound)
            found += [(row.start, row.id) for row in connection.execute(query.limit(self.limit - len(found)))]
        return found

    def _chosen(self, query: Select[Any], recording: Any, volume: Any) -> Select[Any]:
        t = schema.segments
        query = query.where(t.c.volume == volume, t.c.recording == recording, t.c.state != _OPEN)
        if self.before is not None:
            # The first condition bounds the walk through the index, the second is exact.
            query = query.where(t.c.start < self.before, t.c.end < self.before)
        if self.after is not None:
            start, number = self.after
            query = query.where(t.c.start >= start, or_(t.c.start > start, t.c.id > number))
        return query

    def _within(self, query: Select[Any], run: _Run, low: int, high: int) -> Select[Any]:
        t = schema.segments
        inside: tuple[ColumnElement[bool], ...] = (t.c.start >= low, t.c.start < high, t.c.end <= high)
        return self._chosen(query, run.recording, run.volume).where(*inside).order_by(t.c.start, t.c.id)

    def _free(self, recording: str, start: int) -> Iterator[Stretch]:
        """The stretches from `start` on between the locked ones."""
        low = start
        for locked_from, locked_to in sorted(self.locks.get(recording, ())):
            if locked_to <= low:
                continue
            if locked_from > low:
                yield low, locked_from
            low = max(low, locked_to)
        yield low, _EVER
