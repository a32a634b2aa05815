"""What a media worker records: every recording that its streams feed, where it goes, and what control is told of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from onvifd.archive.budget import Budget
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import DiskPool, Volume
from onvifd.archive.grouped import GroupedRows
from onvifd.archive.index import SegmentStore
from onvifd.archive.places import Places
from onvifd.archive.recovery import recover
from onvifd.archive.supervised import SupervisedWriter
from onvifd.cameras.registry import AUDIO_TRACK, VIDEO_TRACK
from onvifd.clock import Clock
from onvifd.errors import OnvifdError
from onvifd.media.types import AccessUnit, Kind, TrackFormat
from onvifd.store.catalogue import Catalogue
from onvifd.workers.messages import AnyMessage, RecordingState, RecordSpec, Setup, VolumeSpec, VolumeTrouble

log = logging.getLogger(__name__)

TRACK_TOKENS = {Kind.VIDEO: VIDEO_TRACK, Kind.AUDIO: AUDIO_TRACK, Kind.METADATA: "META001"}

MAX_QUEUED = 512 << 20
"""Bytes that wait for the disks of a worker; at the bound whole groups of pictures are dropped and counted."""

Formats = tuple[TrackFormat, ...]


class Recordings:
    """All recordings of one worker: their index, their volumes and their orders."""

    def __init__(self, clock: Clock, send: Callable[[AnyMessage], None]) -> None:
        self.clock = clock
        self.send = send
        self.active: frozenset[str] = frozenset()
        self.places = Places(on_trouble=self._trouble)
        self.budget = Budget(MAX_QUEUED)
        self.rows: GroupedRows | None = None
        self.pool = DiskPool()
        self.segment_seconds = 60
        self.fragment_seconds = 1.0
        self._catalogue: Catalogue | None = None
        self._store: SegmentStore | None = None
        self._recovered: set[str] = set()
        self._feeds: list[StreamFeed] = []

    async def begin(self, setup: Setup) -> None:
        """Open the index. Raises OnvifdError."""
        self.segment_seconds, self.fragment_seconds = setup.segment_seconds, setup.fragment_seconds
        self.set_volumes(setup.volumes)
        if setup.database_url:
            self._catalogue = await asyncio.to_thread(Catalogue.open, setup.database_url)
            self._store = CatalogueSegmentStore(self._catalogue)
            self.rows = GroupedRows(self._store)

    def set_volumes(self, volumes: tuple[VolumeSpec, ...]) -> None:
        """All volumes that may be written now."""
        self.places.set(Volume(each.id, Path(each.path), each.uuid) for each in volumes)
        for feed in self._feeds:
            feed.moved()

    def _trouble(self, volume: str, reason: str) -> None:
        self.send(VolumeTrouble(volume=volume, reason=reason, utc=self.clock.utc()))

    def set_orders(self, active: frozenset[str]) -> None:
        """The recordings that are to be written now."""
        self.active = active
        for feed in self._feeds:
            feed.ordered()

    async def recover(self, specs: tuple[RecordSpec, ...]) -> None:
        """Complete what a worker that died left open, before anything new is written to the same recordings."""
        new = frozenset(spec.recording for spec in specs) - self._recovered
        if not new or self._store is None:
            return
        try:
            await asyncio.to_thread(recover, self._store, self.places.all(), recordings=new)
        except OnvifdError as error:
            # Recording must go on; the files are whole and the next start takes them in.
            log.error("archive is not recovered: %s", error.reason)
        self._recovered |= new

    def open(self, specs: tuple[RecordSpec, ...]) -> StreamFeed:
        """What a stream feeds."""
        feed = StreamFeed(self, specs)
        self._feeds.append(feed)
        return feed

    def forget(self, feed: StreamFeed) -> None:
        self._feeds.remove(feed)

    async def close(self) -> None:
        """After all feeds have stopped."""
        self.pool.close()
        if self.rows is not None:
            await asyncio.to_thread(self.rows.close)
        if self._catalogue is not None:
            await asyncio.to_thread(self._catalogue.close)


class StreamFeed:
    """The recordings that one stream feeds. `on_frame` takes its access units; None while nobody wants them."""

    def __init__(self, owner: Recordings, specs: tuple[RecordSpec, ...]) -> None:
        self._owner = owner
        self._specs = specs
        self._formats: Formats = ()
        self._recorders: dict[str, Recorder] = {}

    @property
    def on_frame(self) -> Callable[[AccessUnit], None] | None:
        recorders = tuple(self._recorders.values())
        if len(recorders) < 2:
            return recorders[0].feed if recorders else None

        def feed(unit: AccessUnit) -> None:
            for each in recorders:
                each.feed(unit)

        return feed

    def set_formats(self, formats: Formats) -> None:
        """The stream's tracks, from the next unit on."""
        self._formats = formats
        for recorder in self._recorders.values():
            recorder.set_formats(formats)
        self._begin()

    def _begin(self) -> None:
        for spec in self._specs:
            if self._formats and spec.recording not in self._recorders and Recorder.possible(self._owner, spec):
                self._recorders[spec.recording] = Recorder(self._owner, spec, self._formats)

    async def change(self, specs: tuple[RecordSpec, ...]) -> None:
        """Other recordings, or other settings of them."""
        old = {spec.recording: spec for spec in self._specs}
        wanted = {spec.recording: spec for spec in specs}
        self._specs = specs
        ended = [self._recorders.pop(each) for each in list(self._recorders) if old[each] != wanted.get(each)]
        await asyncio.gather(*(recorder.stop() for recorder in ended))
        self._begin()

    def ordered(self) -> None:
        for recorder in self._recorders.values():
            recorder.ordered()

    def moved(self) -> None:
        for recorder in self._recorders.values():
            recorder.moved()

    def check(self) -> None:
        """To be called every few seconds."""
        for recorder in self._recorders.values():
            recorder.check()

    @property
    def written(self) -> int:
        return sum(recorder.writer.stats.written for recorder in self._recorders.values())

    @property
    def lost(self) -> int:
        return sum(recorder.writer.stats.lost for recorder in self._recorders.values())

    async def stop(self) -> None:
        recorders, self._recorders = list(self._recorders.values()), {}
        await asyncio.gather(*(recorder.stop() for recorder in recorders))
        self._owner.forget(self)


class Recorder:
    """One recording that a stream feeds."""

    def __init__(self, owner: Recordings, spec: RecordSpec, formats: Formats) -> None:
        assert owner.rows is not None
        self._owner = owner
        self._spec = spec
        self._formats = formats
        self._reported = ""
        self.writer = SupervisedWriter(
            spec.recording,
            formats,
            volumes=spec.volumes,
            places=owner.places,
            budget=owner.budget,
            store=owner.rows,
            pool=owner.pool,
            clock=owner.clock,
            on_state=self._state,
            segment_seconds=owner.segment_seconds,
            fragment_seconds=owner.fragment_seconds,
        )
        self.feed = self.writer.feed
        self.ordered()
        self.writer.start()

    @staticmethod
    def possible(owner: Recordings, spec: RecordSpec) -> bool:
        return owner.rows is not None

    def set_formats(self, formats: Formats) -> None:
        self._formats = formats
        self.writer.set_formats(formats)

    def ordered(self) -> None:
        if self._spec.recording in self._owner.active:
            self.writer.resume()
        else:
            self.writer.pause()

    def moved(self) -> None:
        self.writer.set_volumes(self._spec.volumes)

    def check(self) -> None:
        """A disk that fails before footage began makes no state change of the writer, but the job is in error."""
        stats = self.writer.stats
        if not stats.active and stats.error and stats.error != self._reported:
            self._state(self._spec.recording, False, self._owner.clock.utc(), stats.error)

    def _state(self, recording: str, active: bool, utc: int, reason: str) -> None:
        error = "" if active else self.writer.stats.error
        self._reported = error
        self._owner.send(
            RecordingState(
                recording=recording,
                active=active,
                utc=utc,
                reason=error or reason,
                error=bool(error),
                tracks=tuple(dict.fromkeys(TRACK_TOKENS[each.kind] for each in self._formats)),
            )
        )

    async def stop(self) -> None:
        await self.writer.stop()
