"""Recording control: every operation by bytes, valid against the official schema, with its access class and faults."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from onvifd.access.types import AccessClass, Level, may
from onvifd.onvif.backend import JobState, JobStatus
from onvifd.onvif.services.common import NS_RECORDING
from onvifd.onvif.services.recording import RecordingService
from onvifd.onvif.types import trc

TRC = f"{{{NS_RECORDING}}}"
TT = "{http://www.onvif.org/ver10/schema}"
REC1, REC2 = "rec-cam-1a2b3c4d", "rec-cam-5e6f7a8b"
JOB1, JOB2 = "job-cam-1a2b3c4d", "job-cam-5e6f7a8b"
READ, ACTUATE, PRE_AUTH = AccessClass.READ_MEDIA, AccessClass.ACTUATE, AccessClass.PRE_AUTH

OPERATIONS: dict[str, tuple[Any, AccessClass]] = {
    "GetServiceCapabilities": (trc.GetServiceCapabilities(), PRE_AUTH),
    "GetRecordings": (trc.GetRecordings(), READ),
    "GetRecordingConfiguration": (trc.GetRecordingConfiguration(recording_token=REC1), READ),
    "GetRecordingOptions": (trc.GetRecordingOptions(recording_token=REC1), READ),
    "GetTrackConfiguration": (trc.GetTrackConfiguration(recording_token=REC1, track_token="VIDEO001"), READ),
    "GetRecordingJobs": (trc.GetRecordingJobs(), READ),
    "GetRecordingJobConfiguration": (trc.GetRecordingJobConfiguration(job_token=JOB1), READ),
    "GetRecordingJobState": (trc.GetRecordingJobState(job_token=JOB1), READ),
    "SetRecordingJobMode": (trc.SetRecordingJobMode(job_token=JOB1, mode="Idle"), ACTUATE),
}


@pytest.fixture
def asked(body: Any, client: Callable[..., Any]) -> Any:
    return client(RecordingService(body))


def test_every_operation_is_tested() -> None:
    assert {item.name.removeprefix(TRC) for item in RecordingService.operations()} == set(OPERATIONS)


@pytest.mark.covers(
    *("G-GetRecordingConfiguration", "G-GetRecordingJobConfiguration", "G-GetRecordingJobState", "G-GetRecordingJobs"),
    *("G-GetRecordingOptions", "G-GetRecordings", "G-GetTrackConfiguration", "G-SetRecordingJobMode"),
    *("G-recording-GetServiceCapabilities",),
)
@pytest.mark.parametrize("name", OPERATIONS)
async def test_the_answer_is_valid(asked: Any, name: str) -> None:
    assert (await asked.ask(OPERATIONS[name][0])).tag == f"{TRC}{name}Response"


@pytest.mark.parametrize("name", OPERATIONS)
async def test_access_class(asked: Any, name: str) -> None:
    request, access = OPERATIONS[name]
    for level in (Level.USER, Level.OPERATOR, Level.ADMINISTRATOR):
        reply = await asked.send(request, str(level).lower())
        assert (reply.status == 200) == may(level, access), level
    assert ((await asked.send(request, None)).status == 200) == (access is PRE_AUTH)


@pytest.mark.covers("G-GetRecordings")
async def test_recordings_with_their_configuration_and_tracks(asked: Any) -> None:
    first, second = (await asked.ask(trc.GetRecordings())).findall(f"{TRC}RecordingItem")
    assert first.findtext(f"{TT}RecordingToken") == REC1
    assert first.findtext(f"{TT}Configuration/{TT}Source/{TT}SourceId") == "vs-cam-1a2b3c4d"
    assert first.findtext(f"{TT}Configuration/{TT}Content") == "Continuous"
    assert first.findtext(f"{TT}Configuration/{TT}MaximumRetentionTime") == "PT0S"
    tracks = [
        (track.findtext(f"{TT}TrackToken"), track.findtext(f"{TT}Configuration/{TT}TrackType"))
        for track in first.iter(f"{TT}Track")
    ]
    assert tracks == [("VIDEO001", "Video"), ("AUDIO001", "Audio")]
    assert [track.findtext(f"{TT}TrackToken") for track in second.iter(f"{TT}Track")] == ["VIDEO001"]


@pytest.mark.covers("A040", "G-GetRecordingConfiguration", "REC-19")
async def test_retention_is_a_duration(asked: Any, body: Any) -> None:
    body.recordings_ = tuple(dataclasses.replace(item, retention=86_400) for item in body.recordings_)
    answer = await asked.ask(trc.GetRecordingConfiguration(recording_token=REC2))
    assert answer.findtext(f".//{TT}MaximumRetentionTime") == "PT86400S"


@pytest.mark.covers("G-GetRecordingJobs")
async def test_a_job_names_profile_and_tracks(asked: Any) -> None:
    answer = await asked.ask(trc.GetRecordingJobs())
    items = {item.findtext(f"{TT}JobToken"): item for item in answer}
    assert set(items) == {JOB1, JOB2}
    configuration = items[JOB1].find(f"{TT}JobConfiguration")
    assert configuration.findtext(f"{TT}RecordingToken") == REC1
    assert configuration.findtext(f"{TT}Mode") == "Active"
    assert items[JOB2].findtext(f"{TT}JobConfiguration/{TT}Mode") == "Idle"
    source = configuration.find(f"{TT}Source/{TT}SourceToken")
    assert source.findtext(f"{TT}Token") == "cam-1a2b3c4d-main"
    assert source.get("Type") == "http://www.onvif.org/ver10/schema/Profile"
    destinations = [track.findtext(f"{TT}Destination") for track in configuration.iter(f"{TT}Tracks")]
    assert destinations == ["VIDEO001", "AUDIO001"]
    # RecordingControl 5.3.3: never reported.
    assert configuration.find(f".//{TT}AutoCreateReceiver") is None


@pytest.mark.covers("G-GetRecordingJobConfiguration")
async def test_job_configuration_is_the_same_alone_and_in_the_list(asked: Any) -> None:
    from lxml import etree

    alone = await asked.ask(trc.GetRecordingJobConfiguration(job_token=JOB1))
    listed = (await asked.ask(trc.GetRecordingJobs()))[0].find(f"{TT}JobConfiguration")
    assert [etree.tostring(node, method="c14n") for node in alone[0]] == [
        etree.tostring(node, method="c14n") for node in listed
    ]


@pytest.mark.covers("G-GetRecordingJobState")
async def test_job_state_is_aggregate_and_per_track(asked: Any, body: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    status = JobStatus(
        job=JOB1,
        recording=REC1,
        state=JobState.ERROR,
        profile="cam-1a2b3c4d-main",
        tracks=(("VIDEO001", JobState.ERROR), ("AUDIO001", JobState.ACTIVE)),
        error="Incompatible Stream",
    )
    monkeypatch.setattr(body, "job_status", lambda token: status)
    state = (await asked.ask(trc.GetRecordingJobState(job_token=JOB1)))[0]
    assert state.findtext(f"{TT}State") == "Error"
    tracks = [
        (track.findtext(f"{TT}Destination"), track.findtext(f"{TT}State"), track.findtext(f"{TT}Error"))
        for track in state.iter(f"{TT}Track")
    ]
    assert tracks == [("VIDEO001", "Error", "Incompatible Stream"), ("AUDIO001", "Active", None)]


@pytest.mark.covers("G-SetRecordingJobMode")
async def test_mode_is_applied_and_shown(asked: Any, body: Any) -> None:
    for mode, active in (("Idle", False), ("Active", True), ("Active", True)):
        await asked.ask(trc.SetRecordingJobMode(job_token=JOB1, mode=mode), "operator")
        assert body.jobs_[JOB1].active is active
        answer = await asked.ask(trc.GetRecordingJobConfiguration(job_token=JOB1))
        assert answer.findtext(f".//{TT}Mode") == mode


@pytest.mark.covers("G-SetRecordingJobMode")
@pytest.mark.parametrize("mode", ["", "active", "PartiallyActive", "Error", "On"])
async def test_other_modes_are_bad(asked: Any, body: Any, mode: str) -> None:
    fault = await asked.fault(trc.SetRecordingJobMode(job_token=JOB1, mode=mode))
    assert fault == ("Sender", "InvalidArgVal", "BadMode")
    assert body.jobs_[JOB1].active


@pytest.mark.covers("G-GetTrackConfiguration")
@pytest.mark.parametrize(
    ("request_", "detail"),
    [
        (trc.GetRecordingConfiguration(recording_token="none"), "NoRecording"),
        (trc.GetRecordingOptions(recording_token="none"), "NoRecording"),
        (trc.GetTrackConfiguration(recording_token="none", track_token="VIDEO001"), "NoRecording"),
        (trc.GetTrackConfiguration(recording_token=REC2, track_token="AUDIO001"), "NoTrack"),
        (trc.GetRecordingJobConfiguration(job_token="none"), "NoRecordingJob"),
        (trc.GetRecordingJobState(job_token="none"), "NoRecordingJob"),
        (trc.SetRecordingJobMode(job_token="none", mode="Nonsense"), "NoRecordingJob"),
    ],
)
async def test_unknown_tokens(asked: Any, request_: Any, detail: str) -> None:
    assert await asked.fault(request_) == ("Sender", "InvalidArgVal", detail)


@pytest.mark.covers("G-GetRecordingOptions")
async def test_options_offer_nothing_that_cannot_be_created(asked: Any) -> None:
    options = (await asked.ask(trc.GetRecordingOptions(recording_token=REC1)))[0]
    assert dict(options.find(f"{TRC}Job").attrib) == {"CompatibleSources": "cam-1a2b3c4d-main"}
    assert dict(options.find(f"{TRC}Track").attrib) == {}


async def test_capabilities_are_truthful(asked: Any) -> None:
    found = (await asked.ask(trc.GetServiceCapabilities(), None))[0]
    for name in ("DynamicRecordings", "DynamicTracks", "MetadataRecording"):
        assert found.get(name) == "false"
    assert found.get("Options") == "true"
    assert set(found.get("Encoding").split()) == {"JPEG", "H264", "H265", "G711", "AAC"}
    assert float(found.get("MaxRecordings")) >= 200
    assert found.get("SupportedExportFileFormats") is None


async def test_what_is_not_served_is_not_supported(asked: Any, sample: ModuleType) -> None:
    fault = await asked.fault(trc.DeleteRecordingJob(job_token=JOB1))
    assert fault == ("Receiver", "ActionNotSupported")
