"""The archive's index in the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onvifd.archive.index import (
    KIND_FLAGS,
    EndReason,
    FragmentFlag,
    SegmentChange,
    SegmentRow,
    SegmentState,
    compact_fragments,
    decode_formats,
    encode_formats,
    merged,
)
from onvifd.archive.tracks import TrackNumbers
from onvifd.media.types import Codec, Kind, TrackFormat
from onvifd.store import rows
from onvifd.store.catalogue import Catalogue
from onvifd.store.recordings import tracks_setting


class CatalogueSegmentStore:
    """A `SegmentStore` over the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._segments = catalogue.segments
        self._settings = catalogue.settings

    def insert_segment(self, row: SegmentRow) -> int:
        return self._segments.insert(
            rows.SegmentRow(
                recording=row.recording,
                volume=row.volume,
                path=row.path,
                start=row.start,
                end=row.end,
                size=row.size,
                kinds=int(row.kinds),
                copy=row.copy,
                state=row.state.value,
                end_reason=row.end_reason.value,
                formats=encode_formats(row.formats),
                fragments=row.fragments if row.state is SegmentState.OPEN else compact_fragments(row.fragments),
            )
        )

    def update_segment(self, segment: int, change: SegmentChange) -> None:
        self._segments.change(
            segment, end=change.end, size=change.size, kinds=int(change.kinds), fragments=change.fragments
        )

    def update_segments(self, changes: Mapping[int, SegmentChange]) -> None:
        self._segments.grow(
            {
                segment: {"end": each.end, "size": each.size, "kinds": int(each.kinds), "fragments": each.fragments}
                for segment, each in changes.items()
            }
        )

    def close_segment(self, segment: int, change: SegmentChange, *, state: SegmentState, reason: EndReason) -> None:
        self._segments.change(
            segment,
            end=change.end,
            size=change.size,
            kinds=int(change.kinds),
            fragments=compact_fragments(change.fragments),
            state=state.value,
            end_reason=reason.value,
        )

    def delete_segment(self, segment: int) -> None:
        self._segments.remove(segment)

    def delete_segments(self, segments: Sequence[int]) -> None:
        self._segments.remove(*segments)

    def segments_between(self, recording: str, start: int, end: int, limit: int = 100) -> tuple[SegmentRow, ...]:
        return tuple(_row(each) for each in self._segments.between(recording, start, end, limit))

    def segment_at(self, recording: str, utc: int) -> SegmentRow | None:
        return _maybe(self._segments.at(recording, utc))

    def segments_at(self, recordings: Sequence[str], utc: int) -> dict[str, SegmentRow]:
        return {row.recording: _row(row) for row in self._segments.at_once(recordings, utc)}

    def segment_after(self, recording: str, utc: int) -> SegmentRow | None:
        return _maybe(self._segments.after(recording, utc))

    def unlike_before(self, row: SegmentRow) -> SegmentRow | None:
        return _maybe(self._segments.unlike(row.recording, row.id, row.start, int(row.kinds), before=True))

    def unlike_after(self, row: SegmentRow) -> SegmentRow | None:
        return _maybe(self._segments.unlike(row.recording, row.id, row.start, int(row.kinds), before=False))

    def recording_times(self, recording: str) -> tuple[int, int] | None:
        found = self._segments.times_by_kinds(recording).get(recording, {})
        return _hull([times for kinds, times in found.items() if kinds])

    def track_times(self, recording: str) -> dict[Kind, tuple[int, int]]:
        return _by_kind(self._segments.times_by_kinds(recording).get(recording, {}))

    def encoding_times(self, recording: str) -> dict[Codec, tuple[int, int]]:
        found: dict[Codec, list[tuple[int, int]]] = {}
        for formats, kinds, first, last in self._segments.times_by_formats(recording):
            for each in decode_formats(formats):
                if kinds & KIND_FLAGS[each.kind]:
                    found.setdefault(each.codec, []).append((first, last))
        return {codec: hull for codec, times in found.items() if (hull := _hull(times)) is not None}

    def formats(self, recording: str) -> tuple[TrackFormat, ...]:
        found: dict[TrackFormat, int] = {}
        for text, kinds, _, last in self._segments.times_by_formats(recording):
            for each in decode_formats(text):
                if kinds & KIND_FLAGS[each.kind]:
                    found[each] = max(last, found.get(each, last))
        return tuple(sorted(found, key=lambda each: found[each], reverse=True))

    def track_numbers(self, recording: str) -> TrackNumbers:
        text = self._settings.get(tracks_setting(recording))
        if text is not None:
            return TrackNumbers.parse(text)
        # Footage of before they were kept, or an index that was built anew.
        rows = (self.segment_after(recording, -1), self.segment_at(recording, 1 << 62))
        return TrackNumbers().with_formats(each for row in rows if row is not None for each in row.formats)

    def all_times(self) -> dict[str, dict[Kind, tuple[int, int]]]:
        found = {recording: _by_kind(times) for recording, times in self._segments.times_by_kinds().items()}
        return {recording: times for recording, times in found.items() if times}

    def covered(self, recording: str, start: int, end: int, tolerance: int = 0) -> tuple[tuple[int, int], ...]:
        return self.timelines((recording,), start, end, tolerance)[recording]

    def timelines(
        self, recordings: Sequence[str], start: int, end: int, tolerance: int = 0
    ) -> dict[str, tuple[tuple[int, int], ...]]:
        found = self._segments.stretches(recordings, start, end)
        return {recording: merged(each, start, end, tolerance) for recording, each in found.items()}

    def calendar(self, recording: str, days: Sequence[tuple[int, int]]) -> tuple[bool, ...]:
        return self._segments.any_in(recording, days)

    def recorded(self) -> tuple[str, ...]:
        return self._segments.recorded()

    def open_segments(self) -> tuple[SegmentRow, ...]:
        return tuple(_row(each) for each in self._segments.open())

    def segment_by_path(self, volume: str, path: str) -> SegmentRow | None:
        return _maybe(self._segments.by_path(volume, path))

    def volume_segments(self, volume: str, after: int = 0, limit: int = 1000) -> tuple[SegmentRow, ...]:
        return tuple(_row(each) for each in self._segments.on_volume(volume, after, limit))

    def oldest_segments(
        self,
        volume: str | None,
        limit: int,
        *,
        recording: str | None = None,
        before: int | None = None,
        locks: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    ) -> tuple[SegmentRow, ...]:
        found = self._segments.oldest(volume, limit, recording=recording, before=before, locks=locks)
        return tuple(_row(each) for each in found)

    def recording_bytes(self, recording: str) -> int:
        return self._segments.recording_bytes(recording)

    def volume_bytes(self, volume: str) -> int:
        return self._segments.volume_bytes(volume)


def _row(row: rows.SegmentRow) -> SegmentRow:
    return SegmentRow(
        id=row.id,
        recording=row.recording,
        volume=row.volume,
        path=row.path,
        start=row.start,
        end=row.end,
        size=row.size,
        formats=decode_formats(row.formats),
        fragments=row.fragments,
        kinds=FragmentFlag(row.kinds),
        copy=row.copy,
        state=SegmentState(row.state),
        end_reason=EndReason(row.end_reason),
    )


def _by_kind(by_kinds: Mapping[int, tuple[int, int]]) -> dict[Kind, tuple[int, int]]:
    found = {}
    for kind, flag in KIND_FLAGS.items():
        times = _hull([each for kinds, each in by_kinds.items() if kinds & flag])
        if times is not None:
            found[kind] = times
    return found


def _maybe(row: rows.SegmentRow | None) -> SegmentRow | None:
    return None if row is None else _row(row)


def _hull(times: list[tuple[int, int]]) -> tuple[int, int] | None:
    return (min(first for first, _ in times), max(last for _, last in times)) if times else None
