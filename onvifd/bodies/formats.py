"""What streams carry is remembered, so that the device looks the same after a restart while a camera is away."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial

from onvifd.bodies.recorder import to_format
from onvifd.cameras.registry import Camera, Registry
from onvifd.errors import OnvifdError
from onvifd.media.types import PtzPart
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.workers.messages import StreamFormats
from onvifd.workers.specs import StreamStats

log = logging.getLogger(__name__)


Key = tuple[type, str, str]
"""What is kept, camera and stream."""


class FormatMemory:
    """One per recorder. What a stream carries by now is what is kept, however long the catalogue takes for what it carried before."""

    def __init__(self, catalogue: AsyncCatalogue, registry: Registry) -> None:
        self._catalogue = catalogue
        self._registry = registry
        self._newest: dict[Key, StreamFormats | StreamStats] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}

    def keep(self, message: StreamFormats | StreamStats) -> None:
        """Store it, soon: formats, or of a report what the camera's metadata tells of where it looks."""
        key = (type(message), message.camera, message.stream)
        self._newest[key] = message
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._follow(key), name=f"formats of {message.camera}")

    async def _follow(self, key: Key) -> None:
        try:
            while (message := self._newest.pop(key, None)) is not None:
                await self._store(message)
        finally:
            del self._tasks[key]

    async def _store(self, message: StreamFormats | StreamStats) -> None:
        try:
            if isinstance(message, StreamStats):
                await self._catalogue.run(self._registry.change, message.camera, partial(_with_ptz, message))
                return
            formats = tuple(to_format(track) for track in message.tracks)
            await self._catalogue.run(self._registry.learn, message.camera, message.stream, formats)
        except OnvifdError as error:
            log.error("camera %s: its formats cannot be stored: %s", message.camera, error.reason)

    async def close(self) -> None:
        """Leave what is not stored yet: cameras tell it again."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _with_ptz(stats: StreamStats, camera: Camera) -> Camera:
    told = frozenset(map(PtzPart, stats.ptz.split()))
    streams = tuple(
        replace(each, ptz=each.ptz | told) if each.role == stats.stream else each for each in camera.streams
    )
    return replace(camera, streams=streams)
