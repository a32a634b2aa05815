"""Recording search (Search 5)."""

from __future__ import annotations

from datetime import timedelta

from onvifd.onvif.soap.codec import AnyElements, Form, any_elements, attribute, element, schema
from onvifd.onvif.soap.namespaces import TSE
from onvifd.onvif.types import tt

NAMESPACE = TSE


@schema(TSE)
class GetServiceCapabilities:
    pass


@schema(TSE)
class GetServiceCapabilitiesResponse:
    capabilities: Capabilities = element("Capabilities")


@schema(TSE)
class Capabilities:
    any_: AnyElements = any_elements(default=())
    metadata_search: bool | None = attribute("MetadataSearch", default=None)
    general_start_events: bool | None = attribute("GeneralStartEvents", default=None)
    nl_search: bool | None = attribute("NLSearch", default=None)
    image_search: bool | None = attribute("ImageSearch", default=None)


@schema(TSE)
class GetRecordingSummary:
    pass


@schema(TSE)
class GetRecordingSummaryResponse:
    summary: tt.RecordingSummary = element("Summary")


@schema(TSE)
class GetRecordingInformation:
    recording_token: str = element("RecordingToken")


@schema(TSE)
class GetRecordingInformationResponse:
    recording_information: tt.RecordingInformation = element("RecordingInformation")


@schema(TSE)
class GetMediaAttributes:
    recording_tokens: tuple[str, ...] = element("RecordingTokens", default=())
    time: int = element("Time", form=Form.DATETIME)


@schema(TSE)
class GetMediaAttributesResponse:
    media_attributes: tuple[tt.MediaAttributes, ...] = element("MediaAttributes", default=())


@schema(TSE)
class FindRecordings:
    scope: tt.SearchScope = element("Scope")
    max_matches: int | None = element("MaxMatches", default=None)
    keep_alive_time: timedelta = element("KeepAliveTime")


@schema(TSE)
class FindRecordingsResponse:
    search_token: str = element("SearchToken")


@schema(TSE)
class GetRecordingSearchResults:
    search_token: str = element("SearchToken")
    min_results: int | None = element("MinResults", default=None)
    max_results: int | None = element("MaxResults", default=None)
    wait_time: timedelta | None = element("WaitTime", default=None)


@schema(TSE)
class GetRecordingSearchResultsResponse:
    result_list: tt.FindRecordingResultList = element("ResultList")


@schema(TSE)
class FindEvents:
    start_point: int = element("StartPoint", form=Form.DATETIME)
    end_point: int | None = element("EndPoint", default=None, form=Form.DATETIME)
    scope: tt.SearchScope = element("Scope")
    search_filter: tt.EventFilter = element("SearchFilter")
    include_start_state: bool = element("IncludeStartState")
    max_matches: int | None = element("MaxMatches", default=None)
    keep_alive_time: timedelta = element("KeepAliveTime")


@schema(TSE)
class FindEventsResponse:
    search_token: str = element("SearchToken")


@schema(TSE)
class GetEventSearchResults:
    search_token: str = element("SearchToken")
    min_results: int | None = element("MinResults", default=None)
    max_results: int | None = element("MaxResults", default=None)
    wait_time: timedelta | None = element("WaitTime", default=None)


@schema(TSE)
class GetEventSearchResultsResponse:
    result_list: tt.FindEventResultList = element("ResultList")


@schema(TSE)
class FindPTZPosition:
    start_point: int = element("StartPoint", form=Form.DATETIME)
    end_point: int | None = element("EndPoint", default=None, form=Form.DATETIME)
    scope: tt.SearchScope = element("Scope")
    search_filter: tt.PTZPositionFilter = element("SearchFilter")
    max_matches: int | None = element("MaxMatches", default=None)
    keep_alive_time: timedelta = element("KeepAliveTime")


@schema(TSE)
class FindPTZPositionResponse:
    search_token: str = element("SearchToken")


@schema(TSE)
class GetPTZPositionSearchResults:
    search_token: str = element("SearchToken")
    min_results: int | None = element("MinResults", default=None)
    max_results: int | None = element("MaxResults", default=None)
    wait_time: timedelta | None = element("WaitTime", default=None)


@schema(TSE)
class GetPTZPositionSearchResultsResponse:
    result_list: tt.FindPTZPositionResultList = element("ResultList")


@schema(TSE)
class FindMetadata:
    start_point: int = element("StartPoint", form=Form.DATETIME)
    end_point: int | None = element("EndPoint", default=None, form=Form.DATETIME)
    scope: tt.SearchScope = element("Scope")
    metadata_filter: tt.MetadataFilter = element("MetadataFilter")
    max_matches: int | None = element("MaxMatches", default=None)
    keep_alive_time: timedelta = element("KeepAliveTime")


@schema(TSE)
class FindMetadataResponse:
    search_token: str = element("SearchToken")


@schema(TSE)
class GetMetadataSearchResults:
    search_token: str = element("SearchToken")
    min_results: int | None = element("MinResults", default=None)
    max_results: int | None = element("MaxResults", default=None)
    wait_time: timedelta | None = element("WaitTime", default=None)


@schema(TSE)
class GetMetadataSearchResultsResponse:
    result_list: tt.FindMetadataResultList = element("ResultList")


@schema(TSE)
class GetSearchState:
    search_token: str = element("SearchToken")


@schema(TSE)
class GetSearchStateResponse:
    state: tt.SearchState = element("State")


@schema(TSE)
class EndSearch:
    search_token: str = element("SearchToken")


@schema(TSE)
class EndSearchResponse:
    endpoint: int = element("Endpoint", form=Form.DATETIME)


@schema(TSE)
class SearchImageByNLRequest:
    start_point: int = element("StartPoint", form=Form.DATETIME)
    end_point: int | None = element("EndPoint", default=None, form=Form.DATETIME)
    recording_token: str | None = element("RecordingToken", default=None)
    text: str = element("Text")
    similarity: float | None = element("Similarity", default=None)
    max_matches: int | None = element("MaxMatches", default=None)
    keep_alive_time: timedelta = element("KeepAliveTime")


@schema(TSE)
class SearchImageByNLResponse:
    search_token: str = element("SearchToken")


@schema(TSE)
class GetNLSearchResultsRequest:
    search_token: str = element("SearchToken")
    min_results: int | None = element("MinResults", default=None)
    max_results: int | None = element("MaxResults", default=None)
    wait_time: timedelta | None = element("WaitTime", default=None)


@schema(TSE)
class GetNLSearchResultsResponse:
    result_list: tt.FindNLSearchResultList = element("ResultList")


@schema(TSE)
class SearchImageByImageRequest:
    start_point: int = element("StartPoint", form=Form.DATETIME)
    end_point: int | None = element("EndPoint", default=None, form=Form.DATETIME)
    recording_token: str | None = element("RecordingToken", default=None)
    target_image_uri: str | None = element("TargetImageURI", default=None)
    target_image_data: bytes | None = element("TargetImageData", default=None)
    max_matches: int | None = element("MaxMatches", default=None)
    keep_alive_time: timedelta = element("KeepAliveTime")


@schema(TSE)
class SearchImageByImageResponse:
    search_token: str = element("SearchToken")


@schema(TSE)
class GetImageSearchResultsRequest:
    search_token: str = element("SearchToken")
    min_results: int | None = element("MinResults", default=None)
    max_results: int | None = element("MaxResults", default=None)
    wait_time: timedelta | None = element("WaitTime", default=None)


@schema(TSE)
class GetImageSearchResultsResponse:
    result_list: tt.FindObjectImageResultList = element("ResultList")
