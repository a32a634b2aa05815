"""Segment files on volumes: the only place where the archive writes. Everything here blocks and runs in threads."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from onvifd.archive.actions import Append, Close
from onvifd.archive.index import EndReason, SegmentChange, SegmentRow, SegmentRows, SegmentState
from onvifd.archive.marker import is_marked, sync_folder
from onvifd.archive.turns import Turns
from onvifd.errors import OnvifdError

log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")

_FOLDER_MODE, _FILE_MODE = 0o750, 0o640
"""Footage is for the recorder and its group."""
CACHED = 1 << 20
"""Bytes at the end of an open segment that stay in the page cache, for players near the live edge."""
RELEASED = 1 << 20
"""Bytes that are given back at once, or more."""
PAGE = 4096

SYNCED = os.RWF_DSYNC
"""How a write is done: it returns when the disk has data and size."""
_PARTS = 1024
"""Of one call (IOV_MAX of Linux)."""
_MAX_NAMES = 100
_MAX_UNSAVED = 64


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder that holds segments. It is never created by the archive: a file system that is not mounted is not written.

    `uuid` is what the marker in its root must say; empty for a folder without one.
    """

    id: str
    root: Path
    uuid: str = ""

    def path(self, relative: str) -> Path:
        return self.root / relative

    def is_there(self) -> bool:
        """Whether the folder is this volume, and not a mount point that nothing is mounted on. Raises OSError."""
        return is_marked(self.root, self.uuid)


class DiskPool:
    """The threads that read and write, a bounded number for all recordings of a process.

    Each `lane` has its own: a disk that hangs keeps nobody from another one. Writers take `turns`.
    """

    def __init__(self, threads: int = 8) -> None:
        self.turns = Turns()
        self._threads = threads
        self._lanes: dict[str, ThreadPoolExecutor] = {}

    async def run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await self.run_in("", function, *args, **kwargs)

    async def run_in(self, lane: str, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run in a lane of its own, named for the volume that it is about."""
        executor = self._lanes.get(lane)
        if executor is None:
            executor = ThreadPoolExecutor(self._threads, thread_name_prefix=f"archive {lane}".strip())
            self._lanes[lane] = executor
        return await asyncio.get_running_loop().run_in_executor(executor, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Let go of the threads; one that hangs in the kernel is not waited for."""
        self.turns.close()
        for executor in self._lanes.values():
            executor.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True)
class _File:
    fd: int
    path: Path
    row: SegmentRow
    """The row as it is on disk; `id` is 0 until the store has taken it."""
    released: int = 0
    """Up to here the page cache was given back."""

    def release(self, written: int) -> None:
        """Give back what is on disk, but for the last CACHED bytes.

        Footage is rarely read again, and what many cameras write would push everything else out of the page cache. Pages
        that come back at once are also those that the kernel hands out cheaply.
        """
        upto = (written - CACHED) & -PAGE
        if upto >= self.released + RELEASED:
            # advice: a file system that takes none records all the same
            with contextlib.suppress(OSError):
                os.posix_fadvise(self.fd, self.released, upto - self.released, os.POSIX_FADV_DONTNEED)
            self.released = upto


class SegmentFiles:
    """Carries out what a `SegmentWriter` decided for one recording: at most one segment file is open.

    `volumes` is the one volume for all, or gives that of an id.

    A failing file system raises OSError. A failing store does not: rows it refused are kept, bounded, and offered again
    with the next action; recovery completes the rest at the next start.
    """

    def __init__(self, volumes: Volume | Callable[[str], Volume | None], store: SegmentRows) -> None:
        self._find = (lambda _: volumes) if isinstance(volumes, Volume) else volumes
        self._store = store
        self._file: _File | None = None
        self._serial = 0
        self._unsaved: list[SegmentRow] = []
        self._store_failed = False

    def append(self, action: Append) -> None:
        """Write, sync, then store the row."""
        file = self._create(action) if action.offset == 0 else self._file
        if file is None or action.serial != self._serial:
            raise OSError(errno.ESTALE, "segment is not open")
        _write(file.fd, action.parts, action.offset)
        file.release(action.row.size)
        file.row = replace(action.row, id=file.row.id, path=file.row.path)
        self._retry()
        file.row = self._save(file.row)

    def close(self, action: Close) -> None:
        """End the open segment; does nothing for one that failed before."""
        file = self._file
        if file is None or action.serial != self._serial:
            return
        self._file = None
        try:
            os.close(file.fd)
        finally:
            # All of it was synced before: the row is true even if the file system complains now.
            self._retry()
            self._finish(replace(action.row, id=file.row.id, path=file.row.path))

    def abandon(self, reason: EndReason) -> None:
        """After an error: cut the file back to its last good fragment and close it."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            if file.row.size:
                os.ftruncate(file.fd, file.row.size)
            else:
                os.unlink(file.path)
        except OSError as error:
            # The torn tail is cut at the next start (archive.recovery); readers ignore it.
            log.info("cannot cut back %s: %s", file.row.path, error.strerror)
        try:
            os.close(file.fd)
        except OSError as error:
            log.info("cannot close %s: %s", file.row.path, error.strerror)
        if file.row.size:
            self._finish(replace(file.row, state=SegmentState.CLOSED, end_reason=reason))

    def _create(self, action: Append) -> _File:
        volume = self._find(action.row.volume)
        if volume is None or not volume.is_there():
            raise OSError(errno.ENOENT, f"volume {action.row.volume} is not there")
        stem = action.row.path.removesuffix(".mp4")
        for number in range(_MAX_NAMES):
            # A clock that was set back can give the same name again.
            name = f"{stem}-{number}.mp4" if number else f"{stem}.mp4"
            path = volume.path(name)
            try:
                fd = _new_file(path)
            except FileExistsError:
                continue
            sync_folder(path.parent)
            self._serial = action.serial
            self._file = _File(fd, path, replace(action.row, path=name, size=0))
            return self._file
        raise OSError(errno.EEXIST, "no free name for a segment")

    def _save(self, row: SegmentRow) -> SegmentRow:
        try:
            if row.id:
                self._store.update_segment(row.id, change_of(row))
            else:
                row = replace(row, id=self._store.insert_segment(row))
        except OnvifdError as error:
            self._failed(error)
        else:
            self._works()
        return row

    def _finish(self, row: SegmentRow) -> None:
        try:
            row = row if row.id else replace(row, id=self._store.insert_segment(row))
            self._store.close_segment(row.id, change_of(row), state=row.state, reason=row.end_reason)
        except OnvifdError as error:
            self._failed(error)
            self._unsaved = [*self._unsaved, row][-_MAX_UNSAVED:]
        else:
            self._works()

    def _retry(self) -> None:
        unsaved, self._unsaved = self._unsaved, []
        for row in unsaved:
            self._finish(row)

    def _failed(self, error: OnvifdError) -> None:
        if not self._store_failed:
            log.error("catalogue does not take segment rows, footage is kept: %s", error.reason)
        self._store_failed = True

    def _works(self) -> None:
        if self._store_failed:
            log.info("catalogue takes segment rows again")
        self._store_failed = False


def change_of(row: SegmentRow) -> SegmentChange:
    return SegmentChange(end=row.end, size=row.size, kinds=row.kinds, fragments=row.fragments)


def _new_file(path: Path) -> int:
    """Create a file and its folders. Raises OSError."""
    for last in (False, True):
        try:
            _make_folder(path.parent)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        except FileNotFoundError:
            # Retention has just removed the folder, which was empty.
            if last:
                raise
            continue
        # Tells check and repair that it is being written (doctor.is_young). Not every file system has locks.
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd
    raise AssertionError("unreachable")


def _make_folder(folder: Path) -> None:
    """Create a folder and what is missing above it: `Path.mkdir` would give the mode to the last one alone."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=_FOLDER_MODE, exist_ok=True)


def _write(fd: int, parts: Sequence[bytes], offset: int) -> None:
    """Write parts behind each other, from `offset` on, and wait until the disk has them. Raises OSError."""
    if len(parts) <= _PARTS:
        # Written and synced in one call: each further one makes the thread wait for the interpreter, and the loop for the thread.
        try:
            written = os.pwritev(fd, parts, offset, SYNCED)
        except OSError as error:
            # File systems without flags for one call.
            if error.errno != errno.EOPNOTSUPP:
                raise
            written = 0
        else:
            if written == sum(map(len, parts)):
                return
    else:
        written = 0
    _write_on(fd, parts, offset, written)
    os.fdatasync(fd)


def _write_on(fd: int, parts: Sequence[bytes], offset: int, written: int) -> None:
    """The rest, after `written` bytes."""
    # The part that comes next, and what of it is written already.
    at, done = 0, written
    offset += written
    while True:
        while at < len(parts) and done >= len(parts[at]):
            done -= len(parts[at])
            at += 1
        if at == len(parts):
            return
        next_ones: list[bytes | memoryview] = [*parts[at : at + _PARTS]]
        next_ones[0] = memoryview(parts[at])[done:]
        written = os.pwritev(fd, next_ones, offset)
        offset += written
        done += written
