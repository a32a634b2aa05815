"""What control asks of the cameras themselves: key frames, options of their encoders, other settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import aiohttp

from onvifd.bodies.synchronisation import Synchronisation
from onvifd.bodies.way_search import WaySearch
from onvifd.cameras.camera_settings import OnvifSettings, change_quality, change_stream
from onvifd.cameras.keyframes import KeyframeRequests
from onvifd.cameras.registry import Camera, Registry, Stream
from onvifd.cameras.ways import WAYS, Reach
from onvifd.clock import Clock
from onvifd.rtsp.client_transport import Way
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.workers.messages import AnyMessage, CameraState, KeyframeWanted


class CameraParts:
    """One per recorder. `settings` implements `cameras.settings.CameraSettings`; `reach` says how a stream is described."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        catalogue: AsyncCatalogue,
        registry: Registry,
        clock: Clock,
        reach: Callable[[str, str], Reach],
        ways: tuple[Way, ...] = WAYS,
    ) -> None:
        self.way_search = WaySearch(catalogue, registry, clock, reach, ways)
        self._catalogue = catalogue
        self._registry = registry
        self._keyframes = KeyframeRequests(session, clock)
        self._synchronisation = Synchronisation(self._keyframes.ask, clock)
        self.settings = OnvifSettings(session, clock, self._learned, reach, self._learned_quality)
        self.ask_keyframe = self._keyframes.ask

    def set_cameras(self, cameras: Iterable[Camera]) -> None:
        """Take over the configured cameras."""
        known = tuple(cameras)
        self._keyframes.set_cameras(known)
        self.settings.set_cameras(known)
        self.way_search.set_cameras(known)
        self._synchronisation.keep(frozenset(camera.id for camera in known))

    def heard(self, message: AnyMessage) -> None:
        """A notice of a worker."""
        if isinstance(message, KeyframeWanted):
            self._synchronisation.wanted(message)
        elif isinstance(message, CameraState):
            self.way_search.heard(message)

    async def _learned(self, camera: str, stream: Stream) -> None:
        await self._catalogue.run(self._registry.change, camera, lambda known: change_stream(known, stream))

    async def _learned_quality(self, camera: str, stream: str, quality: float) -> None:
        await self._catalogue.run(self._registry.change, camera, lambda known: change_quality(known, stream, quality))

    async def close(self) -> None:
        """End what is under way at cameras."""
        await self.way_search.close()
        await self._synchronisation.close()
        await self.settings.close()
        await self._keyframes.close()
