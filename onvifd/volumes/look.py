"""One look at a volume: whether it is there, which it is, how much is free, and whether it takes data. Everything blocks."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onvifd.archive.marker import MARKER, read_marker
from onvifd.archive.paths import is_segment_path
from onvifd.errors import InvalidArgument
from onvifd.volumes.model import Access, VolumeState

PROBE_BYTES = 4096
PROBE_NAME = ".onvifd-probe"
_INDIFFERENT = frozenset(("lost+found", "System Volume Information", "$RECYCLE.BIN"))
"""What file systems put into their root themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen. `total` and `free` are bytes, `device` is `major:minor` of the file system."""

    state: VolumeState
    reason: str = ""
    total: int = 0
    free: int = 0
    device: str = ""


def look(root: Path, uuid: str, access: Access, *, probe: bool) -> Look:
    """`uuid` is what the marker must say, empty for a volume that was never marked. With `probe` a little is written."""
    try:
        return _look(root, uuid, access, probe)
    except InvalidArgument as error:
        return Look(state=VolumeState.ERROR, reason=error.reason)
    except OSError as error:
        return Look(state=VolumeState.ERROR, reason=reason_of(error))


def _look(root: Path, uuid: str, access: Access, probe: bool) -> Look:
    try:
        about = root.stat()
    except (FileNotFoundError, NotADirectoryError):
        return Look(state=VolumeState.MISSING, reason="it is not there")
    if not os.path.isdir(root):
        return Look(state=VolumeState.MISSING, reason="it is not a folder")
    marker = read_marker(root)
    if marker is None:
        if uuid:
            return Look(state=VolumeState.MISSING, reason="its file system is not mounted")
        return Look(state=VolumeState.NEEDS_INITIALISING, reason="it was never made a volume")
    if marker.uuid != uuid:
        return Look(state=VolumeState.MISSING, reason="another volume is in its place")
    info = os.statvfs(root)
    device = f"{os.major(about.st_dev)}:{os.minor(about.st_dev)}"
    total, free = info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize
    reason = ""
    if access is not Access.READ_ONLY:
        if info.f_flag & os.ST_RDONLY:
            reason = os.strerror(errno.EROFS)
        elif probe:
            reason = _probe(root)
    elif not os.access(root, os.R_OK | os.X_OK):
        reason = os.strerror(errno.EACCES)
    state = VolumeState.ERROR if reason else VolumeState.OK
    return Look(state=state, reason=reason, total=total, free=free, device=device)


def reason_of(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _probe(root: Path) -> str:
    """Write and sync; gives why that does not work. A disk without room is no error: its state is told by what is free."""
    try:
        write_probe(root)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return ""
        return reason_of(error)
    return ""


def write_probe(root: Path) -> None:
    """A file without a name where the file system has such; else one that is deleted at once. Raises OSError."""
    path: Path | None = None
    try:
        descriptor = os.open(root, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
        path = root / PROBE_NAME
        descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, bytes(PROBE_BYTES))
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
        if path is not None:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


SNAPSHOTS = "snapshots"
"""Folder of stored pictures on a volume."""
_SNAPSHOT = re.compile(rf"{SNAPSHOTS}/[A-Za-z0-9._-]+/\d{{4}}-\d\d-\d\d/\d{{6}}\.\d{{3}}\.jpg", re.ASCII)


def is_empty(root: Path) -> bool:
    """Whether a folder holds nothing but what file systems put there themselves. Raises OSError."""
    return all(name in _INDIFFERENT or name.startswith(".") for name in os.listdir(root))


def footage(root: Path) -> Iterator[str]:
    """Paths of segment files below a folder, whatever the index knows. Raises OSError."""
    for recording in _folders(root):
        for day in _folders(root / recording):
            for hour in _folders(root / recording / day):
                for name in sorted(os.listdir(root / recording / day / hour)):
                    relative = f"{recording}/{day}/{hour}/{name}"
                    if is_segment_path(relative):
                        yield relative


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith("."))
    except PermissionError:
        # `lost+found` is root's alone
        return []


def recordings_on(root: Path) -> list[str]:
    """Names of the folders that hold segment files; empty for a folder that cannot be read."""
    found = []
    try:
        for recording in _folders(root):
            days = (
                f"{recording}/{day}/{hour}"
                for day in _folders(root / recording)
                for hour in _folders(root / recording / day)
            )
            if any(is_segment_path(f"{hour}/{name}") for hour in days for name in os.listdir(root / hour)):
                found.append(recording)
    except OSError:
        return []
    return found


def holds_footage(root: Path) -> bool:
    """Raises OSError."""
    return next(footage(root), None) is not None


def snapshots(root: Path) -> Iterator[str]:
    """Paths of stored pictures below a folder, whatever the catalogue knows. Raises OSError."""
    if not (root / SNAPSHOTS).is_dir():
        return
    for camera in _folders(root / SNAPSHOTS):
        for day in _folders(root / SNAPSHOTS / camera):
            for name in sorted(os.listdir(root / SNAPSHOTS / camera / day)):
                relative = f"{SNAPSHOTS}/{camera}/{day}/{name}"
                if _SNAPSHOT.fullmatch(relative):
                    yield relative


def erase(root: Path) -> int:
    """Delete the marker, all segment files and snapshots, and nothing else; gives how many files. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        (root / MARKER).unlink()
    count = 0
    folders: set[Path] = set()
    for relative in [*footage(root), *snapshots(root)]:
        path = root / relative
        path.unlink(missing_ok=True)
        folders.update(path.parents[:3])
        count += 1
    for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()
    return count
