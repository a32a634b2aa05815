"""What streams carry is remembered, so that the device looks the same after a restart while a camera is away."""

from __future__ import annotations

import asyncio
import logging

from onvifd.bodies.recorder import to_format
from onvifd.cameras.registry import Registry
from onvifd.errors import OnvifdError
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.workers.messages import StreamFormats

log = logging.getLogger(__name__)


class FormatMemory:
    """One per recorder."""

    def __init__(self, catalogue: AsyncCatalogue, registry: Registry) -> None:
        self._catalogue = catalogue
        self._registry = registry
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, message: StreamFormats) -> None:
        """Store it, soon."""
        task = asyncio.create_task(self._store(message), name=f"formats of {message.camera}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _store(self, message: StreamFormats) -> None:
        formats = tuple(to_format(track) for track in message.tracks)
        try:
            await self._catalogue.run(self._registry.learn, message.camera, message.stream, formats)
        except OnvifdError as error:
            log.error("camera %s: its formats cannot be stored: %s", message.camera, error.reason)

    async def close(self) -> None:
        """Leave what is not stored yet: cameras tell it again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
