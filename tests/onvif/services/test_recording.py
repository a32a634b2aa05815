"""Recording control: every operation by bytes, valid against the official schema, with its access class and faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from onvifd.access.types import AccessClass, Level, may
from onvifd.events.topics import job_state_information
from onvifd.onvif.services.common import NS_RECORDING
from onvifd.onvif.services.recording import RecordingService
from onvifd.onvif.soap.codec import encode
from onvifd.onvif.types import trc, tt

TRC = f"{{{NS_RECORDING}}}"
TT = "{http://www.onvif.org/ver10/schema}"
PROFILE = "http://www.onvif.org/ver10/schema/Profile"
RECEIVER = "http://www.onvif.org/ver10/schema/Receiver"
READ, ACTUATE, PRE_AUTH = AccessClass.READ_MEDIA, AccessClass.ACTUATE, AccessClass.PRE_AUTH
EXPORT = {
    "ExportRecordedData",
    "StopExportRecordedData",
    "GetExportRecordedDataState",
    "ListRecordedSegments",
    "ExportRecordedSegments",
    "StopExportRecordedSegments",
}


def settings(**named: Any) -> tt.RecordingConfiguration:
    source = {
        "source_id": "http://localhost/any",
        "name": "CameraName",
        "location": "LocationDescription",
        "description": "Source Description",
        "address": "http://192.0.2.7/onvif",
    }
    source |= {key: value for key, value in named.items() if key in source}
    return tt.RecordingConfiguration(
        source=tt.RecordingSourceInformation(**source),
        content=named.get("content", "Recording from device"),
        maximum_retention_time=named.get("retention", timedelta(0)),
        target=named.get("target"),
    )


def job(recording: str, *sources: tt.RecordingJobSource, mode: str = "Active", priority: int = 1, **more: Any) -> Any:
    return tt.RecordingJobConfiguration(recording_token=recording, mode=mode, priority=priority, source=sources, **more)


def profile(token: str, *tracks: tuple[str, str]) -> tt.RecordingJobSource:
    return tt.RecordingJobSource(
        source_token=tt.SourceReference(token=token, type_=PROFILE),
        tracks=tuple(tt.RecordingJobTrack(source_tag=tag, destination=to) for tag, to in tracks),
    )


def receiver(token: str = "", create: bool | None = None) -> tt.RecordingJobSource:
    reference = tt.SourceReference(token=token, type_=RECEIVER)
    return tt.RecordingJobSource(source_token=reference, auto_create_receiver=create)


@pytest.fixture
def stage(recording_stage: Callable[..., Any]) -> Any:
    return recording_stage()


@pytest.fixture
def asked(stage: Any, client: Callable[..., Any]) -> Any:
    return client(RecordingService(stage.control, stage.export, stage))


def operations(stage: Any) -> dict[str, tuple[Any, AccessClass]]:
    first = stage.cameras[0]
    rec, own = f"rec-{first}", f"job-{first}"
    return {
        "GetServiceCapabilities": (trc.GetServiceCapabilities(), PRE_AUTH),
        "GetRecordings": (trc.GetRecordings(), READ),
        "GetRecordingConfiguration": (trc.GetRecordingConfiguration(recording_token=rec), READ),
        "SetRecordingConfiguration": (
            trc.SetRecordingConfiguration(recording_token=rec, recording_configuration=settings()),
            ACTUATE,
        ),
        "CreateRecording": (trc.CreateRecording(recording_configuration=settings()), ACTUATE),
        "DeleteRecording": (trc.DeleteRecording(recording_token=rec), ACTUATE),
        "GetRecordingOptions": (trc.GetRecordingOptions(recording_token=rec), READ),
        "CreateTrack": (
            trc.CreateTrack(
                recording_token=rec,
                track_configuration=tt.TrackConfiguration(track_type=tt.TrackType.VIDEO, description=""),
            ),
            ACTUATE,
        ),
        "DeleteTrack": (trc.DeleteTrack(recording_token=rec, track_token="VIDEO001"), ACTUATE),
        "GetTrackConfiguration": (trc.GetTrackConfiguration(recording_token=rec, track_token="VIDEO001"), READ),
        "SetTrackConfiguration": (
            trc.SetTrackConfiguration(
                recording_token=rec,
                track_token="VIDEO001",
                track_configuration=tt.TrackConfiguration(track_type=tt.TrackType.AUDIO, description="Door"),
            ),
            ACTUATE,
        ),
        "CreateRecordingJob": (
            trc.CreateRecordingJob(job_configuration=job(rec, profile(f"{first}-main"))),
            ACTUATE,
        ),
        "DeleteRecordingJob": (trc.DeleteRecordingJob(job_token=own), ACTUATE),
        "GetRecordingJobs": (trc.GetRecordingJobs(), READ),
        "GetRecordingJobConfiguration": (trc.GetRecordingJobConfiguration(job_token=own), READ),
        "SetRecordingJobConfiguration": (
            trc.SetRecordingJobConfiguration(job_token=own, job_configuration=job(rec, profile(f"{first}-main"))),
            ACTUATE,
        ),
        "GetRecordingJobState": (trc.GetRecordingJobState(job_token=own), READ),
        "SetRecordingJobMode": (trc.SetRecordingJobMode(job_token=own, mode="Idle"), ACTUATE),
    }


REFUSED = ("DeleteRecording", "CreateTrack", "DeleteTrack", "DeleteRecordingJob")
"""What the recordings of cameras refuse; done with those of clients below."""
NAMES = tuple(sorted(item.name.removeprefix(TRC) for item in RecordingService.operations()))


def test_every_operation_is_tested(stage: Any) -> None:
    assert set(NAMES) - EXPORT == set(operations(stage))


@pytest.mark.covers(
    *("G-GetRecordingConfiguration", "G-GetRecordingJobConfiguration", "G-GetRecordingJobState", "G-GetRecordingJobs"),
    *("G-GetRecordingOptions", "G-GetRecordings", "G-GetTrackConfiguration", "G-SetRecordingJobMode"),
    *("G-recording-GetServiceCapabilities",),
)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in REFUSED and name not in EXPORT])
async def test_the_answer_is_valid(asked: Any, stage: Any, name: str) -> None:
    assert (await asked.ask(operations(stage)[name][0])).tag == f"{TRC}{name}Response"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in EXPORT])
async def test_access_class(asked: Any, stage: Any, name: str) -> None:
    request, access = operations(stage)[name]
    for level in (Level.USER, Level.OPERATOR, Level.ADMINISTRATOR):
        reply = await asked.send(request, str(level).lower())
        assert (b"NotAuthorized" not in reply.body) == may(level, access), level
    assert (b"NotAuthorized" not in (await asked.send(request, None)).body) == (access is PRE_AUTH)


# ---- recordings


async def create(asked: Any, **named: Any) -> str:
    answer = await asked.ask(trc.CreateRecording(recording_configuration=settings(**named)))
    return str(answer.findtext(f"{TRC}RecordingToken"))


async def listed(asked: Any) -> dict[str, Any]:
    answer = await asked.ask(trc.GetRecordings())
    return {item.findtext(f"{TT}RecordingToken"): item for item in answer}


def same(one: Any, other: Any) -> bool:
    """Whether two elements have the same content, whatever namespaces are declared around them."""

    def plain(node: Any) -> list[bytes]:
        return [etree.tostring(each, method="c14n", exclusive=True) for each in node]

    return plain(one) == plain(other)


def source_of(node: Any) -> dict[str, str]:
    return {each.tag.removeprefix(TT): each.text or "" for each in node.find(f".//{TT}Source")}


@pytest.mark.covers("G-GetRecordings")
async def test_recordings_of_cameras_with_their_configuration_and_tracks(asked: Any, stage: Any) -> None:
    one, two = stage.cameras
    found = await listed(asked)
    assert list(found) == [f"rec-{one}", f"rec-{two}"]
    assert found[f"rec-{one}"].findtext(f".//{TT}SourceId") == f"vs-{one}"
    tracks = [
        (track.findtext(f"{TT}TrackToken"), track.findtext(f"{TT}Configuration/{TT}TrackType"))
        for track in found[f"rec-{one}"].iter(f"{TT}Track")
    ]
    assert tracks == [("VIDEO001", "Video"), ("AUDIO001", "Audio"), ("META001", "Metadata")]
    second = [track.findtext(f"{TT}TrackToken") for track in found[f"rec-{two}"].iter(f"{TT}Track")]
    assert second == ["VIDEO001", "META001"]


@pytest.mark.covers("G-CreateRecording")
async def test_a_created_recording_has_three_tracks_and_what_was_sent(asked: Any, stage: Any) -> None:
    before = await listed(asked)
    token = await create(asked, retention=timedelta(days=3))
    after = await listed(asked)
    assert token not in before
    assert set(after) - set(before) == {token}
    item = after[token]
    assert source_of(item) == {
        "SourceId": "http://localhost/any",
        "Name": "CameraName",
        "Location": "LocationDescription",
        "Description": "Source Description",
        "Address": "http://192.0.2.7/onvif",
    }
    assert item.findtext(f".//{TT}Content") == "Recording from device"
    assert item.findtext(f".//{TT}MaximumRetentionTime") == "PT259200S"
    tracks = [
        (each.findtext(f"{TT}TrackToken"), each.findtext(f".//{TT}Description")) for each in item.iter(f"{TT}Track")
    ]
    assert [name for name, _ in tracks] == ["VIDEO001", "AUDIO001", "META001"]
    assert not any(text for _, text in tracks)
    assert stage.topics() == ["CreateRecording", "CreateTrack", "CreateTrack", "CreateTrack"]


@pytest.mark.covers("G-DeleteRecording")
async def test_a_deleted_recording_takes_tracks_jobs_and_receivers_with_it(asked: Any, stage: Any) -> None:
    token = await create(asked)
    await asked.ask(trc.CreateRecordingJob(job_configuration=job(token, receiver(create=True))))
    assert len(stage.receivers.receivers()) == 1
    stage.footage(token)
    stage.seen.clear()
    await asked.ask(trc.DeleteRecording(recording_token=token))
    assert token not in await listed(asked)
    assert stage.receivers.receivers() == ()
    assert all(each.recording != token for each in stage.control.jobs())
    assert stage.purged == [token]
    told = [topic for topic in stage.topics() if topic != "JobState"]
    assert told == ["DeleteTrack", "DeleteTrack", "DeleteTrack", "DeleteRecording"]
    assert await asked.fault(trc.DeleteRecording(recording_token=token)) == ("Sender", "InvalidArgVal", "NoRecording")


@pytest.mark.covers("G-DeleteRecording")
async def test_the_recording_of_a_camera_cannot_be_deleted(asked: Any, stage: Any) -> None:
    before = await listed(asked)
    for name in before:
        assert await asked.fault(trc.DeleteRecording(recording_token=name)) == ("Receiver", "Action", "CannotDelete")
    assert set(await listed(asked)) == set(before)


async def test_there_are_as_many_recordings_as_the_capabilities_say(
    asked: Any, recording_stage: Any, client: Any
) -> None:
    small = recording_stage(cameras=0)
    ask = client(RecordingService(small.control, small.export, small))
    most = int(float((await ask.ask(trc.GetServiceCapabilities(), None))[0].get("MaxRecordings")))
    for _ in range(most - 2):
        await create(ask)
    request = trc.CreateRecording(recording_configuration=settings())
    assert await ask.fault(request) == ("Receiver", "Action", "MaxRecordings")
    assert len(await listed(ask)) == most


async def test_nothing_is_created_without_a_volume(recording_stage: Any, client: Any) -> None:
    stage = recording_stage(no_storage="no volume")
    ask = client(RecordingService(stage.control, stage.export, stage))
    request = trc.CreateRecording(recording_configuration=settings())
    assert await ask.fault(request) == ("Receiver", "Action", "NoLocalRecording")


TARGET = tt.RecordingTargetConfiguration(storage="none", format_="MP4", segment_duration=timedelta(seconds=60))
KEYS = tt.RecordingEncryption(
    mode="CENC", key=b"k" * 16, asymmetric_encryption=tt.AsymmetricEncryption(certificate_id=("cert",))
)
BAD: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
    ({"source_id": "x" * 129}, ("Sender", "InvalidArgVal", "BadConfiguration")),
    ({"name": "x" * 65}, ("Sender", "InvalidArgVal", "BadConfiguration")),
    ({"address": "x" * 1025}, ("Sender", "InvalidArgVal", "BadConfiguration")),
    ({"retention": timedelta(days=-1)}, ("Sender", "InvalidArgVal", "BadConfiguration")),
    (
        {
            "target": tt.RecordingTargetConfiguration(
                storage="none", format_="MP4", segment_duration=timedelta(seconds=60), storage_strategy="Local"
            )
        },
        ("Sender", "InvalidArgVal", "BadConfiguration"),
    ),
    ({"target": TARGET}, ("Receiver", "Action", "UnsupportedStorageStrategy")),
    (
        {
            "target": tt.RecordingTargetConfiguration(
                storage="none", format_="MP4", segment_duration=timedelta(seconds=60), encryption=(KEYS,)
            )
        },
        ("Sender", "InvalidArgVal", "AmbiguousConfiguration"),
    ),
)


@pytest.mark.covers("G-CreateRecording", "G-SetRecordingConfiguration")
@pytest.mark.parametrize(("named", "fault"), BAD)
async def test_a_bad_configuration_changes_nothing(asked: Any, stage: Any, named: Any, fault: Any) -> None:
    before = stage.control.recordings()
    configuration = settings(**named)
    assert await asked.fault(trc.CreateRecording(recording_configuration=configuration)) == fault
    for recording in before:
        request = trc.SetRecordingConfiguration(recording_token=recording.token, recording_configuration=configuration)
        assert await asked.fault(request) == fault
    assert stage.control.recordings() == before
    assert stage.seen == []


@pytest.mark.covers("G-SetRecordingConfiguration", "REC-19")
async def test_a_configuration_is_kept_and_survives_a_restart(
    asked: Any, stage: Any, recording_stage: Any, client: Any
) -> None:
    rec = f"rec-{stage.cameras[0]}"
    wanted = settings(
        source_id="urn:" + "i" * 124, name="N" * 20, address="rtsp://" + "a" * 121, retention=timedelta(hours=6)
    )
    await asked.ask(trc.SetRecordingConfiguration(recording_token=rec, recording_configuration=wanted))
    (event,) = [each for each in stage.seen if each.topic == "RecordingConfig/RecordingConfiguration"]
    restarted = recording_stage()
    again = client(RecordingService(restarted.control, restarted.export, restarted))
    for ask in (asked, again):
        shown = (await ask.ask(trc.GetRecordingConfiguration(recording_token=rec)))[0]
        assert source_of(shown)["SourceId"] == "urn:" + "i" * 124
        assert source_of(shown)["Name"] == "N" * 20
        assert source_of(shown)["Address"] == "rtsp://" + "a" * 121
        assert shown.findtext(f"{TT}MaximumRetentionTime") == "PT21600S"
        assert same(etree.fromstring(event.elements[0][1]), shown)


async def test_long_descriptions_are_cut(asked: Any) -> None:
    token = await create(asked, location="l" * 300, description="d" * 300, content="c" * 300)
    shown = (await asked.ask(trc.GetRecordingConfiguration(recording_token=token)))[0]
    assert source_of(shown)["Location"] == "l" * 255
    assert source_of(shown)["Description"] == "d" * 255
    assert shown.findtext(f"{TT}Content") == "c" * 255


# ---- tracks


def track(kind: tt.TrackType, description: str = "New Track") -> tt.TrackConfiguration:
    return tt.TrackConfiguration(track_type=kind, description=description)


async def spare(asked: Any, recording: str) -> dict[str, str]:
    options = (await asked.ask(trc.GetRecordingOptions(recording_token=recording)))[0]
    return dict(options.find(f"{TRC}Track").attrib)


@pytest.mark.covers("G-CreateTrack", "G-DeleteTrack")
async def test_a_track_is_deleted_and_created_again(asked: Any, stage: Any) -> None:
    rec = await create(asked)
    assert await spare(asked, rec) == {}
    await asked.ask(trc.DeleteTrack(recording_token=rec, track_token="AUDIO001"))
    assert await spare(asked, rec) == {"SpareTotal": "1", "SpareAudio": "1"}
    request = trc.GetTrackConfiguration(recording_token=rec, track_token="AUDIO001")
    assert await asked.fault(request) == ("Sender", "InvalidArgVal", "NoTrack")
    made = trc.CreateTrack(recording_token=rec, track_configuration=track(tt.TrackType.AUDIO))
    assert (await asked.ask(made)).findtext(f"{TRC}TrackToken") == "AUDIO001"
    assert (await asked.ask(request)).findtext(f".//{TT}Description") == "New Track"
    assert stage.topics()[-2:] == ["DeleteTrack", "CreateTrack"]
    assert await asked.fault(made) == ("Receiver", "Action", "MaxTracks")


@pytest.mark.covers("G-CreateTrack")
async def test_a_camera_without_sound_has_room_for_a_track(asked: Any, stage: Any) -> None:
    rec = f"rec-{stage.cameras[1]}"
    assert await spare(asked, rec) == {"SpareTotal": "1", "SpareAudio": "1"}
    await asked.ask(trc.CreateTrack(recording_token=rec, track_configuration=track(tt.TrackType.AUDIO)))
    assert await spare(asked, rec) == {}


@pytest.mark.covers("G-CreateTrack", "G-DeleteTrack", "G-SetTrackConfiguration")
async def test_faults_of_tracks(asked: Any, stage: Any) -> None:
    rec = f"rec-{stage.cameras[0]}"
    own = await create(asked)
    stage.footage(own)
    before = stage.control.recordings()
    faults = (
        (trc.CreateTrack(recording_token="none", track_configuration=track(tt.TrackType.AUDIO)), "NoRecording"),
        (trc.DeleteTrack(recording_token="none", track_token="VIDEO001"), "NoRecording"),
        (trc.DeleteTrack(recording_token=rec, track_token="VIDEO009"), "NoTrack"),
        (
            trc.SetTrackConfiguration(
                recording_token="none", track_token="VIDEO001", track_configuration=track(tt.TrackType.VIDEO)
            ),
            "NoRecording",
        ),
        (
            trc.SetTrackConfiguration(
                recording_token=rec, track_token="none", track_configuration=track(tt.TrackType.VIDEO)
            ),
            "NoTrack",
        ),
        (
            trc.CreateTrack(recording_token=rec, track_configuration=track(tt.TrackType.EXTENDED)),
            "BadConfiguration",
        ),
    )
    for request, detail in faults:
        assert await asked.fault(request) == ("Sender", "InvalidArgVal", detail)
    for recording, token in ((rec, "VIDEO001"), (rec, "META001"), (own, "VIDEO001")):
        request = trc.DeleteTrack(recording_token=recording, track_token=token)
        assert await asked.fault(request) == ("Receiver", "Action", "CannotDelete")
    assert stage.control.recordings() == before
    assert stage.segments.track_times(own) != {}


@pytest.mark.covers("G-SetTrackConfiguration")
async def test_a_track_is_described_and_keeps_its_type(asked: Any, stage: Any) -> None:
    rec = f"rec-{stage.cameras[0]}"
    request = trc.SetTrackConfiguration(
        recording_token=rec, track_token="VIDEO001", track_configuration=track(tt.TrackType.METADATA, "Door")
    )
    await asked.ask(request)
    shown = (await asked.ask(trc.GetTrackConfiguration(recording_token=rec, track_token="VIDEO001")))[0]
    assert (shown.findtext(f"{TT}TrackType"), shown.findtext(f"{TT}Description")) == ("Video", "Door")
    (event,) = stage.seen
    assert event.topic == "RecordingConfig/TrackConfiguration"
    assert event.source == (("RecordingToken", rec), ("TrackToken", "VIDEO001"))
    assert ">Door<" in event.elements[0][1]


# ---- jobs


async def make_job(asked: Any, configuration: Any) -> tuple[str, Any]:
    answer = await asked.ask(trc.CreateRecordingJob(job_configuration=configuration))
    return str(answer.findtext(f"{TRC}JobToken")), answer.find(f"{TRC}JobConfiguration")


async def state(asked: Any, token: str) -> str:
    answer = await asked.ask(trc.GetRecordingJobState(job_token=token))
    return str(answer[0].findtext(f"{TT}State"))


@pytest.mark.covers("G-GetRecordingJobs")
async def test_the_job_of_a_camera_names_profile_and_tracks(asked: Any, stage: Any) -> None:
    one, two = stage.cameras
    answer = await asked.ask(trc.GetRecordingJobs())
    items = {item.findtext(f"{TT}JobToken"): item for item in answer}
    assert set(items) == {f"job-{one}", f"job-{two}"}
    configuration = items[f"job-{one}"].find(f"{TT}JobConfiguration")
    assert configuration.findtext(f"{TT}RecordingToken") == f"rec-{one}"
    assert configuration.findtext(f"{TT}Mode") == "Active"
    source = configuration.find(f"{TT}Source/{TT}SourceToken")
    assert source.findtext(f"{TT}Token") == f"{one}-main"
    assert source.get("Type") == PROFILE
    destinations = [each.findtext(f"{TT}Destination") for each in configuration.iter(f"{TT}Tracks")]
    assert destinations == ["VIDEO001", "AUDIO001", "META001"]
    # RecordingControl 5.3.3: never reported.
    assert configuration.find(f".//{TT}AutoCreateReceiver") is None


@pytest.mark.covers("G-GetRecordingJobConfiguration")
async def test_job_configuration_is_the_same_alone_and_in_the_list(asked: Any, stage: Any) -> None:
    alone = await asked.ask(trc.GetRecordingJobConfiguration(job_token=f"job-{stage.cameras[0]}"))
    first = (await asked.ask(trc.GetRecordingJobs()))[0]
    assert first.findtext(f"{TT}JobToken") == min(f"job-{camera}" for camera in stage.cameras)
    listed = {
        item.findtext(f"{TT}JobToken"): item.find(f"{TT}JobConfiguration")
        for item in await asked.ask(trc.GetRecordingJobs())
    }[f"job-{stage.cameras[0]}"]
    assert same(alone[0], listed)


@pytest.mark.covers("G-CreateRecordingJob")
async def test_a_job_on_a_profile_records(asked: Any, stage: Any) -> None:
    rec, name = await create(asked), f"{stage.cameras[1]}-sub"
    token, shown = await make_job(asked, job(rec, profile(name)))
    assert shown.findtext(f"{TT}Mode") == "Active"
    # RecordingControl 5.13: without tracks all of the recording are assigned.
    assert [each.findtext(f"{TT}Destination") for each in shown.iter(f"{TT}Tracks")] == [
        "VIDEO001",
        "AUDIO001",
        "META001",
    ]
    (taken,) = [each for each in stage.control.plan() if each.recording == rec]
    assert (taken.camera, taken.stream, taken.job.token) == (stage.cameras[1], "sub", token)
    assert await state(asked, token) == "Idle"
    stage.written(rec)
    assert await state(asked, token) == "Active"
    information = (await asked.ask(trc.GetRecordingJobState(job_token=token)))[0]
    assert information.findtext(f"{TT}RecordingToken") == rec
    assert information.findtext(f"{TT}Sources/{TT}SourceToken/{TT}Token") == name
    assert information.findtext(f"{TT}Sources/{TT}State") == "Active"
    assert {each.findtext(f"{TT}State") for each in information.iter(f"{TT}Track")} == {"Active"}
    told = [each for each in stage.seen if each.topic == "RecordingConfig/JobState" and each.source[0][1] == token]
    assert [(each.data[0][1], str(each.operation)) for each in told] == [("Idle", "Initialized"), ("Active", "Changed")]
    # The event says what the operation answers.
    node = encode(job_state_information(stage.control.job_status(token)))
    etree.cleanup_namespaces(node)
    assert told[-1].elements[0][1] == etree.tostring(node, encoding="unicode")


async def test_a_job_is_active_from_the_order_on(asked: Any, stage: Any) -> None:
    """A client that asks for the state at once sees what it has set, not what comes with the next key frame; a job that
    waits for an event is Idle."""
    token = f"job-{stage.cameras[0]}"
    assert await state(asked, token) == "Idle"
    stage.control.set_orders(frozenset({f"rec-{stage.cameras[0]}"}))
    assert await state(asked, token) == "Active"
    told = [each for each in stage.seen if each.topic == "RecordingConfig/JobState"]
    assert [each.data[0][1] for each in told] == ["Active"]
    stage.stream(stage.cameras[0], False)
    assert await state(asked, token) == "Error"
    stage.stream(stage.cameras[0], True)
    stage.control.set_orders(frozenset())
    assert await state(asked, token) == "Idle"


@pytest.mark.covers("G-CreateRecordingJob", "G-SetRecordingJobMode")
async def test_another_encoding_makes_a_track(asked: Any, stage: Any) -> None:
    """RecordingControl 5.1: all data of a track has the same encoding."""
    recording = f"rec-{stage.cameras[0]}"
    stage.control.set_orders(frozenset({recording}))
    stage.written(recording)
    stage.written(recording, tracks=("VIDEO002", "AUDIO001"))
    await settled(stage)
    tracks = (await listed(asked))[recording].findall(f"{TT}Tracks/{TT}Track")
    assert [
        (each.findtext(f"{TT}TrackToken"), each.findtext(f"{TT}Configuration/{TT}TrackType")) for each in tracks
    ] == [
        ("VIDEO001", "Video"),
        ("VIDEO002", "Video"),
        ("AUDIO001", "Audio"),
        ("META001", "Metadata"),
    ]
    made = [each for each in stage.seen if each.topic == "RecordingConfig/CreateTrack"]
    assert [dict(each.source) for each in made] == [{"RecordingToken": recording, "TrackToken": "VIDEO002"}]
    present = {
        each.source[1][1]: each.data[0][1]
        for each in stage.bus.properties()
        if each.topic == "RecordingHistory/Track/State" and each.source[0][1] == recording
    }
    assert present == {"VIDEO001": "false", "VIDEO002": "true", "AUDIO001": "true", "META001": "false"}
    assert await state(asked, f"job-{stage.cameras[0]}") == "Active"
    # It is asked for once, and a recording that has gone meanwhile is no failure.
    stage.written(recording, tracks=("VIDEO002",))
    stage.tracks.written(stage.control.recording(recording), ("VIDEO002", "OTHER"))
    await settled(stage)
    assert len([each for each in stage.seen if each.topic == "RecordingConfig/CreateTrack"]) == 1


async def settled(stage: Any) -> None:
    async with asyncio.timeout(5):
        while stage.tracks.busy:
            await asyncio.sleep(0)


async def test_the_job_of_higher_priority_has_the_recording(asked: Any, stage: Any) -> None:
    rec, name = await create(asked), f"{stage.cameras[0]}-main"
    low, _ = await make_job(asked, job(rec, profile(name)))
    stage.written(rec)
    assert await state(asked, low) == "Active"
    high, _ = await make_job(asked, job(rec, profile(name), priority=2))
    assert (await state(asked, low), await state(asked, high)) == ("Idle", "Active")
    await asked.ask(trc.SetRecordingJobMode(job_token=high, mode="Idle"))
    assert (await state(asked, low), await state(asked, high)) == ("Active", "Idle")
    await asked.ask(trc.SetRecordingJobMode(job_token=high, mode="Active"))
    await asked.ask(trc.DeleteRecordingJob(job_token=high))
    assert await state(asked, low) == "Active"
    assert await asked.fault(trc.GetRecordingJobState(job_token=high)) == ("Sender", "InvalidArgVal", "NoRecordingJob")


@pytest.mark.covers("G-CreateRecordingJob")
async def test_of_several_sources_the_first_that_delivers_is_taken(asked: Any, stage: Any) -> None:
    one, two = stage.cameras
    rec = await create(asked)
    token, _ = await make_job(asked, job(rec, profile(f"{one}-main"), profile(f"{two}-main")))
    stage.written(rec)
    assert await state(asked, token) == "PartiallyActive"
    stage.stream(one, False, "no media for 10 s")
    (taken,) = [each for each in stage.control.plan() if each.recording == rec]
    assert taken.camera == two
    assert stage.pushed >= 1
    information = (await asked.ask(trc.GetRecordingJobState(job_token=token)))[0]
    assert [each.findtext(f"{TT}State") for each in information.iterfind(f"{TT}Sources")] == ["Idle", "Active"]


@pytest.mark.covers("G-GetRecordingJobState")
async def test_errors_are_told_with_their_reason(asked: Any, stage: Any) -> None:
    one = stage.cameras[0]
    stage.written(f"rec-{one}", active=False, error="disk full")
    information = (await asked.ask(trc.GetRecordingJobState(job_token=f"job-{one}")))[0]
    assert information.findtext(f"{TT}State") == "Error"
    assert {each.findtext(f"{TT}Error") for each in information.iter(f"{TT}Track")} == {"disk full"}
    stage.written(f"rec-{one}", active=False)
    stage.stream(one, False, "no media for 10 s")
    information = (await asked.ask(trc.GetRecordingJobState(job_token=f"job-{one}")))[0]
    assert {each.findtext(f"{TT}Error") for each in information.iter(f"{TT}Track")} == {"no media for 10 s"}


@pytest.mark.covers("G-CreateRecordingJob", "G-DeleteRecordingJob")
async def test_a_receiver_comes_and_goes_with_its_job(asked: Any, stage: Any) -> None:
    rec = await create(asked)
    token, shown = await make_job(asked, job(rec, receiver(create=True), mode="Idle"))
    reference = shown.find(f"{TT}Source/{TT}SourceToken")
    assert reference.get("Type") == RECEIVER
    (made,) = stage.receivers.receivers()
    assert reference.findtext(f"{TT}Token") == made.token
    assert made.uri == ""
    assert shown.find(f".//{TT}AutoCreateReceiver") is None
    assert await state(asked, token) == "Idle"
    # A second job on the same receiver keeps it.
    other, _ = await make_job(asked, job(rec, receiver(made.token), priority=2))
    await asked.ask(trc.DeleteRecordingJob(job_token=token))
    assert stage.receivers.receivers() == (made,)
    await asked.ask(trc.DeleteRecordingJob(job_token=other))
    assert stage.receivers.receivers() == ()


async def test_receivers_are_bounded(asked: Any, stage: Any) -> None:
    rec = await create(asked)
    for _ in range(3):
        await make_job(asked, job(rec, receiver(create=True)))
    before = stage.control.jobs()
    request = trc.CreateRecordingJob(job_configuration=job(rec, receiver(create=True)))
    assert await asked.fault(request) == ("Receiver", "Action", "MaxReceivers")
    assert stage.control.jobs() == before
    token = before[-1].token
    two = trc.SetRecordingJobConfiguration(
        job_token=token, job_configuration=job(rec, receiver(create=True), receiver(create=True))
    )
    assert await asked.fault(two) == ("Receiver", "Action", "MaxReceivers")
    assert stage.control.jobs() == before
    # In the place of the one it had there is room.
    one = trc.SetRecordingJobConfiguration(job_token=token, job_configuration=job(rec, receiver(create=True)))
    shown = await asked.ask(one)
    assert shown.findtext(f".//{TT}SourceToken/{TT}Token") not in {s.token for j in before for s in j.sources}
    assert len(stage.receivers.receivers()) == 3


@pytest.mark.covers("G-CreateRecordingJob")
async def test_there_are_as_many_jobs_as_the_options_say(asked: Any, stage: Any) -> None:
    rec, name = await create(asked), f"{stage.cameras[0]}-main"
    options = (await asked.ask(trc.GetRecordingOptions(recording_token=rec)))[0]
    count = int(options.find(f"{TRC}Job").get("Spare"))
    assert count >= 2
    for _ in range(count):
        await make_job(asked, job(rec, profile(name), mode="Idle"))
    options = (await asked.ask(trc.GetRecordingOptions(recording_token=rec)))[0]
    assert options.find(f"{TRC}Job").get("Spare") is None
    request = trc.CreateRecordingJob(job_configuration=job(rec, profile(name)))
    assert await asked.fault(request) == ("Receiver", "Action", "MaxRecordingJobs")


BAD_JOBS: tuple[Callable[[str, str], Any], ...] = (
    lambda rec, name: job(rec, profile(name), mode="On"),
    lambda rec, name: job(rec, profile(name), mode="PartiallyActive"),
    lambda rec, name: job(rec, profile(name), priority=-1),
    lambda rec, name: job(rec),
    lambda rec, name: job(rec, profile("no-such-profile")),
    lambda rec, name: job(rec, profile(name), profile(name)),
    lambda rec, name: job(rec, receiver("no-such-receiver")),
    lambda rec, name: job(rec, receiver(), mode="Idle"),
    lambda rec, name: job(rec, profile(name, ("v", "VIDEO009"))),
    lambda rec, name: job(rec, profile(name, ("v", "VIDEO001"), ("w", "VIDEO001"))),
    lambda rec, name: job(rec, profile(name), schedule_token="schedule"),
    lambda rec, name: job(
        rec,
        profile(name),
        event_filter=tt.RecordingEventFilter(filter_=(tt.RecordingEventFilterFilter(topic="tns1:VideoSource"),)),
    ),
    lambda rec, name: job(
        rec, tt.RecordingJobSource(source_token=tt.SourceReference(token=name, type_="http://example.org/else"))
    ),
    lambda rec, name: job(
        rec,
        tt.RecordingJobSource(source_token=tt.SourceReference(token="", type_=PROFILE), auto_create_receiver=True),
    ),
)


@pytest.mark.covers("G-CreateRecordingJob", "G-SetRecordingJobConfiguration")
@pytest.mark.parametrize("number", range(len(BAD_JOBS)))
async def test_a_bad_job_changes_nothing(asked: Any, stage: Any, number: int) -> None:
    rec, name = await create(asked), f"{stage.cameras[0]}-main"
    token, _ = await make_job(asked, job(rec, profile(name)))
    before, receivers = stage.control.jobs(), stage.receivers.receivers()
    stage.seen.clear()
    bad = BAD_JOBS[number](rec, name)
    fault = ("Sender", "InvalidArgVal", "BadConfiguration")
    assert await asked.fault(trc.CreateRecordingJob(job_configuration=bad)) == fault
    assert await asked.fault(trc.SetRecordingJobConfiguration(job_token=token, job_configuration=bad)) == fault
    assert (stage.control.jobs(), stage.receivers.receivers()) == (before, receivers)
    assert stage.seen == []


@pytest.mark.covers("G-SetRecordingJobConfiguration")
async def test_a_job_is_configured_anew(asked: Any, stage: Any, recording_stage: Any) -> None:
    rec, one = await create(asked), stage.cameras[0]
    token, _ = await make_job(asked, job(rec, profile(f"{one}-main")))
    stage.seen.clear()
    wanted = job(rec, profile(f"{one}-sub", ("x", "VIDEO001")), mode="Idle", priority=7)
    answer = await asked.ask(trc.SetRecordingJobConfiguration(job_token=token, job_configuration=wanted))
    shown = (await asked.ask(trc.GetRecordingJobConfiguration(job_token=token)))[0]
    assert same(answer[0], shown)
    (event,) = [each for each in stage.seen if each.topic == "RecordingConfig/RecordingJobConfiguration"]
    assert event.source == (("RecordingJobToken", token),)
    assert same(etree.fromstring(event.elements[0][1]), shown)
    assert recording_stage().control.job(token) == stage.control.job(token)


@pytest.mark.covers("G-SetRecordingJobConfiguration", "G-DeleteRecordingJob")
async def test_the_job_of_a_camera_stays_what_it_is(asked: Any, stage: Any) -> None:
    one, two = stage.cameras
    token, rec = f"job-{one}", f"rec-{one}"
    assert await asked.fault(trc.DeleteRecordingJob(job_token=token)) == ("Receiver", "Action", "CannotDelete")
    for bad in (job(rec, profile(f"{two}-main")), job(f"rec-{two}", profile(f"{one}-main"))):
        request = trc.SetRecordingJobConfiguration(job_token=token, job_configuration=bad)
        assert await asked.fault(request) == ("Sender", "InvalidArgVal", "BadConfiguration")
    wanted = job(rec, profile(f"{one}-main"), mode="Idle", priority=3)
    await asked.ask(trc.SetRecordingJobConfiguration(job_token=token, job_configuration=wanted))
    assert (stage.control.job(token).active, stage.control.job(token).priority) == (False, 3)
    assert stage.control.taken(rec) is None


@pytest.mark.covers("G-SetRecordingJobMode")
async def test_mode_is_applied_and_shown(asked: Any, stage: Any) -> None:
    token = f"job-{stage.cameras[0]}"
    for mode, active in (("Idle", False), ("Active", True), ("Active", True)):
        await asked.ask(trc.SetRecordingJobMode(job_token=token, mode=mode), "operator")
        assert stage.control.job(token).active is active
        answer = await asked.ask(trc.GetRecordingJobConfiguration(job_token=token))
        assert answer.findtext(f".//{TT}Mode") == mode


@pytest.mark.covers("G-SetRecordingJobMode")
@pytest.mark.parametrize("mode", ["", "active", "PartiallyActive", "Error", "On"])
async def test_other_modes_are_bad(asked: Any, stage: Any, mode: str) -> None:
    token = f"job-{stage.cameras[0]}"
    fault = await asked.fault(trc.SetRecordingJobMode(job_token=token, mode=mode))
    assert fault == ("Sender", "InvalidArgVal", "BadMode")
    assert stage.control.job(token).active


@pytest.mark.covers("G-GetTrackConfiguration")
@pytest.mark.parametrize(
    ("request_", "detail"),
    [
        (trc.GetRecordingConfiguration(recording_token="none"), "NoRecording"),
        (trc.GetRecordingOptions(recording_token="none"), "NoRecording"),
        (trc.SetRecordingConfiguration(recording_token="none", recording_configuration=settings()), "NoRecording"),
        (trc.DeleteRecording(recording_token="none"), "NoRecording"),
        (trc.GetTrackConfiguration(recording_token="none", track_token="VIDEO001"), "NoRecording"),
        (trc.CreateRecordingJob(job_configuration=job("none", receiver(create=True))), "NoRecording"),
        (
            trc.SetRecordingJobConfiguration(job_token="none", job_configuration=job("none", receiver(create=True))),
            "NoRecordingJob",
        ),
        (trc.DeleteRecordingJob(job_token="none"), "NoRecordingJob"),
        (trc.GetRecordingJobConfiguration(job_token="none"), "NoRecordingJob"),
        (trc.GetRecordingJobState(job_token="none"), "NoRecordingJob"),
        (trc.SetRecordingJobMode(job_token="none", mode="Nonsense"), "NoRecordingJob"),
    ],
)
async def test_unknown_tokens(asked: Any, request_: Any, detail: str) -> None:
    assert await asked.fault(request_) == ("Sender", "InvalidArgVal", detail)


@pytest.mark.covers("G-GetRecordingOptions")
async def test_options_name_the_profiles_that_can_be_recorded(asked: Any, stage: Any) -> None:
    one, two = stage.cameras
    own = await create(asked)
    for token, cameras in ((f"rec-{one}", (one,)), (own, (one, two))):
        options = (await asked.ask(trc.GetRecordingOptions(recording_token=token)))[0]
        sources = options.find(f"{TRC}Job").get("CompatibleSources").split()
        assert sources == [f"{camera}-{role}" for camera in cameras for role in ("main", "sub")]


async def test_capabilities_are_truthful(asked: Any) -> None:
    found = (await asked.ask(trc.GetServiceCapabilities(), None))[0]
    for name in ("DynamicRecordings", "DynamicTracks", "MetadataRecording", "Options"):
        assert found.get(name) == "true"
    for name in ("ScheduledRecording", "EventRecording", "OverrideSegmentDuration", "SupportedEncryptionModes"):
        assert found.get(name) in (None, "false")
    assert set(found.get("Encoding").split()) == {"H264", "H265", "G711", "AAC"}


async def test_optional_operations_that_are_not_served(asked: Any) -> None:
    request = trc.OverrideSegmentDuration(
        target_segment_duration=timedelta(seconds=10), expiration=timedelta(minutes=1), recording_configuration="rec-1"
    )
    assert await asked.fault(request) == ("Receiver", "ActionNotSupported", "NotImplemented")
