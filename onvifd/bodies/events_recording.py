"""Tells of recordings, tracks and jobs that come, change and go, and of deleted footage (RecordingControl 5.29). Sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from onvifd.archive.index import KIND_FLAGS, SegmentRow
from onvifd.cameras.registry import AUDIO_TRACK, VIDEO_TRACK
from onvifd.events import recording_topics as topics
from onvifd.events.types import Event
from onvifd.media.types import Kind
from onvifd.onvif.backend import Job, Recording, Track
from onvifd.onvif.services.recording_view import job_configuration, recording_configuration, track_configuration

_TRACKS = (
    (KIND_FLAGS[Kind.VIDEO], VIDEO_TRACK),
    (KIND_FLAGS[Kind.AUDIO], AUDIO_TRACK),
    (KIND_FLAGS[Kind.METADATA], "META001"),
)

MAX_RANGES = 1000
"""Tracks of which deleted ranges are collected at once; at the bound they are told of early."""

Publish = Callable[[Event], object]


class RecordingChanges:
    """Compares what is with what was. The first comparison only takes note: nothing was created by a start."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._recordings: dict[str, Recording] | None = None
        self._jobs: dict[str, Job] = {}

    def update(self, recordings: Iterable[Recording], jobs: Iterable[Job], utc: int) -> None:
        """What there is now."""
        before, self._recordings = self._recordings, {each.token: each for each in recordings}
        before_jobs, self._jobs = self._jobs, {each.token: each for each in jobs}
        if before is None:
            return
        for token, recording in self._recordings.items():
            known = before.get(token)
            if known is None:
                self._publish(topics.create_recording(token, utc))
            elif recording_configuration(known) != recording_configuration(recording):
                self._publish(topics.recording_configuration(token, recording_configuration(recording), utc))
            self._tracks(token, known.tracks if known is not None else (), recording.tracks, utc)
        for token in before.keys() - self._recordings.keys():
            for track in before[token].tracks:
                self._publish(topics.delete_track(token, track.token, utc))
            self._publish(topics.delete_recording(token, utc))
        for token, job in self._jobs.items():
            if before_jobs.get(token, job) != job:
                self._publish(topics.job_configuration(token, job.recording, job_configuration(job), utc))

    def _tracks(self, recording: str, before: Iterable[Track], after: Iterable[Track], utc: int) -> None:
        former = {track.token: track for track in before}
        for track in after:
            known = former.pop(track.token, None)
            if known is None:
                self._publish(topics.create_track(recording, track.token, utc))
            elif known != track:
                self._publish(topics.track_configuration(recording, track.token, track_configuration(track), utc))
        for token in former:
            self._publish(topics.delete_track(recording, token, utc))


class Deletions:
    """Collects the ranges that retention deletes: one message for each track and look, not one for each minute of footage."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._ranges: dict[tuple[str, str], tuple[int, int]] = {}

    def deleted(self, row: SegmentRow, utc: int) -> None:
        """A segment is gone."""
        for flag, track in _TRACKS:
            if row.kinds & flag:
                start, end = self._ranges.get((row.recording, track), (row.start, row.end))
                self._ranges[row.recording, track] = (min(start, row.start), max(end, row.end))
        if len(self._ranges) >= MAX_RANGES:
            self.flush(utc)

    def flush(self, utc: int) -> None:
        """Tell of what was collected."""
        ranges, self._ranges = self._ranges, {}
        for (recording, track), (start, end) in ranges.items():
            self._publish(topics.delete_track_data(recording, track, start, end, utc))
