"""What a client may set of recordings and jobs (RecordingControl 5.3). Pure functions; all raise InvalidArgument
(BadConfiguration) unless they say otherwise."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from onvifd.bodies.recording_plan import SourceKey
from onvifd.clock import US
from onvifd.errors import Conflict, InvalidArgument
from onvifd.onvif.backend import JobState, JobTrack, Recording, RecordingTarget
from onvifd.onvif.recording_backend import JobSettings, RecordingSettings, WantedSource

MAX_TEXT = 255
"""Characters of descriptive strings: what is longer is cut (5.3.1)."""
MAX_SOURCE_ID, MAX_NAME, MAX_ADDRESS = 128, 64, 1024
MAX_RETENTION = 100 * 366 * 86_400
MAX_SOURCES = 4
"""Sources of one job."""
MAX_TAG = 64
MAX_PRIORITY = 2**31 - 1
MAX_SEGMENT = 3600 * US
STRATEGIES = ("Local", "Both")
"""External would keep nothing here; it is what holds where a target names none (Annex 8.2)."""
FORMATS = ("MP4",)


def _bad(reason: str) -> InvalidArgument:
    return InvalidArgument(reason, detail="BadConfiguration")


def check_settings(settings: RecordingSettings, storages: Collection[str], segment: int = 60) -> RecordingSettings:
    """The settings as they are kept: descriptive strings are cut. `segment` is the length of segments in seconds, `storages`
    are tokens. Raises Conflict (UnsupportedStorageStrategy) too."""
    bounds = (
        ("SourceId", settings.source_id, MAX_SOURCE_ID),
        ("Name", settings.source_name, MAX_NAME),
        ("Address", settings.source_address, MAX_ADDRESS),
    )
    for name, value, most in bounds:
        if len(value) > most:
            raise _bad(f"{name} has at most {most} characters.")
    if not 0 <= settings.retention <= MAX_RETENTION:
        raise _bad("MaximumRetentionTime is 0 or a positive duration of at most a hundred years.")
    if settings.target is not None:
        _check_target(settings.target, storages, segment)
    return replace(
        settings,
        source_location=settings.source_location[:MAX_TEXT],
        source_description=settings.source_description[:MAX_TEXT],
        content=settings.content[:MAX_TEXT],
    )


def _check_target(target: RecordingTarget, storages: Collection[str], segment: int) -> None:
    if target.strategy not in STRATEGIES:
        raise Conflict(f"The storage strategy {target.strategy} is not served.", detail="UnsupportedStorageStrategy")
    if target.storage not in storages:
        raise _bad("There is no such storage configuration.")
    if target.format not in FORMATS:
        raise _bad(f"Formats are {', '.join(FORMATS)}.")
    # Both are upper bounds (5.3.1). Spans end at midnight UTC.
    if not segment * US <= target.segment <= MAX_SEGMENT or (target.span is not None and target.span < 86_400 * US):
        raise _bad(f"SegmentDuration is {segment} s to an hour, SpanDuration a day or more.")
    for part in (target.prefix, target.postfix):
        if len(part) > MAX_TEXT or part.startswith("/") or ".." in part.split("/"):
            raise _bad("Prefix and Postfix are parts of a path below the storage.")


def checked_sources(
    settings: JobSettings, recording: Recording, known: Collection[SourceKey]
) -> tuple[WantedSource, ...]:
    """Sources with all their tracks. A source that names none fills all tracks of the recording (5.13)."""
    if settings.mode not in (JobState.IDLE, JobState.ACTIVE):
        raise _bad("The mode of a job is Idle or Active.")
    if not 0 <= settings.priority <= MAX_PRIORITY:
        raise _bad("The priority of a job is not negative.")
    if not 1 <= len(settings.sources) <= MAX_SOURCES:
        raise _bad(f"A job has 1 to {MAX_SOURCES} sources.")
    named = [(source.kind, source.token) for source in settings.sources if not source.create]
    if len(set(named)) != len(named):
        raise _bad("A job names a source once.")
    return tuple(_checked_source(source, recording, known) for source in settings.sources)


def _checked_source(source: WantedSource, recording: Recording, known: Collection[SourceKey]) -> WantedSource:
    # 5.13: neither a source token nor AutoCreateReceiver is refused.
    if not source.create and (source.kind, source.token) not in known:
        raise _bad("There is no such source.")
    tokens = [track.token for track in recording.tracks]
    tracks = source.tracks or tuple(JobTrack(token, token) for token in tokens)
    destinations = [track.destination for track in tracks]
    if len(set(destinations)) != len(destinations) or any(each not in tokens for each in destinations):
        raise _bad("Every destination is a track of the recording, and is named once.")
    if any(len(track.source_tag) > MAX_TAG for track in tracks):
        raise _bad(f"A source tag has at most {MAX_TAG} characters.")
    return replace(source, tracks=tracks)
