"""Profiles and configurations as clients make and change them, by bytes, in both media services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from onvifd.access.types import Level
from onvifd.onvif.backend import MetadataChoice
from onvifd.onvif.services.common import NS_MEDIA, NS_MEDIA2
from onvifd.onvif.types import tr2, trt, tt

TRT, TR2 = f"{{{NS_MEDIA}}}", f"{{{NS_MEDIA2}}}"
TT = "{http://www.onvif.org/ver10/schema}"
NO_PROFILE = ("Sender", "InvalidArgVal", "NoProfile")
NO_CONFIG = ("Sender", "InvalidArgVal", "NoConfig")
CONFLICT = ("Receiver", "Action", "ConfigurationConflict")
INCOMPLETE = ("Receiver", "Action", "IncompleteConfiguration")
Ref = tr2.ConfigurationRef
Made = tuple[Any, Any, Any]


def slowly(stage: Any) -> None:
    """Let everybody else go on before each change is made."""
    change = stage.parts._change

    async def later(*args: Any, **named: Any) -> Any:
        await asyncio.sleep(0.01)
        return await change(*args, **named)

    stage.parts._change = later


@pytest.fixture
async def made(media_stage: Callable[..., Any], client: Callable[..., Any]) -> Made:
    """Stage, client of Media, client of Media2."""
    stage = await media_stage()
    return stage, client(stage.media), client(stage.media2)


def tokens(answer: etree._Element) -> list[str | None]:
    return [item.get("token") for item in answer]


async def types_of(media2: Any, token: str) -> dict[str, str | None]:
    (profile,) = await media2.ask(tr2.GetProfiles(token=token, type_=("All",)))
    return {etree.QName(each).localname: each.get("token") for each in profile.find(f"{TR2}Configurations")}


# ---- Media: profiles


@pytest.mark.covers("S-CreateProfile", "S-DeleteProfile", "G-media-CreateProfile", "G-media-DeleteProfile")
async def test_a_profile_is_made_and_deleted(made: Made) -> None:
    stage, media, _ = made
    stage.events("")
    (profile,) = await media.ask(trt.CreateProfile(name="Wall", token="Wall-1.a-0000"))
    assert (profile.get("token"), profile.get("fixed")) == ("Wall-1.a-0000", "false")
    assert [etree.QName(each).localname for each in profile] == ["Name"]
    assert stage.events("Media/ProfileChanged") == [("Wall-1.a-0000",)]
    for taken in (f"{stage.one}-main", "cam-0000000f-jpeg"):
        assert (await media.fault(trt.CreateProfile(name="x", token=taken)))[2] == "ProfileExists"
    (own,) = await media.ask(trt.CreateProfile(name="Other"))
    assert 0 < len(own.get("token")) <= 36
    assert await media.fault(trt.CreateProfile(name="x", token="Wall-1.a-0000")) == (
        "Sender",
        "InvalidArgVal",
        "ProfileExists",
    )
    await media.ask(trt.DeleteProfile(profile_token="Wall-1.a-0000"))
    assert await media.fault(trt.DeleteProfile(profile_token="Wall-1.a-0000")) == NO_PROFILE
    assert await media.fault(trt.GetProfile(profile_token="Wall-1.a-0000")) == NO_PROFILE
    fixed = ("Sender", "Action", "DeletionOfFixedProfile")
    assert await media.fault(trt.DeleteProfile(profile_token=f"{stage.one}-main")) == fixed


@pytest.mark.covers("S-CreateProfile", "T-MaximumNumberOfProfiles", "T-media2-CreateProfile")
async def test_as_many_profiles_as_are_promised(made: Made) -> None:
    stage, media, media2 = made
    capabilities = (await media2.ask(tr2.GetServiceCapabilities(), None))[0]
    most = int(capabilities.find(f"{TR2}ProfileCapabilities").get("MaximumNumberOfProfiles"))
    old = (await media.ask(trt.GetServiceCapabilities(), None))[0]
    assert int(old.find(f"{TRT}ProfileCapabilities").get("MaximumNumberOfProfiles")) == most
    for _ in range(most - len(stage.recorder.media().profiles)):
        await stage.parts.create_profile("x", None, {})
    assert await media.fault(trt.CreateProfile(name="x")) == ("Receiver", "Action", "MaxNVTProfiles")
    assert await media2.fault(tr2.CreateProfile(name="x")) == ("Receiver", "Action", "MaxNVTProfiles")
    assert len(await media.ask(trt.GetProfiles())) == most


def _kinds(stage: Any) -> list[tuple[str, str]]:
    one = stage.one
    return [
        ("VideoSource", f"vsc-{one}"),
        ("VideoEncoder", f"ve-{one}-sub"),
        ("AudioSource", f"asc-{one}"),
        ("AudioEncoder", f"ae-{one}-main"),
        ("Metadata", f"mdc-{one}-sub"),
    ]


@pytest.mark.covers(
    *(f"S-{verb}{kind}Configuration" for verb in ("Add", "Remove") for kind in ("VideoSource", "VideoEncoder")),
    *(f"S-{verb}{kind}Configuration" for verb in ("Add", "Remove") for kind in ("AudioSource", "AudioEncoder")),
    *("S-AddMetadataConfiguration", "S-RemoveMetadataConfiguration"),
    *(f"G-media-{verb}{kind}Configuration" for verb in ("Add", "Remove") for kind in ("VideoSource", "VideoEncoder")),
    *(f"G-media-{verb}{kind}Configuration" for verb in ("Add", "Remove") for kind in ("AudioSource", "AudioEncoder")),
    *("G-media-AddMetadataConfiguration", "G-media-RemoveMetadataConfiguration"),
)
async def test_configurations_go_in_and_out_one_by_one(made: Made) -> None:
    stage, media, _ = made
    await media.ask(trt.CreateProfile(name="Wall", token="wall"))
    for kind, token in _kinds(stage):
        add = getattr(trt, f"Add{kind}Configuration")
        stage.events("")
        await media.ask(add(profile_token="wall", configuration_token=token))
        assert stage.events("Media/ProfileChanged") == [("wall",)]
        (profile,) = await media.ask(trt.GetProfile(profile_token="wall"))
        configuration = profile.find(f"{TT}{kind}Configuration")
        assert configuration.get("token") == token
        used = sum(
            each.find(f"{TT}{kind}Configuration") is not None
            and each.find(f"{TT}{kind}Configuration").get("token") == token
            for each in await media.ask(trt.GetProfiles())
        )
        assert int(configuration.findtext(f"{TT}UseCount")) == used > 1
        assert await media.fault(add(profile_token="wall", configuration_token="none")) == NO_CONFIG
        assert await media.fault(add(profile_token="none", configuration_token=token)) == NO_PROFILE
    spec = stage.presented["wall"]
    assert (spec.path, spec.video, spec.audio) == (f"/live/{stage.one}/wall", "sub", "main")
    for kind, _ in reversed(_kinds(stage)):
        remove = getattr(trt, f"Remove{kind}Configuration")
        for _again in range(2):
            await media.ask(remove(profile_token="wall"))
        assert await media.fault(remove(profile_token="none")) == NO_PROFILE
    (profile,) = await media.ask(trt.GetProfile(profile_token="wall"))
    assert [etree.QName(each).localname for each in profile] == ["Name"]
    assert "wall" not in stage.presented


@pytest.mark.covers("S-AddVideoEncoderConfiguration", "S-RemoveVideoSourceConfiguration")
async def test_what_depends_on_a_source_neither_comes_first_nor_stays_last(made: Made) -> None:
    stage, media, _ = made
    await media.ask(trt.CreateProfile(name="Wall", token="wall"))
    encoder = trt.AddVideoEncoderConfiguration(profile_token="wall", configuration_token=f"ve-{stage.one}-main")
    assert await media.fault(encoder) == CONFLICT
    compatible = trt.GetCompatibleVideoEncoderConfigurations(profile_token="wall")
    assert len(await media.ask(compatible)) == 0
    source = trt.AddVideoSourceConfiguration(profile_token="wall", configuration_token=f"vsc-{stage.one}")
    await media.ask(source)
    assert tokens(await media.ask(compatible)) == [f"ve-{stage.one}-{name}" for name in ("main", "sub", "jpeg")]
    await media.ask(encoder)
    assert await media.fault(trt.RemoveVideoSourceConfiguration(profile_token="wall")) == CONFLICT
    other = trt.AddVideoSourceConfiguration(profile_token="wall", configuration_token=f"vsc-{stage.two}")
    assert await media.fault(other) == CONFLICT
    (profile,) = await media.ask(trt.GetProfile(profile_token="wall"))
    assert profile.find(f"{TT}VideoSourceConfiguration").get("token") == f"vsc-{stage.one}"


@pytest.mark.covers("S-AddAudioDecoderConfiguration", "S-AddPTZConfiguration", "S-RemovePTZConfiguration")
@pytest.mark.parametrize(
    ("kind", "subcode"),
    [
        ("PTZ", "PTZNotSupported"),
        ("VideoAnalytics", "VideoAnalyticsNotSupported"),
        ("AudioOutput", "AudioOutputNotSupported"),
        ("AudioDecoder", "AudioDecodingNotSupported"),
    ],
)
async def test_what_the_device_has_not(made: Made, kind: str, subcode: str) -> None:
    stage, media, _ = made
    profile = f"{stage.one}-main"
    absent = ("Receiver", "ActionNotSupported", subcode)
    add, remove = getattr(trt, f"Add{kind}Configuration"), getattr(trt, f"Remove{kind}Configuration")
    assert await media.fault(add(profile_token=profile, configuration_token="x")) == absent
    assert await media.fault(remove(profile_token=profile)) == absent
    assert await media.fault(add(profile_token="none", configuration_token="x")) == NO_PROFILE


async def test_metadata_stands_alone_in_ver10_and_streams(made: Made) -> None:
    stage, media, media2 = made
    await media.ask(trt.CreateProfile(name="Text", token="text"))
    found = tokens(await media.ask(trt.GetCompatibleMetadataConfigurations(profile_token="text")))
    assert f"mdc-{stage.two}-main" in found
    await media.ask(trt.AddMetadataConfiguration(profile_token="text", configuration_token=f"mdc-{stage.two}-main"))
    answer = await media2.ask(tr2.GetStreamUri(protocol="RTSP", profile_token="text"))
    assert answer[0].text.endswith(f"/live/{stage.two}/text")
    assert stage.presented["text"].metadata.token == f"mdc-{stage.two}-main"
    await media2.ask(tr2.AddConfiguration(profile_token="text", name="Words"))
    assert (await types_of(media2, "text")) == {"Metadata": f"mdc-{stage.two}-main"}
    only = Ref(type_="Metadata", token=f"mdc-{stage.two}-main")
    assert await media2.fault(tr2.CreateProfile(name="Text", configuration=(only,))) == CONFLICT


# ---- Media2: profiles


@pytest.mark.covers(
    "T-media2-CreateProfile", "T-media2-DeleteProfile", "M-media2-CreateProfile", "M-media2-DeleteProfile"
)
@pytest.mark.covers("T-event-ProfileChanged", "M-event-ProfileChanged")
async def test_a_profile_of_media2_comes_with_its_configurations(made: Made) -> None:
    stage, media, media2 = made
    parts = tuple(Ref(type_=kind, token=token) for kind, token in reversed(_kinds(stage)))
    stage.events("")
    answer = await media2.ask(tr2.CreateProfile(name="Wall", configuration=(Ref(type_="All", token="x"), *parts)))
    token = answer.findtext(f"{TR2}Token")
    assert stage.events("Media/ProfileChanged") == [(token,)]
    assert await types_of(media2, token) == dict(_kinds(stage))
    (profile,) = await media.ask(trt.GetProfile(profile_token=token))
    assert profile.get("fixed") == "false"
    await media2.ask(tr2.DeleteProfile(token=token))
    assert stage.events("Media/ProfileChanged") == [(token,)]
    assert await media2.fault(tr2.DeleteProfile(token=token)) == NO_PROFILE
    fixed = ("Sender", "Action", "DeletionOfFixedProfile")
    assert await media2.fault(tr2.DeleteProfile(token=f"{stage.one}-main")) == fixed


@pytest.mark.covers("T-media2-CreateProfile")
async def test_a_profile_that_cannot_be_is_not_made(made: Made) -> None:
    stage, _, media2 = made
    before = len(stage.recorder.media().profiles)
    encoder = Ref(type_="VideoEncoder", token=f"ve-{stage.one}-main")
    foreign = Ref(type_="VideoSource", token=f"vsc-{stage.two}")
    assert await media2.fault(tr2.CreateProfile(name="x", configuration=(encoder,))) == CONFLICT
    assert await media2.fault(tr2.CreateProfile(name="x", configuration=(foreign, encoder))) == CONFLICT
    for bad in (Ref(type_="VideoSource", token="none"), Ref(type_="VideoSource"), Ref(type_="PTZ", token="p")):
        assert await media2.fault(tr2.CreateProfile(name="x", configuration=(bad,))) == NO_CONFIG
    assert await media2.fault(tr2.CreateProfile(name="x" * 65)) == ("Sender", "InvalidArgVal")
    assert len(stage.recorder.media().profiles) == before


@pytest.mark.covers(
    *("T-media2-AddConfiguration", "T-media2-RemoveConfiguration"),
    *("M-media2-AddConfiguration", "M-media2-RemoveConfiguration"),
)
@pytest.mark.covers("T-event-ProfileChanged")
async def test_configurations_go_in_and_out_together(made: Made) -> None:
    stage, _, media2 = made
    one = stage.one
    token = (await media2.ask(tr2.CreateProfile(name="Wall"))).findtext(f"{TR2}Token")
    encoder, source = Ref(type_="VideoEncoder", token=f"ve-{one}-main"), Ref(type_="VideoSource", token=f"vsc-{one}")
    assert await media2.fault(tr2.AddConfiguration(profile_token=token, configuration=(encoder,))) == CONFLICT
    stage.events("")
    await media2.ask(tr2.AddConfiguration(profile_token=token, name="Roof", configuration=(encoder, source)))
    assert stage.events("Media/ProfileChanged") == [(token,)]
    (profile,) = await media2.ask(tr2.GetProfiles(token=token))
    assert profile.findtext(f"{TR2}Name") == "Roof"
    smaller = Ref(type_="VideoEncoder", token=f"ve-{one}-sub")
    await media2.ask(tr2.AddConfiguration(profile_token=token, configuration=(smaller,)))
    assert await types_of(media2, token) == {"VideoSource": f"vsc-{one}", "VideoEncoder": f"ve-{one}-sub"}
    assert stage.presented[token].video == "sub"
    gone = (Ref(type_="VideoSource"),)
    assert await media2.fault(tr2.RemoveConfiguration(profile_token=token, configuration=gone)) == CONFLICT
    ignored = (Ref(type_="VideoEncoder", token="whatever"), Ref(type_="AudioEncoder"), Ref(type_="PTZ"))
    stage.events("")
    await media2.ask(tr2.RemoveConfiguration(profile_token=token, configuration=ignored))
    assert stage.events("Media/ProfileChanged") == [(token,)]
    assert await types_of(media2, token) == {"VideoSource": f"vsc-{one}"}
    await media2.ask(tr2.AddConfiguration(profile_token=token, configuration=(encoder,)))
    await media2.ask(tr2.RemoveConfiguration(profile_token=token, configuration=(Ref(type_="All"),)))
    assert await types_of(media2, token) == {}
    for message in (tr2.AddConfiguration, tr2.RemoveConfiguration):
        assert await media2.fault(message(profile_token="none", configuration=(Ref(type_="All"),))) == NO_PROFILE


async def test_a_fixed_profile_takes_other_configurations_of_its_camera_only(made: Made) -> None:
    stage, _, media2 = made
    token, path = f"{stage.one}-main", f"/live/{stage.one}/main"
    await media2.ask(
        tr2.AddConfiguration(
            profile_token=token, configuration=(Ref(type_="VideoEncoder", token=f"ve-{stage.one}-sub"),)
        )
    )
    assert (stage.presented[token].path, stage.presented[token].video) == (path, "sub")
    await media2.ask(tr2.RemoveConfiguration(profile_token=token, configuration=(Ref(type_="All"),)))
    assert token not in stage.presented
    assert await media2.fault(tr2.GetStreamUri(protocol="RTSP", profile_token=token)) == INCOMPLETE
    foreign = (Ref(type_="VideoSource", token=f"vsc-{stage.two}"),)
    assert await media2.fault(tr2.AddConfiguration(profile_token=token, configuration=foreign)) == CONFLICT
    own = (Ref(type_="VideoSource", token=f"vsc-{stage.one}"), Ref(type_="VideoEncoder", token=f"ve-{stage.one}-main"))
    await media2.ask(tr2.AddConfiguration(profile_token=token, configuration=own))
    assert stage.presented[token].path == path


@pytest.mark.covers("S-CreateProfile", "T-media2-CreateProfile")
async def test_profiles_outlive_a_restart_and_go_with_their_camera(
    media_stage: Callable[..., Any], client: Callable[..., Any]
) -> None:
    first = await media_stage()
    media2 = client(first.media2)
    parts = tuple(Ref(type_=kind, token=token) for kind, token in _kinds(first))
    token = (await media2.ask(tr2.CreateProfile(name="Wall", configuration=parts))).findtext(f"{TR2}Token")
    await media2.ask(tr2.CreateProfile(name="Empty"))
    await media2.ask(tr2.StartMulticastStreaming(profile_token=token))
    again = await media_stage()
    assert again.presented[token] == first.presented[token]
    assert again.presented[token].started
    again.catalogue.cameras.remove(again.one)
    await again.take_over()
    names = [each.name for each in again.recorder.media().profiles if not each.fixed]
    assert names == ["Empty"]


@pytest.mark.covers("G-CreateRecordingJob")
async def test_a_profile_of_a_client_can_be_recorded_and_gives_pictures(made: Made) -> None:
    stage, media, media2 = made
    parts = tuple(Ref(type_=kind, token=token) for kind, token in _kinds(stage))
    token = (await media2.ask(tr2.CreateProfile(name="Wall", configuration=parts))).findtext(f"{TR2}Token")
    feeds = stage.recorder.profile_feeds()
    assert (feeds[token].camera, feeds[token].stream) == (stage.one, "sub")
    assert feeds[f"{stage.one}-main"].stream == "main"
    assert f"{stage.one}-jpeg" not in feeds
    await media2.ask(tr2.CreateProfile(name="Empty"))
    assert len(stage.recorder.profile_feeds()) == len(feeds)
    answer = await media2.ask(tr2.GetSnapshotUri(profile_token=token))
    assert answer[0].text == f"http://192.0.2.10:8080/onvif/snapshot/{token}"
    stage.deliver_online(stage.one, "sub")
    assert await stage.recorder.snapshot(token) == f"{stage.one}/sub".encode()
    await media.ask(trt.RemoveVideoEncoderConfiguration(profile_token=token))
    assert await media.fault(trt.GetSnapshotUri(profile_token=token)) == INCOMPLETE
    assert stage.recorder.profile_feeds()[token].stream == "main"


# ---- levels


WRITES = (
    trt.CreateProfile(name="x"),
    trt.DeleteProfile(profile_token="x"),
    trt.AddVideoSourceConfiguration(profile_token="x", configuration_token="x"),
    trt.StartMulticastStreaming(profile_token="x"),
)
WRITES2 = (
    tr2.CreateProfile(name="x"),
    tr2.AddConfiguration(profile_token="x"),
    tr2.RemoveConfiguration(profile_token="x", configuration=(Ref(type_="All"),)),
    tr2.StopMulticastStreaming(profile_token="x"),
)


async def test_users_do_not_change_profiles(made: Made) -> None:
    stage, media, media2 = made
    before = len(stage.recorder.media().profiles)
    for service, requests in ((media, WRITES), (media2, WRITES2)):
        for content in requests:
            assert await service.fault(content, Level.USER.lower()) == ("Sender", "NotAuthorized")
            assert await service.fault(content, None) == ("Sender", "NotAuthorized")
    assert len(stage.recorder.media().profiles) == before
    await media.ask(trt.CreateProfile(name="x"), Level.OPERATOR.lower())


# ---- addresses


def setup(stream: str, protocol: str) -> tt.StreamSetup:
    return tt.StreamSetup(stream=tt.StreamType(stream), transport=tt.Transport(protocol=tt.TransportProtocol(protocol)))


@pytest.mark.covers("S-GetStreamUri", "T-media2-GetStreamUri", "M-media2-GetStreamUri")
async def test_addresses_of_every_transport(made: Made) -> None:
    stage, media, media2 = made
    token, path = f"{stage.one}-main", f"/live/{stage.one}/main"
    plain, web = f"rtsp://192.0.2.10:8554{path}", f"http://192.0.2.10:8080{path}"
    for stream, protocol, expected in (
        ("RTP-Unicast", "UDP", plain),
        ("RTP-Unicast", "RTSP", plain),
        ("RTP-Unicast", "HTTP", web),
        ("RTP-Multicast", "UDP", f"{plain}?multicast"),
    ):
        answer = await media.ask(trt.GetStreamUri(stream_setup=setup(stream, protocol), profile_token=token))
        assert answer.findtext(f".//{TT}Uri") == expected
    unserved = ("Sender", "InvalidArgVal", "InvalidStreamSetup")
    for protocol in ("RTSP", "HTTP", "TCP"):
        content = trt.GetStreamUri(stream_setup=setup("RTP-Multicast", protocol), profile_token=token)
        assert await media.fault(content) == unserved
    for protocol, expected in (
        ("RtspUnicast", plain),
        ("RTSP", plain),
        ("RtspMulticast", f"{plain}?multicast"),
        ("RtspOverHttp", web),
        ("RtspsUnicast", f"rtsps://192.0.2.10:322{path}?srtp"),
        ("RtspsMulticast", f"rtsps://192.0.2.10:322{path}?srtp&multicast"),
    ):
        answer = await media2.ask(tr2.GetStreamUri(protocol=protocol, profile_token=token))
        assert answer.findtext(f"{TR2}Uri") == expected
    assert await media2.fault(tr2.GetStreamUri(protocol="WebRTC", profile_token=token)) == unserved


async def test_what_is_not_served_is_neither_promised_nor_given(
    media_stage: Callable[..., Any], client: Callable[..., Any]
) -> None:
    stage = await media_stage(multicast=False, secure=None)
    media, media2 = client(stage.media), client(stage.media2)
    streaming = (await media2.ask(tr2.GetServiceCapabilities(), None))[0].find(f"{TR2}StreamingCapabilities")
    promised = [streaming.get(name) for name in ("RTPMulticast", "AutoStartMulticast", "SecureRTSPStreaming")]
    assert promised == ["false"] * 3
    old = (await media.ask(trt.GetServiceCapabilities(), None))[0].find(f"{TRT}StreamingCapabilities")
    assert old.get("RTPMulticast") == "false"
    for protocol in ("RtspMulticast", "RtspsUnicast", "RtspsMulticast"):
        fault = await media2.fault(tr2.GetStreamUri(protocol=protocol, profile_token=f"{stage.one}-main"))
        assert fault == ("Sender", "InvalidArgVal", "InvalidStreamSetup")
    fault = await media2.fault(tr2.StartMulticastStreaming(profile_token=f"{stage.one}-main"))
    assert fault[:2] == ("Receiver", "ActionNotSupported")


async def test_promises_of_what_is_served(made: Made) -> None:
    _, media, media2 = made
    found = (await media2.ask(tr2.GetServiceCapabilities(), None))[0]
    streaming = found.find(f"{TR2}StreamingCapabilities")
    names = ("RTSPStreaming", "RTPMulticast", "RTP_RTSP_TCP", "AutoStartMulticast", "SecureRTSPStreaming")
    assert [streaming.get(name) for name in names] == ["true"] * 5
    supported = found.find(f"{TR2}ProfileCapabilities").get("ConfigurationsSupported")
    assert supported.split() == ["VideoSource", "VideoEncoder", "AudioSource", "AudioEncoder", "Metadata"]
    old = (await media.ask(trt.GetServiceCapabilities(), None))[0].find(f"{TRT}StreamingCapabilities")
    assert old.get("RTPMulticast") == "true"


@pytest.mark.covers("S-media-SetSynchronizationPoint", "T-media2-SetSynchronizationPoint")
async def test_a_synchronisation_point_is_asked_of_worker_and_camera(made: Made) -> None:
    stage, media, media2 = made
    await media.ask(trt.SetSynchronizationPoint(profile_token=f"{stage.one}-sub"))
    assert stage.synchronized == [(stage.one, f"/live/{stage.one}/sub")]
    assert stage.asked == [(stage.one, "sub")]
    await media2.ask(tr2.SetSynchronizationPoint(profile_token=f"{stage.two}-jpeg"))
    assert stage.synchronized[-1] == (stage.two, f"/live/{stage.two}/jpeg")
    assert stage.asked[-1] == (stage.two, "main")
    for service, message in ((media, trt.SetSynchronizationPoint), (media2, tr2.SetSynchronizationPoint)):
        assert await service.fault(message(profile_token="none")) == NO_PROFILE


@pytest.mark.covers("T-media2-GetVideoEncoderInstances", "S-GetGuaranteedNumberOfVideoEncoderInstances")
async def test_instances_are_those_of_the_camera_whoever_uses_them(made: Made) -> None:
    stage, media, media2 = made
    await media2.ask(tr2.RemoveConfiguration(profile_token=f"{stage.one}-main", configuration=(Ref(type_="All"),)))
    info = (await media2.ask(tr2.GetVideoEncoderInstances(configuration_token=f"vsc-{stage.one}")))[0]
    assert [(each[0].text, each[1].text) for each in info.iter(f"{TR2}Codec")] == [("H264", "2"), ("JPEG", "1")]
    assert info.findtext(f"{TR2}Total") == "3"
    answer = await media.ask(trt.GetGuaranteedNumberOfVideoEncoderInstances(configuration_token=f"vsc-{stage.one}"))
    found = [(etree.QName(each).localname, each.text) for each in answer]
    assert found == [("TotalNumber", "3"), ("JPEG", "1"), ("H264", "2"), ("MPEG4", "0")]


# ---- at the same time


async def test_two_changes_at_a_time_do_not_undo_each_other(made: Made) -> None:
    stage, media, media2 = made
    await media.ask(trt.CreateProfile(name="Wall", token="wall-00000000"))
    slowly(stage)
    await asyncio.gather(
        media.ask(
            trt.AddVideoSourceConfiguration(profile_token="wall-00000000", configuration_token=f"vsc-{stage.one}")
        ),
        media.ask(
            trt.AddAudioSourceConfiguration(profile_token="wall-00000000", configuration_token=f"asc-{stage.one}")
        ),
        stage.parts.set_metadata(
            f"mdc-{stage.one}-main", name="Told", choice=stage.recorder.media().metadata[0].choice, multicast=None
        ),
        stage.parts.set_metadata(
            f"mdc-{stage.one}-main",
            name=stage.recorder.media().metadata[0].name,
            choice=MetadataChoice(analytics=False),
            multicast=None,
        ),
    )
    assert set(await types_of(media2, "wall-00000000")) == {"VideoSource", "AudioSource"}
    told = stage.recorder.media().metadata[0]
    assert (told.name, told.choice) == ("Told", MetadataChoice(analytics=False))
