"""Recording control (RecordingControl 5)."""

from __future__ import annotations

from datetime import timedelta

from onvifd.onvif.soap.codec import AnyElements, Form, any_elements, attribute, element, schema
from onvifd.onvif.soap.namespaces import TRC
from onvifd.onvif.types import tt

NAMESPACE = TRC


@schema(TRC)
class GetServiceCapabilities:
    pass


@schema(TRC)
class GetServiceCapabilitiesResponse:
    capabilities: Capabilities = element("Capabilities")


@schema(TRC)
class Capabilities:
    any_: AnyElements = any_elements(default=())
    dynamic_recordings: bool | None = attribute("DynamicRecordings", default=None)
    dynamic_tracks: bool | None = attribute("DynamicTracks", default=None)
    encoding: tuple[str, ...] | None = attribute("Encoding", default=None, tokens=True)
    max_rate: float | None = attribute("MaxRate", default=None)
    max_total_rate: float | None = attribute("MaxTotalRate", default=None)
    max_recordings: float | None = attribute("MaxRecordings", default=None)
    max_recording_jobs: int | None = attribute("MaxRecordingJobs", default=None)
    options: bool | None = attribute("Options", default=None)
    metadata_recording: bool | None = attribute("MetadataRecording", default=None)
    supported_export_file_formats: tuple[str, ...] | None = attribute(
        "SupportedExportFileFormats", default=None, tokens=True
    )
    event_recording: bool | None = attribute("EventRecording", default=None)
    before_event_limit: timedelta | None = attribute("BeforeEventLimit", default=None)
    after_event_limit: timedelta | None = attribute("AfterEventLimit", default=None)
    supported_target_formats: tuple[str, ...] | None = attribute("SupportedTargetFormats", default=None, tokens=True)
    encryption_entry_limit: int | None = attribute("EncryptionEntryLimit", default=None)
    supported_encryption_modes: tuple[str, ...] | None = attribute(
        "SupportedEncryptionModes", default=None, tokens=True
    )
    override_segment_duration: bool | None = attribute("OverrideSegmentDuration", default=None)
    asymmetric_encryption_supported: bool | None = attribute("AsymmetricEncryptionSupported", default=None)
    scheduled_recording: bool | None = attribute("ScheduledRecording", default=None)
    onboard_storage: bool | None = attribute("OnboardStorage", default=None)
    segment_export: bool | None = attribute("SegmentExport", default=None)


@schema(TRC)
class CreateRecording:
    recording_configuration: tt.RecordingConfiguration = element("RecordingConfiguration")


@schema(TRC)
class CreateRecordingResponse:
    recording_token: str = element("RecordingToken")


@schema(TRC)
class DeleteRecording:
    recording_token: str = element("RecordingToken")


@schema(TRC)
class DeleteRecordingResponse:
    pass


@schema(TRC)
class GetRecordings:
    pass


@schema(TRC)
class GetRecordingsResponse:
    recording_item: tuple[tt.GetRecordingsResponseItem, ...] = element("RecordingItem", default=())


@schema(TRC)
class SetRecordingConfiguration:
    recording_token: str = element("RecordingToken")
    recording_configuration: tt.RecordingConfiguration = element("RecordingConfiguration")


@schema(TRC)
class SetRecordingConfigurationResponse:
    pass


@schema(TRC)
class GetRecordingConfiguration:
    recording_token: str = element("RecordingToken")


@schema(TRC)
class GetRecordingConfigurationResponse:
    recording_configuration: tt.RecordingConfiguration = element("RecordingConfiguration")


@schema(TRC)
class CreateTrack:
    recording_token: str = element("RecordingToken")
    track_configuration: tt.TrackConfiguration = element("TrackConfiguration")


@schema(TRC)
class CreateTrackResponse:
    track_token: str = element("TrackToken")


@schema(TRC)
class DeleteTrack:
    recording_token: str = element("RecordingToken")
    track_token: str = element("TrackToken")


@schema(TRC)
class DeleteTrackResponse:
    pass


@schema(TRC)
class GetTrackConfiguration:
    recording_token: str = element("RecordingToken")
    track_token: str = element("TrackToken")


@schema(TRC)
class GetTrackConfigurationResponse:
    track_configuration: tt.TrackConfiguration = element("TrackConfiguration")


@schema(TRC)
class SetTrackConfiguration:
    recording_token: str = element("RecordingToken")
    track_token: str = element("TrackToken")
    track_configuration: tt.TrackConfiguration = element("TrackConfiguration")


@schema(TRC)
class SetTrackConfigurationResponse:
    pass


@schema(TRC)
class CreateRecordingJob:
    job_configuration: tt.RecordingJobConfiguration = element("JobConfiguration")


@schema(TRC)
class CreateRecordingJobResponse:
    job_token: str = element("JobToken")
    job_configuration: tt.RecordingJobConfiguration = element("JobConfiguration")


@schema(TRC)
class DeleteRecordingJob:
    job_token: str = element("JobToken")


@schema(TRC)
class DeleteRecordingJobResponse:
    pass


@schema(TRC)
class GetRecordingJobs:
    pass


@schema(TRC)
class GetRecordingJobsResponse:
    job_item: tuple[tt.GetRecordingJobsResponseItem, ...] = element("JobItem", default=())


@schema(TRC)
class SetRecordingJobConfiguration:
    job_token: str = element("JobToken")
    job_configuration: tt.RecordingJobConfiguration = element("JobConfiguration")


@schema(TRC)
class SetRecordingJobConfigurationResponse:
    job_configuration: tt.RecordingJobConfiguration = element("JobConfiguration")


@schema(TRC)
class GetRecordingJobConfiguration:
    job_token: str = element("JobToken")


@schema(TRC)
class GetRecordingJobConfigurationResponse:
    job_configuration: tt.RecordingJobConfiguration = element("JobConfiguration")


@schema(TRC)
class SetRecordingJobMode:
    job_token: str = element("JobToken")
    mode: str = element("Mode")


@schema(TRC)
class SetRecordingJobModeResponse:
    pass


@schema(TRC)
class GetRecordingJobState:
    job_token: str = element("JobToken")


@schema(TRC)
class GetRecordingJobStateResponse:
    state: tt.RecordingJobStateInformation = element("State")


@schema(TRC)
class GetRecordingOptions:
    recording_token: str = element("RecordingToken")


@schema(TRC)
class GetRecordingOptionsResponse:
    options: RecordingOptions = element("Options")


@schema(TRC)
class ExportRecordedData:
    start_point: int | None = element("StartPoint", default=None, form=Form.DATETIME)
    end_point: int | None = element("EndPoint", default=None, form=Form.DATETIME)
    search_scope: tt.SearchScope = element("SearchScope")
    file_format: str = element("FileFormat")
    storage_destination: tt.StorageReferencePath = element("StorageDestination")


@schema(TRC)
class ExportRecordedDataResponse:
    operation_token: str = element("OperationToken")
    file_names: tuple[str, ...] = element("FileNames", default=())
    extension: ExportRecordedDataResponseExtension | None = element("Extension", default=None)


@schema(TRC)
class ExportRecordedDataResponseExtension:
    any_: AnyElements = any_elements(default=())


@schema(TRC)
class StopExportRecordedData:
    operation_token: str = element("OperationToken")


@schema(TRC)
class StopExportRecordedDataResponse:
    progress: float = element("Progress")
    file_progress_status: tt.ArrayOfFileProgress = element("FileProgressStatus")
    any_: AnyElements = any_elements(default=())


@schema(TRC)
class GetExportRecordedDataState:
    operation_token: str = element("OperationToken")


@schema(TRC)
class GetExportRecordedDataStateResponse:
    progress: float = element("Progress")
    file_progress_status: tt.ArrayOfFileProgress = element("FileProgressStatus")
    any_: AnyElements = any_elements(default=())


@schema(TRC)
class ListRecordedSegments:
    time: tt.DateTimeRange = element("Time")
    recording_token: str = element("RecordingToken")
    max_results: int | None = element("MaxResults", default=None)


@schema(TRC)
class ListRecordedSegmentsResponse:
    results: SegmentListResult = element("Results")


@schema(TRC)
class SegmentListResult:
    segment: tuple[SegmentListResultSegment, ...] = element("Segment", default=())
    has_more_results: bool = element("HasMoreResults")


@schema(TRC)
class SegmentListResultSegment:
    start_time: int = element("StartTime", form=Form.DATETIME)
    end_time: int = element("EndTime", form=Form.DATETIME)
    media_type: str = element("MediaType")
    any_: AnyElements = any_elements(default=())


@schema(TRC)
class ExportRecordedSegments:
    time: tt.DateTimeRange = element("Time")
    recording_token: str = element("RecordingToken")
    alias: str | None = element("Alias", default=None)
    storage_token: str | None = element("StorageToken", default=None)
    track: str | None = element("Track", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TRC)
class ExportRecordedSegmentsResponse:
    operation_token: str = element("OperationToken")


@schema(TRC)
class StopExportRecordedSegments:
    operation_token: str = element("OperationToken")


@schema(TRC)
class StopExportRecordedSegmentsResponse:
    pass


@schema(TRC)
class RecordingOptions:
    job: JobOptions = element("Job")
    track: TrackOptions = element("Track")
    any_: AnyElements = any_elements(default=())


@schema(TRC)
class JobOptions:
    spare: int | None = attribute("Spare", default=None)
    compatible_sources: tuple[str, ...] | None = attribute("CompatibleSources", default=None, tokens=True)


@schema(TRC)
class TrackOptions:
    spare_total: int | None = attribute("SpareTotal", default=None)
    spare_video: int | None = attribute("SpareVideo", default=None)
    spare_audio: int | None = attribute("SpareAudio", default=None)
    spare_metadata: int | None = attribute("SpareMetadata", default=None)


@schema(TRC)
class OverrideSegmentDuration:
    target_segment_duration: timedelta = element("TargetSegmentDuration")
    expiration: timedelta = element("Expiration")
    recording_configuration: str = element("RecordingConfiguration")


@schema(TRC)
class OverrideSegmentDurationResponse:
    pass
