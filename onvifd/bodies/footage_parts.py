"""What is done with footage besides recording and replay, as one part of the recorder: metadata, recorded and live, the archive's API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from aiohttp import web

from onvifd.access.audit import Log
from onvifd.archive.disk import Volume
from onvifd.archive.index import SegmentStore
from onvifd.bodies.archive_marks import ArchiveMarks
from onvifd.bodies.archive_parts import ArchiveParts
from onvifd.bodies.archive_view import ArchiveView
from onvifd.bodies.live_events import LiveEvents
from onvifd.bodies.media_plan import presentations
from onvifd.bodies.metadata_track import MetadataTracks
from onvifd.bodies.recorder import Recorder
from onvifd.bodies.recording_parts import RecordingParts
from onvifd.bodies.thumbnails import Thumbnails
from onvifd.clock import Clock
from onvifd.events.bus import EventBus
from onvifd.events.store import EventStore
from onvifd.events.topics import Topic
from onvifd.onvif.backend import MediaModel
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.web import archive as pages
from onvifd.web import archive_marks
from onvifd.web.guard import Guard
from onvifd.workers.cluster import Cluster
from onvifd.workers.messages import CameraState


class FootageParts:
    """One per recorder. Use: `tracks` is told of cameras and of recordings that begin; `add_routes`; `close`."""

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        segments: SegmentStore,
        events: EventStore,
        bus: EventBus,
        clock: Clock,
        *,
        recorder: Recorder,
        cluster: Cluster,
        storage: ArchiveParts,
        when: RecordingParts,
        audit: Log,
        topics: Iterable[Topic],
    ) -> None:
        self._storage = storage
        self._cluster = cluster
        self.tracks = MetadataTracks(bus, clock, cluster.send_metadata)
        self.tracks.start()
        self.live = LiveEvents(bus, self.tracks.owner_of, tuple(topic.name for topic in topics), cluster.send_live)
        self.live.start()
        self._small = Thumbnails(segments, self.volumes, cluster.picture)
        self._view = ArchiveView(recorder, segments, catalogue, events, clock, storage.keeper.statuses)
        cameras: Callable[[], tuple[str, ...]] = lambda: tuple(each.camera for each in recorder.channels)  # noqa: E731
        self._marks = ArchiveMarks(catalogue, segments, when.pictures, self._small, audit, clock, cameras)

    def present(self, model: MediaModel) -> None:
        """The media profiles have changed."""
        self._cluster.set_presentations(presentations(model))
        self.live.configure(model)

    def stream_state(self, state: CameraState) -> None:
        """A stream came up: perhaps in a worker that has just been started and knows nothing yet."""
        if state.online:
            self.live.tell(state.camera)

    def volumes(self) -> Mapping[str, Volume]:
        """By id, those that may be read."""
        return {volume.id: volume for volume in self._storage.volumes()}

    def add_routes(self, app: web.Application, guard: Guard) -> None:
        """Mount the archive's API."""
        pages.add_routes(app, self._view, guard)
        archive_marks.add_routes(app, self._view, self._marks, guard)

    async def close(self) -> None:
        self.live.close()
        self.tracks.close()
        self._small.close()
