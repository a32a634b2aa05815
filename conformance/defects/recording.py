"""Defects of recording control and receivers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lxml import etree

from conformance.defects.model import (
    Answer,
    Exchange,
    Stage,
    accepts,
    answer_defect,
    attribute,
    body_of,
    defect,
    found,
    remove,
    request_defect,
    succeed,
    twice,
    write,
)
from conformance.names import clark, find, text


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
    twice("trc:RecordingItem"),
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
    twice("trc:JobItem"),
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


accepts(
    "unknown-recording-accepted",
    "GetRecordingConfiguration of an unknown token succeeds",
    "RECORDING-4-1-3",
    "GetRecordingConfiguration",
    "<trc:GetRecordingConfigurationResponse><trc:RecordingConfiguration><tt:Source><tt:SourceId>http://192.0.2.1/</tt:SourceId>"
    "<tt:Name>n</tt:Name><tt:Location>l</tt:Location><tt:Description>d</tt:Description><tt:Address>http://192.0.2.1/</tt:Address>"
    "</tt:Source><tt:Content>c</tt:Content><tt:MaximumRetentionTime>PT0S</tt:MaximumRetentionTime>"
    "</trc:RecordingConfiguration></trc:GetRecordingConfigurationResponse>",
)
accepts(
    "unknown-track-accepted",
    "GetTrackConfiguration of an unknown token succeeds",
    "RECORDING-4-1-10",
    "GetTrackConfiguration",
    "<trc:GetTrackConfigurationResponse><trc:TrackConfiguration><tt:TrackType>Video</tt:TrackType>"
    "<tt:Description/></trc:TrackConfiguration></trc:GetTrackConfigurationResponse>",
)
accepts(
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
    twice("trv:Receivers"),
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
    accepts(_name, f"{_operation} of an unknown token succeeds", _case, _operation, _response)
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
