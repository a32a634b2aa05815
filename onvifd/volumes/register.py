"""Making folders volumes: those of the settings by themselves, others by command. Everything here blocks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from onvifd.archive.marker import is_marked, new_marker, read_marker, write_marker
from onvifd.errors import Conflict, InvalidArgument, OnvifdError, Unavailable
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import VolumeRow
from onvifd.volumes.look import erase, footage, holds_footage, is_empty, reason_of, snapshots
from onvifd.volumes.model import INITIALISING, Access

log = logging.getLogger(__name__)

_SAMPLES = 3
_TOGETHER = 500
"""Rows that are forgotten in one transaction: others write to the database meanwhile."""


def register(catalogue: Catalogue, paths: Sequence[Path], max_bytes: int, now: int) -> tuple[VolumeRow, ...]:
    """The volumes of the settings and those that commands added, as they are known now.

    A volume that is mounted elsewhere than before keeps its id. An empty folder of the settings becomes a volume, and one that
    holds footage of the index from before there were markers. Whatever else is wrong is left to be looked at later.
    """
    wanted = list(dict.fromkeys(str(path) for path in paths))
    for path in wanted:
        try:
            _follow(catalogue, path)
        except (OSError, OnvifdError) as error:
            log.error("volume %s: %s", path, error.reason if isinstance(error, OnvifdError) else reason_of(error))
        row = catalogue.volumes.ensure(path, max_bytes, now)
        if row.uuid in ("", INITIALISING):
            try:
                settle(catalogue, row, now)
            except (OSError, OnvifdError) as error:
                log.error("volume %s: %s", path, error.reason if isinstance(error, OnvifdError) else reason_of(error))
    return active_rows(catalogue, wanted)


def active_rows(catalogue: Catalogue, wanted: Sequence[str]) -> tuple[VolumeRow, ...]:
    """Volumes of the settings (their paths) and of commands, in order of creation."""
    return tuple(row for row in catalogue.volumes.all() if row.origin == "command" or row.path in wanted)


def _follow(catalogue: Catalogue, path: str) -> None:
    """A volume that has moved is found again by its marker."""
    marker = read_marker(Path(path))
    if marker is None:
        return
    rows = catalogue.volumes.all()
    known = next((row for row in rows if row.uuid == marker.uuid), None)
    if known is None or known.path == path or is_marked(Path(known.path), known.uuid):
        return
    if any(row.path == path for row in rows):
        return  # another volume was here before: people have to say what they want
    catalogue.volumes.change(known.id, path=path)
    log.warning("volume %s is in %s now, it was in %s", known.id, path, known.path)


def settle(catalogue: Catalogue, row: VolumeRow, now: int) -> VolumeRow:
    """Give a volume of the settings its uuid, if nothing speaks against it. Raises OSError, Conflict."""
    root = Path(row.path)
    if not root.is_dir():
        return row
    marker = read_marker(root)
    if marker is not None:
        other = next((each for each in catalogue.volumes.all() if each.uuid == marker.uuid), None)
        if other is not None:
            raise Conflict(f"it is volume {other.id}, which is in {other.path} too")
        log.warning(
            "volume %s: %s holds a volume from elsewhere: onvifd volume rebuild takes in what is on it", row.id, root
        )
    elif row.uuid == INITIALISING or not (is_empty(root) or _is_ours(catalogue, row)):
        return row
    else:
        marker = new_marker(now)
        write_marker(root, marker)
        log.info("volume %s: %s is a volume now", row.id, root)
    return catalogue.volumes.change(row.id, uuid=marker.uuid)


def _is_ours(catalogue: Catalogue, row: VolumeRow) -> bool:
    """Whether the folder holds footage that the index knows on this volume."""
    samples = [path for _, path, _, _ in catalogue.upkeep.sizes(row.id, limit=_SAMPLES)]
    return any((Path(row.path) / path).is_file() for path in samples)


def add(
    catalogue: Catalogue,
    path: Path,
    now: int,
    *,
    name: str = "",
    access: Access = Access.READ_WRITE,
    group: int = 1,
    max_bytes: int = 0,
    initialise: bool = False,
) -> VolumeRow:
    """Make a folder known as a volume. An empty one is initialised; one that holds a volume is taken as it is.

    Raises InvalidArgument, Conflict (known already, or it holds other things and `initialise` was not given), Unavailable.
    """
    if not path.is_absolute() or not path.is_dir():
        raise InvalidArgument(f"{path} is not the absolute path of a folder")
    path = path.resolve()
    for row in catalogue.volumes.all():
        other = Path(row.path)
        if other != path and (other.is_relative_to(path) or path.is_relative_to(other)):
            raise Conflict(f"volume {row.id} is in {other}: volumes do not lie within each other")
    try:
        marker = read_marker(path)
        if marker is None and access is Access.READ_ONLY:
            raise Conflict(f"{path} is no volume, and one that is only read is not made one")
        if marker is None:
            if holds_footage(path):
                raise Conflict(f"{path} holds footage but no marker: init --keep makes it a volume as it is")
            if not (initialise or is_empty(path)):
                raise Conflict(f"{path} is not empty: give --init to make it a volume all the same")
            marker = new_marker(now)
            write_marker(path, marker)
    except OSError as error:
        raise Unavailable(f"{path}: {reason_of(error)}") from error
    row = VolumeRow(
        id="",
        path=str(path),
        max_bytes=max_bytes,
        created=now,
        uuid=marker.uuid,
        name=name,
        access=access.value,
        group=group,
        origin="command",
    )
    return catalogue.volumes.add(row)


def mark(catalogue: Catalogue, row: VolumeRow, now: int) -> VolumeRow:
    """Make the folder of a volume its own again, with all that is in it. Raises Unavailable."""
    root = Path(row.path)
    try:
        marker = read_marker(root) or new_marker(now)
        write_marker(root, marker)
    except OSError as error:
        raise Unavailable(f"{root}: {reason_of(error)}") from error
    return catalogue.volumes.change(row.id, uuid=marker.uuid)


def begin_initialising(catalogue: Catalogue, row: VolumeRow) -> VolumeRow:
    """From now on nothing is written to it."""
    return catalogue.volumes.change(row.id, uuid=INITIALISING)


def finish_initialising(catalogue: Catalogue, row: VolumeRow, now: int) -> int:
    """Erase footage and snapshots of a volume and mark it anew; gives how many files are gone. Raises Unavailable."""
    root = Path(row.path)
    try:
        count = erase(root)
        after = 0
        while rows := catalogue.upkeep.sizes(row.id, after, _TOGETHER):
            catalogue.segments.remove(*(number for number, _, _, _ in rows))
            after = rows[-1][0]
        while pictures := catalogue.snapshots.oldest(row.id, _TOGETHER):
            catalogue.snapshots.remove([each.id for each in pictures])
        marker = new_marker(now)
        write_marker(root, marker)
    except OSError as error:
        raise Unavailable(f"{root}: {reason_of(error)}") from error
    catalogue.volumes.change(row.id, uuid=marker.uuid)
    return count


def check_erasable(catalogue: Catalogue, row: VolumeRow, *, erase: bool, now: int) -> None:
    """Raises Conflict if the volume holds footage and nobody said that it may go, or what is locked; Unavailable."""
    root = Path(row.path)
    if not root.is_dir():
        raise Unavailable(f"{root} is not there")
    if row.uuid not in ("", INITIALISING):
        marker = read_marker(root)
        if marker is not None and marker.uuid != row.uuid:
            raise Conflict(f"another volume is in {root}")
    try:
        held = next(chain(footage(root), snapshots(root)), None)
    except OSError as error:
        raise Unavailable(f"{root}: {reason_of(error)}") from error
    if (held or catalogue.upkeep.sizes(row.id, limit=1)) and not erase:
        raise Conflict(f"there is footage on {row.id}: give --erase to delete it")
    if erase and _locked(catalogue, row.id, now):
        raise Conflict(f"there is locked footage on {row.id}: unlock it first")


def _locked(catalogue: Catalogue, volume: str, now: int) -> bool:
    """Whether the volume holds the only copy of locked footage, or one of the copies."""
    return any(
        catalogue.upkeep.holds_any(volume, lock.recording, lock.start, lock.end)
        for lock in catalogue.locks.all()
        if lock.until is None or lock.until > now
    )


def with_defaults(row: VolumeRow) -> VolumeRow:
    """A name for people who gave none."""
    return row if row.name else replace(row, name=Path(row.path).name or row.path)
