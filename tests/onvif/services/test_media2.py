"""Media2 (ver20): every operation by bytes, valid against the official schema, with its access class and faults."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from onvifd.access.types import AccessClass, Level, may
from onvifd.media.types import Codec
from onvifd.onvif.backend import AudioEncoder, MediaModel
from onvifd.onvif.services.common import NS_MEDIA2
from onvifd.onvif.services.media2 import Media2Service
from onvifd.onvif.types import tr2

TR2 = f"{{{NS_MEDIA2}}}"
TT = "{http://www.onvif.org/ver10/schema}"
MAIN1, SUB1, MAIN2 = "cam-1a2b3c4d-main", "cam-1a2b3c4d-sub", "cam-5e6f7a8b-main"
VSC1, VSC2 = "vsc-vs-cam-1a2b3c4d", "vsc-vs-cam-5e6f7a8b"
VEC1, VEC2 = "vec-cam-1a2b3c4d-main", "vec-cam-5e6f7a8b-main"
PROFILE = f"<x:ProfileToken>{MAIN1}</x:ProfileToken>"
FAMILIES = ("VideoSource", "VideoEncoder", "AudioSource", "AudioEncoder")
EMPTY = ("Metadata", "Analytics", "AudioOutput", "AudioDecoder")

REQUESTS = (
    {
        "GetServiceCapabilities": "",
        "GetProfiles": "",
        "GetVideoEncoderInstances": f"<x:ConfigurationToken>{VSC1}</x:ConfigurationToken>",
        "GetStreamUri": "<x:Protocol>RTSP</x:Protocol>" + PROFILE,
        "GetSnapshotUri": PROFILE,
        "SetSynchronizationPoint": PROFILE,
    }
    | {f"Get{family}Configurations": "" for family in (*FAMILIES, *EMPTY)}
    | {f"Get{family}ConfigurationOptions": "" for family in FAMILIES}
)
ACCESS = dict.fromkeys(REQUESTS, AccessClass.READ_MEDIA) | {
    "GetServiceCapabilities": AccessClass.PRE_AUTH,
    "SetSynchronizationPoint": AccessClass.ACTUATE,
}

CHANGES = (
    dict.fromkeys(("CreateProfile", "DeleteProfile", "AddConfiguration", "RemoveConfiguration"), AccessClass.ACTUATE)
    | {f"Set{family}Configuration": AccessClass.ACTUATE for family in (*FAMILIES, "Metadata")}
    | dict.fromkeys(("StartMulticastStreaming", "StopMulticastStreaming"), AccessClass.ACTUATE)
    | {"GetMetadataConfigurationOptions": AccessClass.READ_MEDIA}
    | {f"SetAudio{kind}Configuration": AccessClass.ACTUATE for kind in ("Output", "Decoder")}
    | {f"GetAudio{kind}ConfigurationOptions": AccessClass.READ_MEDIA for kind in ("Output", "Decoder")}
)
"""What `test_media_control` and `test_media_talk` are about."""


def request(name: str, content: str = "") -> str:
    return f'<x:{name} xmlns:x="{NS_MEDIA2}">{content}</x:{name}>'


def tokens(answer: etree._Element) -> list[str | None]:
    return [item.get("token") for item in answer]


@pytest.fixture
def media2(body: Any, client: Callable[..., Any]) -> Any:
    return client(Media2Service(body, body))


def test_access_classes() -> None:
    served = {etree.QName(item.name).localname: item.access for item in Media2Service.operations()}
    assert served == ACCESS | CHANGES


@pytest.mark.covers(
    *("M-media2-GetAnalyticsConfigurations", "M-media2-GetMetadataConfigurations", "M-media2-GetProfiles"),
    *("M-media2-GetServiceCapabilities", "M-media2-GetStreamUri", "M-media2-GetVideoSourceConfigurations"),
    *("M-media2-SetSynchronizationPoint", "T-media2-GetAnalyticsConfigurations"),
    *("T-media2-GetAudioDecoderConfigurations", "T-media2-GetAudioEncoderConfigurationOptions"),
    *("T-media2-GetAudioEncoderConfigurations", "T-media2-GetAudioOutputConfigurations"),
    *("T-media2-GetAudioSourceConfigurations", "T-media2-GetMetadataConfigurations", "T-media2-GetProfiles"),
    *("T-media2-GetServiceCapabilities", "T-media2-GetSnapshotUri", "T-media2-GetStreamUri"),
    *("T-media2-GetVideoEncoderConfigurationOptions", "T-media2-GetVideoEncoderConfigurations"),
    *("T-media2-GetVideoEncoderInstances", "T-media2-GetVideoSourceConfigurationOptions"),
    *("T-media2-GetVideoSourceConfigurations", "T-media2-SetSynchronizationPoint"),
)
@pytest.mark.parametrize("name", REQUESTS)
async def test_every_operation_answers_validly_and_to_the_right_levels(media2: Any, name: str) -> None:
    content = request(name, REQUESTS[name])
    assert (await media2.ask(content)).tag == f"{TR2}{name}Response"
    for level in (Level.OPERATOR, Level.USER):
        if may(level, ACCESS[name]):
            await media2.ask(content, level.lower())
        else:
            assert await media2.fault(content, level.lower()) == ("Sender", "NotAuthorized")
    if ACCESS[name] is AccessClass.PRE_AUTH:
        await media2.ask(content, None)
    else:
        assert await media2.fault(content, None) == ("Sender", "NotAuthorized")


@pytest.mark.covers("T-media2-GetVideoSourceConfigurationOptions")
@pytest.mark.parametrize("name", [name for name in REQUESTS if "Configuration" in name])
async def test_configurations_and_options_of_unknown_tokens(media2: Any, name: str) -> None:
    unknown = "<x:ConfigurationToken>nothing</x:ConfigurationToken>"
    assert await media2.fault(request(name, unknown)) == ("Sender", "InvalidArgVal", "NoConfig")
    unknown = "<x:ProfileToken>nothing</x:ProfileToken>"
    assert await media2.fault(request(name, unknown)) == ("Sender", "InvalidArgVal", "NoProfile")
    await media2.ask(request(name, "<x:ConfigurationToken/><x:ProfileToken/>"))


@pytest.mark.parametrize("name", [name for name, content in REQUESTS.items() if PROFILE in content])
async def test_unknown_profile(media2: Any, name: str) -> None:
    content = request(name, REQUESTS[name].replace(MAIN1, "nothing"))
    assert await media2.fault(content) == ("Sender", "InvalidArgVal", "NoProfile")


# ---- profiles


@pytest.mark.covers("M-media2-GetProfiles", "T-media2-GetProfiles")
async def test_profiles_without_type_carry_no_configurations(media2: Any) -> None:
    answer = await media2.ask(tr2.GetProfiles())
    assert tokens(answer) == [MAIN1, SUB1, MAIN2, "cam-5e6f7a8b-sub"]
    assert answer.find(f".//{TR2}Configurations") is None


@pytest.mark.covers("M-media2-GetProfiles", "T-media2-GetProfiles")
@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (("All",), ["VideoSource", "AudioSource", "VideoEncoder", "AudioEncoder"]),
        (("VideoEncoder",), ["VideoEncoder"]),
        (("AudioEncoder", "VideoSource"), ["VideoSource", "AudioEncoder"]),
        (("PTZ", "Analytics"), []),
    ],
)
async def test_profiles_carry_the_types_asked_for(media2: Any, types: tuple[str, ...], expected: list[str]) -> None:
    (profile,) = await media2.ask(tr2.GetProfiles(token=MAIN1, type_=types))
    assert [etree.QName(item).localname for item in profile.find(f"{TR2}Configurations")] == expected


@pytest.mark.covers("M-media2-GetProfiles", "T-media2-GetProfiles")
async def test_profile_by_token(media2: Any) -> None:
    assert tokens(await media2.ask(tr2.GetProfiles(token=SUB1))) == [SUB1]
    assert await media2.fault(tr2.GetProfiles(token="nothing")) == ("Sender", "InvalidArgVal", "NoProfile")


@pytest.mark.covers("T-media2-GetVideoEncoderConfigurations")
async def test_h265_is_shown_in_full(media2: Any) -> None:
    (profile,) = await media2.ask(tr2.GetProfiles(token=MAIN2, type_=("All",)))
    encoder = profile.find(f"{TR2}Configurations/{TR2}VideoEncoder")
    assert encoder.findtext(f"{TT}Encoding") == "H265"
    assert (encoder.get("Profile"), encoder.get("GovLength")) == ("Main", "50")
    assert encoder.findtext(f"{TT}RateControl/{TT}FrameRateLimit") == "25"


# ---- configurations


@pytest.mark.covers(
    *("M-media2-GetVideoSourceConfigurations", "T-media2-GetAudioSourceConfigurations"),
    *("T-media2-GetVideoEncoderConfigurations", "T-media2-GetVideoSourceConfigurations"),
)
@pytest.mark.parametrize(
    ("family", "token", "profile", "expected"),
    [
        ("VideoSource", VSC2, SUB1, [VSC1]),
        ("VideoEncoder", VEC2, SUB1, [VEC1, "vec-cam-1a2b3c4d-sub"]),
        ("AudioSource", "asc-as-cam-1a2b3c4d", SUB1, ["asc-as-cam-1a2b3c4d"]),
        ("AudioEncoder", "aec-cam-1a2b3c4d", MAIN2, []),
    ],
)
async def test_configurations_by_token_and_by_profile(
    media2: Any, family: str, token: str, profile: str, expected: list[str]
) -> None:
    name = f"Get{family}Configurations"
    content = f"<x:ConfigurationToken>{token}</x:ConfigurationToken>"
    assert tokens(await media2.ask(request(name, content))) == [token]
    assert tokens(await media2.ask(request(name, f"<x:ProfileToken>{profile}</x:ProfileToken>"))) == expected


@pytest.mark.parametrize("family", EMPTY)
async def test_families_of_which_there_is_nothing(media2: Any, family: str) -> None:
    assert len(await media2.ask(request(f"Get{family}Configurations", PROFILE))) == 0


@pytest.mark.covers("T-media2-GetVideoEncoderConfigurationOptions")
async def test_encoder_options_have_one_entry_per_encoding(media2: Any) -> None:
    first, second = await media2.ask(tr2.GetVideoEncoderConfigurationOptions())
    assert [item.findtext(f"{TT}Encoding") for item in (first, second)] == ["H264", "H265"]
    assert [(item[0].text, item[1].text) for item in first.iter(f"{TT}ResolutionsAvailable")] == [
        ("1920", "1080"),
        ("640", "360"),
    ]
    assert [item.text for item in first.find(f"{TT}BitrateRange")] == ["512", "4096"]
    assert (first.get("GovLengthRange"), first.get("FrameRatesSupported")) == ("50 50", "25")
    assert (first.get("ProfilesSupported"), second.get("ProfilesSupported")) == ("High", "Main")


@pytest.mark.covers("T-media2-GetVideoEncoderConfigurationOptions")
async def test_options_of_a_configuration_that_does_not_go_with_the_profile(media2: Any) -> None:
    content = tr2.GetVideoEncoderConfigurationOptions(configuration_token=VEC2, profile_token=MAIN1)
    assert await media2.fault(content) == ("Sender", "InvalidArgVal", "IncompatibleConfiguration")
    (only,) = await media2.ask(tr2.GetVideoEncoderConfigurationOptions(configuration_token=VEC1, profile_token=SUB1))
    assert only.findtext(f"{TT}Encoding") == "H264"


@pytest.mark.covers("T-media2-GetVideoEncoderInstances")
async def test_encoder_instances(media2: Any) -> None:
    info = (await media2.ask(tr2.GetVideoEncoderInstances(configuration_token=VSC2)))[0]
    counted = [(item[0].text, item[1].text) for item in info.iter(f"{TR2}Codec")]
    assert counted == [("H265", "1"), ("H264", "1")]
    assert info.findtext(f"{TR2}Total") == "2"
    fault = await media2.fault(tr2.GetVideoEncoderInstances(configuration_token=VEC1))
    assert fault == ("Sender", "InvalidArgVal", "NoConfig")


@pytest.mark.covers("T-MaximumNumberOfProfiles")
async def test_device_without_audio_says_so(media2: Any, body: Any) -> None:
    body.media_ = MediaModel(
        video_sources=body.media_.video_sources,
        video_encoders=body.media_.video_encoders,
        profiles=body.media_.profiles[2:],
    )
    capabilities = (await media2.ask(tr2.GetServiceCapabilities(), None))[0]
    profiles = capabilities.find(f"{TR2}ProfileCapabilities")
    assert profiles.get("ConfigurationsSupported") == "VideoSource VideoEncoder"
    assert profiles.get("MaximumNumberOfProfiles") == "2"
    assert len(await media2.ask(tr2.GetAudioSourceConfigurations())) == 0
    absent = ("Receiver", "ActionNotSupported", "AudioNotSupported")
    assert await media2.fault(tr2.GetAudioSourceConfigurationOptions()) == absent
    assert await media2.fault(tr2.GetAudioEncoderConfigurationOptions()) == absent


@pytest.mark.covers("T-media2-GetAudioEncoderConfigurationOptions", "T-media2-GetAudioEncoderConfigurations")
async def test_audio_encodings_have_their_media_names(media2: Any, body: Any) -> None:
    kinds = (Codec.PCMU, Codec.PCMA, Codec.AAC)
    encoders = tuple(
        AudioEncoder(token=f"a{codec}", name="a", codec=codec, bitrate=64, sample_rate=16000) for codec in kinds
    )
    body.media_ = dataclasses.replace(body.media_, audio_encoders=encoders)
    options = await media2.ask(tr2.GetAudioEncoderConfigurationOptions())
    assert [item.findtext(f"{TT}Encoding") for item in options] == ["PCMU", "PCMA", "MP4A-LATM"]
    configurations = await media2.ask(tr2.GetAudioEncoderConfigurations())
    assert [item.findtext(f"{TT}SampleRate") for item in configurations] == ["16", "16", "16"]


# ---- addresses


@pytest.mark.covers("M-media2-GetStreamUri", "T-ReadyProfile", "T-media2-GetStreamUri")
async def test_the_tunnel_has_port_and_scheme_of_the_web_service(media2: Any) -> None:
    media2.host = "nvr.example.org:8080"
    answer = await media2.ask(tr2.GetStreamUri(protocol="RtspOverHttp", profile_token=MAIN2))
    assert answer[0].text.startswith("http://nvr.example.org:8080/live/")


@pytest.mark.covers("M-media2-GetStreamUri", "T-ReadyProfile", "T-media2-GetStreamUri")
@pytest.mark.parametrize("protocol", ["RtspUnicast", "RTSP"])
async def test_stream_address(media2: Any, protocol: str) -> None:
    answer = await media2.ask(tr2.GetStreamUri(protocol=protocol, profile_token=MAIN2))
    assert answer.findtext(f"{TR2}Uri") == "rtsp://192.0.2.10:8554/live/cam-5e6f7a8b/main"


@pytest.mark.covers("M-media2-GetStreamUri", "T-media2-GetStreamUri")
@pytest.mark.parametrize("protocol", ["RtspMulticast", "RtspsUnicast", "RtspsMulticast", "", "rtsp"])
async def test_transport_that_is_not_served(media2: Any, protocol: str) -> None:
    fault = await media2.fault(tr2.GetStreamUri(protocol=protocol, profile_token=MAIN1))
    assert fault == ("Sender", "InvalidArgVal", "InvalidStreamSetup")


@pytest.mark.covers("T-media2-GetSnapshotUri")
async def test_snapshot_address_and_incomplete_profiles(media2: Any, body: Any) -> None:
    answer = await media2.ask(tr2.GetSnapshotUri(profile_token=MAIN2))
    assert answer.findtext(f"{TR2}Uri") == "http://192.0.2.10:8080/onvif/snapshot/cam-5e6f7a8b-main"
    bare = dataclasses.replace(body.media_.profiles[0], video_encoder="gone", audio_encoder=None, snapshot=False)
    body.media_ = dataclasses.replace(body.media_, profiles=(bare,))
    incomplete = ("Receiver", "Action", "IncompleteConfiguration")
    assert await media2.fault(tr2.GetSnapshotUri(profile_token=MAIN1)) == incomplete
    assert await media2.fault(tr2.GetStreamUri(protocol="RTSP", profile_token=MAIN1)) == incomplete


@pytest.mark.covers("M-media2-SetSynchronizationPoint", "T-media2-SetSynchronizationPoint")
async def test_synchronization_point_asks_for_a_key_frame(media2: Any, body: Any) -> None:
    await media2.ask(tr2.SetSynchronizationPoint(profile_token=MAIN2), "operator")
    assert body.synchronized == [MAIN2]
