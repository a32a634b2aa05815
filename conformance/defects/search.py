"""Defects of the search service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.defects.model import (
    Answer,
    Exchange,
    Stage,
    accepts,
    answer_defect,
    attribute,
    defect,
    fault,
    found,
    remove,
    request_defect,
    twice,
    write,
)
from conformance.names import clark, text

answer_defect(
    "summary-upside-down",
    "DataUntil is before DataFrom",
    "SEARCH-4-1-1",
    "GetRecordingSummary",
    write("tse:Summary/tt:DataUntil", "1990-01-01T00:00:00Z"),
)
answer_defect(
    "search-capabilities-disagree",
    "GetServiceCapabilities says another MetadataSearch than GetServices",
    "SEARCH-1-1-2",
    "GetServiceCapabilities",
    attribute("tse:Capabilities", "GeneralStartEvents", "0"),
)
request_defect(
    "max-results-ignored",
    "MaxResults is ignored",
    "SEARCH-2-1-4",
    "GetRecordingSearchResults",
    remove("tse:MaxResults"),
)
request_defect("max-matches-ignored", "MaxMatches is ignored", "SEARCH-3-1-5", "FindEvents", remove("tse:MaxMatches"))
request_defect(
    "information-filter-ignored",
    "RecordingInformationFilter is ignored",
    "SEARCH-2-1-14",
    "FindRecordings",
    remove("tse:Scope/tt:RecordingInformationFilter"),
)
answer_defect(
    "earliest-wrong",
    "EarliestRecording is not that of the tracks",
    "SEARCH-2-1-17",
    "GetRecordingSearchResults",
    write("tse:ResultList/tt:RecordingInformation/tt:EarliestRecording", "1990-01-01T00:00:00Z"),
)
answer_defect(
    "result-twice",
    "a recording comes twice in one search",
    "SEARCH-2-1-17",
    "GetRecordingSearchResults",
    twice("tse:ResultList/tt:RecordingInformation"),
)
answer_defect(
    "content-differs-in-search",
    "the search gives another Content than GetRecordings",
    "SEARCH-2-1-17",
    "GetRecordingSearchResults",
    write("tse:ResultList/tt:RecordingInformation/tt:Content", "something else"),
)
answer_defect(
    "information-differs",
    "GetRecordingInformation gives another status than the search",
    "SEARCH-2-1-18",
    "GetRecordingInformation",
    write("tse:RecordingInformation/tt:RecordingStatus", "Removing"),
)


@defect("search-dies-early", "a search session is gone before its time", "SEARCH-2-1-19", "GetRecordingSearchResults")
async def search_dies_early(exchange: Exchange, stage: Stage) -> Answer:
    return fault("env:Sender", "ter:InvalidArgVal", "ter:InvalidToken", status=400)


def _search_response(operation: str) -> str:
    result = "<tse:ResultList><tt:SearchState>Completed</tt:SearchState></tse:ResultList>"
    return f"<tse:{operation}Response>{result}</tse:{operation}Response>"


for _name, _what, _case, _operation in (
    ("search-never-dies", "a search session outlives its time", "SEARCH-2-1-20", "GetRecordingSearchResults"),
    ("ended-search-lives", "an ended search gives results", "SEARCH-2-1-12", "GetRecordingSearchResults"),
    ("unknown-search-accepted", "results of an unknown search are given", "SEARCH-2-1-10", "GetRecordingSearchResults"),
    ("unknown-event-search", "results of an unknown event search are given", "SEARCH-3-1-10", "GetEventSearchResults"),
    (
        "unknown-metadata-search",
        "results of an unknown metadata search are given",
        "SEARCH-5-1-6",
        "GetMetadataSearchResults",
    ),
):
    accepts(_name, _what, _case, _operation, _search_response(_operation))
accepts(
    "unknown-end-accepted",
    "EndSearch of an unknown search succeeds",
    "SEARCH-2-1-11",
    "EndSearch",
    "<tse:EndSearchResponse><tse:Endpoint>2030-01-01T00:00:00Z</tse:Endpoint></tse:EndSearchResponse>",
)


def _without_virtual(root: Any) -> None:
    for each in found(root, "tse:ResultList/tt:Result"):
        if text(each, "tt:StartStateEvent") in ("true", "1"):
            each.getparent().remove(each)


def _all_virtual(root: Any) -> None:
    for each in found(root, "tse:ResultList/tt:Result/tt:StartStateEvent"):
        each.text = "true"


def _reversed(path: str) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        results = found(root, path)
        if len(results) > 1:
            parent = results[0].getparent()
            for each in reversed(results):
                parent.remove(each)
                parent.append(each)

    return change


def _inverted(root: Any) -> None:
    """All states of recordings are said to be true."""
    for each in found(root, "tse:ResultList/tt:Result"):
        for item in each.iter(clark("tt:SimpleItem")):
            if item.get("Name") == "IsRecording":
                item.set("Value", "true")


answer_defect(
    "no-virtual-events",
    "IncludeStartState gives no virtual events",
    "SEARCH-3-1-11",
    "GetEventSearchResults",
    _without_virtual,
)
answer_defect(
    "all-events-virtual",
    "stored events are said to be virtual",
    "SEARCH-3-1-13",
    "GetEventSearchResults",
    _all_virtual,
)
answer_defect(
    "events-unordered",
    "events come in the wrong order",
    "SEARCH-3-1-13",
    "GetEventSearchResults",
    _reversed("tse:ResultList/tt:Result"),
)
answer_defect(
    "recording-state-stuck",
    "IsRecording is always true",
    "SEARCH-3-1-13",
    "GetEventSearchResults",
    _inverted,
)
request_defect(
    "scope-ignored",
    "events are searched for outside of the end points",
    "SEARCH-3-1-11",
    "FindEvents",
    write("tse:StartPoint", "1990-01-01T00:00:00Z"),
)
answer_defect(
    "metadata-unordered",
    "metadata results come in the wrong order",
    "SEARCH-5-1-1",
    "GetMetadataSearchResults",
    _reversed("tse:ResultList/tt:Result"),
)
request_defect(
    "metadata-filter-ignored",
    "MetadataStreamFilter is ignored",
    "SEARCH-5-1-5",
    "FindMetadata",
    write("tse:MetadataFilter/tt:MetadataStreamFilter", "boolean(//*)"),
)
answer_defect(
    "metadata-of-no-track",
    "metadata results name a track that holds none",
    "SEARCH-5-1-1",
    "GetMetadataSearchResults",
    write("tse:ResultList/tt:Result/tt:TrackToken", "VIDEO001"),
)
