"""What the archive holds, for the search service: implements SearchBackend over the segment index and the event store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from onvifd.archive.disk import Volume
from onvifd.archive.index import KIND_FLAGS, SegmentRow, SegmentState, SegmentStore
from onvifd.archive.metadata import MetadataReader
from onvifd.archive.reader import DEFAULT_GAP
from onvifd.archive.tracks import TrackNumbers
from onvifd.bodies.recorder import Recorder
from onvifd.bodies.recording_tracks import holds, several, track_of
from onvifd.clock import US
from onvifd.events import topics
from onvifd.events.store import EventStore
from onvifd.events.types import Event, Operation
from onvifd.media.types import Kind, TrackFormat
from onvifd.onvif.backend import (
    MetadataScan,
    Recording,
    RecordingData,
    RecordingMedia,
    RecordingStatus,
    Take,
    Track,
    TrackData,
    TrackMedia,
)
from onvifd.onvif.search.metadata import spaces_of

T = TypeVar("T")

_HISTORY = (topics.RECORDING_STATE.name, topics.TRACK_STATE.name)
LIVE_EDGE = 2 * US
"""How far the index row of an open segment may lag behind what is on disk, microseconds."""


class RecorderSearch:
    """Implements SearchBackend. All look-ups block on the database, so they run on `executor`."""

    def __init__(
        self,
        recorder: Recorder,
        segments: SegmentStore,
        events: EventStore,
        executor: Executor,
        volumes: Callable[[], Mapping[str, Volume]] = dict,
    ) -> None:
        self._recorder = recorder
        self._segments = segments
        self._metadata = MetadataReader(segments, volumes)
        # One scan at a time: searches over months must not take the processor from what is live.
        self._scanning = asyncio.Semaphore(1)
        self._events = events
        self._executor = executor

    async def _run(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(function, *arguments, **named))

    def _named(self, tokens: tuple[str, ...] | None) -> tuple[Recording, ...]:
        if tokens is None:
            return self._recorder.recordings()
        return tuple(self._recorder.recording(token, detail="InvalidToken") for token in tokens)

    async def recording_data(self, tokens: tuple[str, ...] | None = None) -> tuple[RecordingData, ...]:
        recordings = self._named(tokens)
        times = await self._run(self._times, recordings)
        return tuple(self._data(each, times.get(each.token, {})) for each in recordings)

    def _times(self, recordings: tuple[Recording, ...]) -> dict[str, dict[str, tuple[int, int]]]:
        """From when to when the tracks of recordings hold data, by recording and track. Blocks."""
        if len(recordings) == 1:
            times = {recordings[0].token: self._segments.track_times(recordings[0].token)}
        else:
            times = self._segments.all_times()
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for recording in recordings:
            kinds = times.get(recording.token, {})
            found[recording.token] = {
                track.token: kinds[track.kind] for track in recording.tracks if track.kind in kinds
            }
            if kinds and several(recording):
                numbers = self._segments.track_numbers(recording.token)
                encodings = self._segments.encoding_times(recording.token)
                shared = {track.token for track in recording.tracks if _shares(recording, track)}
                kept = {token: each for token, each in found[recording.token].items() if token not in shared}
                own = {numbers.token(codec): each for codec, each in encodings.items()}
                found[recording.token] = kept | {token: each for token, each in own.items() if token in shared}
        return found

    def _numbers(self, recording: Recording) -> TrackNumbers:
        """By which the tracks of a recording are told apart, where that is necessary. Blocks."""
        return self._segments.track_numbers(recording.token) if several(recording) else TrackNumbers()

    def _data(self, recording: Recording, times: dict[str, tuple[int, int]]) -> RecordingData:
        tracks = tuple(
            TrackData(
                token=track.token,
                kind=track.kind,
                description=track.description,
                data_from=times[track.token][0],
                data_to=times[track.token][1],
            )
            for track in recording.tracks
            if track.token in times
        )
        if self._recorder.is_recording(recording.token):
            status = RecordingStatus.RECORDING
        else:
            status = RecordingStatus.STOPPED if tracks else RecordingStatus.INITIATED
        return RecordingData(
            recording=recording,
            status=status,
            earliest=min((track.data_from for track in tracks), default=None),
            latest=max((track.data_to for track in tracks), default=None),
            tracks=tracks,
        )

    async def media_attributes(self, tokens: tuple[str, ...], at: int) -> tuple[RecordingMedia, ...]:
        recordings = self._named(tokens)
        media = await self._run(self._all_media, recordings, at)
        # In a thread of its own each: many recordings may be asked for, and another search need not wait for all.
        return tuple(
            [
                await self._run(self._with_metadata, each, at)
                if any(track.kind is Kind.METADATA for track in each.tracks)
                else each
                for each in media
            ]
        )

    def _with_metadata(self, media: RecordingMedia, at: int) -> RecordingMedia:
        """What the metadata track carries, as its documents show (Search 5.6). Blocks."""
        if all(track.kind is not Kind.METADATA for track in media.tracks):
            return media
        documents = self._metadata.sample(media.recording, at)
        spaces, analytics = spaces_of(documents), any(b"VideoAnalytics" in each for each in documents)
        tracks = (
            replace(track, ptz_spaces=spaces, analytics=analytics) if track.kind is Kind.METADATA else track
            for track in media.tracks
        )
        return replace(media, tracks=tuple(tracks))

    def _all_media(self, recordings: tuple[Recording, ...], at: int) -> tuple[RecordingMedia, ...]:
        """Blocks."""
        rows = self._segments.segments_at(tuple(each.token for each in recordings), at)
        found = (self._media(each, rows[each.token], at) for each in recordings if each.token in rows)
        return tuple(each for each in found if each is not None)

    def _media(self, recording: Recording, row: SegmentRow, at: int) -> RecordingMedia | None:
        end = row.end + LIVE_EDGE if row.state is SegmentState.OPEN else row.end
        if not row.start <= at <= end:
            return None
        numbers = self._numbers(recording)
        tracks = tuple(
            self._track_media(track, format, row)
            for format in row.formats
            if row.kinds & KIND_FLAGS[format.kind] and (track := track_of(recording, format, numbers)) is not None
        )
        return RecordingMedia(recording=recording.token, start=row.start, until=max(row.end, at), tracks=tracks)

    def _track_media(self, track: Track, format: TrackFormat, row: SegmentRow) -> TrackMedia:
        video = format.kind is Kind.VIDEO
        seconds = (row.end - row.start) / US
        return TrackMedia(
            token=track.token,
            kind=track.kind,
            description=track.description,
            data_from=row.start,
            data_to=row.end,
            codec=format.codec,
            width=format.width,
            height=format.height,
            framerate=self._recorder.framerate_of(row.recording) if video else 0.0,
            bitrate=round(row.size * 8 / seconds / 1000) if video and seconds > 0 else 0,
            sample_rate=0 if video else format.clock_rate,
        )

    async def events(
        self,
        *,
        start: int,
        end: int | None,
        recordings: frozenset[str],
        backward: bool,
        limit: int,
        topics: Callable[[str], bool] | None = None,
    ) -> tuple[tuple[str, Event], ...]:
        def work() -> tuple[Event, ...]:
            chosen = None if topics is None else frozenset(filter(topics, self._events.topics()))
            return self._events.events_between(
                start=start, end=end, recordings=recordings, backward=backward, limit=limit, topics=chosen
            )

        found = await self._run(work)
        return tuple((event.recording, event) for event in found)

    async def states_at(self, at: int, recordings: frozenset[str]) -> tuple[tuple[str, Event], ...]:
        found = await self._run(self._events.states_at, at, recordings)
        stored = (replace(event, utc=at, operation=Operation.INITIALIZED) for event in found)
        others = tuple(event for event in stored if event.topic not in _HISTORY)
        named = tuple(each for each in self._recorder.recordings() if each.token in recordings)
        history = await self._run(self._history_at, named, at)
        return tuple((event.recording, event) for event in (*history, *others))

    def _history_at(self, recordings: tuple[Recording, ...], at: int) -> tuple[Event, ...]:
        """Whether recordings and their tracks hold data at a moment (Search 5.21), by the index: it knows of footage whose
        events are forgotten, and is right where a recorder died. Blocks."""
        rows = self._segments.segments_at(tuple(each.token for each in recordings), at)
        found: list[Event] = []
        for recording in recordings:
            row = rows.get(recording.token)
            present = row is not None and _covers(row, at)
            found.append(topics.recording_state(recording.token, present, at))
            numbers = self._numbers(recording)
            for track in recording.tracks:
                held = present and row is not None and holds(recording, track, row, numbers)
                found.append(topics.track_state(recording.token, track.token, held, at))
        return tuple(replace(event, operation=Operation.INITIALIZED) for event in found)

    async def scan_metadata(
        self, recording: str, start: int, end: int, take: Take[T], *, backward: bool
    ) -> MetadataScan[T]:
        async with self._scanning:
            return await self._run(self._metadata.scan, recording, start, end, take, backward=backward)


def _shares(recording: Recording, track: Track) -> bool:
    """Whether there are other tracks of its kind."""
    return sum(each.kind is track.kind for each in recording.tracks) > 1


def _covers(row: SegmentRow, at: int) -> bool:
    """Whether footage goes on at a time at or after the start of a segment; from segment to segment there is no gap."""
    if row.state is SegmentState.OPEN:
        return at < row.end + LIVE_EDGE
    return at < row.end or (row.end_reason.continues and at - row.end <= DEFAULT_GAP)
