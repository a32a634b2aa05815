"""Recordings, jobs and receivers that a VMS makes: their footage appears, is found and replayed, and goes when it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.e2e.harness import Recorder
from tests.e2e.rtsp_client import REPLAY, SECOND, RtspClient, clock, units
from tests.e2e.soap import NS, Device

BOUND = 30.0
CONFIGURATION = (
    "<trc:RecordingConfiguration><tt:Source><tt:SourceId>http://192.0.2.1/any</tt:SourceId><tt:Name>CameraName</tt:Name>"
    "<tt:Location>Somewhere</tt:Location><tt:Description>Description</tt:Description><tt:Address>http://192.0.2.1</tt:Address>"
    "</tt:Source><tt:Content>Recording from device</tt:Content><tt:MaximumRetentionTime>PT0S</tt:MaximumRetentionTime>"
    "</trc:RecordingConfiguration>"
)


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + BOUND
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come in {BOUND:g} s"
        time.sleep(0.1)


@pytest.fixture
def recording(device: Device) -> Iterator[str]:
    """A recording of ours, deleted at the end."""
    token = device.text(f"<trc:CreateRecording>{CONFIGURATION}</trc:CreateRecording>", "trc:RecordingToken")
    yield token
    if token in device.recordings():
        delete(device, token)


def delete(device: Device, recording: str) -> None:
    device.call(f"<trc:DeleteRecording><trc:RecordingToken>{recording}</trc:RecordingToken></trc:DeleteRecording>")


def create_job(
    device: Device, recording: str, token: str, kind: str, *, mode: str = "Active", priority: int = 1, auto: str = ""
) -> tuple[str, str]:
    """Token of the job, and of its source."""
    answer = device.call(
        f"<trc:CreateRecordingJob><trc:JobConfiguration><tt:RecordingToken>{recording}</tt:RecordingToken>"
        f"<tt:Mode>{mode}</tt:Mode><tt:Priority>{priority}</tt:Priority><tt:Source>"
        f'<tt:SourceToken Type="http://www.onvif.org/ver10/schema/{kind}"><tt:Token>{token}</tt:Token></tt:SourceToken>'
        f"{auto}</tt:Source></trc:JobConfiguration></trc:CreateRecordingJob>"
    )
    source = answer.findtext("trc:JobConfiguration/tt:Source/tt:SourceToken/tt:Token", "", NS)
    return answer.findtext("trc:JobToken", "", NS), source


def job_state(device: Device, job: str) -> str:
    request = f"<trc:GetRecordingJobState><trc:JobToken>{job}</trc:JobToken></trc:GetRecordingJobState>"
    return device.text(request, "trc:State/tt:State")


def first_profile(device: Device, recording: str) -> str:
    answer = device.call(
        f"<trc:GetRecordingOptions><trc:RecordingToken>{recording}</trc:RecordingToken></trc:GetRecordingOptions>"
    )
    job = answer.find("trc:Options/trc:Job", NS)
    assert job is not None
    assert int(job.get("Spare", "0")) > 1
    return str(job.get("CompatibleSources", "")).split()[0]


@pytest.mark.covers("G-CreateRecording", "G-CreateRecordingJob", "G-DeleteRecordingJob", "G-DeleteRecording")
def test_a_job_on_a_profile_records_until_it_is_deleted(device: Device, recording: str) -> None:
    profile = first_profile(device, recording)
    low, _ = create_job(device, recording, profile, "Profile")
    until(lambda: job_state(device, low) == "Active", "the job")
    high, _ = create_job(device, recording, profile, "Profile", priority=2)
    assert (job_state(device, low), job_state(device, high)) == ("Idle", "Active")
    device.call(f"<trc:DeleteRecordingJob><trc:JobToken>{high}</trc:JobToken></trc:DeleteRecordingJob>")
    assert job_state(device, low) == "Active"
    until(lambda: device.span(recording), "footage")
    delete(device, recording)
    assert recording not in device.recordings()
    jobs = device.call("<trc:GetRecordingJobs/>").findall(".//tt:JobToken", NS)
    assert low not in [each.text for each in jobs]


@pytest.mark.covers(
    *(
        "G-CreateRecordingJob",
        "G-ConfigureReceiver",
        "G-GetReceiverState",
        "G-SetReceiverMode",
        "G-SetRecordingJobMode",
    ),
)
@pytest.mark.parametrize("protocol", ["RTSP", "UDP"])
def test_what_a_receiver_gets_is_recorded_and_replayed(
    device: Device, recorder: Recorder, recording: str, protocol: str
) -> None:
    auto = "<tt:AutoCreateReceiver>true</tt:AutoCreateReceiver>"
    job, receiver = create_job(device, recording, "", "Receiver", mode="Idle", auto=auto)
    parts = urlsplit(device.stream_uri(device.profiles()[0]))
    login = f"{recorder.user}:{recorder.password}@{parts.netloc}"
    device.call(
        f"<trv:ConfigureReceiver><trv:ReceiverToken>{receiver}</trv:ReceiverToken><trv:Configuration>"
        f"<tt:Mode>AlwaysConnect</tt:Mode><tt:MediaUri>{urlunsplit(parts._replace(netloc=login))}</tt:MediaUri>"
        f"<tt:StreamSetup><tt:Stream>RTP-Unicast</tt:Stream><tt:Transport><tt:Protocol>{protocol}</tt:Protocol>"
        "</tt:Transport></tt:StreamSetup></trv:Configuration></trv:ConfigureReceiver>"
    )
    shown = device.call(f"<trv:GetReceiver><trv:ReceiverToken>{receiver}</trv:ReceiverToken></trv:GetReceiver>")
    assert shown.findtext(".//tt:MediaUri", "", NS) == urlunsplit(parts)
    state = f"<trv:GetReceiverState><trv:ReceiverToken>{receiver}</trv:ReceiverToken></trv:GetReceiverState>"
    where = "trv:ReceiverState/tt:State"
    until(lambda: device.text(state, where) == "Connected", "the connection")
    assert job_state(device, job) == "Idle"
    device.call(
        f"<trc:SetRecordingJobMode><trc:JobToken>{job}</trc:JobToken><trc:Mode>Active</trc:Mode></trc:SetRecordingJobMode>"
    )
    until(lambda: job_state(device, job) == "Active", "the job")
    until(lambda: (span := device.span(recording)) and span[1] - span[0] > 2_000_000, "footage")
    span = device.span(recording)
    assert span is not None
    with RtspClient(device.replay_uri(recording), recorder.user, recorder.password) as client:
        video = next(each for each in client.describe() if each.kind == "video")
        client.setup(video, Require=REPLAY)
        client.demand("PLAY", Require=REPLAY, Range=f"clock={clock(span[0])}-", Rate_Control="no")
        first = next(units(client.packets()))
        assert first.extension.clean
        assert abs(first.extension.utc - span[0]) < SECOND
    device.call(
        f"<trv:SetReceiverMode><trv:ReceiverToken>{receiver}</trv:ReceiverToken><trv:Mode>NeverConnect</trv:Mode>"
        "</trv:SetReceiverMode>"
    )
    until(lambda: device.text(state, where) == "NotConnected", "the end of the connection")
    until(lambda: job_state(device, job) == "Idle", "the end of the job")
    log = recorder.log()
    assert f":{recorder.password}@" not in log
