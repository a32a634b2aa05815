"""One recording that a stream feeds: written, or kept in memory until it is ordered.

The units of a stream go one of three ways: straight to the writer; into memory while nobody ordered the recording; and, in
between, through memory to the writer until memory is empty, at the pace of the disk and a piece at a time, so that a minute of
footage neither overruns the writer's queue nor holds up other cameras.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import structs

from onvifd.archive.index import EMPTY_DOCUMENT
from onvifd.archive.prerecord import MAX_SECONDS, Memory
from onvifd.archive.supervised import SupervisedWriter
from onvifd.clock import US
from onvifd.media.fmtp import format_to_rtpmap
from onvifd.media.mp4 import STORABLE
from onvifd.media.types import AccessUnit, Codec, Kind, TrackFormat
from onvifd.workers.documents import Documents
from onvifd.workers.messages import MetadataDocument, RecordingState
from onvifd.workers.specs import RecordSpec

if TYPE_CHECKING:
    from onvifd.workers.recording import Recordings

log = logging.getLogger(__name__)

Sink = Callable[[AccessUnit], None]
Formats = tuple[TrackFormat, ...]

METADATA = TrackFormat(codec=Codec.METADATA, clock_rate=90_000)
MAX_SKEW = 10 * US
"""A document whose time is farther from the clock than this counts as of now: footage of that time may be long closed."""
MAX_LAG = 2 * US
"""A document of the camera whose time is farther from its pictures than this counts as of the last of them."""
_PIECE = 64
"""Units that go from memory to the writer with each unit that comes."""


def _document(track: int, utc: int, document: bytes) -> AccessUnit:
    return AccessUnit(track, utc, utc * METADATA.clock_rate // US, True, document)


def _storable(track: TrackFormat) -> bool:
    """Whether a file can have the track. Sound whose configuration has yet to come must not keep pictures from being written."""
    return track.codec in STORABLE and (track.codec is not Codec.AAC or bool(track.config))


class Recorder:
    """Writes one recording, and a second copy of its pictures where that is wanted. `rewire` is called when `sink` changes."""

    def __init__(self, owner: Recordings, spec: RecordSpec, formats: Formats, rewire: Callable[[], None]) -> None:
        self.spec = spec
        self._owner = owner
        self._rewire = rewire
        self._source = formats
        self._own: Formats = ()
        self._tracks: tuple[int, ...] = ()
        """Own track of each track of the stream; -1 for those that are not recorded."""
        self._video = -1
        self._latest = 0
        """Time of the stream's latest picture."""
        self._written: Formats = ()
        self._main, self._meta = 0, -1
        """Places of the main track and of the metadata track in what is written."""
        self._added = Documents(owner.states_of(spec.recording))
        self._reported = ""
        self._joining = False
        self._ordered = False
        self._stopping: set[asyncio.Task[None]] = set()
        self._adopt(formats)
        self.memory = Memory(spec.pre, self._own, owner.memory)
        self._place(self._own)
        self.writer = self._make(self._own, spec.volumes, self._state)
        self.writer.pause()
        self.writer.start()
        self.copy: SupervisedWriter | None = None
        self._adjust_copy()
        self.ordered()

    def _make(
        self,
        formats: Formats,
        volumes: tuple[str, ...],
        on_state: Callable[[str, bool, int, str], None],
        copy: bool = False,
    ) -> SupervisedWriter:
        owner = self._owner
        assert owner.rows is not None
        return SupervisedWriter(
            self.spec.recording,
            formats,
            volumes=volumes,
            places=owner.places,
            store=owner.rows,
            pool=owner.pool,
            clock=owner.clock,
            on_state=on_state,
            segment_seconds=owner.segment_seconds,
            fragment_seconds=owner.fragment_seconds,
            # Known by its token alone, so that a copy ends its segments where the original does.
            phase=zlib.crc32(self.spec.recording.encode()) / (1 << 32),
            budget=owner.queued,
            copy=copy,
        )

    # ---- what is recorded ----------------------------------------------------------------------

    def _adopt(self, formats: Formats) -> None:
        """Which of the stream's tracks are recorded."""
        spec = self.spec
        wanted = {Kind.VIDEO: True, Kind.AUDIO: spec.audio, Kind.METADATA: spec.metadata}
        own: list[TrackFormat] = []
        tracks: list[int] = []
        refused: list[TrackFormat] = []
        for each in formats:
            # One track for documents, whoever made them.
            once = each.kind is not Kind.METADATA or METADATA not in own
            taken = wanted[each.kind] and once and _storable(each)
            tracks.append(len(own) if taken else -1)
            if taken:
                own.append(METADATA if each.kind is Kind.METADATA else each.stored)
            elif wanted[each.kind] and once:
                refused.append(each)
        if spec.metadata and METADATA not in own:
            own.append(METADATA)
        # A recording without its pictures would look as if all were well: then nothing is written at all.
        self._unfit = not own or any(each.kind is Kind.VIDEO for each in refused)
        if self._unfit:
            own, tracks = [METADATA], [-1] * len(tracks)
        self._source, self._own, self._tracks = formats, tuple(own), tuple(tracks)
        self._video = next((n for n, each in enumerate(own) if each.kind is Kind.VIDEO), -1)
        self._refused = ", ".join(format_to_rtpmap(each) for each in refused)

    def set_formats(self, formats: Formats) -> None:
        """The stream's tracks, from the next unit on."""
        before = self._own
        self._adopt(formats)
        if self._own != before:
            if self._ordered and not self._joining:
                self._write_as(self._own)
            else:
                self.memory.set_formats(self._own)
                if self._pictures(self._own) == self._pictures(before):
                    # Sound comes or goes: no picture is given up for that.
                    self.memory.follow(self._owner.clock.monotonic())
        self._adjust_copy()

    def _write_as(self, formats: Formats) -> None:
        if formats != self._written:
            self._place(formats)
            self.writer.set_formats(formats)
            video = self._pictures(formats)
            if self.copy is not None and video:
                self.copy.set_formats(video)

    def _place(self, formats: Formats) -> None:
        self._written = formats
        self._main = next((n for n, each in enumerate(formats) if each.kind is Kind.VIDEO), 0)
        self._meta = formats.index(METADATA) if METADATA in formats else -1

    @staticmethod
    def _pictures(formats: Formats) -> Formats:
        return tuple(each for each in formats if each.kind is Kind.VIDEO)[:1]

    def change(self, spec: RecordSpec) -> None:
        """Other settings of the same recording."""
        before, self.spec = self.spec, spec
        if spec.volumes != before.volumes:
            self.writer.set_volumes(spec.volumes)
        if (spec.audio, spec.metadata) != (before.audio, before.metadata):
            self.set_formats(self._source)
        if spec.pre != before.pre:
            self.memory.seconds = min(MAX_SECONDS, spec.pre)
            if not spec.pre and not self._ordered:
                self.memory.clear()
        if spec.copies != before.copies:
            self._adjust_copy()
        self._rewire()

    def moved(self) -> None:
        """Other volumes are there."""
        self.writer.set_volumes(self.spec.volumes)
        if self.copy is not None:
            self.copy.set_volumes(self.spec.copies)

    def _adjust_copy(self) -> None:
        """The second copy holds pictures alone (REC-11)."""
        video = self._pictures(self._written)
        wanted = bool(self.spec.copies) and bool(video)
        if wanted and self.copy is None:
            self.copy = self._make(video, self.spec.copies, self._copy_state, copy=True)
            if not self._ordered:
                self.copy.pause()
            self.copy.start()
        elif wanted and self.copy is not None:
            self.copy.set_volumes(self.spec.copies)
        elif self.copy is not None:
            task = asyncio.create_task(self.copy.stop(), name=f"end of the copy of {self.spec.recording}")
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)
            self.copy = None

    def _copy_state(self, recording: str, active: bool, utc: int, reason: str) -> None:
        log.info("%s: second copy %s", recording, "is being written" if active else f"ended: {reason}")

    # ---- units ---------------------------------------------------------------------------------

    @property
    def sink(self) -> Sink | None:
        """Where the stream's units go now; None while nobody wants them."""
        if not self._ordered:
            return self._remember if self.spec.pre > 0 else None
        if self._joining:
            return self._join
        straight = METADATA not in self._own and all(n == track for n, track in enumerate(self._tracks))
        return self.writer.feed if straight and self.copy is None else self._write

    def _mine(self, unit: AccessUnit) -> AccessUnit | None:
        track = self._tracks[unit.track] if 0 <= unit.track < len(self._tracks) else -1
        if track < 0:
            return None
        if track == self._video:
            self._latest = unit.utc
        elif self._own[track] is METADATA and self._video >= 0 and abs(unit.utc - self._latest) > MAX_LAG:
            # Cameras are known that stamp their documents with another clock than their pictures.
            return structs.replace(unit, track=track, utc=self._latest)
        return unit if track == unit.track else structs.replace(unit, track=track)

    def _write(self, unit: AccessUnit) -> None:
        mine = self._mine(unit)
        if mine is not None:
            self._out(mine)

    def _out(self, unit: AccessUnit) -> None:
        picture = unit.track == self._main
        began = picture and self._meta >= 0 and self.writer.waiting
        self.writer.feed(unit)
        if self.copy is not None and picture:
            self.copy.feed(structs.replace(unit, track=0) if unit.track else unit)
        if unit.track == self._meta:
            self._added.wrote(unit.utc)
        elif self._meta >= 0 and picture:
            self._add(unit.utc, began)

    def _add(self, utc: int, began: bool) -> None:
        """The documents that belong to the picture of `utc`, which has just been written."""
        if began:
            if not self.writer.waiting:
                for document in self._added.begin(utc):
                    self.writer.feed(_document(self._meta, utc, document))
            return
        due = self._added.due(utc)
        if due is not None:
            self.writer.feed(_document(self._meta, due, EMPTY_DOCUMENT))

    def _remember(self, unit: AccessUnit) -> None:
        mine = self._mine(unit)
        if mine is not None:
            self.memory.remember(mine, self._owner.clock.monotonic())

    def _join(self, unit: AccessUnit) -> None:
        mine = self._mine(unit)
        if mine is not None:
            self.memory.append(mine, self._owner.clock.monotonic())
        self._pump()

    def _pump(self) -> None:
        """Bring some of what is kept to the writer. What it has no room for stays, up to memory's own bound."""
        for _ in range(_PIECE):
            if not (self.writer.room or self.memory.full):
                return
            taken = self.memory.take()
            if taken is None:
                break
            formats, unit = taken
            self._write_as(formats)
            self._out(unit)
        if not self.memory:
            self._joining = False
            self._write_as(self._own)
            if self.copy is None:
                self._adjust_copy()
            self._rewire()

    def document(self, message: MetadataDocument) -> None:
        """A document for the metadata track; a state that is told without a change is written where it is not known yet."""
        straight = self._ordered and not self._joining
        owed = straight and not self.writer.waiting and bool(message.state) and self._added.owes(message.state)
        document = message.document or (message.initial if owed else b"")
        if METADATA not in self._own or not document or self._unfit:
            return
        now = self._owner.clock.utc()
        utc = message.utc if abs(message.utc - now) <= MAX_SKEW and message.document else now
        unit = _document(self._own.index(METADATA), utc, document)
        if straight:
            self.writer.feed(unit)
            self._added.wrote(utc, message.state)
        elif self._ordered:
            self.memory.append(unit, self._owner.clock.monotonic())
        elif self.spec.pre > 0:
            self.memory.remember(unit, self._owner.clock.monotonic())

    # ---- orders --------------------------------------------------------------------------------

    def ordered(self) -> None:
        """Orders have come."""
        ordered = self.spec.recording in self._owner.active
        if ordered == self._ordered:
            return
        self._ordered = ordered
        now = self._owner.clock.monotonic()
        if ordered:
            self.writer.resume()
            if self.copy is not None:
                self.copy.resume()
            self.memory.expire(now)
            self._joining = True
            self._pump()
        else:
            # What was ordered is on its way: it is written before the end, as far as there is room for it.
            while self._joining and self.writer.room:
                self._pump()
            self.writer.pause()
            if self.copy is not None:
                self.copy.pause()
            joining, self._joining = self._joining, False
            if not joining:
                self.memory.set_formats(self._own)
                if self.spec.pre > 0:
                    self.memory.follow(now)
            if not self.spec.pre:
                self.memory.clear()
        self._rewire()

    def check(self) -> None:
        """To be called every few seconds. A disk that fails before footage began makes no state change of the writer, but the
        job is in error."""
        if self._joining:
            self._pump()
        stats = self.writer.stats
        error = stats.error or self._unstorable()
        if self._ordered and not stats.active and error and error != self._reported:
            self._state(self.spec.recording, False, self._owner.clock.utc(), error)

    def _unstorable(self) -> str:
        """Why nothing is recorded of a camera whose pictures fit into no file; empty when they do."""
        return f"{self._refused} cannot be recorded" if self._refused and self._unfit else ""

    def _state(self, recording: str, active: bool, utc: int, reason: str) -> None:
        error = "" if active or not self._ordered else self.writer.stats.error or self._unstorable()
        self._reported = error
        self._owner.send(
            RecordingState(
                recording=recording,
                active=active,
                utc=utc,
                reason=error or reason,
                error=bool(error),
                tracks=self._owner.tracks_of(recording, self._written),
            )
        )

    async def stop(self) -> None:
        """Write what is pending and end. What is in memory was not ordered, unless it is on its way."""
        while self._joining and self.memory:
            taken = self.memory.take()
            if taken is not None:
                self._write_as(taken[0])
                self._out(taken[1])
        self.memory.clear()
        writers = [self.writer, *([self.copy] if self.copy is not None else [])]
        await asyncio.gather(*(writer.stop() for writer in writers), *self._stopping)
