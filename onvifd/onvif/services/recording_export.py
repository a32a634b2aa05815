"""Export of recorded data and segments: the part of recording control that copies footage (RecordingControl 5.21 to 5.28)."""

from __future__ import annotations

from onvifd.access.types import AccessClass
from onvifd.errors import InvalidArgument
from onvifd.events.operation_topics import file_progress
from onvifd.media.types import Kind
from onvifd.onvif.backend import RecordingBackend, SearchBackend
from onvifd.onvif.recording_backend import ExportBackend
from onvifd.onvif.services.search_scope import parse_scope
from onvifd.onvif.soap.dispatch import Call, Service, operation
from onvifd.onvif.types import trc, tt

READ = AccessClass.READ_MEDIA
MOST = 1000
"""Segments of one answer if a client names no bound; the backend may have a lower one."""
_KINDS = {
    tt.TrackType.VIDEO.value: Kind.VIDEO,
    tt.TrackType.AUDIO.value: Kind.AUDIO,
    tt.TrackType.METADATA.value: Kind.METADATA,
}


class RecordingExportOperations(Service):
    """Operations that `RecordingService` has besides its own."""

    _export: ExportBackend
    _recordings: RecordingBackend
    _search: SearchBackend

    @operation(access=READ)
    async def list_recorded_segments(
        self, call: Call, request: trc.ListRecordedSegments
    ) -> trc.ListRecordedSegmentsResponse:
        limit = MOST if request.max_results is None else request.max_results
        found, more = await self._export.segments(
            request.recording_token, request.time.from_, request.time.until, limit
        )
        segments = tuple(
            trc.SegmentListResultSegment(start_time=each.start, end_time=each.end, media_type=each.media_type)
            for each in found
        )
        return trc.ListRecordedSegmentsResponse(results=trc.SegmentListResult(segment=segments, has_more_results=more))

    @operation(access=READ)
    async def export_recorded_segments(
        self, call: Call, request: trc.ExportRecordedSegments
    ) -> trc.ExportRecordedSegmentsResponse:
        kind = _KINDS.get(request.track) if request.track is not None else None
        if request.track is not None and kind is None:
            raise InvalidArgument("A track is of video, audio or metadata.")
        token = await self._export.export_segments(
            request.recording_token,
            request.time.from_,
            request.time.until,
            alias=request.alias,
            storage=request.storage_token,
            kind=kind,
        )
        return trc.ExportRecordedSegmentsResponse(operation_token=token)

    @operation(access=READ)
    async def stop_export_recorded_segments(
        self, call: Call, request: trc.StopExportRecordedSegments
    ) -> trc.StopExportRecordedSegmentsResponse:
        await self._export.stop_segments(request.operation_token)
        return trc.StopExportRecordedSegmentsResponse()

    @operation(access=READ)
    async def export_recorded_data(self, call: Call, request: trc.ExportRecordedData) -> trc.ExportRecordedDataResponse:
        # The search service's own words for what a scope can do wrong are kept (Search 5.2.4).
        scope = parse_scope(request.search_scope, call.element, self._recordings)
        chosen = await scope.recordings(self._search)
        token, names = await self._export.export_data(
            tuple(each.recording.token for each in chosen),
            request.start_point,
            request.end_point,
            format=request.file_format,
            storage=request.storage_destination.storage_token,
            path=request.storage_destination.relative_path or "",
        )
        return trc.ExportRecordedDataResponse(operation_token=token, file_names=names)

    @operation(access=READ)
    async def stop_export_recorded_data(
        self, call: Call, request: trc.StopExportRecordedData
    ) -> trc.StopExportRecordedDataResponse:
        state = await self._export.stop_data(request.operation_token)
        return trc.StopExportRecordedDataResponse(
            progress=state.progress, file_progress_status=file_progress(state.files)
        )

    @operation(access=READ)
    async def get_export_recorded_data_state(
        self, call: Call, request: trc.GetExportRecordedDataState
    ) -> trc.GetExportRecordedDataStateResponse:
        state = self._export.data_state(request.operation_token)
        return trc.GetExportRecordedDataStateResponse(
            progress=state.progress, file_progress_status=file_progress(state.files)
        )
