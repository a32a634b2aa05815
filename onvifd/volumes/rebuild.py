"""Makes the index anew from the files alone: of a volume from elsewhere, a restored one, or after the catalogue was lost.

The folders name the recordings, the files have their formats and times. A recording that nobody knows any more becomes one of
its own without camera, which VMS can search and replay. Everything blocks; it may run while recording goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from onvifd.archive.disk import Volume
from onvifd.archive.doctor import is_young
from onvifd.archive.index import SegmentRow, SegmentStore
from onvifd.archive.recovery import Tally, adopt, unindexed_files
from onvifd.errors import BadInput, Unavailable
from onvifd.media.types import Kind
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import RecordingRow, TrackRow

log = logging.getLogger(__name__)

TRACKS = {Kind.VIDEO: "VIDEO001", Kind.AUDIO: "AUDIO001", Kind.METADATA: "META001"}
MAX_FAILED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """Files taken into the index, their bytes, recordings that were not known, files put aside or removed, and what failed."""

    adopted: int = 0
    bytes: int = 0
    recordings: tuple[str, ...] = ()
    damaged: int = 0
    removed: int = 0
    failed: tuple[str, ...] = ()


def rebuild(
    catalogue: Catalogue,
    store: SegmentStore,
    volume: Volume,
    *,
    copy: bool = False,
    examined: Callable[[], None] = lambda: None,
) -> Rebuilt:
    """Take in all files of a volume that have no row. Raises Unavailable (volume or database)."""
    if not volume.is_there():
        raise Unavailable(f"volume {volume.id} is not there")
    tally = Tally()
    failed: list[str] = []
    made: list[str] = []
    size = 0
    seen: set[tuple[str, frozenset[Kind]]] = set()
    for path in unindexed_files(store, volume, failed, all_files=True):
        examined()
        if is_young(volume, path):
            continue
        try:
            row = adopt(store, volume, path, tally, copy=copy)
        except OSError as error:
            failed.append(f"{path}: {error.strerror}")
            continue
        except BadInput as error:
            failed.append(f"{path}: {error.reason}")
            continue
        if row is None:
            continue
        size += row.size
        known = (row.recording, frozenset(each.kind for each in row.formats))
        if known not in seen:
            seen.add(known)
            made += known_again(catalogue, [row])
    return Rebuilt(
        adopted=tally.adopted,
        bytes=size,
        recordings=tuple(made),
        damaged=tally.damaged,
        removed=tally.removed,
        failed=tuple(failed[:MAX_FAILED]),
    )


def known_again(catalogue: Catalogue, rows: Iterable[SegmentRow]) -> tuple[str, ...]:
    """Make the recordings of these segments known, with their tracks; gives the tokens of those that were not."""
    recordings = []
    for row in rows:
        tracks = tuple(
            TrackRow(recording=row.recording, token=TRACKS[kind], kind=kind.value)
            for kind in TRACKS
            if any(each.kind is kind for each in row.formats)
        )
        recordings.append(
            RecordingRow(
                token=row.recording,
                camera=None,
                source_id=row.recording,
                source_name=row.recording,
                source_description="taken in from a volume",
                tracks=tracks,
            )
        )
    made = catalogue.upkeep.archive(recordings)
    for recording in recordings:
        for track in recording.tracks:
            catalogue.recordings.add_track(track)
    return made
