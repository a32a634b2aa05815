"""Snapshots that have to make room: those of time whose footage did, and the oldest of a volume that holds nothing else."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence

from onvifd.archive.disk import Volume
from onvifd.errors import NotFound
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import SnapshotRow

log = logging.getLogger(__name__)

PAGE = 100
MOST = 1000
"""Snapshots that are deleted in one go."""


def forget_snapshots(catalogue: Catalogue, volumes: Mapping[str, Volume], recording: str, utc: int) -> int:
    """Delete the snapshots that a camera made before `utc`, if `recording` is of its main stream; gives how many.

    Those of volumes that are not there stay until they are back. Blocks. Raises Unavailable.
    """
    try:
        camera = catalogue.recordings.get(recording).camera
    except NotFound:
        return 0
    if camera is None or recording != f"rec-{camera}":
        return 0
    total = 0
    while rows := catalogue.snapshots.older(camera, utc, PAGE):
        gone = _remove(catalogue, volumes, rows)
        total += len(gone)
        if len(gone) < len(rows):
            break
    return total


def thin_snapshots(catalogue: Catalogue, volume: Volume, wanted: int) -> int:
    """Delete the oldest snapshots on a volume, `wanted` bytes of them, at most MOST; gives how many bytes that were. Blocks.
    Raises Unavailable."""
    freed = count = 0
    while freed < wanted and count < MOST and (rows := catalogue.snapshots.oldest(volume.id, PAGE)):
        chosen, size = [], 0
        for row in rows:
            if freed + size >= wanted:
                break
            chosen.append(row)
            size += row.size
        gone = _remove(catalogue, {volume.id: volume}, chosen)
        freed += sum(row.size for row in gone)
        count += len(gone)
        if len(gone) < len(chosen):
            break
    if count:
        log.info("volume %s: %d snapshots deleted to make room", volume.id, count)
    return freed


def _remove(catalogue: Catalogue, volumes: Mapping[str, Volume], rows: Sequence[SnapshotRow]) -> list[SnapshotRow]:
    """Files, then rows; gives those that are gone."""
    gone = []
    for row in rows:
        volume = volumes.get(row.volume)
        if volume is None:
            continue
        path = volume.path(row.path)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.error("%s cannot be deleted: %s", row.path, error.strerror)
            continue
        with contextlib.suppress(OSError):  # other pictures of that day
            path.parent.rmdir()
        gone.append(row)
    if gone:
        catalogue.snapshots.remove([row.id for row in gone])
    return gone
