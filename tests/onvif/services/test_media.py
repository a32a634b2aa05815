"""Media (ver10): every operation by bytes, valid against the official schema, with its access class and faults."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from lxml import etree

from onvifd.access.types import AccessClass, Level, may
from onvifd.media.types import Codec
from onvifd.onvif.backend import AudioEncoder, MediaModel, Ports
from onvifd.onvif.services.common import NS_MEDIA
from onvifd.onvif.services.media import MediaService
from onvifd.onvif.types import trt, tt

TRT = f"{{{NS_MEDIA}}}"
TT = "{http://www.onvif.org/ver10/schema}"
MAIN1, SUB1, MAIN2 = "cam-1a2b3c4d-main", "cam-1a2b3c4d-sub", "cam-5e6f7a8b-main"
VSC1, VSC2 = "vsc-vs-cam-1a2b3c4d", "vsc-vs-cam-5e6f7a8b"
VEC1, VEC2 = "vec-cam-1a2b3c4d-main", "vec-cam-5e6f7a8b-main"
SETUP = "<x:StreamSetup><t:Stream>{}</t:Stream><t:Transport><t:Protocol>{}</t:Protocol></t:Transport></x:StreamSetup>"
PROFILE = f"<x:ProfileToken>{MAIN1}</x:ProfileToken>"


def config(token: str) -> str:
    return f"<x:ConfigurationToken>{token}</x:ConfigurationToken>"


REQUESTS = {
    "GetServiceCapabilities": "",
    "GetProfiles": "",
    "GetProfile": PROFILE,
    "GetVideoSources": "",
    "GetVideoSourceConfigurations": "",
    "GetVideoSourceConfiguration": config(VSC1),
    "GetCompatibleVideoSourceConfigurations": PROFILE,
    "GetVideoSourceConfigurationOptions": "",
    "GetVideoEncoderConfigurations": "",
    "GetVideoEncoderConfiguration": config(VEC1),
    "GetCompatibleVideoEncoderConfigurations": PROFILE,
    "GetVideoEncoderConfigurationOptions": "",
    "GetGuaranteedNumberOfVideoEncoderInstances": config(VSC1),
    "GetAudioSources": "",
    "GetAudioSourceConfigurations": "",
    "GetAudioSourceConfiguration": config("asc-as-cam-1a2b3c4d"),
    "GetCompatibleAudioSourceConfigurations": PROFILE,
    "GetAudioSourceConfigurationOptions": "",
    "GetAudioEncoderConfigurations": "",
    "GetAudioEncoderConfiguration": config("aec-cam-1a2b3c4d"),
    "GetCompatibleAudioEncoderConfigurations": PROFILE,
    "GetAudioEncoderConfigurationOptions": "",
    "GetMetadataConfigurations": "",
    "GetCompatibleMetadataConfigurations": PROFILE,
    "GetVideoAnalyticsConfigurations": "",
    "GetAudioOutputs": "",
    "GetAudioOutputConfigurations": "",
    "GetAudioDecoderConfigurations": "",
    "GetStreamUri": SETUP.format("RTP-Unicast", "RTSP") + PROFILE,
    "GetSnapshotUri": PROFILE,
    "SetSynchronizationPoint": PROFILE,
}
ACCESS = dict.fromkeys(REQUESTS, AccessClass.READ_MEDIA) | {
    "GetServiceCapabilities": AccessClass.PRE_AUTH,
    "SetSynchronizationPoint": AccessClass.ACTUATE,
}

KINDS = ("VideoSource", "VideoEncoder", "AudioSource", "AudioEncoder", "PTZ", "VideoAnalytics", "Metadata")
SOUND = ("AudioOutput", "AudioDecoder")
CHANGES = (
    dict.fromkeys(("CreateProfile", "DeleteProfile"), AccessClass.ACTUATE)
    | {f"{verb}{kind}Configuration": AccessClass.ACTUATE for verb in ("Add", "Remove") for kind in (*KINDS, *SOUND)}
    | {f"Set{kind}Configuration": AccessClass.ACTUATE for kind in (*KINDS[:4], "Metadata")}
    | {f"Set{kind}Configuration": AccessClass.ACTUATE for kind in SOUND}
    | {
        f"Get{kind}{rest}": AccessClass.READ_MEDIA
        for kind in SOUND
        for rest in ("Configuration", "ConfigurationOptions")
    }
    | {f"GetCompatible{kind}Configurations": AccessClass.READ_MEDIA for kind in SOUND}
    | dict.fromkeys(("StartMulticastStreaming", "StopMulticastStreaming"), AccessClass.ACTUATE)
    | dict.fromkeys(("GetMetadataConfiguration", "GetMetadataConfigurationOptions"), AccessClass.READ_MEDIA)
)
"""What `test_media_control` and `test_media_talk` are about."""


def request(name: str, content: str = "") -> str:
    return f'<x:{name} xmlns:x="{NS_MEDIA}" xmlns:t="{TT[1:-1]}">{content}</x:{name}>'


@pytest.fixture
def media(body: Any, client: Callable[..., Any]) -> Any:
    return client(MediaService(body, body))


def test_access_classes() -> None:
    served = {etree.QName(item.name).localname: item.access for item in MediaService.operations()}
    assert served == ACCESS | CHANGES


@pytest.mark.covers(
    *("G-media-GetAudioEncoderConfiguration", "G-media-GetAudioEncoderConfigurationOptions"),
    *("G-media-GetAudioEncoderConfigurations", "G-media-GetAudioSourceConfiguration"),
    *("G-media-GetAudioSourceConfigurationOptions", "G-media-GetAudioSourceConfigurations", "G-media-GetAudioSources"),
    *("G-media-GetCompatibleAudioEncoderConfigurations", "G-media-GetCompatibleAudioSourceConfigurations"),
    *("G-media-GetCompatibleMetadataConfigurations", "G-media-GetCompatibleVideoEncoderConfigurations"),
    *("G-media-GetCompatibleVideoSourceConfigurations", "G-media-GetGuaranteedNumberOfVideoEncoderInstances"),
    *("G-media-GetMetadataConfigurations", "G-media-GetProfile", "G-media-GetProfiles"),
    *("G-media-GetServiceCapabilities", "G-media-GetVideoEncoderConfiguration"),
    *("G-media-GetVideoEncoderConfigurationOptions", "G-media-GetVideoEncoderConfigurations"),
    *("G-media-GetVideoSourceConfiguration", "G-media-GetVideoSourceConfigurationOptions"),
    *("G-media-GetVideoSourceConfigurations", "G-media-GetVideoSources", "S-GetAudioDecoderConfigurations"),
    *("S-GetAudioEncoderConfiguration", "S-GetAudioEncoderConfigurationOptions", "S-GetAudioEncoderConfigurations"),
    *("S-GetAudioOutputs", "S-GetAudioSourceConfiguration", "S-GetAudioSourceConfigurationOptions"),
    *("S-GetAudioSourceConfigurations", "S-GetAudioSources", "S-GetCompatibleAudioEncoderConfigurations"),
    *("S-GetCompatibleAudioSourceConfigurations", "S-GetCompatibleMetadataConfigurations"),
    *("S-GetCompatibleVideoEncoderConfigurations", "S-GetCompatibleVideoSourceConfigurations"),
    *("S-GetGuaranteedNumberOfVideoEncoderInstances", "S-GetMetadataConfigurations", "S-GetProfile", "S-GetProfiles"),
    *("S-GetStreamUri", "S-GetVideoEncoderConfiguration", "S-GetVideoEncoderConfigurationOptions"),
    *("S-GetVideoEncoderConfigurations", "S-GetVideoSourceConfiguration", "S-GetVideoSourceConfigurationOptions"),
    *("S-GetVideoSourceConfigurations", "S-GetVideoSources", "S-media-SetSynchronizationPoint"),
)
@pytest.mark.parametrize("name", REQUESTS)
async def test_every_operation_answers_validly_and_to_the_right_levels(media: Any, name: str) -> None:
    content = request(name, REQUESTS[name])
    assert (await media.ask(content)).tag == f"{TRT}{name}Response"
    for level in (Level.OPERATOR, Level.USER):
        if may(level, ACCESS[name]):
            await media.ask(content, level.lower())
        else:
            assert await media.fault(content, level.lower()) == ("Sender", "NotAuthorized")
    if ACCESS[name] is AccessClass.PRE_AUTH:
        await media.ask(content, None)
    else:
        assert await media.fault(content, None) == ("Sender", "NotAuthorized")


@pytest.mark.covers("G-media-GetProfile", "S-GetProfile")
@pytest.mark.parametrize("name", [name for name, content in REQUESTS.items() if PROFILE in content])
async def test_unknown_profile(media: Any, name: str) -> None:
    content = request(name, REQUESTS[name].replace(MAIN1, "nothing"))
    assert await media.fault(content) == ("Sender", "InvalidArgVal", "NoProfile")


@pytest.mark.covers(
    *("G-media-GetVideoEncoderConfiguration", "G-media-GetVideoSourceConfiguration", "S-GetVideoEncoderConfiguration"),
    *("S-GetVideoSourceConfiguration",),
)
@pytest.mark.parametrize("name", [name for name, content in REQUESTS.items() if "ConfigurationToken" in content])
async def test_unknown_configuration(media: Any, name: str) -> None:
    assert await media.fault(request(name, config("nothing"))) == ("Sender", "InvalidArgVal", "NoConfig")


@pytest.mark.parametrize("name", [name for name in REQUESTS if name.endswith("ConfigurationOptions")])
async def test_options_of_unknown_tokens(media: Any, name: str) -> None:
    unknown = "<x:ProfileToken>nothing</x:ProfileToken>"
    assert await media.fault(request(name, config("nothing"))) == ("Sender", "InvalidArgVal", "NoConfig")
    assert await media.fault(request(name, unknown)) == ("Sender", "InvalidArgVal", "NoProfile")
    await media.ask(request(name, config("") + "<x:ProfileToken/>"))


# ---- profiles and configurations


@pytest.mark.covers("G-media-GetProfiles", "S-GetProfiles")
async def test_profiles_are_in_channel_order_and_complete(media: Any) -> None:
    profiles = list(await media.ask(trt.GetProfiles()))
    assert [profile.get("token") for profile in profiles] == [MAIN1, SUB1, MAIN2, "cam-5e6f7a8b-sub"]
    first = profiles[0]
    assert first.get("fixed") == "true"
    encoder = first.find(f"{TT}VideoEncoderConfiguration")
    assert encoder.get("token") == VEC1
    assert encoder.findtext(f"{TT}Encoding") == "H264"
    assert encoder.findtext(f"{TT}RateControl/{TT}BitrateLimit") == "4096"
    assert encoder.findtext(f"{TT}H264/{TT}H264Profile") == "High"
    assert first.findtext(f"{TT}VideoSourceConfiguration/{TT}SourceToken") == "vs-cam-1a2b3c4d"
    assert first.findtext(f"{TT}VideoSourceConfiguration/{TT}UseCount") == "2"
    audio = first.find(f"{TT}AudioEncoderConfiguration")
    assert [audio.findtext(TT + name) for name in ("Encoding", "Bitrate", "SampleRate")] == ["G711", "64", "8"]
    assert profiles[2].find(f"{TT}AudioSourceConfiguration") is None


@pytest.mark.covers(
    *("G-media-GetProfile", "G-media-GetVideoEncoderConfiguration", "S-GetProfile", "S-GetVideoEncoderConfiguration"),
)
async def test_h265_is_a_profile_without_encoder_details(media: Any) -> None:
    profile = (await media.ask(trt.GetProfile(profile_token=MAIN2)))[0]
    assert profile.find(f"{TT}VideoSourceConfiguration").get("token") == VSC2
    assert profile.find(f"{TT}VideoEncoderConfiguration") is None
    tokens = [item.get("token") for item in await media.ask(trt.GetVideoEncoderConfigurations())]
    assert VEC2 not in tokens
    assert len(tokens) == 3
    fault = await media.fault(trt.GetVideoEncoderConfiguration(configuration_token=VEC2))
    assert fault == ("Sender", "InvalidArgVal", "NoConfig")
    uri = (await media.ask(request("GetStreamUri", REQUESTS["GetStreamUri"].replace(MAIN1, MAIN2))))[0]
    assert uri.findtext(f"{TT}Uri") == "rtsp://192.0.2.10:8554/live/cam-5e6f7a8b/main"


@pytest.mark.covers(
    *("G-media-GetCompatibleAudioEncoderConfigurations", "G-media-GetCompatibleAudioSourceConfigurations"),
    *("G-media-GetCompatibleVideoEncoderConfigurations", "G-media-GetCompatibleVideoSourceConfigurations"),
    *("S-GetCompatibleAudioEncoderConfigurations", "S-GetCompatibleAudioSourceConfigurations"),
    *("S-GetCompatibleVideoEncoderConfigurations", "S-GetCompatibleVideoSourceConfigurations"),
)
async def test_compatible_configurations_are_those_of_the_camera_and_contain_the_present_one(media: Any) -> None:
    async def tokens(name: str, profile: str) -> list[str]:
        answer = await media.ask(request(name, PROFILE.replace(MAIN1, profile)))
        return [item.get("token") for item in answer]

    assert await tokens("GetCompatibleVideoSourceConfigurations", SUB1) == [VSC1]
    assert await tokens("GetCompatibleVideoEncoderConfigurations", SUB1) == [VEC1, "vec-cam-1a2b3c4d-sub"]
    assert await tokens("GetCompatibleVideoEncoderConfigurations", MAIN2) == ["vec-cam-5e6f7a8b-sub"]
    assert await tokens("GetCompatibleAudioEncoderConfigurations", SUB1) == ["aec-cam-1a2b3c4d"]
    assert await tokens("GetCompatibleAudioEncoderConfigurations", MAIN2) == []
    assert await tokens("GetCompatibleAudioSourceConfigurations", MAIN2) == []


@pytest.mark.covers("G-media-GetVideoEncoderConfigurationOptions", "S-GetVideoEncoderConfigurationOptions")
async def test_encoder_options_of_one_configuration_are_its_values(media: Any) -> None:
    options = (await media.ask(trt.GetVideoEncoderConfigurationOptions(configuration_token=VEC1)))[0]
    h264 = options.find(f"{TT}H264")
    assert [(item[0].text, item[1].text) for item in h264.iter(f"{TT}ResolutionsAvailable")] == [("1920", "1080")]
    assert [item.text for item in h264.find(f"{TT}GovLengthRange")] == ["50", "50"]
    assert [item.text for item in options.find(f"{TT}Extension/{TT}H264/{TT}BitrateRange")] == ["4096", "4096"]
    assert options.find(f"{TT}JPEG") is None


@pytest.mark.covers("G-media-GetVideoEncoderConfigurationOptions", "S-GetVideoEncoderConfigurationOptions")
async def test_encoder_options_of_a_camera_span_its_encodings(media: Any) -> None:
    options = (await media.ask(trt.GetVideoEncoderConfigurationOptions(profile_token=MAIN1)))[0]
    sizes = [(item[0].text, item[1].text) for item in options.find(f"{TT}H264").iter(f"{TT}ResolutionsAvailable")]
    assert sizes == [("1920", "1080"), ("640", "360")]


@pytest.mark.covers(
    *("G-media-GetGuaranteedNumberOfVideoEncoderInstances", "S-GetGuaranteedNumberOfVideoEncoderInstances"),
)
async def test_jpeg_encoder_has_its_own_options(media: Any, body: Any) -> None:
    model = body.media_
    jpeg = dataclasses.replace(model.video_encoders[1], codec=Codec.JPEG)
    body.media_ = dataclasses.replace(model, video_encoders=(model.video_encoders[0], jpeg, *model.video_encoders[2:]))
    options = (await media.ask(trt.GetVideoEncoderConfigurationOptions(configuration_token=jpeg.token)))[0]
    assert options.find(f"{TT}JPEG") is not None
    assert options.find(f"{TT}H264") is None
    configuration = (await media.ask(trt.GetVideoEncoderConfiguration(configuration_token=jpeg.token)))[0]
    assert configuration.find(f"{TT}H264") is None
    answer = await media.ask(trt.GetGuaranteedNumberOfVideoEncoderInstances(configuration_token=VSC1))
    assert [(etree.QName(item).localname, item.text) for item in answer] == [
        ("TotalNumber", "2"),
        ("JPEG", "1"),
        ("H264", "1"),
        ("MPEG4", "0"),
    ]


@pytest.mark.covers("G-media-GetVideoSourceConfigurationOptions", "S-GetVideoSourceConfigurationOptions")
async def test_video_source_options(media: Any) -> None:
    options = (await media.ask(trt.GetVideoSourceConfigurationOptions(configuration_token=VSC1)))[0]
    assert options.get("MaximumNumberOfProfiles") == "4"
    assert options.findtext(f"{TT}VideoSourceTokensAvailable") == "vs-cam-1a2b3c4d"
    assert [item.text for item in options.find(f"{TT}BoundsRange/{TT}WidthRange")] == ["1920", "1920"]


@pytest.mark.covers("G-media-GetVideoEncoderConfigurations", "S-GetVideoEncoderConfigurations")
async def test_unnamed_h264_profiles_become_the_nearest(media: Any, body: Any) -> None:
    model = body.media_
    first = dataclasses.replace(model.video_encoders[0], profile="High 4:2:2")
    second = dataclasses.replace(model.video_encoders[1], profile="Constrained Baseline")
    body.media_ = dataclasses.replace(model, video_encoders=(first, second, *model.video_encoders[2:]))
    answer = await media.ask(trt.GetVideoEncoderConfigurations())
    assert [item.findtext(f".//{TT}H264Profile") for item in answer][:2] == ["High", "Baseline"]


async def test_device_without_audio_or_cameras(media: Any, body: Any) -> None:
    body.media_ = dataclasses.replace(body.media_, audio_sources=(), audio_encoders=())
    assert len(await media.ask(trt.GetAudioSources())) == 0
    assert len(await media.ask(trt.GetAudioEncoderConfigurations())) == 0
    fault = await media.fault(trt.GetAudioSourceConfigurationOptions())
    assert fault == ("Receiver", "ActionNotSupported", "AudioNotSupported")
    body.media_ = MediaModel()
    assert len(await media.ask(trt.GetProfiles())) == 0
    await media.ask(trt.GetVideoEncoderConfigurationOptions())
    capabilities = (await media.ask(trt.GetServiceCapabilities(), None))[0]
    assert capabilities.get("SnapshotUri") == "false"


@pytest.mark.covers("G-media-GetAudioEncoderConfigurationOptions", "S-GetAudioEncoderConfigurationOptions")
async def test_aac_is_named(media: Any, body: Any) -> None:
    aac = AudioEncoder(token="a", name="a", codec=Codec.AAC, bitrate=128, sample_rate=44100, channels=2)
    body.media_ = dataclasses.replace(body.media_, audio_encoders=(*body.media_.audio_encoders, aac))
    options = (await media.ask(trt.GetAudioEncoderConfigurationOptions()))[0]
    assert [item.findtext(f"{TT}Encoding") for item in options] == ["G711", "AAC"]
    assert options[1].findtext(f"{TT}SampleRateList/{TT}Items") == "44"


# ---- addresses


@pytest.mark.covers("S-GetStreamUri")
async def test_the_tunnel_is_at_the_port_of_the_web_service(media: Any) -> None:
    media.host = "nvr.example.org:8080"
    answer = await media.ask(request("GetStreamUri", SETUP.format("RTP-Unicast", "HTTP") + PROFILE))
    assert answer.findtext(f".//{TT}Uri").startswith("http://nvr.example.org:8080/live/")


@pytest.mark.covers("S-GetStreamUri")
@pytest.mark.parametrize("protocol", ["UDP", "TCP", "RTSP"])
async def test_unicast_transports_share_one_stable_address(media: Any, protocol: str) -> None:
    answer = await media.ask(request("GetStreamUri", SETUP.format("RTP-Unicast", protocol) + PROFILE))
    assert [child.text for child in answer[0]] == [
        "rtsp://192.0.2.10:8554/live/cam-1a2b3c4d/main",
        "false",
        "false",
        "PT0S",
    ]


@pytest.mark.covers("S-GetStreamUri")
@pytest.mark.parametrize(("stream", "protocol"), [("RTP-Multicast", "UDP"), ("RTP-Multicast", "HTTP")])
async def test_transport_that_is_not_served(media: Any, stream: str, protocol: str) -> None:
    fault = await media.fault(request("GetStreamUri", SETUP.format(stream, protocol) + PROFILE))
    assert fault == ("Sender", "InvalidArgVal", "InvalidStreamSetup")


@pytest.mark.covers("S-GetStreamUri")
@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("recorder.example.org", "rtsp://recorder.example.org:8554"),
        ("[2001:db8::10]:8080", "rtsp://[2001:db8::10]:8554"),
        ("[2001:db8::10]", "rtsp://[2001:db8::10]:8554"),
        ("x" * 120 + ":8080", "rtsp://192.0.2.10:8554"),
        ("bad host/../", "rtsp://192.0.2.10:8554"),
        ("", "rtsp://192.0.2.10:8554"),
    ],
)
async def test_stream_address_has_the_host_of_the_request_and_128_octets_at_most(
    media: Any, host: str, expected: str
) -> None:
    media.host = host
    uri = (await media.ask(request("GetStreamUri", REQUESTS["GetStreamUri"]))).findtext(f".//{TT}Uri")
    assert uri == f"{expected}/live/cam-1a2b3c4d/main"
    assert len(uri) <= 128


async def test_snapshot_address_has_scheme_host_and_port_of_the_request(media: Any) -> None:
    media.scheme, media.host = "https", "nvr.example.org:8443"
    answer = await media.ask(trt.GetSnapshotUri(profile_token=SUB1))
    assert answer.findtext(f".//{TT}Uri") == "https://nvr.example.org:8443/onvif/snapshot/cam-1a2b3c4d-sub"


async def test_profile_that_is_not_complete(media: Any, body: Any) -> None:
    model = body.media_
    bare = dataclasses.replace(model.profiles[0], video_encoder="gone", audio_encoder=None, snapshot=False)
    body.media_ = dataclasses.replace(model, profiles=(bare,))
    incomplete = ("Receiver", "Action", "IncompleteConfiguration")
    assert await media.fault(request("GetStreamUri", REQUESTS["GetStreamUri"])) == incomplete
    assert await media.fault(trt.GetSnapshotUri(profile_token=MAIN1)) == incomplete
    await media.ask(trt.GetProfiles())


async def test_device_without_rtsp(media: Any, body: Any) -> None:
    body.ports_ = Ports(http=80, https=None, rtsp=None)
    assert await media.fault(request("GetStreamUri", REQUESTS["GetStreamUri"])) == ("Receiver", "Action")
    capabilities = (await media.ask(trt.GetServiceCapabilities(), None))[0]
    assert capabilities.find(f"{TRT}StreamingCapabilities").get("NoRTSPStreaming") == "true"


@pytest.mark.covers("S-media-SetSynchronizationPoint")
async def test_synchronization_point_asks_for_a_key_frame(media: Any, body: Any) -> None:
    await media.ask(trt.SetSynchronizationPoint(profile_token=SUB1))
    assert body.synchronized == [SUB1]


async def test_tokens_are_known_to_the_schema(media: Any, sample: ModuleType) -> None:
    for profile in sample.SampleBody().media().profiles:
        assert len(profile.token) <= 64
    fault = await media.fault(request("GetStreamUri", PROFILE))
    assert fault == ("Sender", "InvalidArgs")
    assert tt.StreamType("RTP-Unicast") is tt.StreamType.RTP_UNICAST
