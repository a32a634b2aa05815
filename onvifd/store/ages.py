"""What retention asks: the oldest segments of a volume, of a recording or of both, except what is locked.

Each recording on each volume is one run of rows in order of time (index ix_segments_age). The oldest of all are found by the
first row of each run. Locked stretches are jumped over, so that a million locked rows in front cost no more than one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, String, bindparam, or_, select

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
        # What is read of a run at once: about its share, so that no row is read for nothing.
        share = max(2, 2 * self.limit // len(heads)) if heads else 0
        runs = (self._rows(connection, run, start, share) for start, run in heads)
        # Lazily, in order: a run is looked into only when nothing older is left in those before it.
        waiting: list[tuple[int, int, int, Iterator[tuple[int, int]]]] = []
        found: list[int] = []
        following = 0
        while len(found) < self.limit:
            while following < len(heads) and (not waiting or heads[following][0] <= waiting[0][0]):
                _wait(waiting, following, next(runs))
                following += 1
            if not waiting:
                break
            _, segment, order, run = heapq.heappop(waiting)
            found.append(segment)
            _wait(waiting, order, run)
        return found

    def _heads(self, connection: Connection) -> Iterator[tuple[int, _Run]]:
        """The start of the first row of each run that may be deleted."""
        u = schema.usage
        runs = select(u.c.recording, u.c.volume).distinct()
        if self.volume is not None:
            runs = runs.where(u.c.volume == self.volume)
        if self.recording is not None:
            runs = runs.where(u.c.recording == self.recording)
        run = runs.subquery()
        first = _first(run.c.recording, run.c.volume).correlate(run).scalar_subquery()
        query = select(run.c.recording, run.c.volume, first.label("head"))
        low, number = self.after or (-_EVER, 0)
        whole = {"low": low, "high": _EVER, "before": self._before, "start": low, "number": number}
        for row in connection.execute(query, whole).all():
            each = _Run(row.recording, row.volume)
            if row.head is None:
                continue
            if not self.locks.get(row.recording):
                yield row.head, each
                continue
            found = next(self._rows(connection, each, row.head, 1), None)
            if found is not None:
                yield found[0], each

    @property
    def _before(self) -> int:
        return _EVER if self.before is None else self.before

    def _rows(self, connection: Connection, run: _Run, start: int, share: int) -> Iterator[tuple[int, int]]:
        """Start and number of the rows of a run from `start` on, read `share` at a time."""
        values = {"recording": run.recording, "volume": run.volume, "before": self._before, "limit": share}
        behind, number = self.after or (-_EVER, 0)
        for low, high in self._free(run.recording, start):
            while True:
                more = {"low": max(low, behind), "high": high, "start": behind, "number": number}
                rows = connection.execute(_ROWS, values | more).all()
                yield from ((row.start, row.id) for row in rows)
                if len(rows) < share:
                    break
                behind, number = rows[-1].start, rows[-1].id

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


def _wait(
    waiting: list[tuple[int, int, int, Iterator[tuple[int, int]]]], order: int, run: Iterator[tuple[int, int]]
) -> None:
    """Put a run among those that wait, with its next row; one without is left out."""
    following = next(run, None)
    if following is not None:
        heapq.heappush(waiting, (*following, order, run))


def _chosen(query: Select[Any], recording: Any, volume: Any) -> Select[Any]:
    """Rows of a run from `low` to `high` that end before `before`, behind the row with `start` and `number`."""
    t = schema.segments
    low, high, before, start, number = (
        bindparam(name, type_=BigInteger) for name in ("low", "high", "before", "start", "number")
    )
    return (
        query.where(t.c.volume == volume, t.c.recording == recording)
        # These bound the walk through the index; the others are exact.
        .where(t.c.start >= low, t.c.start < high, t.c.start < before)
        .where(t.c.state != _OPEN, t.c.end <= high, t.c.end < before, or_(t.c.start > start, t.c.id > number))
    )


def _first(recording: Any, volume: Any) -> Select[Any]:
    t = schema.segments
    return _chosen(select(t.c.start), recording, volume).order_by(t.c.start).limit(1)


# Made once: to make it takes longer than to answer it.
_ROWS = (
    _chosen(
        select(schema.segments.c.start, schema.segments.c.id),
        bindparam("recording", type_=String),
        bindparam("volume", type_=String),
    )
    .order_by(schema.segments.c.start, schema.segments.c.id)
    .limit(bindparam("limit", type_=BigInteger))
)
