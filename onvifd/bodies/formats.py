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


Key = tuple[str, str]
"""Camera and stream."""


class FormatMemory:
    """One per recorder. What a stream carries by now is what is kept, however long the catalogue takes for what it carried before."""

    def __init__(self, catalogue: AsyncCatalogue, registry: Registry) -> None:
        self._catalogue = catalogue
        self._registry = registry
        self._newest: dict[Key, StreamFormats] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}

    def keep(self, message: StreamFormats) -> None:
        """Store it, soon."""
        key = (message.camera, message.stream)
        self._newest[key] = message
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._follow(key), name=f"formats of {message.camera}")

    async def _follow(self, key: Key) -> None:
        try:
            while (message := self._newest.pop(key, None)) is not None:
                await self._store(message)
        finally:
            del self._tasks[key]

    async def _store(self, message: StreamFormats) -> None:
        formats = tuple(to_format(track) for track in message.tracks)
        try:
            await self._catalogue.run(self._registry.learn, message.camera, message.stream, formats)
        except OnvifdError as error:
            log.error("camera %s: its formats cannot be stored: %s", message.camera, error.reason)

    async def close(self) -> None:
        """Leave what is not stored yet: cameras tell it again."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
