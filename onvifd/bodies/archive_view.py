"""What the API of the archive shows: implements web.archive.ArchiveBackend over the index, the catalogue and the recorder."""

from __future__ import annotations

import calendar
import heapq
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from onvifd.archive.index import FragmentFlag, SegmentRow, SegmentStore, merged
from onvifd.archive.reader import DEFAULT_GAP
from onvifd.bodies.channel import recording_token
from onvifd.bodies.recorder import Recorder
from onvifd.clock import US, Clock
from onvifd.errors import InvalidArgument, NotFound
from onvifd.events.store import EventStore
from onvifd.events.topics import RECORDER_TOPICS
from onvifd.events.types import Event
from onvifd.host import timezone as zones
from onvifd.media.types import Kind
from onvifd.recording.localtime import LocalTime
from onvifd.recording.types import RecordType
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.store.rows import LockRow, RecordStateRow, SpanRow
from onvifd.store.tags import TagRow
from onvifd.volumes.model import VolumeStatus
from onvifd.web.archive import (
    DAY,
    EventView,
    FileView,
    Neighbours,
    Piece,
    Place,
    RecordingView,
    StorageView,
    Stretch,
    TagView,
    Timeline,
)

MAX_SPANS = 5000
"""Spans of one recording in a time line; at the bound the later ones are left out."""
MAX_TAGS = 1000
MAX_SKIP = 10_000
"""Events of one instant that a page may begin behind."""
NEIGHBOUR_DAYS = (1, 8, 64)
"""How far to look for the end of footage before and after a moment."""
_FIXED = re.compile(r"rec-(cam-[0-9a-f]{8})(-sub)?")
_EPOCH = date(1970, 1, 1).toordinal()


def camera_of(recording: str) -> str | None:
    """The camera whose rights count for a recording: that of the fixed recordings alone. What clients make may hold any."""
    found = _FIXED.fullmatch(recording)
    return found[1] if found else None


def tag_view(tag: TagRow) -> TagView:
    return TagView(
        id=tag.id,
        recording=tag.recording,
        camera=camera_of(tag.recording),
        utc=tag.utc,
        name=tag.name,
        account=tag.account,
        created=tag.created,
    )


def midnight(day: date, local: LocalTime) -> int:
    """The start of a day on the wall, microseconds UTC."""
    plain = (day.toordinal() - _EPOCH) * DAY
    near = plain - local.offset(plain) * US
    return plain - local.offset(near) * US


class ArchiveView:
    """Everything that blocks runs in the catalogue's threads."""

    def __init__(
        self,
        recorder: Recorder,
        segments: SegmentStore,
        catalogue: AsyncCatalogue,
        events: EventStore,
        clock: Clock,
        statuses: Callable[[], Sequence[VolumeStatus]],
    ) -> None:
        self._recorder = recorder
        self._segments = segments
        self._catalogue = catalogue
        self._events = events
        self._clock = clock
        self._statuses = statuses

    # ---- which ---------------------------------------------------------------------------------

    def places(self, channels: Sequence[str], recordings: Sequence[str], stream: str) -> tuple[Place, ...]:
        """See ArchiveBackend."""
        known = {place.recording: place for place in self._all()}
        if not channels and not recordings:
            return tuple(place for place in known.values() if stream in ("", place.stream))
        numbers = {str(channel.number): channel.camera for channel in self._recorder.channels}
        cameras = {channel.camera for channel in self._recorder.channels}
        tokens = list(recordings)
        for name in channels:
            camera = numbers.get(name, name)
            if camera not in cameras:
                raise NotFound(f"there is no channel {name[:32]}")
            tokens.append(recording_token(camera, stream or "main"))
        for token in tokens:
            if token not in known:
                raise NotFound(f"there is no recording {token[:64]}")
        return tuple(known[token] for token in dict.fromkeys(tokens))

    def _all(self) -> Iterable[Place]:
        channels = {channel.camera: channel for channel in self._recorder.channels}
        for recording in self._recorder.recordings():
            camera = camera_of(recording.token)
            channel = channels.get(camera) if camera is not None else None
            stream = "" if camera is None else ("sub" if recording.token.endswith("-sub") else "main")
            yield Place(
                recording=recording.token,
                camera=camera,
                channel=channel.number if channel is not None else None,
                stream=stream,
                name=recording.source_name,
            )

    def _local(self, zone: str) -> LocalTime:
        if not zone:
            time = self._recorder.system_time()
            return LocalTime(zones.parse(time.timezone))
        try:
            return LocalTime(zones.parse(zone))
        except ValueError as error:
            raise InvalidArgument(f"zone: {error}") from None

    def day(self, day: date, zone: str) -> Stretch:
        """See ArchiveBackend."""
        local = self._local(zone)
        try:
            return midnight(day, local), midnight(date.fromordinal(day.toordinal() + 1), local)
        except (OverflowError, ValueError):
            raise InvalidArgument("the day is out of range") from None

    # ---- what there is -------------------------------------------------------------------------

    async def recordings(self, places: Sequence[Place]) -> tuple[RecordingView, ...]:
        """See ArchiveBackend."""
        return await self._catalogue.run(self._recordings, places)

    def _recordings(self, places: Sequence[Place]) -> tuple[RecordingView, ...]:
        states = {row.recording: row for row in self._catalogue.sync.policies.states()}
        times = self._segments.all_times()
        now = self._clock.utc()
        found = []
        for place in places:
            state = states.get(place.recording) or RecordStateRow(recording=place.recording, mode="")
            held = times.get(place.recording, {}).values()
            earliest = min((first for first, _ in held), default=None)
            found.append(
                RecordingView(
                    recording=place.recording,
                    camera=place.camera,
                    channel=place.channel,
                    stream=place.stream,
                    name=place.name,
                    mode=state.mode,
                    active=self._recorder.is_recording(place.recording),
                    kind=state.kind,
                    marks=_words(state.marks),
                    reason=state.reason,
                    since=state.utc if state.active else None,
                    earliest=earliest,
                    latest=max((last for _, last in held), default=None),
                    bytes=self._segments.recording_bytes(place.recording),
                    days=0.0 if earliest is None else round(max(0, now - earliest) / DAY, 2),
                )
            )
        return tuple(found)

    async def calendar(self, place: Place, year: int, month: int, zone: str) -> tuple[list[int], list[int]]:
        """See ArchiveBackend."""
        count = calendar.monthrange(year, month)[1]
        days = [self.day(date(year, month, number), zone) for number in range(1, count + 1)]
        return await self._catalogue.run(self._calendar, place, days)

    def _calendar(self, place: Place, days: Sequence[Stretch]) -> tuple[list[int], list[int]]:
        footage = self._segments.calendar(place.recording, days)
        pictures: list[int] = []
        if place.camera is not None:
            store = self._catalogue.sync.snapshots
            for number, (start, end) in enumerate(days, 1):
                if store.list(cameras=(place.camera,), start=start, end=end, limit=1):
                    pictures.append(number)
        return [number for number, there in enumerate(footage, 1) if there], pictures

    async def timeline(
        self, places: Sequence[Place], start: int, end: int, types: Sequence[RecordType]
    ) -> tuple[Timeline, ...]:
        """See ArchiveBackend. One call for each recording, so that others get their turn."""
        return tuple([await self._catalogue.run(self._timeline, place, start, end, types) for place in places])

    def _timeline(self, place: Place, start: int, end: int, types: Sequence[RecordType]) -> Timeline:
        sync, now = self._catalogue.sync, self._clock.utc()
        kinds = [each.value for each in types]
        spans = sync.spans.between(place.recording, start, end, MAX_SPANS, kinds=kinds)
        footage = self._segments.covered(place.recording, start, end, DEFAULT_GAP)
        if types:
            footage = _both(footage, [(span.start, end if span.end is None else span.end) for span in spans])
        tags = sync.tags.find(recordings=(place.recording,), start=start, end=end, limit=MAX_TAGS)
        locks = sync.locks.between(place.recording, start, end, now)
        return Timeline(
            recording=place.recording,
            camera=place.camera,
            channel=place.channel,
            footage=footage,
            gaps=_gaps(footage, start, min(end, now)),
            spans=tuple(map(_piece, spans)),
            locks=tuple((max(lock.start, start), min(lock.end, end)) for lock in locks),
            tags=tuple(map(tag_view, tags)),
        )

    async def files(
        self, place: Place, start: int, end: int, types: Sequence[RecordType], after: int | None, limit: int
    ) -> tuple[tuple[FileView, ...], int | None]:
        """See ArchiveBackend."""
        return await self._catalogue.run(self._files, place, start, end, types, after, limit)

    def _files(
        self, place: Place, start: int, end: int, types: Sequence[RecordType], after: int | None, limit: int
    ) -> tuple[tuple[FileView, ...], int | None]:
        sync, begin = self._catalogue.sync, start if after is None else max(start, after)
        # The one that the page before ended with comes again, and so may one that it overlaps.
        rows = self._segments.segments_between(place.recording, begin, end, limit + 2)
        more = len(rows) == limit + 2
        page = [row for row in rows if after is None or row.start > after][:limit]
        if not page:
            return (), None
        last = max(row.end for row in page) + 1
        spans = sync.spans.between(place.recording, page[0].start, last, MAX_SPANS)
        locks = sync.locks.between(place.recording, page[0].start, last, self._clock.utc())
        views = (_file(row, spans, locks) for row in page)
        wanted = {each.value for each in types}
        chosen = tuple(view for view in views if not wanted or wanted & set(view.types))
        return chosen, page[-1].start if more or len(page) == limit else None

    async def neighbours(self, place: Place, at: int) -> Neighbours:
        """See ArchiveBackend."""
        return await self._catalogue.run(self._neighbours, place.recording, at)

    def _neighbours(self, recording: str, at: int) -> Neighbours:
        times = self._segments.recording_times(recording)
        if times is None:
            return Neighbours(at=None, previous=None, next=None, earliest=None, latest=None)
        here = before = following = None
        for days in NEIGHBOUR_DAYS:
            low, high = at - days * DAY, at + days * DAY
            stretches = self._segments.covered(recording, max(0, low), high, DEFAULT_GAP)
            here = next((each for each in stretches if each[0] <= at < each[1]), None)
            before = next((each for each in reversed(stretches) if each[1] <= at and each != here), None)
            following = next((each for each in stretches if each[0] > at), None)
            if (before or low <= times[0]) and (following or high >= times[1]):
                break
        return Neighbours(
            at=here,
            previous=before or self._before(recording, here[0] if here else at),
            next=following or self._after(recording, at, here),
            earliest=times[0],
            latest=times[1],
        )

    def _before(self, recording: str, at: int) -> Stretch | None:
        """What lies farther before than was looked."""
        row = self._segments.segment_at(recording, at - 1)
        if row is None or row.end > at - 1:
            return None
        found = self._segments.covered(recording, row.end - DAY, row.end, DEFAULT_GAP)
        return found[-1] if found else None

    def _after(self, recording: str, at: int, here: Stretch | None) -> Stretch | None:
        row = self._segments.segment_after(recording, at if here is None else here[1])
        if row is None or (here is not None and row.start - here[1] <= DEFAULT_GAP):
            return None
        found = self._segments.covered(recording, row.start, row.start + DAY, DEFAULT_GAP)
        return found[0] if found else None

    async def spans(
        self,
        places: Sequence[Place],
        start: int,
        end: int,
        types: Sequence[RecordType],
        after: tuple[int, int] | None,
        limit: int,
    ) -> tuple[Piece, ...]:
        """See ArchiveBackend."""
        return await self._catalogue.run(self._spans, places, start, end, types, after, limit)

    def _spans(
        self,
        places: Sequence[Place],
        start: int,
        end: int,
        types: Sequence[RecordType],
        after: tuple[int, int] | None,
        limit: int,
    ) -> tuple[Piece, ...]:
        kinds = [each.value for each in types]
        begin = start if after is None else max(start, after[0])
        found: list[SpanRow] = []
        for place in places:
            # Those that lasted already when the page began come first and are not given again.
            rows = self._catalogue.sync.spans.between(place.recording, begin, end, limit + 2, kinds=kinds)
            found += (row for row in rows if after is None or (row.start, row.id) > after)
        return tuple(_piece(row) for row in heapq.nsmallest(limit, found, key=lambda row: (row.start, row.id)))

    async def events(
        self,
        places: Sequence[Place],
        start: int,
        end: int,
        topics: Sequence[str],
        after: tuple[int, int] | None,
        limit: int,
        *,
        newest_first: bool,
    ) -> tuple[tuple[EventView, ...], tuple[int, int] | None]:
        """See ArchiveBackend."""
        skip, last = 0, end - 1
        if after is not None:
            if after[1] > MAX_SKIP:
                raise InvalidArgument("after is what the page before gave as next")
            skip = after[1]
            start, last = (start, min(last, after[0])) if newest_first else (max(start, after[0]), last)
        names = _topics(topics)
        if start > last or (topics and not names):
            return (), None
        found = await self._catalogue.run(
            self._events.events_between,
            start=start,
            end=last,
            recordings=frozenset(place.recording for place in places),
            backward=newest_first,
            limit=limit + skip,
            topics=names or None,
        )
        following = None
        if len(found) == limit + skip:
            edge = found[-1].utc
            following = (edge, sum(1 for event in found if event.utc == edge))
        return tuple(_event(event) for event in found[skip:]), following

    async def storage(self) -> tuple[StorageView, ...]:
        """See ArchiveBackend."""
        return tuple(
            StorageView(
                volume=each.id,
                name=each.name,
                path=each.path,
                state=each.state.value,
                reason=each.reason,
                access=each.access.value,
                group=each.group,
                bytes=each.used,
                free=each.free,
                total=each.total,
            )
            for each in self._statuses()
        )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _piece(row: SpanRow) -> Piece:
    return Piece(
        id=row.id,
        recording=row.recording,
        kind=row.kind,
        marks=_words(row.marks) or (row.kind,),
        start=row.start,
        end=row.end,
    )


def _both(footage: Sequence[Stretch], wanted: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """The parts of footage that lie in wanted stretches."""
    parts = ((max(a, c), min(b, d)) for c, d in merged(sorted(wanted), 0, 1 << 62) for a, b in footage)
    return tuple((start, end) for start, end in parts if start < end)


def _gaps(footage: Sequence[Stretch], start: int, end: int) -> tuple[Stretch, ...]:
    gaps = []
    for first, last in footage:
        if first > start:
            gaps.append((start, min(first, end)))
        start = max(start, last)
    if start < end:
        gaps.append((start, end))
    return tuple((first, last) for first, last in gaps if first < last)


def _file(row: SegmentRow, spans: Sequence[SpanRow], locks: Sequence[LockRow]) -> FileView:
    video = next((format for format in row.formats if format.kind is Kind.VIDEO), None)
    audio = next((format for format in row.formats if format.kind is Kind.AUDIO), None)
    touched = (span for span in spans if span.start < row.end and (span.end is None or span.end > row.start))
    types = dict.fromkeys(word for span in touched for word in (span.kind, *_words(span.marks)))
    return FileView(
        id=row.id,
        recording=row.recording,
        start=row.start,
        end=row.end,
        bytes=row.size,
        volume=row.volume,
        state=row.state.value,
        reason=row.end_reason.value,
        video=video.codec.value if video else "",
        width=video.width if video else 0,
        height=video.height if video else 0,
        audio=audio.codec.value if audio and row.kinds & FragmentFlag.AUDIO else "",
        metadata=bool(row.kinds & FragmentFlag.METADATA),
        types=tuple(types),
        locked=any(lock.start < row.end and lock.end > row.start for lock in locks),
    )


def _event(event: Event) -> EventView:
    return EventView(
        utc=event.utc,
        topic=event.topic,
        recording=event.recording,
        operation=event.operation.value if event.operation is not None else "",
        source=dict(event.source),
        key=dict(event.key),
        data=dict(event.data),
    )


def _topics(asked: Sequence[str]) -> frozenset[str]:
    """Names of topics; those with `/*` at the end stand for all below."""
    found: set[str] = set()
    for text in asked:
        if text.endswith("/*"):
            found |= {topic.name for topic in RECORDER_TOPICS if topic.name.startswith(text[:-1])}
        else:
            found.add(text)
    return frozenset(found)
