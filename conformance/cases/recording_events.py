"""Test/Recording 5.5: events of recording control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lxml import etree

from conformance.cases.event_messages import Message
from conformance.cases.event_values import Topic
from conformance.cases.recording_common import (
    CONTROL,
    DYNAMIC,
    MEDIA,
    OPTIONS,
    PULL_POINT,
    TRACKS,
    configuration,
    create_recording,
    delete_recording,
    discard_recording,
    job_state,
    jobs,
    place_for_track,
    recordings,
    room_for_recording,
    set_mode,
    some_job,
    tracks,
)
from conformance.cases.recording_general import recording_configuration, set_configuration, track_configuration
from conformance.cases.recording_jobs import delete_track_request, track_request
from conformance.cases.recording_messages import (
    JOB_STATE,
    await_message,
    check_described,
    check_property,
    check_type,
    config_topic,
    delta,
    describe,
    element_item,
    item,
    listening,
)
from conformance.cases.recording_values import whole
from conformance.model import Examination, case
from conformance.names import find, renamed, text

DOCUMENT = "Recording"
NEEDS = (CONTROL, PULL_POINT)
RECORDING_ITEM = ("Source", "RecordingToken", "tt:RecordingReference")
TRACK_ITEM = ("Source", "TrackToken", "tt:TrackReference")
JOB_ITEM = ("Source", "RecordingJobToken", "tt:RecordingJobReference")


async def _described(x: Examination, topic: Topic, *items: tuple[str, str, str], is_property: bool = False) -> Any:
    description = await describe(x, topic)
    check_property(x, description, topic, is_property)
    for part, name, type_ in items:
        check_described(x, description, topic, part, name, type_)
    return description


def _about(**source: str) -> Any:
    def wanted(message: Message) -> bool:
        return all(item(message, "Source", name) == value for name, value in source.items())

    return wanted


def _configuration_of(x: Examination, message: Message, type_: str, read: Any) -> None:
    """The Configuration of a message must be valid, and what the device gives when asked."""
    sent = element_item(message, "Configuration")
    x.check(sent is not None, f"the message of {message.topic} has no ElementItem Configuration")
    check_type(x, sent, type_, f"Configuration in the message of {message.topic}")
    x.check(whole(sent) == whole(read), f"Configuration in the message of {message.topic} is not what the device gives")


@case("RECORDING-5-1-3", document=DOCUMENT, name="RECORDING CONTROL - RECORDING CONFIGURATION EVENT", requires=NEEDS)
async def recording_configuration_event(x: Examination) -> None:
    known = await recordings(x)
    x.check(known, "GetRecordingsResponse has no recording; the case wants at least one")
    token, element = next(iter(known.items()))
    before = find(element, "tt:Configuration")
    topic = config_topic("RecordingConfiguration")
    await _described(x, topic, RECORDING_ITEM, ("Data", "Configuration", "tt:RecordingConfiguration"))
    changed = renamed(before, "trc:RecordingConfiguration")
    name = text(before, "tt:Source/tt:Name")
    other = "Camera of a case" if name != "Camera of a case" else "Other camera"
    async with listening(x, topic) as sub:
        try:
            await set_configuration(x, token, _with_text(changed, "Name", other))
            message = await await_message(x, sub, topic, f"for recording {token}", _about(RecordingToken=token))
            _configuration_of(x, message, "tt:RecordingConfiguration", await recording_configuration(x, token))
        finally:
            await set_configuration(x, token, changed)


def _with_text(element: str, name: str, value: str) -> str:
    """An element as text, with another text in its first descendant of a name."""
    root = etree.fromstring(element)
    for each in root.iter():
        if isinstance(each.tag, str) and etree.QName(each).localname == name:
            each.text = value
            break
    return str(etree.tostring(root, encoding="unicode"))


@case("RECORDING-5-1-4", document=DOCUMENT, name="RECORDING CONTROL - TRACK CONFIGURATION EVENT", requires=NEEDS)
async def track_configuration_event(x: Examination) -> None:
    found = [(token, track, each) for token, r in (await recordings(x)).items() for track, each in tracks(r).items()]
    x.check(found, "no recording has a track; the case wants one")
    token, track, element = found[0]
    before = find(element, "tt:Configuration")
    topic = config_topic("TrackConfiguration")
    data = ("Data", "Configuration", "tt:TrackConfiguration")
    await _described(x, topic, RECORDING_ITEM, TRACK_ITEM, data)
    kept = renamed(before, "trc:TrackConfiguration")

    async def write(inside: str) -> None:
        body = f"<trc:RecordingToken>{token}</trc:RecordingToken><trc:TrackToken>{track}</trc:TrackToken>{inside}"
        await x.ask("trc", f"<trc:SetTrackConfiguration>{body}</trc:SetTrackConfiguration>")

    other = "Described by a case" if text(before, "tt:Description") != "Described by a case" else "Described otherwise"
    async with listening(x, topic) as sub:
        try:
            await write(_with_text(kept, "Description", other))
            wanted = _about(RecordingToken=token, TrackToken=track)
            message = await await_message(x, sub, topic, f"for track {track} of {token}", wanted)
            _configuration_of(x, message, "tt:TrackConfiguration", await track_configuration(x, token, track))
        finally:
            await write(kept)


@case(
    "RECORDING-5-1-6",
    document=DOCUMENT,
    name="RECORDING CONTROL - CREATE RECORDING EVENT",
    requires=(*NEEDS, DYNAMIC),
)
async def create_recording_event(x: Examination) -> None:
    await room_for_recording(x)
    topic = config_topic("CreateRecording")
    await _described(x, topic, RECORDING_ITEM)
    async with listening(x, topic) as sub:
        token = await create_recording(x, configuration(x, Content="Create recording event test"))
        try:
            await await_message(x, sub, topic, f"for recording {token}", _about(RecordingToken=token))
        finally:
            await discard_recording(x, token)


_EITHER = ("Event Service", CONTROL, f"{DYNAMIC} OR {TRACKS}")


@case("RECORDING-5-1-8", document=DOCUMENT, name="RECORDING CONTROL - CREATE TRACK EVENT", requires=_EITHER)
async def create_track_described(x: Examination) -> None:
    await _described(x, config_topic("CreateTrack"), RECORDING_ITEM, TRACK_ITEM)


@case("RECORDING-5-1-9", document=DOCUMENT, name="RECORDING CONTROL - DELETE TRACK EVENT", requires=_EITHER)
async def delete_track_described(x: Examination) -> None:
    await _described(x, config_topic("DeleteTrack"), RECORDING_ITEM, TRACK_ITEM)


async def _of_each_track(x: Examination, sub: Any, topic: Topic, recording: str, known: Sequence[str]) -> None:
    """One message for each track of a recording."""
    left = set(known)

    def wanted(message: Message) -> bool:
        if item(message, "Source", "RecordingToken") == recording:
            left.discard(item(message, "Source", "TrackToken"))
        return not left

    what = f"for each track ({', '.join(known)}) of {recording}"
    await await_message(x, sub, topic, what, wanted, seconds=delta(x) + len(known))


@case(
    "RECORDING-5-1-10",
    document=DOCUMENT,
    name="RECORDING CONTROL - CREATE TRACK EVENT (CREATE RECORDING)",
    requires=(*NEEDS, DYNAMIC),
)
async def create_track_by_recording(x: Examination) -> None:
    await room_for_recording(x)
    topic = config_topic("CreateTrack")
    async with listening(x, topic) as sub:
        token = await create_recording(x, configuration(x, Content="Create recording event test"))
        try:
            known = list(tracks((await recordings(x))[token]))
            if known:
                await _of_each_track(x, sub, topic, token, known)
        finally:
            await discard_recording(x, token)


@case(
    "RECORDING-5-1-11",
    document=DOCUMENT,
    name="RECORDING CONTROL - DELETE TRACK EVENT (DELETE RECORDING)",
    requires=(*NEEDS, DYNAMIC),
)
async def delete_track_by_recording(x: Examination) -> None:
    await room_for_recording(x)
    topic = config_topic("DeleteTrack")
    token = await create_recording(x, configuration(x, Content="Create recording event test"))
    gone = False
    try:
        known = list(tracks((await recordings(x))[token]))
        async with listening(x, topic) as sub:
            await delete_recording(x, token)
            gone = True
            if known:
                await _of_each_track(x, sub, topic, token, known)
    finally:
        if not gone:
            await discard_recording(x, token)


@case(
    "RECORDING-5-1-14",
    document=DOCUMENT,
    name="RECORDING CONTROL - DELETE TRACK DATA EVENT",
    requires=(*_EITHER, "Recording Control/DeleteTrackData"),
)
async def delete_track_data_described(x: Examination) -> None:
    times = (("Data", "StartTime", "xs:dateTime"), ("Data", "EndTime", "xs:dateTime"))
    await _described(x, config_topic("DeleteTrackData"), RECORDING_ITEM, TRACK_ITEM, *times)


@case(
    "RECORDING-5-1-15",
    document=DOCUMENT,
    name="RECORDING CONTROL - CREATE TRACK EVENT (CREATE TRACK)",
    requires=(*NEEDS, TRACKS, OPTIONS),
)
async def create_track_event(x: Examination) -> None:
    topic = config_topic("CreateTrack")
    async with place_for_track(x) as (recording, kind), listening(x, topic) as sub:
        track = text(await x.ask("trc", track_request(recording, kind)), "trc:TrackToken")
        try:
            wanted = _about(RecordingToken=recording, TrackToken=track)
            await await_message(x, sub, topic, f"for track {track} of {recording}", wanted)
        finally:
            await x.soap.call("trc", delete_track_request(recording, track))


@case(
    "RECORDING-5-1-16",
    document=DOCUMENT,
    name="RECORDING CONTROL - DELETE TRACK EVENT (DELETE TRACK)",
    requires=(*NEEDS, TRACKS, OPTIONS),
)
async def delete_track_event(x: Examination) -> None:
    topic = config_topic("DeleteTrack")
    async with place_for_track(x) as (recording, kind):
        track = text(await x.ask("trc", track_request(recording, kind)), "trc:TrackToken")
        async with listening(x, topic) as sub:
            await x.ask("trc", delete_track_request(recording, track))
            wanted = _about(RecordingToken=recording, TrackToken=track)
            await await_message(x, sub, topic, f"for track {track} of {recording}", wanted)


@case(
    "RECORDING-5-1-17",
    document=DOCUMENT,
    name="RECORDING CONTROL - DELETE RECORDING EVENT",
    requires=(*NEEDS, DYNAMIC),
)
async def delete_recording_event(x: Examination) -> None:
    await room_for_recording(x)
    topic = config_topic("DeleteRecording")
    token = await create_recording(x, configuration(x))
    gone = False
    try:
        await _described(x, topic, RECORDING_ITEM)
        async with listening(x, topic) as sub:
            await delete_recording(x, token)
            gone = True
            await await_message(x, sub, topic, f"for recording {token}", _about(RecordingToken=token))
    finally:
        if not gone:
            await discard_recording(x, token)


# ---- jobs ---------------------------------------------------------------------------------------------

_JOB_NEEDS = (*NEEDS, f"{MEDIA} OR Receiver Service", OPTIONS)


def _state_message(x: Examination, message: Message, known: Sequence[str]) -> None:
    job = item(message, "Source", "RecordingJobToken")
    x.check(job in known, f"a message of {JOB_STATE} names the job {job!r}, which GetRecordingJobs does not list")
    x.check(item(message, "Data", "State"), f"the message of {JOB_STATE} for {job} has no State in Data")
    information = element_item(message, "Information")
    if information is not None:
        check_type(x, information, "tt:RecordingJobStateInformation", f"Information in the message for {job}")


async def _same_state(x: Examination, message: Message) -> None:
    job = item(message, "Source", "RecordingJobToken")
    state = await job_state(x, job)
    sent, now = item(message, "Data", "State"), text(state, "tt:State")
    x.check(sent == now, f"the message for {job} says {sent}, GetRecordingJobState says {now}")
    information = element_item(message, "Information")
    if information is not None:
        x.check(
            whole(information) == whole(state), f"Information in the message for {job} is not the State of the answer"
        )


@case("RECORDING-5-1-18", document=DOCUMENT, name="RECORDING CONTROL - JOB STATE EVENT", requires=_JOB_NEEDS)
async def job_state_event(x: Examination) -> None:
    async with some_job(x):
        data = ("Data", "State", "xs:string")
        description = await _described(x, JOB_STATE, JOB_ITEM, data, is_property=True)
        if any(each.get("Name") == "Information" for each in description.iter() if isinstance(each.tag, str)):
            information = ("Data", "Information", "tt:RecordingJobStateInformation")
            check_described(x, description, JOB_STATE, *information)
        known = list(await jobs(x))
        seen: dict[str, Message] = {}

        def wanted(message: Message) -> bool:
            _state_message(x, message, known)
            seen.setdefault(item(message, "Source", "RecordingJobToken"), message)
            return len(seen) == len(known)

        async with listening(x, JOB_STATE) as sub:
            what = f"for each job ({', '.join(known)})"
            await await_message(x, sub, JOB_STATE, what, wanted, seconds=delta(x) + len(known))
        for job, message in seen.items():
            x.check(
                message.operation == "Initialized",
                f"the first message for {job} has PropertyOperation {message.operation!r}, not Initialized",
            )
            await _same_state(x, message)


@case("RECORDING-5-1-19", document=DOCUMENT, name="RECORDING CONTROL - JOB STATE CHANGE EVENT", requires=_JOB_NEEDS)
async def job_state_change_event(x: Examination) -> None:
    async with some_job(x) as job, listening(x, JOB_STATE) as sub:
        known = await jobs(x)
        mode = text(known[job], "tt:Mode")
        about = _about(RecordingJobToken=job)
        await await_message(x, sub, JOB_STATE, f"for job {job}", about)
        other = "Idle" if mode == "Active" else "Active"
        try:
            await set_mode(x, job, other)
            message = await await_message(
                x,
                sub,
                JOB_STATE,
                f"with PropertyOperation Changed for job {job}",
                lambda m: about(m) and m.operation == "Changed",
            )
            _state_message(x, message, list(known))
            await _same_state(x, message)
        finally:
            await set_mode(x, job, mode)


@case(
    "RECORDING-5-1-20",
    document=DOCUMENT,
    name="RECORDING CONTROL - RECORDING JOB CONFIGURATION EVENT",
    requires=_JOB_NEEDS,
)
async def job_configuration_event(x: Examination) -> None:
    async with some_job(x) as job:
        topic = config_topic("RecordingJobConfiguration")
        await _described(x, topic, JOB_ITEM, ("Data", "Configuration", "tt:RecordingJobConfiguration"))
        before = (await jobs(x))[job]
        kept = renamed(before, "trc:JobConfiguration")

        async def write(inside: str) -> None:
            body = f"<trc:JobToken>{job}</trc:JobToken>{inside}"
            await x.ask("trc", f"<trc:SetRecordingJobConfiguration>{body}</trc:SetRecordingJobConfiguration>")

        other = "Idle" if text(before, "tt:Mode") == "Active" else "Active"
        async with listening(x, topic) as sub:
            try:
                await write(_with_text(kept, "Mode", other))
                message = await await_message(x, sub, topic, f"for job {job}", _about(RecordingJobToken=job))
                body = f"<trc:GetRecordingJobConfiguration><trc:JobToken>{job}</trc:JobToken></trc:GetRecordingJobConfiguration>"
                read = find(await x.ask("trc", body), "trc:JobConfiguration")
                _configuration_of(x, message, "tt:RecordingJobConfiguration", read)
            finally:
                await write(kept)
