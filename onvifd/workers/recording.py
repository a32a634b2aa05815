"""What a media worker records: every recording that its streams feed, where it goes, and what control is told of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from onvifd.archive.budget import Budget
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import DiskPool, Volume
from onvifd.archive.grouped import GroupedRows
from onvifd.archive.index import SegmentStore
from onvifd.archive.places import Places
from onvifd.archive.prerecord import WORKER_BYTES
from onvifd.archive.recovery import recover
from onvifd.archive.tracks import TrackNumbers
from onvifd.clock import Clock
from onvifd.errors import OnvifdError
from onvifd.media.types import AccessUnit
from onvifd.store.catalogue import Catalogue
from onvifd.store.recordings import tracks_setting
from onvifd.workers.documents import States
from onvifd.workers.messages import AnyMessage, MetadataDocument, Setup, VolumeTrouble
from onvifd.workers.recorder import Formats, Recorder, Sink
from onvifd.workers.specs import RecordSpec, VolumeSpec

log = logging.getLogger(__name__)

MAX_QUEUED = 512 << 20
"""Bytes that wait for the disks of a worker; at the bound whole groups of pictures are dropped and counted."""


class Recordings:
    """All recordings of one worker: their index, their volumes and their orders."""

    def __init__(self, clock: Clock, send: Callable[[AnyMessage], None]) -> None:
        self.clock = clock
        self.send = send
        self.active: frozenset[str] = frozenset()
        self.places = Places(on_trouble=self._trouble)
        self.queued = Budget(MAX_QUEUED)
        self.memory = Budget(WORKER_BYTES)
        self.rows: GroupedRows | None = None
        self.pool = DiskPool()
        self.segment_seconds = 60
        self.fragment_seconds = 1.0
        self._catalogue: Catalogue | None = None
        self._store: SegmentStore | None = None
        self._recovered: set[str] = set()
        self._feeds: list[StreamFeed] = []
        self._tracks: dict[str, TrackNumbers] = {}
        self._states: dict[str, States] = {}
        self._tasks: set[asyncio.Task[None]] = set()

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
        wanted = frozenset(spec.recording for spec in specs)
        # One that returns may have been with a worker that died since.
        self._recovered &= wanted
        new = wanted - self._recovered
        if not new or self._store is None:
            return
        try:
            self._tracks |= await asyncio.to_thread(self._load_tracks, new)
            await asyncio.to_thread(recover, self._store, self.places.all(), recordings=new)
        except OnvifdError as error:
            # Recording must go on; the files are whole and the next start takes them in.
            log.error("archive is not recovered: %s", error.reason)
        self._recovered |= new

    # ---- tracks --------------------------------------------------------------------------------

    def _load_tracks(self, recordings: frozenset[str]) -> dict[str, TrackNumbers]:
        """Blocks."""
        assert self._store is not None
        return {recording: self._store.track_numbers(recording) for recording in recordings}

    def tracks_of(self, recording: str, formats: Formats) -> tuple[str, ...]:
        """Tokens of the tracks that take these formats; new ones are remembered."""
        before = self._tracks.get(recording, TrackNumbers())
        numbers = before.with_formats(formats)
        if numbers != before:
            self._tracks[recording] = numbers
            task = asyncio.create_task(self._keep_tracks(recording, numbers), name=f"tracks of {recording}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return numbers.tokens(formats)

    async def _keep_tracks(self, recording: str, numbers: TrackNumbers) -> None:
        if self._catalogue is None:
            return
        try:
            await asyncio.to_thread(self._catalogue.settings.put, tracks_setting(recording), str(numbers))
        except OnvifdError as error:
            log.error("%s: its tracks are not remembered: %s", recording, error.reason)

    # ---- streams -------------------------------------------------------------------------------

    def document(self, message: MetadataDocument) -> None:
        """A document for the metadata track of a recording; without a stream that feeds it, it is dropped."""
        if message.state:
            states = self.states_of(message.recording)
            states.tell(message.state, message.utc, message.initial, said=bool(message.document))
        for feed in self._feeds:
            recorder = feed.recorders.get(message.recording)
            if recorder is not None:
                recorder.document(message)

    def states_of(self, recording: str) -> States:
        """What is known of the states of a recording's channel."""
        return self._states.setdefault(recording, States())

    def keep(self, recordings: Iterable[str]) -> None:
        """The recordings that there are: the states of others are forgotten."""
        self._states = {each: self.states_of(each) for each in recordings}

    def open(self, specs: tuple[RecordSpec, ...], wire: Callable[[Sink | None], None]) -> StreamFeed:
        """What a stream feeds."""
        feed = StreamFeed(self, specs, wire)
        self._feeds.append(feed)
        return feed

    def forget(self, feed: StreamFeed) -> None:
        self._feeds.remove(feed)

    async def close(self) -> None:
        """After all feeds have stopped."""
        await asyncio.gather(*self._tasks)
        self.pool.close()
        if self.rows is not None:
            await asyncio.to_thread(self.rows.close)
        if self._catalogue is not None:
            await asyncio.to_thread(self._catalogue.close)


class StreamFeed:
    """The recordings that one stream feeds. `wire` is given what takes its access units, None while nobody wants them."""

    def __init__(self, owner: Recordings, specs: tuple[RecordSpec, ...], wire: Callable[[Sink | None], None]) -> None:
        self._owner = owner
        self._specs = specs
        self._wire = wire
        self._formats: Formats = ()
        self.recorders: dict[str, Recorder] = {}

    def _rewire(self) -> None:
        sinks = [sink for recorder in self.recorders.values() if (sink := recorder.sink) is not None]
        if len(sinks) < 2:
            self._wire(sinks[0] if sinks else None)
            return
        fixed = tuple(sinks)

        def feed(unit: AccessUnit) -> None:
            for sink in fixed:
                sink(unit)

        self._wire(feed)

    def set_formats(self, formats: Formats) -> None:
        """The stream's tracks, from the next unit on."""
        self._formats = formats
        for recorder in self.recorders.values():
            recorder.set_formats(formats)
        self._begin()

    def _begin(self) -> None:
        for spec in self._specs:
            if self._formats and spec.recording not in self.recorders and self._owner.rows is not None:
                self.recorders[spec.recording] = Recorder(self._owner, spec, self._formats, self._rewire)
        self._rewire()

    async def change(self, specs: tuple[RecordSpec, ...]) -> None:
        """Other recordings, or other settings of them."""
        if specs == self._specs:
            return
        await self.leave(specs)
        self._specs = specs
        wanted = {spec.recording: spec for spec in specs}
        for recording, recorder in self.recorders.items():
            if recorder.spec != wanted[recording]:
                recorder.change(wanted[recording])
        self._begin()

    async def leave(self, specs: tuple[RecordSpec, ...]) -> None:
        """End the recordings that are not among these."""
        wanted = {spec.recording for spec in specs}
        self._specs = tuple(spec for spec in self._specs if spec.recording in wanted)
        ended = [self.recorders.pop(each) for each in list(self.recorders) if each not in wanted]
        self._rewire()
        await asyncio.gather(*(recorder.stop() for recorder in ended))

    def ordered(self) -> None:
        for recorder in self.recorders.values():
            recorder.ordered()

    def moved(self) -> None:
        for recorder in self.recorders.values():
            recorder.moved()

    def check(self) -> None:
        """To be called every few seconds."""
        for recorder in self.recorders.values():
            recorder.check()

    @property
    def written(self) -> int:
        return sum(recorder.writer.stats.written for recorder in self.recorders.values())

    @property
    def lost(self) -> int:
        return sum(recorder.writer.stats.lost for recorder in self.recorders.values())

    async def stop(self) -> None:
        recorders, self.recorders = list(self.recorders.values()), {}
        self._rewire()
        await asyncio.gather(*(recorder.stop() for recorder in recorders))
        self._owner.forget(self)
