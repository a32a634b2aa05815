"""Defects of recording control, receivers and search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lxml import etree

from conformance.defects.model import (
    Answer,
    Exchange,
    Stage,
    answer_defect,
    attribute,
    body_of,
    defect,
    fault,
    found,
    remove,
    request_defect,
    succeed,
    write,
)
from conformance.names import clark, find, text


def _twice(path: str) -> Callable[[Any], None]:
    """The first element at a path stands there twice."""

    def change(root: Any) -> None:
        for each in found(root, path)[:1]:
            each.addnext(etree.fromstring(etree.tostring(each, with_tail=False)))

    return change


def _first(path: str, value: str) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        for each in found(root, path)[:1]:
            each.text = value

    return change


# ---- recording control: reading -----------------------------------------------------------------------

answer_defect(
    "rate-of-zero",
    "Capabilities.MaxRate is 0",
    "RECORDING-1-1-1",
    "GetServiceCapabilities",
    attribute("trc:Capabilities", "MaxRate", "0"),
)
answer_defect(
    "no-encodings",
    "Capabilities.Encoding is an empty list",
    "RECORDING-1-1-1",
    "GetServiceCapabilities",
    attribute("trc:Capabilities", "Encoding", ""),
)
answer_defect(
    "recording-capabilities-disagree",
    "GetServiceCapabilities says another MaxRecordings than GetServices",
    "RECORDING-1-1-3",
    "GetServiceCapabilities",
    attribute("trc:Capabilities", "MaxRecordings", "7"),
)
answer_defect(
    "recording-twice",
    "GetRecordings lists a recording twice",
    "RECORDING-4-1-1",
    "GetRecordings",
    _twice("trc:RecordingItem"),
)
answer_defect(
    "recording-content-differs",
    "GetRecordingConfiguration gives another Content than GetRecordings",
    "RECORDING-4-1-2",
    "GetRecordingConfiguration",
    write("trc:RecordingConfiguration/tt:Content", "something else"),
)
answer_defect(
    "job-twice",
    "GetRecordingJobs lists a job twice",
    "RECORDING-4-1-4",
    "GetRecordingJobs",
    _twice("trc:JobItem"),
)
answer_defect(
    "job-priority-differs",
    "GetRecordingJobConfiguration gives another Priority than GetRecordingJobs",
    "RECORDING-4-1-5",
    "GetRecordingJobConfiguration",
    write("trc:JobConfiguration/tt:Priority", "77"),
)
answer_defect(
    "job-of-no-recording",
    "a job belongs to a recording that is not listed",
    "RECORDING-4-1-5",
    "GetRecordingJobs",
    _first("trc:JobItem/tt:JobConfiguration/tt:RecordingToken", "rec-nowhere"),
)
answer_defect(
    "state-without-sources",
    "GetRecordingJobState leaves out the sources",
    "RECORDING-4-1-7",
    "GetRecordingJobState",
    remove("trc:State/tt:Sources"),
)
answer_defect(
    "track-described-otherwise",
    "GetTrackConfiguration gives another Description than GetRecordings",
    "RECORDING-4-1-9",
    "GetTrackConfiguration",
    write("trc:TrackConfiguration/tt:Description", "something else"),
)


def _accepts(name: str, what: str, case: str, operation: str, response: str) -> None:
    """A request for something unknown is answered as if it were there."""

    @defect(name, what, case, operation)
    async def apply(exchange: Exchange, stage: Stage) -> Answer:
        answer = await stage.forward(exchange)
        return succeed(response) if answer.is_fault else answer


_accepts(
    "unknown-recording-accepted",
    "GetRecordingConfiguration of an unknown token succeeds",
    "RECORDING-4-1-3",
    "GetRecordingConfiguration",
    "<trc:GetRecordingConfigurationResponse><trc:RecordingConfiguration><tt:Source><tt:SourceId>http://192.0.2.1/</tt:SourceId>"
    "<tt:Name>n</tt:Name><tt:Location>l</tt:Location><tt:Description>d</tt:Description><tt:Address>http://192.0.2.1/</tt:Address>"
    "</tt:Source><tt:Content>c</tt:Content><tt:MaximumRetentionTime>PT0S</tt:MaximumRetentionTime>"
    "</trc:RecordingConfiguration></trc:GetRecordingConfigurationResponse>",
)
_accepts(
    "unknown-track-accepted",
    "GetTrackConfiguration of an unknown token succeeds",
    "RECORDING-4-1-10",
    "GetTrackConfiguration",
    "<trc:GetTrackConfigurationResponse><trc:TrackConfiguration><tt:TrackType>Video</tt:TrackType>"
    "<tt:Description/></trc:TrackConfiguration></trc:GetTrackConfigurationResponse>",
)
_accepts(
    "unknown-job-accepted",
    "GetRecordingJobConfiguration of an unknown token succeeds",
    "RECORDING-4-1-13",
    "GetRecordingJobConfiguration",
    "<trc:GetRecordingJobConfigurationResponse><trc:JobConfiguration><tt:RecordingToken>r</tt:RecordingToken><tt:Mode>Idle</tt:Mode>"
    "<tt:Priority>1</tt:Priority></trc:JobConfiguration></trc:GetRecordingJobConfigurationResponse>",
)

# ---- recording control: writing -----------------------------------------------------------------------

request_defect(
    "name-cut-off",
    "SetRecordingConfiguration cuts the name",
    "RECORDING-4-1-11",
    "SetRecordingConfiguration",
    write("trc:RecordingConfiguration/tt:Source/tt:Name", "Camera"),
)
request_defect(
    "source-forgotten",
    "CreateRecording stores another SourceId",
    "RECORDING-4-1-12",
    "CreateRecording",
    write("trc:RecordingConfiguration/tt:Source/tt:SourceId", "http://192.0.2.1/"),
)
request_defect(
    "content-forgotten",
    "CreateRecording stores another Content",
    "RECORDING-3-1-10",
    "CreateRecording",
    write("trc:RecordingConfiguration/tt:Content", "something else"),
)
request_defect(
    "track-of-other-type",
    "CreateTrack makes a track with another description",
    "RECORDING-3-1-7",
    "CreateTrack",
    write("trc:TrackConfiguration/tt:Description", "something else"),
)
answer_defect(
    "job-answered-otherwise",
    "CreateRecordingJob answers with another Priority",
    "RECORDING-2-1-28",
    "CreateRecordingJob",
    write("trc:JobConfiguration/tt:Priority", "9"),
)


def _auto_receiver(root: Any) -> None:
    for each in found(root, "trc:JobConfiguration/tt:Source/tt:SourceToken"):
        element = etree.Element(clark("tt:AutoCreateReceiver"))
        element.text = "true"
        each.addnext(element)


answer_defect(
    "auto-receiver-reported",
    "CreateRecordingJob reports AutoCreateReceiver",
    "RECORDING-2-1-20",
    "CreateRecordingJob",
    _auto_receiver,
)


def _ignored(name: str, what: str, case: str, operation: str) -> None:
    """A request is answered as if it had been carried out."""

    @defect(name, what, case, operation)
    async def apply(exchange: Exchange, stage: Stage) -> Answer:
        prefix = "trv" if "Receiver" in operation else "trc"
        return succeed(f"<{prefix}:{operation}Response/>")


_ignored("mode-ignored", "SetRecordingJobMode changes nothing", "RECORDING-2-1-29", "SetRecordingJobMode")
_ignored("job-not-deleted", "DeleteRecordingJob deletes nothing", "RECORDING-2-1-30", "DeleteRecordingJob")
_ignored("recording-not-deleted", "DeleteRecording deletes nothing", "RECORDING-3-1-10", "DeleteRecording")
_ignored("track-not-deleted", "DeleteTrack deletes nothing", "RECORDING-3-1-7", "DeleteTrack")
answer_defect(
    "always-active",
    "a job of lower priority stays Active",
    "RECORDING-3-1-11",
    "GetRecordingJobState",
    write("trc:State/tt:State", "Active"),
)

# ---- recording control: events ------------------------------------------------------------------------


def _topics(path: str, change: Callable[[Any], None]) -> Callable[[Any], None]:
    def apply(root: Any) -> None:
        node = find(body_of(root), "wstop:TopicSet/tns1:RecordingConfig")
        for step in path.split("/"):
            node = None if node is None else find(node, step)
        if node is not None:
            change(node)

    return apply


def _is_property(value: str) -> Callable[[Any], None]:
    def change(node: Any) -> None:
        find(node, "tt:MessageDescription").set("IsProperty", value)

    return change


def _item_named(name: str) -> Callable[[Any], None]:
    def change(node: Any) -> None:
        next(node.iter(clark("tt:SimpleItemDescription"))).set("Name", name)

    return change


for _name, _what, _case, _topic, _change in (
    ("job-state-no-property", "JobState is no property", "RECORDING-5-1-18", "JobState", _is_property("false")),
    ("create-track-a-property", "CreateTrack is a property", "RECORDING-5-1-8", "CreateTrack", _is_property("true")),
    (
        "delete-track-item",
        "DeleteTrack has another source item",
        "RECORDING-5-1-9",
        "DeleteTrack",
        _item_named("Recording"),
    ),
    (
        "delete-data-item",
        "DeleteTrackData has another source item",
        "RECORDING-5-1-14",
        "DeleteTrackData",
        _item_named("Recording"),
    ),
):
    answer_defect(_name, _what, _case, "GetEventProperties", _topics(_topic, _change))


def _in_messages(topic: str, change: Callable[[Any], None]) -> Callable[[Any], None]:
    """Changes tt:Message of pulled messages of a topic."""

    def apply(root: Any) -> None:
        for each in found(root, "wsnt:NotificationMessage"):
            if text(each, "wsnt:Topic").endswith(topic):
                change(find(each, "wsnt:Message/tt:Message"))

    return apply


def _rename(old: str, new: str) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        for each in message.iter(clark("tt:SimpleItem"), clark("tt:ElementItem")):
            if each.get("Name") == old:
                each.set("Name", new)

    return change


def _initialized(message: Any) -> None:
    message.set("PropertyOperation", "Initialized")


for _name, _what, _case, _topic, _change in (
    (
        "configuration-item-renamed",
        "RecordingConfiguration messages have no Configuration",
        "RECORDING-5-1-3",
        "RecordingConfig/RecordingConfiguration",
        _rename("Configuration", "Content"),
    ),
    (
        "created-recording-unnamed",
        "CreateRecording messages do not name the recording",
        "RECORDING-5-1-6",
        "RecordingConfig/CreateRecording",
        _rename("RecordingToken", "Recording"),
    ),
    (
        "job-change-as-initialized",
        "changes of JobState come as Initialized",
        "RECORDING-5-1-19",
        "RecordingConfig/JobState",
        _initialized,
    ),
):
    answer_defect(_name, _what, _case, "PullMessages", _in_messages(_topic, _change))

# ---- receivers ----------------------------------------------------------------------------------------

answer_defect(
    "short-uris",
    "MaximumRTSPURILength is 64",
    "RECEIVER-1-1-1",
    "GetServiceCapabilities",
    attribute("trv:Capabilities", "MaximumRTSPURILength", "64"),
)
answer_defect(
    "no-receivers-supported",
    "SupportedReceivers is 0",
    "RECEIVER-1-1-1",
    "GetServiceCapabilities",
    attribute("trv:Capabilities", "SupportedReceivers", "0"),
)
answer_defect(
    "receiver-capabilities-disagree",
    "GetServiceCapabilities says another SupportedReceivers than GetServices",
    "RECEIVER-1-1-2",
    "GetServiceCapabilities",
    attribute("trv:Capabilities", "SupportedReceivers", "3"),
)
answer_defect(
    "receiver-mode-differs",
    "GetReceiver gives another Mode than GetReceivers",
    "RECEIVER-2-1-2",
    "GetReceiver",
    write("trv:Receiver/tt:Configuration/tt:Mode", "AlwaysConnect"),
)
answer_defect(
    "receiver-twice",
    "GetReceivers lists a receiver twice",
    "RECEIVER-2-1-2",
    "GetReceivers",
    _twice("trv:Receivers"),
)
answer_defect(
    "receiver-answered-otherwise",
    "CreateReceiver answers with another Mode",
    "RECEIVER-2-1-6",
    "CreateReceiver",
    write("trv:Receiver/tt:Configuration/tt:Mode", "AutoConnect"),
)
_RECEIVER = (
    "<tt:Token>r</tt:Token><tt:Configuration><tt:Mode>NeverConnect</tt:Mode><tt:MediaUri>rtsp://192.0.2.1/</tt:MediaUri>"
    "<tt:StreamSetup><tt:Stream>RTP-Unicast</tt:Stream><tt:Transport><tt:Protocol>UDP</tt:Protocol></tt:Transport>"
    "</tt:StreamSetup></tt:Configuration>"
)
for _name, _operation, _case, _response in (
    (
        "unknown-receiver-accepted",
        "GetReceiver",
        "RECEIVER-2-1-3",
        f"<trv:GetReceiverResponse><trv:Receiver>{_RECEIVER}</trv:Receiver></trv:GetReceiverResponse>",
    ),
    (
        "unknown-receiver-has-state",
        "GetReceiverState",
        "RECEIVER-2-1-5",
        "<trv:GetReceiverStateResponse><trv:ReceiverState><tt:State>NotConnected</tt:State><tt:AutoCreated>false</tt:AutoCreated>"
        "</trv:ReceiverState></trv:GetReceiverStateResponse>",
    ),
    ("unknown-receiver-deleted", "DeleteReceiver", "RECEIVER-2-1-10", "<trv:DeleteReceiverResponse/>"),
    ("unknown-receiver-set", "SetReceiverMode", "RECEIVER-2-1-13", "<trv:SetReceiverModeResponse/>"),
    ("unknown-receiver-configured", "ConfigureReceiver", "RECEIVER-2-1-19", "<trv:ConfigureReceiverResponse/>"),
):
    _accepts(_name, f"{_operation} of an unknown token succeeds", _case, _operation, _response)
_ignored("receiver-mode-ignored", "SetReceiverMode changes nothing", "RECEIVER-2-1-11", "SetReceiverMode")
_ignored("receiver-not-deleted", "DeleteReceiver deletes nothing", "RECEIVER-2-1-9", "DeleteReceiver")
_ignored("receiver-not-configured", "ConfigureReceiver changes nothing", "RECEIVER-2-1-20", "ConfigureReceiver")
request_defect(
    "receiver-uri-changed",
    "CreateReceiver stores another address",
    "RECEIVER-2-1-6",
    "CreateReceiver",
    write("trv:Configuration/tt:MediaUri", "rtsp://192.0.2.99/"),
)
request_defect(
    "receiver-always-tcp",
    "a receiver for UDP receives by TCP",
    "RECEIVER-2-1-16",
    "ConfigureReceiver",
    write("trv:Configuration/tt:StreamSetup/tt:Transport/tt:Protocol", "RTSP"),
)
answer_defect(
    "receiver-state-stale",
    "GetReceiverState says NotConnected for ever",
    "RECEIVER-2-1-17",
    "GetReceiverState",
    write("trv:ReceiverState/tt:State", "NotConnected"),
)
answer_defect(
    "receiver-state-unnamed",
    "ChangeState messages do not name the receiver",
    "RECEIVER-2-1-17",
    "PullMessages",
    _in_messages("Receiver/ChangeState", _rename("ReceiverToken", "Receiver")),
)
answer_defect(
    "connection-failure-unnamed",
    "ConnectionFailed messages do not name the receiver",
    "RECEIVER-2-1-18",
    "PullMessages",
    _in_messages("Receiver/ConnectionFailed", _rename("ReceiverToken", "Receiver")),
)


@defect("receivers-without-end", "more receivers than SupportedReceivers are taken", "RECEIVER-2-1-8", "CreateReceiver")
async def receivers_without_end(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    if not answer.is_fault:
        return answer
    return succeed(f"<trv:CreateReceiverResponse><trv:Receiver>{_RECEIVER}</trv:Receiver></trv:CreateReceiverResponse>")


# ---- search -------------------------------------------------------------------------------------------


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
    _twice("tse:ResultList/tt:RecordingInformation"),
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
    _accepts(_name, _what, _case, _operation, _search_response(_operation))
_accepts(
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
