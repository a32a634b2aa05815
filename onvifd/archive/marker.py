"""The marker in the root of a volume: which volume it is. A mount point whose file system is not mounted has none."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from onvifd.clock import isoformat
from onvifd.errors import InvalidArgument

MARKER = ".onvifd-volume.json"
FORMAT = 1
MAX_MARKER = 4096
"""Bytes of a marker that are looked at."""
_FILE_MODE = 0o640


@dataclass(frozen=True, slots=True)
class Marker:
    """`uuid` never changes, wherever the volume is mounted. `created` is for people."""

    uuid: str
    created: str = ""


def new_marker(now: int) -> Marker:
    """For a folder that is made a volume `now` (microseconds UTC)."""
    return Marker(str(uuid.uuid4()), isoformat(now))


def read_marker(root: Path) -> Marker | None:
    """None if there is none. Raises OSError, InvalidArgument for one that cannot be understood. Blocks."""
    try:
        fd = os.open(root / MARKER, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        content = os.read(fd, MAX_MARKER)
    finally:
        os.close(fd)
    try:
        said = json.loads(content)
        if int(said["format"]) != FORMAT:
            raise InvalidArgument("the volume was made by another version of onvifd")
        return Marker(str(uuid.UUID(said["uuid"])), str(said.get("created", "")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidArgument("the marker of the volume cannot be read") from error


def write_marker(root: Path, marker: Marker) -> None:
    """Whole or not at all. Raises OSError. Blocks."""
    content = json.dumps({"format": FORMAT, "uuid": marker.uuid, "created": marker.created}).encode()
    draft = root / f"{MARKER}.new"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
    try:
        try:
            os.write(fd, content)
            os.fsync(fd)
        finally:
            os.close(fd)
        draft.rename(root / MARKER)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    sync_folder(root)


def sync_folder(folder: Path) -> None:
    """Make a new name in it durable. Raises OSError. Blocks."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def is_marked(root: Path, wanted: str) -> bool:
    """Whether the volume with this uuid is in the folder; any folder will do for an empty one. Raises OSError. Blocks."""
    if not wanted:
        return root.is_dir()
    try:
        marker = read_marker(root)
    except InvalidArgument:
        return False
    return marker is not None and marker.uuid == wanted
