"""Whether volumes take footage: tried by writing, so that a full, read-only, missing or broken disk is noticed while nothing records."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from onvifd.archive.disk import Volume
from onvifd.clock import Clock
from onvifd.events import device_topics as topics
from onvifd.events.types import Event

log = logging.getLogger(__name__)

PROBE_BYTES = 4096
PROBE_TIMEOUT = 20.0
"""Seconds after which a disk that does not answer counts as failed."""
LOW = 32 << 20
"""Free bytes below which a volume is taken to be full: a few segments' worth, which retention should have made."""
PROBE_NAME = ".onvifd-probe"

Publish = Callable[[Event], object]


def probe(root: Path) -> str:
    """Write, sync and read space; gives why the volume is of no use, empty if it is. Blocks."""
    try:
        if not root.is_dir():
            return "it is not there"
        info = os.statvfs(root)
        if info.f_bavail * info.f_frsize < LOW:
            return "it is full"
        _write(root)
    except OSError as error:
        return os.strerror(error.errno) if error.errno else type(error).__name__
    return ""


def _write(root: Path) -> None:
    """A file without a name where the file system has such; else one that is deleted at once."""
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


class StorageWatch:
    """Looks at every volume and publishes its state. A disk that hangs holds up nobody: it has a thread of its own."""

    def __init__(self, volumes: Sequence[Volume], publish: Publish, clock: Clock) -> None:
        self._volumes = tuple(volumes)
        self._publish = publish
        self._clock = clock
        self._threads = {
            volume.id: ThreadPoolExecutor(1, thread_name_prefix=f"probe {volume.id}") for volume in self._volumes
        }
        self._hanging: dict[str, asyncio.Future[str]] = {}
        self._reasons: dict[str, str] = {}

    async def look(self) -> None:
        """Probe all volumes, at most 20 s."""
        reasons = await asyncio.gather(*(self._look(volume) for volume in self._volumes))
        now = self._clock.utc()
        for volume, reason in zip(self._volumes, reasons, strict=True):
            self._publish(topics.storage_failure(volume.id, bool(reason), now))
            known = self._reasons.get(volume.id, "")
            if reason and reason != known:
                log.error("volume %s takes nothing: %s", volume.id, reason)
            elif known and not reason:
                log.info("volume %s takes footage again", volume.id)
            self._reasons[volume.id] = reason

    async def _look(self, volume: Volume) -> str:
        pending = self._hanging.get(volume.id)
        if pending is None:
            pending = asyncio.get_running_loop().run_in_executor(self._threads[volume.id], probe, volume.root)
        done, _ = await asyncio.wait({pending}, timeout=PROBE_TIMEOUT)
        if not done:
            self._hanging[volume.id] = pending
            return "it does not answer"
        self._hanging.pop(volume.id, None)
        return pending.result()

    def close(self) -> None:
        """Let go of the threads; one that hangs in the kernel is not waited for."""
        for pool in self._threads.values():
            pool.shutdown(wait=False, cancel_futures=True)
