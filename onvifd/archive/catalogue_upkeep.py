"""`archive.upkeep.Upkeep` over the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onvifd.archive.index import SegmentRow
from onvifd.archive.upkeep import START, Lock, light_row
from onvifd.store.catalogue import Catalogue


class CatalogueUpkeep:
    """An `Upkeep` over the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def oldest(
        self,
        *,
        volume: str | None = None,
        recording: str | None = None,
        before: int | None = None,
        after: tuple[int, int] = START,
        limit: int = 100,
        locks: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    ) -> tuple[SegmentRow, ...]:
        rows = self._catalogue.upkeep.oldest(
            volume=volume, recording=recording, before=before, after=after, limit=limit, locks=locks
        )
        return tuple(light_row(**row) for row in rows)

    def locks(self, now: int) -> tuple[Lock, ...]:
        return tuple(
            Lock(row.recording, row.start, row.end)
            for row in self._catalogue.locks.all()
            if row.until is None or row.until > now
        )

    def is_locked(self, recording: str, start: int, end: int, now: int) -> bool:
        return self._catalogue.locks.covers(recording, start, end, now)

    def forget(self, segment: int) -> None:
        self._catalogue.segments.remove(segment)

    def recorded(self) -> tuple[str, ...]:
        return self._catalogue.segments.recorded()

    def recording_bytes(self, recording: str) -> int:
        return self._catalogue.segments.recording_bytes(recording)

    def volume_bytes(self, volume: str) -> int:
        return self._catalogue.segments.volume_bytes(volume)

    def earliest(self, recording: str) -> int | None:
        times = self._catalogue.segments.times_by_kinds(recording).get(recording, {})
        return min((first for first, _ in times.values()), default=None)
