"""Event feeds of the cameras: one for each that has an event service, kept in line with the configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import aiohttp

from onvifd.cameras.camera_events import CameraListener
from onvifd.cameras.drivers import event_feed
from onvifd.cameras.event_feed import CameraEventFeed, MotionCallback
from onvifd.cameras.registry import Camera
from onvifd.clock import Clock


class EventFeeds:
    """Owns the feeds; `close` ends them all."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        motion: MotionCallback,
        clock: Clock,
        listener: CameraListener | None = None,
    ) -> None:
        self._session = session
        self._motion = motion
        self._clock = clock
        self._listener = listener
        self._feeds: dict[str, tuple[Camera, CameraEventFeed]] = {}
        self._closed = False

    async def adjust(self, cameras: Iterable[Camera]) -> None:
        """Start, change and end feeds until they are those of `cameras`."""
        wanted = {camera.id: camera for camera in cameras if camera.event_address}
        for camera_id, (camera, feed) in list(self._feeds.items()):
            now = wanted.get(camera_id)
            if now is None or (now.event_address, now.credentials) != (camera.event_address, camera.credentials):
                del self._feeds[camera_id]
                await feed.close()
        for camera_id, camera in wanted.items():
            if camera_id in self._feeds or self._closed:  # what is taken over during a stop begins nothing
                continue
            made = event_feed(camera, self._session, self._motion, self._clock, self._listener)
            if made is not None:
                made.start()
                self._feeds[camera_id] = (camera, made)

    async def close(self) -> None:
        self._closed = True
        feeds, self._feeds = self._feeds, {}
        await asyncio.gather(*(feed.close() for _, feed in feeds.values()))
