"""Live metadata in a media worker: what cameras send of it and what control tells, for the streams of all configurations."""

from __future__ import annotations

import logging

from onvifd.clock import US, Alarm, Clock
from onvifd.errors import OnvifdError
from onvifd.live.hub import LiveStream
from onvifd.live.metadata import Part, PartKind, Selection, States, parts_of
from onvifd.live.metadata_stream import MetadataStream
from onvifd.media.types import AccessUnit
from onvifd.workers.messages import LivePart, Presentations
from onvifd.workers.specs import MetadataSpec, PresentationSpec

log = logging.getLogger(__name__)

QUIET = 5.0
"""Seconds without a document after which another stream of the camera is listened to."""


class LiveMetadata:
    """Use: `replace` with all profiles, `part` and `document` with what is told, and `run` as a task.

    Everything runs on the worker's event loop and never waits but in `run`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._alarm = Alarm(clock)
        self._streams: dict[tuple[str, str], MetadataStream] = {}
        self._states: dict[str, States] = {}
        self._heard: dict[str, tuple[str, float]] = {}
        """The stream of a camera whose documents are taken, and when the last one came."""
        self._broken: set[str] = set()
        """Cameras whose documents are not to be read; said once."""

    @property
    def streams(self) -> tuple[LiveStream, ...]:
        """Those of all configurations."""
        return tuple(self._streams.values())

    def replace(self, message: Presentations) -> None:
        """Take over all profiles; streams of configurations that are gone end."""
        wanted: dict[tuple[str, str], MetadataSpec] = {
            (spec.camera, spec.metadata.token): spec.metadata
            for spec in message.presentations
            if spec.metadata is not None
        }
        for key in self._streams.keys() - wanted.keys():
            self._streams.pop(key).end()
        cameras = {camera for camera, _ in wanted}
        self._states = {camera: self._states.get(camera) or States() for camera in cameras}
        self._broken &= cameras
        self._heard = {camera: heard for camera, heard in self._heard.items() if camera in cameras}
        for (camera, token), spec in wanted.items():
            stream = self._streams.get((camera, token))
            if stream is None:
                stream = MetadataStream(camera, token, self._states[camera], self._clock.utc, self._alarm.ring)
                self._streams[camera, token] = stream
            stream.select(
                Selection(analytics=spec.analytics, ptz_status=spec.ptz_status, ptz_position=spec.ptz_position)
            )

    def stream(self, spec: PresentationSpec) -> MetadataStream | None:
        """The metadata stream of a profile."""
        return self._streams.get((spec.camera, spec.metadata.token)) if spec.metadata is not None else None

    def _of(self, camera: str) -> tuple[MetadataStream, ...]:
        return tuple(stream for (other, _), stream in self._streams.items() if other == camera)

    def part(self, message: LivePart) -> None:
        """Something that control tells of a camera."""
        states = self._states.get(message.camera)
        if states is None:
            return
        if message.anew:
            states.forget()
        if message.state:
            initial = Part(PartKind.EVENT, message.initial) if message.initial else None
            states.tell(message.state, message.configurations, initial)
        if message.part:
            part = Part(PartKind.EVENT, message.part)
            for stream in self._of(message.camera):
                if stream.configuration in message.configurations:
                    stream.add(part)

    def document(self, camera: str, stream_name: str, unit: AccessUnit) -> None:
        """A document that a camera sent in the metadata track of a stream. The same comes with each of its streams: one is
        listened to."""
        states = self._states.get(camera)
        if states is None:
            return
        heard, at = self._heard.get(camera, (stream_name, 0.0))
        now = self._clock.monotonic()
        if heard != stream_name and now - at < QUIET:
            return
        self._heard[camera] = (stream_name, now)
        watched = [stream for stream in self._of(camera) if stream.wanted]
        try:
            # Reading all documents of all cameras would cost more than all else that is done with them.
            parts = tuple(parts_of(unit.data)) if watched else ()
        except OnvifdError as error:
            if camera not in self._broken:
                log.warning("%s: a document of its metadata cannot be read: %s", camera, error.reason)
            self._broken.add(camera)
            return
        states.see(unit.data)
        for part in parts:
            for stream in watched:
                stream.add(part)

    def ptz(self, camera: str) -> str:
        """What the metadata of a camera tells of where it looks, for reports."""
        states = self._states.get(camera)
        return " ".join(sorted(states.ptz())) if states is not None else ""

    async def run(self) -> None:
        """Close documents when it is time, for ever; to be run as a task and cancelled."""
        while True:
            for stream in tuple(self._streams.values()):
                stream.tick()
            dues = [due for stream in self._streams.values() if (due := stream.due()) is not None]
            await self._alarm.wait(max(0.0, (min(dues) - self._clock.utc()) / US) if dues else None)
