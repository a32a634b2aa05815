"""How streams are received: from the catalogue to the workers, and certificates and logins that these have seen into the catalogue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace

import msgspec

from onvifd.cameras.ways import Reach, reach_of
from onvifd.errors import NotFound, OnvifdError
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.store.receptions import ReceptionRow
from onvifd.workers.messages import AnyMessage, CertificateSeen, DigestSeen
from onvifd.workers.specs import CameraSpec, StreamSpec, TalkSpec

log = logging.getLogger(__name__)

MAX_STORING = 64
"""What waits to be stored; what is left out is told again at the next start."""


class Receptions:
    """What is set. `read` before `applied`; `heard` takes every message of a worker."""

    def __init__(self, catalogue: AsyncCatalogue) -> None:
        self._catalogue = catalogue
        self._rows: dict[tuple[str, str], ReceptionRow] = {}
        self._storing: set[asyncio.Task[None]] = set()

    async def read(self) -> None:
        """Take over what the catalogue says now. Raises Unavailable."""
        rows = await self._catalogue.run(self._catalogue.sync.receptions.all)
        self._rows = {(row.camera, row.stream): row for row in rows}

    def applied(self, cameras: Iterable[CameraSpec]) -> tuple[CameraSpec, ...]:
        """The same cameras with how each stream is received."""
        return tuple(
            msgspec.structs.replace(
                camera,
                streams=tuple(self._stream(camera.id, stream) for stream in camera.streams),
                talk=self._talk(camera.id, camera.talk),
            )
            for camera in cameras
        )

    def reach(self, camera: str, stream: str) -> Reach:
        """How a stream is reached."""
        row = self._rows.get((camera, stream)) or ReceptionRow(camera=camera, stream=stream)
        return replace(reach_of(row), digest=self._digest(camera))

    def _stream(self, camera: str, spec: StreamSpec) -> StreamSpec:
        row = self._rows.get((camera, spec.name))
        if row is None:
            return msgspec.structs.replace(spec, digest=True) if self._digest(camera) else spec
        return msgspec.structs.replace(
            spec,
            transport=row.transport,
            tunnel_port=row.tunnel_port,
            trust=row.trust,
            pin=row.pin,
            on_demand=row.on_demand,
            quirks=tuple(row.quirks.split()),
            digest=self._digest(camera),
        )

    def _talk(self, camera: str, spec: TalkSpec | None) -> TalkSpec | None:
        """Sound goes to the camera as its main stream comes from it."""
        row = self._rows.get((camera, "main"))
        if spec is None or row is None:
            return spec
        return msgspec.structs.replace(
            spec,
            transport=row.transport,
            tunnel_port=row.tunnel_port,
            trust=row.trust,
            pin=row.pin,
            quirks=tuple(row.quirks.split()),
            digest=self._digest(camera),
        )

    def _digest(self, camera: str) -> bool:
        """Whether the camera has offered Digest for any of its streams: it has one login."""
        return any(row.digest for row in self._rows.values() if row.camera == camera)

    def heard(self, message: AnyMessage) -> None:
        """A worker tells something: the first certificate of a camera is remembered, and that it has offered Digest."""
        if isinstance(message, CertificateSeen | DigestSeen) and len(self._storing) < MAX_STORING:
            task = asyncio.create_task(self._store(message), name="what a camera has shown")
            self._storing.add(task)
            task.add_done_callback(self._storing.discard)

    async def _store(self, seen: CertificateSeen | DigestSeen) -> None:
        def work(row: ReceptionRow) -> ReceptionRow:
            if isinstance(seen, DigestSeen):
                return replace(row, digest=True)
            return row if row.pin else replace(row, pin=seen.fingerprint)

        try:
            await self._catalogue.run(self._catalogue.sync.receptions.change, seen.camera, seen.stream, work)
        except NotFound:
            # A receiver, or a camera that was removed meanwhile.
            log.debug("%s/%s has nothing that could be remembered", seen.camera, seen.stream)
        except OnvifdError as error:
            log.error("%s/%s: what it has shown cannot be remembered: %s", seen.camera, seen.stream, error.reason)

    async def close(self) -> None:
        """Wait for what is being stored."""
        await asyncio.gather(*self._storing, return_exceptions=True)
