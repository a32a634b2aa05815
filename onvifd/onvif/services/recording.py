"""Recording control service: reading, and the mode of jobs (RecordingControl 5)."""

from __future__ import annotations

from collections.abc import Sequence

from onvifd.access.types import AccessClass
from onvifd.errors import InvalidArgument
from onvifd.events.topics import job_state_information
from onvifd.onvif.backend import Job, JobState, Recording, RecordingBackend, Track
from onvifd.onvif.services.common import NS_RECORDING, RECORDING_PATH, find
from onvifd.onvif.services.recording_view import job_configuration, recording_configuration, track_configuration
from onvifd.onvif.soap.dispatch import Call, Service, operation
from onvifd.onvif.types import trc, tt

READ = AccessClass.READ_MEDIA
ACTUATE = AccessClass.ACTUATE

ENCODINGS = ("JPEG", "H264", "H265", "G711", "AAC")
MAX_RECORDINGS = 256
"""Recordings, and jobs, that a recorder is made for; capabilities are static (RecordingControl 5.25)."""


class RecordingService(Service):
    """One recording per camera, filled by one job from a media profile of ours."""

    namespace = NS_RECORDING
    path = RECORDING_PATH
    prefix = "trc"

    def __init__(self, backend: RecordingBackend, *, max_recordings: int = MAX_RECORDINGS) -> None:
        self._backend = backend
        self._max_recordings = max_recordings

    def capabilities(self, call: Call) -> trc.Capabilities:
        return trc.Capabilities(
            dynamic_recordings=False,
            dynamic_tracks=False,
            encoding=ENCODINGS,
            max_recordings=float(self._max_recordings),
            max_recording_jobs=self._max_recordings,
            options=True,
            metadata_recording=False,
        )

    @operation(access=AccessClass.PRE_AUTH)
    async def get_service_capabilities(
        self, call: Call, request: trc.GetServiceCapabilities
    ) -> trc.GetServiceCapabilitiesResponse:
        return trc.GetServiceCapabilitiesResponse(capabilities=self.capabilities(call))

    # ---- recordings

    @operation(access=READ)
    async def get_recordings(self, call: Call, request: trc.GetRecordings) -> trc.GetRecordingsResponse:
        return trc.GetRecordingsResponse(recording_item=tuple(map(_recording_item, self._backend.recordings())))

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
        recording = self._recording(request.recording_token)
        # RecordingControl 5.20: no Spare attribute, for neither jobs nor tracks can be created.
        job = trc.JobOptions(compatible_sources=self._compatible(recording) or None)
        return trc.GetRecordingOptionsResponse(options=trc.RecordingOptions(job=job, track=trc.TrackOptions()))

    @operation(access=READ)
    async def get_track_configuration(
        self, call: Call, request: trc.GetTrackConfiguration
    ) -> trc.GetTrackConfigurationResponse:
        tracks = self._recording(request.recording_token).tracks
        track = find(tracks, lambda each: each.token == request.track_token, detail="NoTrack", what="track")
        return trc.GetTrackConfigurationResponse(track_configuration=track_configuration(track))

    def _recording(self, token: str) -> Recording:
        recordings = self._backend.recordings()
        return find(recordings, lambda each: each.token == token, detail="NoRecording", what="recording")

    def _compatible(self, recording: Recording) -> tuple[str, ...]:
        """Profiles that can be recorded to a recording: those of its source that its jobs take."""
        return tuple(dict.fromkeys(job.profile for job in self._backend.jobs() if job.recording == recording.token))

    # ---- jobs

    @operation(access=READ)
    async def get_recording_jobs(self, call: Call, request: trc.GetRecordingJobs) -> trc.GetRecordingJobsResponse:
        return trc.GetRecordingJobsResponse(
            job_item=tuple(
                tt.GetRecordingJobsResponseItem(job_token=job.token, job_configuration=job_configuration(job))
                for job in self._backend.jobs()
            )
        )

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
