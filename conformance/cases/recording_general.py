"""Test/Recording 5.1 and 5.4: capabilities, reading, and what is set."""

from __future__ import annotations

from conformance.cases.base_common import INVALID, SENDER
from conformance.cases.recording_common import (
    CONTROL,
    DYNAMIC,
    MEDIA,
    NOWHERE,
    OPTIONS,
    capabilities,
    configuration,
    create_recording,
    discard_recording,
    job_state,
    jobs,
    new_recording,
    recordings,
    refuse_token,
    some_job,
    tracks,
)
from conformance.cases.recording_values import JOB_PATHS, RECORDING_PATHS, differing, source_types, values
from conformance.model import Examination, case
from conformance.names import NS, find, findall, renamed, text

DOCUMENT = "Recording"


@case("RECORDING-1-1-1", document=DOCUMENT, name="RECORDING CONTROL SERVICE CAPABILITIES", requires=(CONTROL,))
async def service_capabilities(x: Examination) -> None:
    found = await capabilities(x)
    for name in ("MaxRate", "MaxTotalRate"):
        value = found.get(name)
        x.check(value is None or float(value) > 0, f"Capabilities.{name} is {value}, which is not above 0")
    most = found.get("MaxRecordings")
    x.check(most is None or float(most) >= 1, f"Capabilities.MaxRecordings is {most}, which is less than 1")
    encodings = found.get("Encoding")
    x.check(encodings is None or encodings.split(), "Capabilities.Encoding is an empty list")


@case(
    "RECORDING-1-1-3",
    document=DOCUMENT,
    name="GET SERVICES AND GET RECORDING CONTROL SERVICE CAPABILITIES CONSISTENCY",
    requires=("GetServices", CONTROL),
)
async def consistency(x: Examination) -> None:
    await same_capabilities(
        x,
        "trc",
        *("DynamicRecordings", "DynamicTracks", "Encoding", "MaxRate", "MaxTotalRate", "MaxRecordings"),
        *("MetadataRecording", "Options"),
    )


async def same_capabilities(x: Examination, prefix: str, *attributes: str) -> None:
    """Capabilities by GetServices must be those by GetServiceCapabilities."""
    answer = await x.ask(
        "tds", "<tds:GetServices><tds:IncludeCapability>true</tds:IncludeCapability></tds:GetServices>"
    )
    service = next((each for each in findall(answer, "tds:Service") if text(each, "tds:Namespace") == NS[prefix]), None)
    x.check(service is not None, f"GetServicesResponse has no service {NS[prefix]}")
    included = find(service, f"tds:Capabilities/{prefix}:Capabilities")
    x.check(included is not None, f"GetServicesResponse has no {prefix}:Capabilities although they were asked for")
    asked = find(await x.ask(prefix, f"<{prefix}:GetServiceCapabilities/>"), f"{prefix}:Capabilities")
    x.check(asked is not None, "GetServiceCapabilitiesResponse has no Capabilities")
    for name in attributes:
        one, other = included.get(name), asked.get(name)
        x.check(
            one == other,
            f"{name} is {one or 'missing'} by GetServices and {other or 'missing'} by GetServiceCapabilities",
        )


@case("RECORDING-4-1-1", document=DOCUMENT, name="GET RECORDINGS", requires=(CONTROL,))
async def get_recordings(x: Examination) -> None:
    x.check(await recordings(x), "GetRecordingsResponse has no recording; the case wants at least one")


@case("RECORDING-4-1-2", document=DOCUMENT, name="GET RECORDING CONFIGURATION", requires=(CONTROL,))
async def get_recording_configuration(x: Examination) -> None:
    for token, item in (await recordings(x)).items():
        listed = values(find(item, "tt:Configuration"), *RECORDING_PATHS)
        wrong = differing(listed, values(await recording_configuration(x, token), *RECORDING_PATHS))
        x.check(not wrong, f"recording {token} differs in GetRecordings and GetRecordingConfiguration: {wrong}")


async def recording_configuration(x: Examination, token: str) -> object:
    body = f"<trc:RecordingToken>{token}</trc:RecordingToken>"
    answer = await x.ask("trc", f"<trc:GetRecordingConfiguration>{body}</trc:GetRecordingConfiguration>")
    return find(answer, "trc:RecordingConfiguration")


@case(
    "RECORDING-4-1-3",
    document=DOCUMENT,
    name="GET RECORDING CONFIGURATION WITH INVALID TOKEN",
    requires=(CONTROL,),
)
async def get_recording_configuration_invalid(x: Examination) -> None:
    body = f"<trc:RecordingToken>{NOWHERE}</trc:RecordingToken>"
    request = f"<trc:GetRecordingConfiguration>{body}</trc:GetRecordingConfiguration>"
    made = "" if await recordings(x) else await create_recording(x, configuration(x))
    try:
        await refuse_token(x, "trc", request, "ter:NoRecording")
    finally:
        if made:
            await discard_recording(x, made)


@case("RECORDING-4-1-4", document=DOCUMENT, name="GET RECORDING JOBS", requires=(CONTROL,))
async def get_recording_jobs(x: Examination) -> None:
    await jobs(x)


@case("RECORDING-4-1-5", document=DOCUMENT, name="GET RECORDING JOB CONFIGURATION", requires=(CONTROL,))
async def get_recording_job_configuration(x: Examination) -> None:
    known = await recordings(x)
    for token, listed in (await jobs(x)).items():
        body = f"<trc:JobToken>{token}</trc:JobToken>"
        answer = await x.ask("trc", f"<trc:GetRecordingJobConfiguration>{body}</trc:GetRecordingJobConfiguration>")
        read = find(answer, "trc:JobConfiguration")
        wrong = differing(values(listed, *JOB_PATHS), values(read, *JOB_PATHS))
        x.check(not wrong, f"job {token} differs in GetRecordingJobs and GetRecordingJobConfiguration: {wrong}")
        x.check(
            source_types(listed) == source_types(read),
            f"job {token} has other types of sources in GetRecordingJobConfiguration than in GetRecordingJobs",
        )
        recording = text(listed, "tt:RecordingToken")
        x.check(
            recording in known, f"job {token} belongs to the recording {recording}, which GetRecordings does not list"
        )


@case("RECORDING-4-1-7", document=DOCUMENT, name="GET RECORDING JOB STATE", requires=(CONTROL,))
async def get_recording_job_state(x: Examination) -> None:
    known = await recordings(x)
    for token, listed in (await jobs(x)).items():
        state = await job_state(x, token)
        recording = text(listed, "tt:RecordingToken")
        x.check(
            recording in known, f"job {token} belongs to the recording {recording}, which GetRecordings does not list"
        )
        sources = {text(each, "tt:SourceToken/tt:Token"): each for each in findall(listed, "tt:Source")}
        states = {text(each, "tt:SourceToken/tt:Token"): each for each in findall(state, "tt:Sources")}
        x.check(
            set(sources) == set(states),
            f"job {token} has the sources {', '.join(sources)} in GetRecordingJobs and {', '.join(states)} in GetRecordingJobState (Recording Test 6.3)",
        )
        for source, element in sources.items():
            pairs = [(text(t, "tt:SourceTag"), text(t, "tt:Destination")) for t in findall(element, "tt:Tracks")]
            tracked = [
                (text(t, "tt:SourceTag"), text(t, "tt:Destination"))
                for t in findall(states[source], "tt:Tracks/tt:Track")
            ]
            missing = [each for each in pairs if each not in tracked]
            x.check(
                not missing,
                f"GetRecordingJobState of {token} lacks the tracks {missing} of GetRecordingJobs (Recording Test 6.3)",
            )


@case("RECORDING-4-1-9", document=DOCUMENT, name="GET TRACK CONFIGURATION", requires=(CONTROL,))
async def get_track_configuration(x: Examination) -> None:
    paths = ("tt:TrackType", "tt:Description")
    for token, recording in (await recordings(x)).items():
        for track, element in tracks(recording).items():
            read = await track_configuration(x, token, track)
            wrong = differing(values(find(element, "tt:Configuration"), *paths), values(read, *paths))
            x.check(not wrong, f"track {track} of {token} differs in GetRecordings and GetTrackConfiguration: {wrong}")


async def track_configuration(x: Examination, recording: str, track: str) -> object:
    answer = await x.ask("trc", _track_request(recording, track))
    return find(answer, "trc:TrackConfiguration")


def _track_request(recording: str, track: str) -> str:
    body = f"<trc:RecordingToken>{recording}</trc:RecordingToken><trc:TrackToken>{track}</trc:TrackToken>"
    return f"<trc:GetTrackConfiguration>{body}</trc:GetTrackConfiguration>"


@case("RECORDING-4-1-10", document=DOCUMENT, name="GET TRACK CONFIGURATION WITH INVALID TOKEN", requires=(CONTROL,))
async def get_track_configuration_invalid(x: Examination) -> None:
    known = await recordings(x)
    made = ""
    if not known:
        made = await create_recording(x, configuration(x))
        known = await recordings(x)
    try:
        token = next(iter(known))
        track = next(iter(tracks(known[token])), NOWHERE)
        await refuse_token(x, "trc", _track_request(token, NOWHERE), "ter:NoTrack")
        await refuse_token(x, "trc", _track_request(NOWHERE, track), "ter:NoRecording")
    finally:
        if made:
            await discard_recording(x, made)


LONG_NAME = "Camera-77-with-20-ch"
LONG_URI = "http://www.example.org/" + "a" * (128 - len("http://www.example.org/"))


def _applied(x: Examination, read: object) -> None:
    wanted: dict[str, tuple[str, ...]] = {
        "tt:Source/tt:Name": (LONG_NAME,),
        "tt:Source/tt:SourceId": (LONG_URI,),
        "tt:Source/tt:Address": (LONG_URI,),
    }
    wrong = differing(wanted, values(read, *wanted))
    x.check(not wrong, f"set and read values differ in {wrong}")


@case(
    "RECORDING-4-1-11",
    document=DOCUMENT,
    name="SET RECORDINGS CONFIGURATION (MAXIMUM LENGTH OF RECORDING SOURCE INFORMATION)",
    requires=(CONTROL,),
)
async def set_recording_configuration(x: Examination) -> None:
    known = await recordings(x)
    x.check(known, "GetRecordingsResponse has no recording; the case wants at least one")
    token, item = next(iter(known.items()))
    before = find(item, "tt:Configuration")
    changed = configuration(
        x,
        Name=LONG_NAME,
        SourceId=LONG_URI,
        Address=LONG_URI,
        Location=text(before, "tt:Source/tt:Location"),
        Description=text(before, "tt:Source/tt:Description"),
        Content=text(before, "tt:Content"),
        MaximumRetentionTime=text(before, "tt:MaximumRetentionTime"),
    )
    try:
        await set_configuration(x, token, f"<trc:RecordingConfiguration>{changed}</trc:RecordingConfiguration>")
        _applied(x, await recording_configuration(x, token))
    finally:
        await set_configuration(x, token, renamed(before, "trc:RecordingConfiguration"))


async def set_configuration(x: Examination, token: str, inside: str) -> None:
    body = f"<trc:RecordingToken>{token}</trc:RecordingToken>{inside}"
    await x.ask("trc", f"<trc:SetRecordingConfiguration>{body}</trc:SetRecordingConfiguration>")


@case(
    "RECORDING-4-1-12",
    document=DOCUMENT,
    name="DYNAMIC RECORDINGS CONFIGURATION (MAXIMUM LENGTH OF RECORDING SOURCE INFORMATION)",
    requires=(CONTROL, DYNAMIC),
)
async def create_recording_long(x: Examination) -> None:
    async with new_recording(
        x, Name=LONG_NAME, SourceId=LONG_URI, Address=LONG_URI, Content="Create recording event test"
    ) as token:
        _applied(x, await recording_configuration(x, token))


_JOB_NEEDS = (CONTROL, f"{MEDIA} OR Receiver Service", OPTIONS)


@case(
    "RECORDING-4-1-13",
    document=DOCUMENT,
    name="GET RECORDING JOB CONFIGURATION WITH INVALID TOKEN",
    requires=_JOB_NEEDS,
)
async def get_job_configuration_invalid(x: Examination) -> None:
    await _refuse_job(x, "GetRecordingJobConfiguration")


@case("RECORDING-4-1-14", document=DOCUMENT, name="GET RECORDING JOB STATE WITH INVALID TOKEN", requires=_JOB_NEEDS)
async def get_job_state_invalid(x: Examination) -> None:
    await _refuse_job(x, "GetRecordingJobState")


async def _refuse_job(x: Examination, operation: str) -> None:
    async with some_job(x):
        body = f"<trc:JobToken>{NOWHERE}</trc:JobToken>"
        await x.soap.refuse(
            "trc", f"<trc:{operation}>{body}</trc:{operation}>", (SENDER, INVALID, "ter:NoRecordingJob"), strict=False
        )
