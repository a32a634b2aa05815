"""Recording control service: recordings, tracks and jobs (RecordingControl 5); export is in `recording_export`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

from onvifd.access.types import AccessClass
from onvifd.clock import US
from onvifd.errors import InvalidArgument
from onvifd.events.topics import RECEIVER_SOURCE, SOURCE_TYPES, job_state_information
from onvifd.media.types import Kind
from onvifd.onvif.backend import (
    Job,
    JobState,
    JobTrack,
    Recording,
    RecordingTarget,
    SearchBackend,
    SourceKind,
    Track,
)
from onvifd.onvif.recording_backend import (
    ExportBackend,
    JobSettings,
    RecordingControlBackend,
    RecordingSettings,
    WantedSource,
)
from onvifd.onvif.services.common import NS_RECORDING, RECORDING_PATH, find
from onvifd.onvif.services.recording_export import RecordingExportOperations
from onvifd.onvif.services.recording_view import job_configuration, recording_configuration, track_configuration
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.soap.faults import SENDER, SoapFault
from onvifd.onvif.types import trc, tt

READ = AccessClass.READ_MEDIA
ACTUATE = AccessClass.ACTUATE

ENCODINGS = ("H264", "H265", "G711", "AAC")
"""What workers take from RTP; JPEG is none of it."""
_KINDS = {
    tt.TrackType.VIDEO: Kind.VIDEO,
    tt.TrackType.AUDIO: Kind.AUDIO,
    tt.TrackType.METADATA: Kind.METADATA,
}
_SOURCES = {uri: SourceKind(kind) for kind, uri in SOURCE_TYPES.items()}


class RecordingService(RecordingExportOperations):
    """Recordings of cameras with a job from a profile of ours each, and what clients add to them."""

    namespace = NS_RECORDING
    path = RECORDING_PATH
    prefix = "trc"
    missing = ("ActionNotSupported", "NotImplemented")  # RecordingControl 5.24

    def __init__(self, backend: RecordingControlBackend, export: ExportBackend, search: SearchBackend) -> None:
        self._backend = self._recordings = backend
        self._export = export
        self._search = search

    def capabilities(self, call: Call) -> trc.Capabilities:
        limits = self._backend.limits()
        return trc.Capabilities(
            dynamic_recordings=True,
            dynamic_tracks=True,
            encoding=ENCODINGS,
            max_recordings=float(limits.recordings),
            max_recording_jobs=limits.jobs,
            options=True,
            metadata_recording=True,
            supported_export_file_formats=self._export.formats(),
            supported_target_formats=self._export.formats(),
            segment_export=True,
            onboard_storage=True,
        )

    @operation(access=AccessClass.PRE_AUTH)
    async def get_service_capabilities(
        self, call: Call, request: trc.GetServiceCapabilities
    ) -> trc.GetServiceCapabilitiesResponse:
        return trc.GetServiceCapabilitiesResponse(capabilities=self.capabilities(call))

    # ---- recordings

    @operation(access=ACTUATE)
    async def create_recording(self, call: Call, request: trc.CreateRecording) -> trc.CreateRecordingResponse:
        token = await self._backend.create_recording(_settings(request.recording_configuration))
        return trc.CreateRecordingResponse(recording_token=token)

    @operation(access=ACTUATE)
    async def delete_recording(self, call: Call, request: trc.DeleteRecording) -> trc.DeleteRecordingResponse:
        await self._backend.delete_recording(request.recording_token)
        return trc.DeleteRecordingResponse()

    @operation(access=READ)
    async def get_recordings(self, call: Call, request: trc.GetRecordings) -> trc.GetRecordingsResponse:
        return trc.GetRecordingsResponse(recording_item=tuple(map(_recording_item, self._backend.recordings())))

    @operation(access=ACTUATE)
    async def set_recording_configuration(
        self, call: Call, request: trc.SetRecordingConfiguration
    ) -> trc.SetRecordingConfigurationResponse:
        self._recording(request.recording_token)
        settings = _settings(request.recording_configuration)
        await self._backend.configure_recording(request.recording_token, settings)
        return trc.SetRecordingConfigurationResponse()

    @operation(access=READ)
    async def get_recording_configuration(
        self, call: Call, request: trc.GetRecordingConfiguration
    ) -> trc.GetRecordingConfigurationResponse:
        recording = self._recording(request.recording_token)
        return trc.GetRecordingConfigurationResponse(recording_configuration=recording_configuration(recording))

    @operation(access=READ)
    async def get_recording_options(
        self, call: Call, request: trc.GetRecordingOptions
    ) -> trc.GetRecordingOptionsResponse:
        options = self._backend.options(request.recording_token)
        # RecordingControl 5.20: without any Spare attribute nothing can be added.
        job = trc.JobOptions(spare=options.jobs or None, compatible_sources=options.profiles or None)
        total = sum(options.tracks.values())
        track = trc.TrackOptions()
        if total:
            track = trc.TrackOptions(
                spare_total=total,
                spare_video=options.tracks.get(Kind.VIDEO) or None,
                spare_audio=options.tracks.get(Kind.AUDIO) or None,
                spare_metadata=options.tracks.get(Kind.METADATA) or None,
            )
        return trc.GetRecordingOptionsResponse(options=trc.RecordingOptions(job=job, track=track))

    def _recording(self, token: str) -> Recording:
        recordings = self._backend.recordings()
        return find(recordings, lambda each: each.token == token, detail="NoRecording", what="recording")

    # ---- tracks

    @operation(access=ACTUATE)
    async def create_track(self, call: Call, request: trc.CreateTrack) -> trc.CreateTrackResponse:
        self._recording(request.recording_token)
        configuration = request.track_configuration
        kind = _KINDS.get(configuration.track_type)
        if kind is None:
            raise InvalidArgument("A track is of video, audio or metadata.", detail="BadConfiguration")
        token = await self._backend.create_track(request.recording_token, kind, configuration.description)
        return trc.CreateTrackResponse(track_token=token)

    @operation(access=ACTUATE)
    async def delete_track(self, call: Call, request: trc.DeleteTrack) -> trc.DeleteTrackResponse:
        await self._backend.delete_track(request.recording_token, request.track_token)
        return trc.DeleteTrackResponse()

    @operation(access=READ)
    async def get_track_configuration(
        self, call: Call, request: trc.GetTrackConfiguration
    ) -> trc.GetTrackConfigurationResponse:
        tracks = self._recording(request.recording_token).tracks
        track = find(tracks, lambda each: each.token == request.track_token, detail="NoTrack", what="track")
        return trc.GetTrackConfigurationResponse(track_configuration=track_configuration(track))

    @operation(access=ACTUATE)
    async def set_track_configuration(
        self, call: Call, request: trc.SetTrackConfiguration
    ) -> trc.SetTrackConfigurationResponse:
        # RecordingControl 5.12: the type cannot be changed and is ignored.
        await self._backend.describe_track(
            request.recording_token, request.track_token, request.track_configuration.description
        )
        return trc.SetTrackConfigurationResponse()

    # ---- jobs

    @operation(access=ACTUATE)
    async def create_recording_job(self, call: Call, request: trc.CreateRecordingJob) -> trc.CreateRecordingJobResponse:
        self._recording(request.job_configuration.recording_token)
        job = await self._backend.create_job(_job_settings(request.job_configuration))
        return trc.CreateRecordingJobResponse(job_token=job.token, job_configuration=job_configuration(job))

    @operation(access=ACTUATE)
    async def delete_recording_job(self, call: Call, request: trc.DeleteRecordingJob) -> trc.DeleteRecordingJobResponse:
        await self._backend.delete_job(request.job_token)
        return trc.DeleteRecordingJobResponse()

    @operation(access=READ)
    async def get_recording_jobs(self, call: Call, request: trc.GetRecordingJobs) -> trc.GetRecordingJobsResponse:
        return trc.GetRecordingJobsResponse(
            job_item=tuple(
                tt.GetRecordingJobsResponseItem(job_token=job.token, job_configuration=job_configuration(job))
                for job in self._backend.jobs()
            )
        )

    @operation(access=ACTUATE)
    async def set_recording_job_configuration(
        self, call: Call, request: trc.SetRecordingJobConfiguration
    ) -> trc.SetRecordingJobConfigurationResponse:
        self._job(request.job_token)
        job = await self._backend.configure_job(request.job_token, _job_settings(request.job_configuration))
        return trc.SetRecordingJobConfigurationResponse(job_configuration=job_configuration(job))

    @operation(access=READ)
    async def get_recordingjob_configuration(
        self, call: Call, request: trc.GetRecordingJobConfiguration
    ) -> trc.GetRecordingJobConfigurationResponse:
        job = self._job(request.job_token)
        return trc.GetRecordingJobConfigurationResponse(job_configuration=job_configuration(job))

    @operation(access=READ)
    async def get_recording_job_state(
        self, call: Call, request: trc.GetRecordingJobState
    ) -> trc.GetRecordingJobStateResponse:
        status = self._backend.job_status(request.job_token)
        return trc.GetRecordingJobStateResponse(state=job_state_information(status))

    @operation(access=ACTUATE)
    async def set_recording_job_mode(
        self, call: Call, request: trc.SetRecordingJobMode
    ) -> trc.SetRecordingJobModeResponse:
        self._job(request.job_token)
        # RecordingControl 5.3.3: the only valid modes.
        if request.mode not in (JobState.IDLE, JobState.ACTIVE):
            raise InvalidArgument("The mode of a job is Idle or Active.", detail="BadMode")
        await self._backend.set_job_mode(request.job_token, request.mode == JobState.ACTIVE)
        return trc.SetRecordingJobModeResponse()

    def _job(self, token: str) -> Job:
        jobs = self._backend.jobs()
        return find(jobs, lambda each: each.token == token, detail="NoRecordingJob", what="recording job")


# ---- conversions


def _bad(reason: str) -> InvalidArgument:
    return InvalidArgument(reason, detail="BadConfiguration")


def _settings(configuration: tt.RecordingConfiguration) -> RecordingSettings:
    """Raises InvalidArgument (BadConfiguration), SoapFault (AmbiguousConfiguration)."""
    source = configuration.source
    return RecordingSettings(
        source_id=source.source_id,
        source_name=source.name,
        source_location=source.location,
        source_description=source.description,
        source_address=source.address,
        content=configuration.content,
        retention=math.ceil(configuration.maximum_retention_time.total_seconds()),
        target=None if configuration.target is None else _target(configuration.target),
    )


def _target(target: tt.RecordingTargetConfiguration) -> RecordingTarget:
    for each in target.encryption:
        if each.asymmetric_encryption is not None and (each.key is not None or each.kid is not None):
            raise SoapFault(
                SENDER, ("InvalidArgVal", "AmbiguousConfiguration"), "Key and AsymmetricEncryption exclude each other."
            )
    if target.encryption:
        raise _bad("Encryption of recordings is not served.")
    return RecordingTarget(
        storage=target.storage,
        format=target.format_,
        prefix=target.prefix or "",
        postfix=target.postfix or "",
        segment=_microseconds(target.segment_duration),
        span=None if target.span_duration is None else _microseconds(target.span_duration),
        # Annex 8.2: External is what holds where nothing is said.
        strategy=target.storage_strategy or "External",
    )


def _microseconds(duration: timedelta) -> int:
    return round(duration.total_seconds() * US)


def _job_settings(configuration: tt.RecordingJobConfiguration) -> JobSettings:
    """Raises InvalidArgument (BadConfiguration)."""
    if configuration.schedule_token is not None or configuration.event_filter is not None:
        # Neither ScheduledRecording nor EventRecording is a capability here.
        raise _bad("Jobs by schedule token or event filter are not served.")
    return JobSettings(
        recording=configuration.recording_token,
        mode=configuration.mode,
        priority=configuration.priority,
        sources=tuple(map(_wanted, configuration.source)),
    )


def _wanted(source: tt.RecordingJobSource) -> WantedSource:
    reference = source.source_token
    token = reference.token.strip() if reference is not None else ""
    # tt:SourceReference: a reference without type is one of a receiver.
    uri = (reference.type_ if reference is not None else None) or RECEIVER_SOURCE
    kind = _SOURCES.get(uri)
    if kind is None:
        raise _bad("A source is a media profile or a receiver.")
    create = bool(source.auto_create_receiver) and not token
    if create and kind is not SourceKind.RECEIVER:
        raise _bad("Only receivers are created.")
    tracks = tuple(JobTrack(track.source_tag, track.destination) for track in source.tracks)
    return WantedSource(kind=kind, token=token, tracks=tracks, create=create)


def _recording_item(recording: Recording) -> tt.GetRecordingsResponseItem:
    return tt.GetRecordingsResponseItem(
        recording_token=recording.token,
        configuration=recording_configuration(recording),
        tracks=tt.GetTracksResponseList(track=_tracks(recording.tracks)),
    )


def _tracks(tracks: Sequence[Track]) -> tuple[tt.GetTracksResponseItem, ...]:
    return tuple(
        tt.GetTracksResponseItem(track_token=track.token, configuration=track_configuration(track)) for track in tracks
    )
