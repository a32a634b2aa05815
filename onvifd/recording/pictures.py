"""Takes snapshots and keeps them: files on a volume, rows in the catalogue, until they are too old."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from onvifd.archive.disk import Volume
from onvifd.archive.marker import sync_folder
from onvifd.clock import US, Alarm, Clock, to_datetime
from onvifd.errors import NotFound, OnvifdError, Unavailable
from onvifd.recording.calendar import Calendar
from onvifd.recording.snapshots import SnapshotPlan
from onvifd.recording.triggers import Now
from onvifd.recording.types import RecordType
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.store.rows import SnapshotPolicyRow, SnapshotRow
from onvifd.volumes.look import SNAPSHOTS

log = logging.getLogger(__name__)

AT_ONCE = 2
MAX_WAITING = 64
"""Pictures that are asked for and not yet taken; at the bound further ones are left out."""
TAKE_TIMEOUT = 20.0
MAX_WAIT = 10.0
SWEEP = 600.0
PAGE = 200
_FOLDER_MODE, _FILE_MODE = 0o750, 0o640

Take = Callable[[str, str], Awaitable[bytes]]
Volumes = Callable[[str], Sequence[Volume]]


class Pictures:
    """Owns its tasks from `start` to `stop`. `take` gives a JPEG of a camera's stream; `volumes` those that snapshots of a
    camera may be written to, the best first; `all_volumes` those that are there."""

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        clock: Clock,
        *,
        take: Take,
        volumes: Volumes,
        all_volumes: Callable[[], Sequence[Volume]],
        active: Callable[[str], frozenset[RecordType]],
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._take = take
        self._volumes = volumes
        self._all_volumes = all_volumes
        self._plan = SnapshotPlan(active)
        self._days: dict[str, int] = {}
        self._failing: set[str] = set()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._asked: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._alarm = Alarm(clock)

    # ---- life ----------------------------------------------------------------------------------

    def configure(self, policies: Mapping[str, SnapshotPolicyRow], calendars: Mapping[str, Calendar]) -> None:
        """Which cameras have snapshots when, and for how long they are kept."""
        self._plan.configure(policies, calendars)
        self._days = {camera: policy.days for camera, policy in policies.items()}
        self._alarm.ring()

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._run(), name="snapshots"),
            asyncio.create_task(self._sweep(), name="old snapshots"),
        ]

    async def stop(self) -> None:
        tasks = [*self._tasks, *self._asked]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _now(self) -> Now:
        return Now(self._clock.utc(), self._clock.monotonic())

    async def _run(self) -> None:
        while True:
            for camera, kind in self._plan.due(self._now()):
                self._ask(camera, kind)
            await self._alarm.wait(min(MAX_WAIT, self._plan.next_look(self._now())) + 0.001)

    def event(self, camera: str, kind: RecordType) -> None:
        """An event of a camera begins: a picture of it is taken if that is wanted."""
        if self._plan.event(camera, kind, self._now()):
            self._ask(camera, kind)
            self._alarm.ring()

    def _ask(self, camera: str, kind: RecordType) -> None:
        if len(self._asked) >= MAX_WAITING:
            log.warning("camera %s: no snapshot, %d wait already", camera, MAX_WAITING)
            return
        task = asyncio.create_task(self._attempt(camera, kind), name=f"snapshot of {camera}")
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _attempt(self, camera: str, kind: RecordType) -> None:
        try:
            await self.take(camera, kind)
            self._failing.discard(camera)
        except OnvifdError as error:
            if camera not in self._failing:
                self._failing.add(camera)
                log.warning("camera %s: no snapshot: %s", camera, error.reason)

    # ---- taking --------------------------------------------------------------------------------

    async def take(self, camera: str, kind: RecordType = RecordType.MANUAL, stream: str = "") -> SnapshotRow:
        """Take one now and keep it. Raises NotFound for a camera that is not there, Unavailable, Timeout."""
        async with self._room:
            utc = self._clock.utc()
            try:
                async with asyncio.timeout(TAKE_TIMEOUT):
                    data = await self._take(camera, stream or self._plan.stream(camera))
            except TimeoutError:
                raise Unavailable(f"camera {camera} gave no picture in {TAKE_TIMEOUT:g} s") from None
            for volume in self._volumes(camera):
                try:
                    path = await asyncio.to_thread(store, volume, camera, utc, data)
                except OSError as error:
                    log.error("volume %s takes no snapshot: %s", volume.id, error.strerror)
                    continue
                row = SnapshotRow(camera=camera, utc=utc, kind=kind.value, volume=volume.id, path=path, size=len(data))
                number = await self._catalogue.run(self._catalogue.sync.snapshots.insert, row)
                return await self._catalogue.run(self._catalogue.sync.snapshots.get, number)
            raise Unavailable("no volume takes a snapshot")

    # ---- giving and deleting -------------------------------------------------------------------

    async def read(self, snapshot: int) -> bytes:
        """The JPEG. Raises NotFound, or Unavailable while its volume is not there."""
        row = await self._catalogue.run(self._catalogue.sync.snapshots.get, snapshot)
        volume = self._volume(row)
        if volume is None:
            raise Unavailable(f"volume {row.volume} is not there")
        try:
            return await asyncio.to_thread(volume.path(row.path).read_bytes)
        except FileNotFoundError:
            raise NotFound(f"the file of snapshot {snapshot} is gone") from None
        except OSError as error:
            raise Unavailable(f"snapshot {snapshot} cannot be read: {error.strerror}") from error

    async def delete(self, rows: Sequence[SnapshotRow]) -> int:
        """Delete files, then their rows; gives how many. Those of volumes that are not there stay."""
        gone = []
        for row in rows:
            volume = self._volume(row)
            if volume is None:
                continue
            try:
                await asyncio.to_thread(remove, volume.path(row.path))
            except OSError as error:
                log.error("%s cannot be deleted: %s", row.path, error.strerror)
                continue
            gone.append(row.id)
        return await self._catalogue.run(self._catalogue.sync.snapshots.remove, gone) if gone else 0

    def _volume(self, row: SnapshotRow) -> Volume | None:
        return next((volume for volume in self._all_volumes() if volume.id == row.volume), None)

    async def _sweep(self) -> None:
        while True:
            try:
                for camera in await self._catalogue.run(self._catalogue.sync.snapshots.cameras):
                    await self._sweep_camera(camera)
            except OnvifdError as error:
                log.error("old snapshots are not deleted: %s", error.reason)
            await self._clock.sleep(SWEEP)

    async def _sweep_camera(self, camera: str) -> None:
        days = self._days.get(camera, SnapshotPolicyRow(camera=camera).days)
        if not days:
            return
        before = self._clock.utc() - days * 86_400 * US
        while rows := await self._catalogue.run(self._catalogue.sync.snapshots.older, camera, before, PAGE):
            deleted = await self.delete(rows)
            if deleted:
                log.info("camera %s: %d snapshots older than %d days deleted", camera, deleted, days)
            if deleted < len(rows):
                return


def relative(camera: str, utc: int) -> str:
    """Path of a picture below its volume: UTC, as that of segments."""
    at = to_datetime(utc)
    return f"{SNAPSHOTS}/{camera}/{at:%Y-%m-%d}/{at:%H%M%S}.{utc % US // 1000:03d}.jpg"


def store(volume: Volume, camera: str, utc: int, data: bytes) -> str:
    """Write a picture whole or not at all; gives its path. One of the same millisecond gets the next name. Blocks.

    Raises OSError, also where the volume is not there: its folder is never made, and no mount point is written to.
    """
    root = volume.root
    if not volume.is_there():
        raise FileNotFoundError(errno.ENOENT, "the volume is not there", str(root))
    for step in range(100):
        name = relative(camera, utc + step * 1000)
        path = root / name
        path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE_MODE)
        try:
            with open(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fdatasync(file.fileno())
            os.link(part, path)  # not a renaming: that would replace what is there
        except FileExistsError:
            continue
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
        sync_folder(path.parent)
        return name
    raise FileExistsError(17, "there are a hundred pictures of this moment", relative(camera, utc))


def remove(path: Path) -> None:
    """Delete a picture, and its folder with the last one. One that is gone already is no error. Blocks. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with contextlib.suppress(OSError):
        path.parent.rmdir()
