"""Snapshots of time whose footage had to make room."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from onvifd.archive.disk import Volume
from onvifd.errors import NotFound
from onvifd.store.catalogue import Catalogue

log = logging.getLogger(__name__)

PAGE = 100


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
        gone = []
        for row in rows:
            volume = volumes.get(row.volume)
            if volume is None:
                continue
            try:
                volume.path(row.path).unlink(missing_ok=True)
            except OSError as error:
                log.error("%s cannot be deleted: %s", row.path, error.strerror)
                continue
            gone.append(row.id)
        total += catalogue.snapshots.remove(gone) if gone else 0
        if len(gone) < len(rows):
            break
    return total
