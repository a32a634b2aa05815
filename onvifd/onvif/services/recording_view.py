"""Recordings and what they hold as ONVIF types, shared by the recording and search services."""

from __future__ import annotations

from datetime import timedelta

from onvifd.events.topics import SOURCE_TYPES
from onvifd.media.types import Codec, Kind
from onvifd.onvif.backend import (
    Job,
    JobSource,
    JobState,
    Recording,
    RecordingData,
    RecordingMedia,
    RecordingTarget,
    Track,
    TrackMedia,
)
from onvifd.onvif.types import tt

_TRACK_TYPES = {
    Kind.VIDEO: tt.TrackType.VIDEO,
    Kind.AUDIO: tt.TrackType.AUDIO,
    Kind.METADATA: tt.TrackType.METADATA,
}

# tt:VideoEncoding and tt:AudioEncoding where they have a name, else the media subtype of the IANA list (RecordingControl 5.25).
_ENCODINGS = {
    Codec.H264: "H264",
    Codec.H265: "H265",
    Codec.JPEG: "JPEG",
    Codec.PCMU: "G711",
    Codec.PCMA: "G711",
    Codec.AAC: "AAC",
    Codec.MPEG4: "MPEG4",
    Codec.OPUS: "opus",
}


def track_type(kind: Kind) -> tt.TrackType:
    return _TRACK_TYPES[kind]


def source_information(recording: Recording) -> tt.RecordingSourceInformation:
    return tt.RecordingSourceInformation(
        source_id=recording.source_id,
        name=recording.source_name,
        location=recording.source_location,
        description=recording.source_description,
        address=recording.source_address,
    )


def recording_information(data: RecordingData) -> tt.RecordingInformation:
    """Search 5.3.1. Tracks without data are not listed (5.3.3)."""
    return tt.RecordingInformation(
        recording_token=data.recording.token,
        source=source_information(data.recording),
        earliest_recording=data.earliest,
        latest_recording=data.latest,
        content=data.recording.content,
        track=tuple(
            tt.TrackInformation(
                track_token=track.token,
                track_type=track_type(track.kind),
                description=track.description,
                data_from=track.data_from,
                data_to=track.data_to,
            )
            for track in data.tracks
        ),
        recording_status=tt.RecordingStatus(data.status),
    )


def media_attributes(media: RecordingMedia) -> tt.MediaAttributes:
    """Search 5.3.5."""
    return tt.MediaAttributes(
        recording_token=media.recording,
        track_attributes=tuple(map(_track_attributes, media.tracks)),
        from_=media.start,
        until=media.until,
    )


def _track_attributes(track: TrackMedia) -> tt.TrackAttributes:
    video = audio = metadata = None
    match track.kind:
        case Kind.VIDEO:
            video = tt.VideoAttributes(
                bitrate=track.bitrate or None,
                width=track.width,
                height=track.height,
                encoding=_ENCODINGS[track.codec],
                framerate=track.framerate,
            )
        case Kind.AUDIO:
            audio = tt.AudioAttributes(
                bitrate=track.bitrate or None, encoding=_ENCODINGS[track.codec], samplerate=track.sample_rate
            )
        case Kind.METADATA:
            metadata = tt.MetadataAttributes(
                can_contain_ptz=bool(track.ptz_spaces),
                can_contain_analytics=track.analytics,
                can_contain_notifications=True,
                ptz_spaces=track.ptz_spaces or None,
            )
    return tt.TrackAttributes(
        track_information=tt.TrackInformation(
            track_token=track.token,
            track_type=track_type(track.kind),
            description=track.description,
            data_from=track.data_from,
            data_to=track.data_to,
        ),
        video_attributes=video,
        audio_attributes=audio,
        metadata_attributes=metadata,
    )


def recording_configuration(recording: Recording) -> tt.RecordingConfiguration:
    """RecordingControl 5.3.1."""
    return tt.RecordingConfiguration(
        source=source_information(recording),
        content=recording.content,
        maximum_retention_time=timedelta(seconds=recording.retention),
        target=None if recording.target is None else _target(recording.target),
    )


def _target(target: RecordingTarget) -> tt.RecordingTargetConfiguration:
    return tt.RecordingTargetConfiguration(
        storage=target.storage,
        format_=target.format,
        prefix=target.prefix or None,
        postfix=target.postfix or None,
        span_duration=None if target.span is None else timedelta(microseconds=target.span),
        segment_duration=timedelta(microseconds=target.segment),
        storage_strategy=target.strategy,
    )


def track_configuration(track: Track) -> tt.TrackConfiguration:
    return tt.TrackConfiguration(track_type=track_type(track.kind), description=track.description)


def job_configuration(job: Job) -> tt.RecordingJobConfiguration:
    # Milestone finds the camera of a recording through the source token: job, profile, video source.
    return tt.RecordingJobConfiguration(
        recording_token=job.recording,
        mode=(JobState.ACTIVE if job.active else JobState.IDLE).value,
        priority=job.priority,
        source=tuple(map(_job_source, job.sources)),
    )


def _job_source(source: JobSource) -> tt.RecordingJobSource:
    return tt.RecordingJobSource(
        source_token=tt.SourceReference(token=source.token, type_=SOURCE_TYPES[source.kind]),
        tracks=tuple(
            tt.RecordingJobTrack(source_tag=track.source_tag, destination=track.destination) for track in source.tracks
        ),
    )
