"""Receivers: every operation by bytes, valid against the official schema, with its access class and faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from onvifd.access.types import AccessClass, Level, may
from onvifd.onvif.services.common import NS_RECEIVER
from onvifd.onvif.services.receiver import ReceiverService
from onvifd.onvif.services.recording import RecordingService
from onvifd.onvif.types import trc, trv, tt
from onvifd.store.rows import JobRow, JobSourceRow

TRV = f"{{{NS_RECEIVER}}}"
TT = "{http://www.onvif.org/ver10/schema}"
READ, ACTUATE, PRE_AUTH = AccessClass.READ_MEDIA, AccessClass.ACTUATE, AccessClass.PRE_AUTH
URI = "rtsp://192.0.2.9:8554/stream"


def configuration(
    mode: str = "NeverConnect",
    uri: str = URI,
    stream: tt.StreamType = tt.StreamType.RTP_UNICAST,
    protocol: tt.TransportProtocol = tt.TransportProtocol.UDP,
) -> tt.ReceiverConfiguration:
    setup = tt.StreamSetup(stream=stream, transport=tt.Transport(protocol=protocol))
    return tt.ReceiverConfiguration(mode=tt.ReceiverMode(mode), media_uri=uri, stream_setup=setup)


@pytest.fixture
def stage(recording_stage: Callable[..., Any]) -> Any:
    return recording_stage()


@pytest.fixture
def asked(stage: Any, client: Callable[..., Any]) -> Any:
    return client(ReceiverService(stage.receivers))


async def create(asked: Any, **named: Any) -> str:
    answer = await asked.ask(trv.CreateReceiver(configuration=configuration(**named)))
    return str(answer.findtext(f".//{TT}Token"))


def operations(token: str) -> dict[str, tuple[Any, AccessClass]]:
    return {
        "GetServiceCapabilities": (trv.GetServiceCapabilities(), PRE_AUTH),
        "GetReceivers": (trv.GetReceivers(), READ),
        "GetReceiver": (trv.GetReceiver(receiver_token=token), READ),
        "CreateReceiver": (trv.CreateReceiver(configuration=configuration()), ACTUATE),
        "ConfigureReceiver": (
            trv.ConfigureReceiver(receiver_token=token, configuration=configuration("AutoConnect")),
            ACTUATE,
        ),
        "SetReceiverMode": (trv.SetReceiverMode(receiver_token=token, mode=tt.ReceiverMode.AUTO_CONNECT), ACTUATE),
        "GetReceiverState": (trv.GetReceiverState(receiver_token=token), READ),
        "DeleteReceiver": (trv.DeleteReceiver(receiver_token=token), ACTUATE),
    }


def test_every_operation_is_tested() -> None:
    assert {item.name.removeprefix(TRV) for item in ReceiverService.operations()} == set(operations(""))


@pytest.mark.covers(
    *("G-GetReceivers", "G-GetReceiver", "G-CreateReceiver", "G-DeleteReceiver", "G-ConfigureReceiver"),
    *("G-SetReceiverMode", "G-GetReceiverState", "G-receiver-GetServiceCapabilities"),
)
@pytest.mark.parametrize("name", operations(""))
async def test_the_answer_is_valid(asked: Any, name: str) -> None:
    token = await create(asked)
    assert (await asked.ask(operations(token)[name][0])).tag == f"{TRV}{name}Response"


@pytest.mark.parametrize("name", operations(""))
async def test_access_class(asked: Any, name: str) -> None:
    request, access = operations("none")[name]
    for level in (Level.USER, Level.OPERATOR, Level.ADMINISTRATOR):
        reply = await asked.send(request, str(level).lower())
        assert (b"NotAuthorized" not in reply.body) == may(level, access), level
    assert (b"NotAuthorized" not in (await asked.send(request, None)).body) == (access is PRE_AUTH)


@pytest.mark.covers("G-GetReceiver")
@pytest.mark.parametrize(
    "name", ["GetReceiver", "ConfigureReceiver", "SetReceiverMode", "GetReceiverState", "DeleteReceiver"]
)
async def test_unknown_tokens(asked: Any, name: str) -> None:
    assert await asked.fault(operations("none")[name][0]) == ("Sender", "InvalidArgVal", "UnknownToken")


async def state(asked: Any, token: str) -> str:
    answer = await asked.ask(trv.GetReceiverState(receiver_token=token))
    return str(answer.findtext(f".//{TT}State"))


@pytest.mark.covers("G-CreateReceiver", "G-ConfigureReceiver")
async def test_a_receiver_is_shown_as_it_was_sent_and_survives_a_restart(
    asked: Any, recording_stage: Any, client: Any
) -> None:
    token = await create(asked, uri="rtsp://" + "h" * 121)
    changed = configuration("AutoConnect", URI, protocol=tt.TransportProtocol.RTSP)
    await asked.ask(trv.ConfigureReceiver(receiver_token=token, configuration=changed))
    await asked.ask(trv.SetReceiverMode(receiver_token=token, mode=tt.ReceiverMode.NEVER_CONNECT))
    again = client(ReceiverService(recording_stage().receivers))
    for ask in (asked, again):
        alone = (await ask.ask(trv.GetReceiver(receiver_token=token)))[0]
        (listed,) = await ask.ask(trv.GetReceivers())
        for shown in (alone, listed):
            assert shown.findtext(f"{TT}Token") == token
            assert shown.findtext(f"{TT}Configuration/{TT}Mode") == "NeverConnect"
            assert shown.findtext(f"{TT}Configuration/{TT}MediaUri") == URI
            assert shown.findtext(f".//{TT}Stream") == "RTP-Unicast"
            assert shown.findtext(f".//{TT}Protocol") == "RTSP"
        assert await state(ask, token) == "NotConnected"


BAD = (
    configuration("Unknown"),
    configuration(stream=tt.StreamType.RTP_MULTICAST, protocol=tt.TransportProtocol.RTSP),
    configuration(protocol=tt.TransportProtocol.TCP),
    configuration(protocol=tt.TransportProtocol.HTTP),
    configuration(uri="rtsp://" + "h" * 1024),
)


@pytest.mark.covers("G-CreateReceiver", "G-ConfigureReceiver")
@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_configuration_changes_nothing(asked: Any, stage: Any, bad: Any) -> None:
    token = await create(asked)
    before = stage.receivers.receivers()
    fault = ("Sender", "InvalidArgVal", "BadConfiguration")
    assert await asked.fault(trv.CreateReceiver(configuration=bad)) == fault
    assert await asked.fault(trv.ConfigureReceiver(receiver_token=token, configuration=bad)) == fault
    assert stage.receivers.receivers() == before


async def test_unknown_is_no_mode(asked: Any, stage: Any) -> None:
    token = await create(asked)
    request = trv.SetReceiverMode(receiver_token=token, mode=tt.ReceiverMode.UNKNOWN)
    assert await asked.fault(request) == ("Sender", "InvalidArgVal")
    assert stage.receivers.receivers()[0].mode == "NeverConnect"


@pytest.mark.covers("G-CreateReceiver", "G-receiver-GetServiceCapabilities")
async def test_there_are_as_many_as_the_capabilities_say(asked: Any, stage: Any) -> None:
    found = (await asked.ask(trv.GetServiceCapabilities(), None))[0]
    assert int(found.get("MaximumRTSPURILength")) >= 128
    assert (found.get("RTP_Multicast"), found.get("RTP_TCP"), found.get("RTP_RTSP_TCP")) == ("true", "false", "true")
    for _ in range(int(found.get("SupportedReceivers"))):
        await create(asked)
    request = trv.CreateReceiver(configuration=configuration())
    assert await asked.fault(request) == ("Receiver", "Action", "MaxReceivers")


@pytest.mark.covers("G-DeleteReceiver")
async def test_one_that_a_job_uses_cannot_be_deleted(asked: Any, stage: Any) -> None:
    token = await create(asked)
    source = JobSourceRow(kind="receiver", token=token, tracks=(("VIDEO001", "VIDEO001"),))
    job = JobRow(
        token="job-1", recording=f"rec-{stage.cameras[0]}", camera=None, sources=(source,), active=False, created=1
    )
    stage.catalogue.recordings.create_job(job, (), limit=99, receiver_limit=9, spare=8)
    request = trv.DeleteReceiver(receiver_token=token)
    assert await asked.fault(request) == ("Receiver", "Action", "CannotDeleteReceiver")
    stage.catalogue.recordings.remove_job("job-1")
    await asked.ask(request)
    assert await asked.fault(request) == ("Sender", "InvalidArgVal", "UnknownToken")


def told(stage: Any) -> list[tuple[str, ...]]:
    return [
        (each.topic, *(value for _, value in each.data)) for each in stage.seen if each.topic.startswith("Receiver/")
    ]


@pytest.mark.covers("G-event-ReceiverChangeState", "G-SetReceiverMode")
async def test_it_connects_as_its_mode_says(asked: Any, stage: Any) -> None:
    token = await create(asked, mode="AlwaysConnect")
    assert [spec.id for spec in stage.receivers.specs({})] == [token]
    assert await state(asked, token) == "Connecting"
    stage.stream(token, True)
    assert await state(asked, token) == "Connected"
    await asked.ask(trv.SetReceiverMode(receiver_token=token, mode=tt.ReceiverMode.NEVER_CONNECT))
    assert stage.receivers.specs({}) == ()
    assert await state(asked, token) == "NotConnected"
    # What a worker that is only now told says too late does not count.
    stage.stream(token, True)
    assert await state(asked, token) == "NotConnected"
    change = "Receiver/ChangeState"
    assert told(stage) == [(change, "Connecting", URI), (change, "Connected", URI), (change, "NotConnected", URI)]


@pytest.mark.covers("G-event-ReceiverConnectionFailed")
async def test_a_failure_is_told_once_until_it_connects(asked: Any, stage: Any) -> None:
    token = await create(asked, mode="AlwaysConnect")
    for _ in range(3):
        stage.stream(token, False, "refused")
    assert await state(asked, token) == "NotConnected"
    assert told(stage)[1:] == [("Receiver/ChangeState", "NotConnected", URI), ("Receiver/ConnectionFailed", URI)]
    # Retries go on, so that it can come up.
    stage.stream(token, True)
    assert await state(asked, token) == "Connected"


@pytest.mark.covers("G-event-ReceiverConnectionFailed")
async def test_an_address_that_leads_nowhere_is_taken(asked: Any, stage: Any) -> None:
    token = await create(asked)
    request = trv.ConfigureReceiver(receiver_token=token, configuration=configuration("AlwaysConnect", "nonsense"))
    await asked.ask(request)
    assert await state(asked, token) == "NotConnected"
    assert told(stage) == [("Receiver/ConnectionFailed", "nonsense")]
    assert stage.receivers.specs({}) == ()


@pytest.mark.covers("G-SetReceiverMode")
async def test_on_demand_it_connects_while_an_active_job_wants_it(asked: Any, stage: Any, client: Any) -> None:
    token = await create(asked, mode="AutoConnect")
    assert stage.receivers.specs({}) == ()
    recordings = client(RecordingService(stage.control, stage.export, stage))
    reference = tt.SourceReference(token=token, type_="http://www.onvif.org/ver10/schema/Receiver")
    wanted = tt.RecordingJobConfiguration(
        recording_token=f"rec-{stage.cameras[0]}",
        mode="Active",
        priority=9,
        source=(tt.RecordingJobSource(source_token=reference),),
    )
    answer = await recordings.ask(trc.CreateRecordingJob(job_configuration=wanted))
    job = answer[0].text
    assert [spec.id for spec in stage.receivers.specs({})] == [token]
    stage.stream(token, True)
    stage.written(f"rec-{stage.cameras[0]}")
    information = await recordings.ask(trc.GetRecordingJobState(job_token=job))
    assert information[0].findtext(f"{TT}State") == "Active"
    await asked.ask(trv.SetReceiverMode(receiver_token=token, mode=tt.ReceiverMode.NEVER_CONNECT))
    stage.written(f"rec-{stage.cameras[0]}", active=False)
    information = await recordings.ask(trc.GetRecordingJobState(job_token=job))
    assert information[0].findtext(f"{TT}State") == "Idle"
    assert {each.findtext(f"{TT}State") for each in information[0].iterfind(f"{TT}Sources")} == {"Idle"}


async def test_credentials_are_neither_shown_nor_stored_in_clear(
    asked: Any, stage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    token = await create(asked, mode="AlwaysConnect", uri="rtsp://u5er:s3cret@192.0.2.9/a?password=hidden7")
    shown = (await asked.ask(trv.GetReceiver(receiver_token=token))).findtext(f".//{TT}MediaUri")
    assert shown == "rtsp://192.0.2.9/a?password=***"
    (spec,) = stage.receivers.specs({})
    assert (spec.streams[0].user, spec.streams[0].password) == ("u5er", "s3cret")
    assert spec.streams[0].url == "rtsp://192.0.2.9/a?password=hidden7"
    stage.stream(token, False, "refused")
    # What was shown and comes back keeps what is hidden.
    back = configuration("AutoConnect", str(shown))
    await asked.ask(trv.ConfigureReceiver(receiver_token=token, configuration=back))
    await asked.ask(trv.SetReceiverMode(receiver_token=token, mode=tt.ReceiverMode.ALWAYS_CONNECT))
    assert stage.receivers.specs({})[0].streams[0].password == "s3cret"
    # Another address does not get the credentials of the former.
    other = configuration("AlwaysConnect", "rtsp://192.0.2.10/a")
    await asked.ask(trv.ConfigureReceiver(receiver_token=token, configuration=other))
    assert stage.receivers.specs({})[0].streams[0].password == ""
    everything = caplog.text + repr(stage.seen) + repr(spec) + repr(stage.catalogue.receivers.all())
    files = b"".join(path.read_bytes() for path in stage.folder.glob("catalogue*"))
    for secret in ("s3cret", "hidden7", "u5er"):
        assert secret not in everything
        assert secret.encode() not in files


async def test_multicast_is_kept_and_pulled_so(asked: Any, stage: Any) -> None:
    token = await create(asked, mode="AlwaysConnect", stream=tt.StreamType.RTP_MULTICAST)
    answer = await asked.ask(trv.GetReceiver(receiver_token=token))
    assert answer.findtext(f".//{TT}Stream") == "RTP-Multicast"
    assert answer.findtext(f".//{TT}Protocol") == "UDP"
    (spec,) = stage.receivers.specs({})
    assert spec.streams[0].transport == "multicast"
