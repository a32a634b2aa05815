"""Recording search service (Search 5)."""

from __future__ import annotations

from typing import Any

from onvifd.access.types import AccessClass
from onvifd.clock import Clock
from onvifd.errors import InvalidArgument
from onvifd.events.topics import Topic
from onvifd.onvif.backend import RecordingBackend, RecordingData, SearchBackend
from onvifd.onvif.notification.faults import NotificationFault
from onvifd.onvif.notification.filters import EventFilter, parse_filter
from onvifd.onvif.search.events import EventSearch, FoundEvent
from onvifd.onvif.search.metadata import (
    FoundMetadata,
    FoundPosition,
    MetadataSearch,
    PositionJudge,
    found_metadata,
    position_of,
)
from onvifd.onvif.search.session import MAX_SESSIONS, MAX_WAIT, SearchSessions, Sink
from onvifd.onvif.search.xpath import MetadataStreamFilter
from onvifd.onvif.services.common import NS_SEARCH, SEARCH_PATH
from onvifd.onvif.services.recording_view import media_attributes, recording_information
from onvifd.onvif.services.search_scope import event_bounds, metadata_tracks, namespaces_of, parse_scope
from onvifd.onvif.services.search_view import as_position, event_result, position_result, seconds, state_of
from onvifd.onvif.soap.dispatch import Call, Service, operation
from onvifd.onvif.types import tse, tt

READ = AccessClass.READ_MEDIA

RESULT_TIMEOUT = MAX_WAIT + 20.0
"""Seconds that a handler of results may take, the longest WaitTime included."""
MAX_TOKENS = 1000
"""Recordings that GetMediaAttributes may name."""


class SearchService(Service):
    """Finds recordings, events, metadata and PTZ positions. `topics` is everything the body emits.

    It owns the search sessions: await `close` before the loop ends.
    """

    namespace = NS_SEARCH
    path = SEARCH_PATH
    prefix = "tse"
    not_served = frozenset(
        {
            "SearchImageByNL",
            "GetNLSearchResults",
            "SearchImageByImage",
            "GetImageSearchResults",
        }  # by their capabilities
    )

    def __init__(
        self,
        backend: SearchBackend,
        recordings: RecordingBackend,
        clock: Clock,
        topics: tuple[Topic, ...],
        *,
        max_searches: int = MAX_SESSIONS,
    ) -> None:
        self._backend = backend
        self._recordings = recordings
        self._topics = tuple(topic.name for topic in topics)
        self._recording_searches: SearchSessions[RecordingData] = SearchSessions(clock, max_sessions=max_searches)
        self._event_searches: SearchSessions[FoundEvent] = SearchSessions(clock, max_sessions=max_searches)
        self._metadata_searches: SearchSessions[FoundMetadata] = SearchSessions(clock, max_sessions=max_searches)
        self._position_searches: SearchSessions[FoundPosition] = SearchSessions(clock, max_sessions=max_searches)

    @property
    def _all(self) -> tuple[SearchSessions[Any], ...]:
        return self._recording_searches, self._event_searches, self._metadata_searches, self._position_searches

    async def close(self) -> None:
        for sessions in self._all:
            await sessions.close()

    def capabilities(self, call: Call) -> tse.Capabilities:
        return tse.Capabilities(metadata_search=True, general_start_events=True, nl_search=False, image_search=False)

    @operation(access=AccessClass.PRE_AUTH)
    async def get_service_capabilities(
        self, call: Call, request: tse.GetServiceCapabilities
    ) -> tse.GetServiceCapabilitiesResponse:
        return tse.GetServiceCapabilitiesResponse(capabilities=self.capabilities(call))

    # ---- without a session

    @operation(access=READ)
    async def get_recording_summary(
        self, call: Call, request: tse.GetRecordingSummary
    ) -> tse.GetRecordingSummaryResponse:
        data = await self._backend.recording_data()
        return tse.GetRecordingSummaryResponse(
            summary=tt.RecordingSummary(
                # Search 5.4: without data the times have no meaning, yet the schema wants them.
                data_from=min((item.earliest for item in data if item.earliest is not None), default=call.now),
                data_until=max((item.latest for item in data if item.latest is not None), default=call.now),
                number_recordings=len(data),
            )
        )

    @operation(access=READ)
    async def get_recording_information(
        self, call: Call, request: tse.GetRecordingInformation
    ) -> tse.GetRecordingInformationResponse:
        (data,) = await self._backend.recording_data((request.recording_token,))
        return tse.GetRecordingInformationResponse(recording_information=recording_information(data))

    @operation(access=READ)
    async def get_media_attributes(self, call: Call, request: tse.GetMediaAttributes) -> tse.GetMediaAttributesResponse:
        if len(request.recording_tokens) > MAX_TOKENS:
            raise InvalidArgument(f"At most {MAX_TOKENS} recordings can be named.")
        tokens = tuple(dict.fromkeys(request.recording_tokens))
        found = await self._backend.media_attributes(
            tokens or tuple(recording.token for recording in self._recordings.recordings()), request.time
        )
        return tse.GetMediaAttributesResponse(media_attributes=tuple(map(media_attributes, found)))

    # ---- recordings

    @operation(access=READ)
    async def find_recordings(self, call: Call, request: tse.FindRecordings) -> tse.FindRecordingsResponse:
        scope = parse_scope(request.scope, call.element, self._recordings)
        # A filter that fails must fail here, where the client looks for it.
        found = await scope.recordings(self._backend)

        async def produce(sink: Sink[RecordingData]) -> None:
            for item in found:
                if not await sink.put(item):
                    return

        token = self._recording_searches.start(
            produce,
            keep_alive=request.keep_alive_time.total_seconds(),
            max_matches=request.max_matches,
            start=call.now,
            end=call.now,
        )
        return tse.FindRecordingsResponse(search_token=token)

    @operation(access=READ, timeout=RESULT_TIMEOUT)
    async def get_recording_search_results(
        self, call: Call, request: tse.GetRecordingSearchResults
    ) -> tse.GetRecordingSearchResultsResponse:
        batch = await self._recording_searches.results(
            request.search_token, request.min_results, request.max_results, seconds(request.wait_time)
        )
        return tse.GetRecordingSearchResultsResponse(
            result_list=tt.FindRecordingResultList(
                search_state=state_of(batch.completed),
                recording_information=tuple(map(recording_information, batch.results)),
            )
        )

    # ---- events

    @operation(access=READ)
    async def find_events(self, call: Call, request: tse.FindEvents) -> tse.FindEventsResponse:
        scope = parse_scope(request.scope, call.element, self._recordings)
        filter_ = self._event_filter(request.search_filter)
        # Search 5.2.1: without an end point forward, to the present.
        end = request.end_point if request.end_point is not None else max(call.now, request.start_point)
        data = await scope.recordings(self._backend)
        search = EventSearch(
            backend=self._backend,
            start=request.start_point,
            end=end,
            recordings=frozenset(item.recording.token for item in data),
            filter=filter_,
            start_state=request.include_start_state,
            bounds=event_bounds(data),
        )
        token = self._event_searches.start(
            search.run,
            keep_alive=request.keep_alive_time.total_seconds(),
            max_matches=request.max_matches,
            start=request.start_point,
            end=end,
        )
        return tse.FindEventsResponse(search_token=token)

    @operation(access=READ, timeout=RESULT_TIMEOUT)
    async def get_event_search_results(
        self, call: Call, request: tse.GetEventSearchResults
    ) -> tse.GetEventSearchResultsResponse:
        batch = await self._event_searches.results(
            request.search_token, request.min_results, request.max_results, seconds(request.wait_time)
        )
        tracks = {item.token: item.tracks[0].token for item in self._recordings.recordings() if item.tracks}
        return tse.GetEventSearchResultsResponse(
            result_list=tt.FindEventResultList(
                search_state=state_of(batch.completed),
                result=tuple(event_result(found, tracks) for found in batch.results),
            )
        )

    # ---- metadata

    @operation(access=READ)
    async def find_metadata(self, call: Call, request: tse.FindMetadata) -> tse.FindMetadataResponse:
        scope = parse_scope(request.scope, call.element, self._recordings)
        text = request.metadata_filter.metadata_stream_filter.strip()
        names = namespaces_of(call.element, "MetadataStreamFilter")
        # Without an expression all documents are asked for, as with the other filters.
        filter_ = MetadataStreamFilter(text, names) if text else None
        end = request.end_point if request.end_point is not None else max(call.now, request.start_point)
        search: MetadataSearch[bool, FoundMetadata] = MetadataSearch(
            backend=self._backend,
            start=request.start_point,
            end=end,
            tracks=metadata_tracks(await scope.recordings(self._backend), call.now),
            take=lambda _, document: True if filter_ is None or filter_.matches(document) else None,
            judge=found_metadata,
        )
        token = self._metadata_searches.start(
            search.run,
            keep_alive=request.keep_alive_time.total_seconds(),
            max_matches=request.max_matches,
            start=request.start_point,
            end=end,
        )
        return tse.FindMetadataResponse(search_token=token)

    @operation(access=READ, timeout=RESULT_TIMEOUT)
    async def get_metadata_search_results(
        self, call: Call, request: tse.GetMetadataSearchResults
    ) -> tse.GetMetadataSearchResultsResponse:
        batch = await self._metadata_searches.results(
            request.search_token, request.min_results, request.max_results, seconds(request.wait_time)
        )
        return tse.GetMetadataSearchResultsResponse(
            result_list=tt.FindMetadataResultList(
                search_state=state_of(batch.completed),
                result=tuple(
                    tt.FindMetadataResult(recording_token=found.recording, track_token=found.track, time=found.utc)
                    for found in batch.results
                ),
            )
        )

    # ---- PTZ positions

    @operation(access=READ)
    async def find_ptz_position(self, call: Call, request: tse.FindPTZPosition) -> tse.FindPTZPositionResponse:
        scope = parse_scope(request.scope, call.element, self._recordings)
        end = request.end_point if request.end_point is not None else max(call.now, request.start_point)
        judge = PositionJudge(
            as_position(request.search_filter.min_position),
            as_position(request.search_filter.max_position),
            request.search_filter.enter_or_exit,
            end < request.start_point,
        )
        search = MetadataSearch(
            backend=self._backend,
            start=request.start_point,
            end=end,
            tracks=metadata_tracks(await scope.recordings(self._backend), call.now),
            take=position_of,
            judge=judge,
        )
        token = self._position_searches.start(
            search.run,
            keep_alive=request.keep_alive_time.total_seconds(),
            max_matches=request.max_matches,
            start=request.start_point,
            end=end,
        )
        return tse.FindPTZPositionResponse(search_token=token)

    @operation(access=READ, timeout=RESULT_TIMEOUT)
    async def get_ptz_position_search_results(
        self, call: Call, request: tse.GetPTZPositionSearchResults
    ) -> tse.GetPTZPositionSearchResultsResponse:
        batch = await self._position_searches.results(
            request.search_token, request.min_results, request.max_results, seconds(request.wait_time)
        )
        return tse.GetPTZPositionSearchResultsResponse(
            result_list=tt.FindPTZPositionResultList(
                search_state=state_of(batch.completed), result=tuple(map(position_result, batch.results))
            )
        )

    # ---- all of them

    @operation(access=READ)
    async def get_search_state(self, call: Call, request: tse.GetSearchState) -> tse.GetSearchStateResponse:
        """Deprecated with release 16.06 (Search 6.1), and still in the contract."""
        token = request.search_token
        return tse.GetSearchStateResponse(state=state_of(self._sessions_of(token).completed(token)))

    @operation(access=READ)
    async def end_search(self, call: Call, request: tse.EndSearch) -> tse.EndSearchResponse:
        token = request.search_token
        return tse.EndSearchResponse(endpoint=await self._sessions_of(token).end(token))

    def _sessions_of(self, token: str) -> SearchSessions[Any]:
        """The sessions that know a token, or any, which say that it is invalid."""
        return next((sessions for sessions in self._all if token in sessions), self._event_searches)

    def _event_filter(self, filter_: tt.EventFilter) -> EventFilter:
        try:
            return parse_filter(filter_.any_, self._topics)
        except NotificationFault as fault:
            # Search 5.9 has one fault for all of them.
            raise InvalidArgument(fault.reason, detail="InvalidFilterFault") from None
