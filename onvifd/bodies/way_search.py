"""Cameras that are lost for minutes are asked by other ways than the one that is stored (`cameras.ways`); one that works is stored.

A camera that was changed, or a firewall in front of it, may have closed the port by which it was added.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from onvifd.cameras.drivers import asker
from onvifd.cameras.registry import Camera, Registry, Stream
from onvifd.cameras.ways import WAYS, Answered, Reach, ask_again, other_ways, reception_of
from onvifd.clock import Clock
from onvifd.errors import OnvifdError
from onvifd.rtsp.client_transport import Way
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.store.receptions import ReceptionRow
from onvifd.workers.messages import CameraState

log = logging.getLogger(__name__)

AFTER = (180.0, 600.0, 1800.0, 3600.0)
"""Seconds from the loss of a stream to the first search, and between the next ones: the last goes on."""
FAILURES = 3
"""Failures in a row without which nothing is searched."""
LOOK = 30.0
"""Seconds between two looks at what is lost."""
AT_ONCE = 4
"""Streams that are searched at the same time."""

Key = tuple[str, str]
"""A camera's id and the name of a stream."""
Search = Callable[[Camera, Stream, Reach], Awaitable[Answered | None]]


@dataclass(slots=True)
class _Lost:
    """A stream that does not come. `due` is when it is searched next, monotonic seconds."""

    due: float
    failures: int = 1
    searches: int = 0


class WaySearch:
    """One per recorder. `heard` takes what workers tell of streams; `reach` says how one is reached.

    `say` takes camera, stream and what people are to see of it.
    """

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        registry: Registry,
        clock: Clock,
        reach: Callable[[str, str], Reach],
        ways: tuple[Way, ...] = WAYS,
        search: Search | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._registry = registry
        self._clock = clock
        self._reach = reach
        self._ways = ways
        self._search = search or self._ask
        self.say: Callable[[str, str, str], None] = lambda camera, stream, text: None
        self._cameras: dict[str, Camera] = {}
        self._lost: dict[Key, _Lost] = {}
        self._task: asyncio.Task[None] | None = None
        self.searching = 0
        """Streams that are asked now."""

    def set_cameras(self, cameras: Iterable[Camera]) -> None:
        """Take over the configured cameras; what is reached otherwise now has time to come."""
        before, self._cameras = self._cameras, {camera.id: camera for camera in cameras}
        for key in list(self._lost):
            if self._cameras.get(key[0]) != before.get(key[0]):
                del self._lost[key]

    def heard(self, state: CameraState) -> None:
        """A stream came, or a try to have it failed."""
        key = (state.camera, state.stream)
        if state.online:
            self._lost.pop(key, None)
        elif (known := self._lost.get(key)) is not None:
            known.failures += 1
        elif state.camera in self._cameras:
            self._lost[key] = _Lost(self._clock.monotonic() + AFTER[0])
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._run(), name="ways to cameras that are lost")
                self._task.add_done_callback(_ended)

    async def _run(self) -> None:
        while self._lost:
            await self._clock.sleep(LOOK)
            now = self._clock.monotonic()
            due = [key for key, lost in self._lost.items() if now >= lost.due and lost.failures >= FAILURES]
            for first in range(0, len(due), AT_ONCE):
                await asyncio.gather(*(self._look(key) for key in due[first : first + AT_ONCE]))

    async def _look(self, key: Key) -> None:
        lost, camera = self._lost.get(key), self._cameras.get(key[0])
        stream = next((each for each in camera.streams if each.role == key[1]), None) if camera else None
        if lost is None or camera is None or stream is None:
            self._lost.pop(key, None)
            return
        self.searching += 1
        try:
            await self._try(key, lost, camera, stream)
        finally:
            self.searching -= 1

    async def _try(self, key: Key, lost: _Lost, camera: Camera, stream: Stream) -> None:
        lost.searches += 1
        lost.due = self._clock.monotonic() + AFTER[min(lost.searches, len(AFTER) - 1)]
        known = self._reach(*key)
        others = other_ways(known, stream.uri, self._ways)
        if not others:
            return
        listed = ", ".join(others)
        log.warning("%s/%s does not answer by %s: asked by %s", *key, known.concrete(), listed)
        found = await self._search(camera, stream, known)
        if found is None:
            log.info("%s/%s is left as it is: no other way", *key)
            self.say(*key, f"does not come by {known.concrete()}; asked by {listed} too, without success")
            return
        try:
            await self._store(key, stream, known, found)
        except OnvifdError as error:
            log.error("%s/%s answers by %s, which cannot be stored: %s", *key, found.reach.concrete(), error.reason)
        else:
            log.warning("%s/%s answers by %s, which is stored", *key, found.reach.concrete())
            self.say(*key, f"answers by {found.reach.concrete()} now")

    async def _ask(self, camera: Camera, stream: Stream, known: Reach) -> Answered | None:
        return await ask_again(
            lambda reach: asker(camera.address, camera.credentials, reach),
            known,
            stream.uri,
            stream.source_profile,
            self._ways,
        )

    async def _store(self, key: Key, stream: Stream, known: Reach, found: Answered) -> None:
        """Unless a person has set something else meanwhile."""
        before, made = reception_of(known, *key), reception_of(found.reach, *key)

        def address(camera: Camera) -> Camera:
            same = (stream.role, stream.uri)
            streams = tuple(
                replace(each, uri=found.url) if (each.role, each.uri) == same else each for each in camera.streams
            )
            return replace(camera, streams=streams)

        def way(row: ReceptionRow) -> ReceptionRow:
            if (row.transport, row.tunnel_port, row.trust) != (before.transport, before.tunnel_port, before.trust):
                return row
            return replace(
                row,
                transport=made.transport,
                tunnel_port=made.tunnel_port,
                pin=row.pin or made.pin,
                digest=made.digest,
                found=made.found,
            )

        await self._catalogue.run(self._registry.change, key[0], address)
        await self._catalogue.run(self._catalogue.sync.receptions.change, *key, way)

    async def close(self) -> None:
        """End what is under way."""
        self._lost.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("other ways to cameras are no longer searched", exc_info=error)
