"""Configurations as clients change them: encoders, groups, metadata; what is refused and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from onvifd.media.types import Codec
from onvifd.onvif.services.common import NS_MEDIA, NS_MEDIA2
from onvifd.onvif.soap.codec import decode, encode_text
from onvifd.onvif.types import tr2, trt, tt

TRT, TR2 = f"{{{NS_MEDIA}}}", f"{{{NS_MEDIA2}}}"
TT = "{http://www.onvif.org/ver10/schema}"
NO_PROFILE = ("Sender", "InvalidArgVal", "NoProfile")
NO_CONFIG = ("Sender", "InvalidArgVal", "NoConfig")
MODIFY = ("Sender", "InvalidArgVal", "ConfigModify")
TYPES = {
    "VideoSource": (tt.VideoSourceConfiguration, tt.VideoSourceConfiguration),
    "VideoEncoder": (tt.VideoEncoderConfiguration, tt.VideoEncoder2Configuration),
    "AudioSource": (tt.AudioSourceConfiguration, tt.AudioSourceConfiguration),
    "AudioEncoder": (tt.AudioEncoderConfiguration, tt.AudioEncoder2Configuration),
    "Metadata": (tt.MetadataConfiguration, tt.MetadataConfiguration),
}
Made = tuple[Any, Any, Any]


@pytest.fixture
async def made(media_stage: Callable[..., Any], client: Callable[..., Any]) -> Made:
    """Stage, client of Media, client of Media2."""
    stage = await media_stage()
    return stage, client(stage.media), client(stage.media2)


class Old:
    """Reads and writes configurations by Media."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def get(self, kind: str, token: str) -> Any:
        content = getattr(trt, f"Get{kind}Configuration")(configuration_token=token)
        return decode(TYPES[kind][0], (await self.client.ask(content))[0])

    def set(self, kind: str, configuration: Any) -> Any:
        return getattr(trt, f"Set{kind}Configuration")(configuration=configuration, force_persistence=False)


class New:
    """The same by Media2."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def get(self, kind: str, token: str) -> Any:
        content = getattr(tr2, f"Get{kind}Configurations")(configuration_token=token)
        return decode(TYPES[kind][1], (await self.client.ask(content))[0])

    def set(self, kind: str, configuration: Any) -> Any:
        return getattr(tr2, f"Set{kind}Configuration")(configuration=configuration)


@pytest.fixture(params=["Media", "Media2"])
def way(request: pytest.FixtureRequest, made: Made) -> Any:
    return Old(made[1]) if request.param == "Media" else New(made[2])


def tokens_of(stage: Any) -> dict[str, str]:
    one = stage.one
    return {
        "VideoSource": f"vsc-{one}",
        "VideoEncoder": f"ve-{one}-main",
        "AudioSource": f"asc-{one}",
        "AudioEncoder": f"ae-{one}-main",
        "Metadata": f"mdc-{one}-main",
    }


@pytest.mark.covers(
    *(f"S-Set{kind}Configuration" for kind in TYPES),
    *(f"G-media-Set{kind}Configuration" for kind in TYPES),
    *(f"T-media2-Set{kind}Configuration" for kind in ("VideoSource", "VideoEncoder", "AudioEncoder", "Metadata")),
    *("T-event-ConfigurationChanged", "M-event-ConfigurationChanged", "M-media2-SetMetadataConfiguration"),
)
@pytest.mark.parametrize("kind", TYPES)
async def test_what_was_read_can_be_written_and_a_new_name_stays(made: Made, way: Any, kind: str) -> None:
    stage, token = made[0], tokens_of(made[0])[kind]
    before = await way.get(kind, token)
    stage.events("")
    await way.client.ask(way.set(kind, before))
    assert stage.events("Media/ConfigurationChanged") == []
    await way.client.ask(way.set(kind, replace(before, name="Roof <1>")))
    assert stage.events("Media/ConfigurationChanged") == [(token, kind)]
    assert await way.get(kind, token) == replace(before, name="Roof <1>")
    assert await way.client.fault(way.set(kind, replace(before, token="none"))) == NO_CONFIG
    assert await way.client.fault(way.set(kind, replace(before, name="x" * 65))) == MODIFY
    assert stage.events("Media/ConfigurationChanged") == []
    assert stage.encoders.told == []


@pytest.mark.parametrize("kind", ["VideoSource", "AudioSource"])
async def test_a_source_configuration_keeps_its_source(made: Made, way: Any, kind: str) -> None:
    before = await way.get(kind, tokens_of(made[0])[kind])
    assert await way.client.fault(way.set(kind, replace(before, source_token=f"vs-{made[0].two}"))) == MODIFY


async def test_bounds_are_the_whole_picture(made: Made) -> None:
    stage, media, media2 = made
    old, new = Old(media), New(media2)
    before = await old.get("VideoSource", f"vsc-{stage.one}")
    smaller = replace(before, bounds=tt.IntRectangle(x=10, y=0, width=100, height=100))
    assert await media.fault(old.set("VideoSource", smaller)) == MODIFY
    await media2.ask(new.set("VideoSource", smaller))
    assert await new.get("VideoSource", f"vsc-{stage.one}") == before
    turned = tt.VideoSourceConfigurationExtension(rotate=tt.Rotate(mode=tt.RotateMode.ON, degree=90))
    for way in (old, new):
        assert await way.client.fault(way.set("VideoSource", replace(before, extension=turned))) == MODIFY
    still = tt.VideoSourceConfigurationExtension(rotate=tt.Rotate(mode=tt.RotateMode.OFF))
    await media.ask(old.set("VideoSource", replace(before, extension=still)))


# ---- video encoders


@pytest.mark.covers("T-media2-SetVideoEncoderConfiguration", "S-SetVideoEncoderConfiguration")
async def test_a_camera_known_by_rtsp_offers_what_it_sends_and_nothing_else(made: Made) -> None:
    stage, media, media2 = made
    token = f"ve-{stage.one}-main"
    (options,) = await media2.ask(tr2.GetVideoEncoderConfigurationOptions(configuration_token=token))
    assert options.findtext(f"{TT}Encoding") == "H264"
    assert len(options.findall(f"{TT}ResolutionsAvailable")) == 1
    new, old = New(media2), Old(media)
    before = await new.get("VideoEncoder", token)
    for other in (
        replace(before, encoding="H265"),
        replace(before, encoding="VP8"),
        replace(before, resolution=tt.VideoResolution2(width=640, height=360)),
        replace(before, gov_length=7),
        replace(before, profile="Baseline"),
    ):
        assert await media2.fault(new.set("VideoEncoder", other)) == MODIFY
    early = await old.get("VideoEncoder", token)
    for other in (
        replace(early, encoding=tt.VideoEncoding.JPEG),
        replace(early, resolution=tt.VideoResolution(width=640, height=360)),
        replace(early, h264=replace(early.h264, gov_length=7)),
    ):
        assert await media.fault(old.set("VideoEncoder", other)) == MODIFY
    # A rate is moved to the only one there is.
    await media2.ask(
        new.set("VideoEncoder", replace(before, rate_control=replace(before.rate_control, bitrate_limit=1)))
    )
    assert await new.get("VideoEncoder", token) == before


@pytest.mark.covers("T-media2-SetVideoEncoderConfiguration", "T-media2-GetVideoEncoderConfigurationOptions")
async def test_settings_go_to_the_camera_and_are_shown_at_once(made: Made) -> None:
    stage, _, media2 = made
    token, new = f"ve-{stage.two}-main", New(media2)
    options = await media2.ask(tr2.GetVideoEncoderConfigurationOptions(configuration_token=token))
    assert [each.findtext(f"{TT}Encoding") for each in options] == ["H264", "H265"]
    before = await new.get("VideoEncoder", token)
    stage.events("")
    wanted = replace(
        before,
        encoding="H265",
        profile=None,
        resolution=tt.VideoResolution2(width=1280, height=720),
        rate_control=replace(before.rate_control, frame_rate_limit=11.0, bitrate_limit=1_000_000),
        gov_length=24,
        quality=99.0,
    )
    await media2.ask(new.set("VideoEncoder", wanted))
    (told,) = stage.encoders.told
    assert (told.codec, told.width, told.height, told.profile) == (Codec.H265, 1280, 720, "Main")
    assert (told.framerate, told.bitrate, told.quality, told.gov_length) == (12.5, 8192, 10.0, 24)
    assert stage.events("Media/ConfigurationChanged") == [(token, "VideoEncoder")]
    after = await new.get("VideoEncoder", token)
    assert (after.encoding, after.resolution.width, after.gov_length) == ("H265", 1280, 24)
    assert (after.rate_control.frame_rate_limit, after.rate_control.bitrate_limit, after.quality) == (12.5, 8192, 10.0)
    stage.deliver(stage.two, "main", Codec.H265, 1280, 720)
    assert await new.get("VideoEncoder", token) == after
    # Its own page was used meanwhile.
    stage.deliver(stage.two, "main", Codec.H264, 1920, 1080)
    assert (await new.get("VideoEncoder", token)).encoding == "H264"


async def test_a_camera_that_does_not_do_it_is_shown_as_it_is(made: Made) -> None:
    stage, _, media2 = made
    token, new = f"ve-{stage.two}-main", New(media2)
    before = await new.get("VideoEncoder", token)
    small = replace(before, resolution=tt.VideoResolution2(width=640, height=360))
    await media2.ask(new.set("VideoEncoder", small))
    assert (await new.get("VideoEncoder", token)).resolution.width == 640
    await stage.clock.advance(60)
    stage.measure(stage.two, "main")
    assert (await new.get("VideoEncoder", token)).resolution.width == 1920


async def test_a_camera_that_does_not_answer_keeps_what_it_has(made: Made) -> None:
    stage, _, media2 = made
    token, new = f"ve-{stage.two}-main", New(media2)
    before = await new.get("VideoEncoder", token)
    stage.encoders.silent = True
    small = replace(before, resolution=tt.VideoResolution2(width=640, height=360))
    assert await media2.fault(new.set("VideoEncoder", small)) == MODIFY
    (options,) = await media2.ask(tr2.GetVideoEncoderConfigurationOptions(configuration_token=token))
    assert len(options.findall(f"{TT}ResolutionsAvailable")) == 1
    assert await new.get("VideoEncoder", token) == before


@pytest.mark.covers("S-GetVideoEncoderConfigurationOptions", "G-media-GetVideoEncoderConfigurationOptions")
async def test_every_jpeg_size_can_be_set(made: Made) -> None:
    stage, media, media2 = made
    token, old, new = f"ve-{stage.one}-jpeg", Old(media), New(media2)
    (options,) = await media.ask(trt.GetVideoEncoderConfigurationOptions(configuration_token=token))
    assert [etree.QName(each).localname for each in options] == ["QualityRange", "JPEG", "Extension"]
    sizes = [
        (int(each.findtext(f"{TT}Width")), int(each.findtext(f"{TT}Height")))
        for each in options.find(f"{TT}JPEG").findall(f"{TT}ResolutionsAvailable")
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert {(1920, 1080), (640, 360), (320, 240)} <= set(sizes)
    rates = [int(each.text) for each in options.find(f"{TT}JPEG/{TT}FrameRateRange")]
    assert rates == [1, 25]
    before = await old.get("VideoEncoder", token)
    for width, height in sizes:
        rate = replace(before.rate_control, frame_rate_limit=25)
        size = tt.VideoResolution(width=width, height=height)
        await media.ask(old.set("VideoEncoder", replace(before, resolution=size, rate_control=rate, quality=30.0)))
        after = await new.get("VideoEncoder", token)
        assert (after.resolution.width, after.resolution.height) == (width, height)
        assert (after.rate_control.frame_rate_limit, after.quality, after.encoding) == (25.0, 30.0, "JPEG")
    assert (
        await media.fault(
            old.set("VideoEncoder", replace(before, resolution=tt.VideoResolution(width=321, height=240)))
        )
        == MODIFY
    )
    assert stage.encoders.told == []


async def test_what_is_written_back_beside_a_change_is_not_told(made: Made) -> None:
    """Bit rate and quality are shown as they are measured or guessed: they must not become the camera's settings."""
    stage, media, media2 = made
    token, new, old = f"ve-{stage.two}-main", New(media2), Old(media)
    before = await new.get("VideoEncoder", token)
    assert (before.rate_control.bitrate_limit, before.quality, before.gov_length) == (2000, 5.0, 50)
    slower = replace(before, rate_control=replace(before.rate_control, frame_rate_limit=5.0))
    await media2.ask(new.set("VideoEncoder", slower))
    (told,) = stage.encoders.told
    assert (told.framerate, told.bitrate, told.quality, told.gov_length, told.profile) == (5.0, None, None, None, "")
    assert (told.width, told.height) == (before.resolution.width, before.resolution.height)
    after = await new.get("VideoEncoder", token)
    assert after == slower
    # The next change keeps what the one before it has set.
    early = await old.get("VideoEncoder", token)
    await media.ask(old.set("VideoEncoder", replace(early, h264=replace(early.h264, gov_length=20))))
    assert (stage.encoders.told[-1].framerate, stage.encoders.told[-1].gov_length) == (None, 20)
    assert await new.get("VideoEncoder", token) == replace(slower, gov_length=20)


async def test_what_a_camera_says_no_range_of_stays(made: Made) -> None:
    stage, _, media2 = made
    token, new = f"ve-{stage.two}-main", New(media2)
    stage.encoders.untold = {"bitrates": (0, 0), "gov_lengths": (0, 0), "profiles": ()}
    (options, _) = await media2.ask(tr2.GetVideoEncoderConfigurationOptions(configuration_token=token))
    assert [each.text for each in options.find(f"{TT}BitrateRange")] == ["2000", "2000"]
    assert options.get("GovLengthRange") == "50 50"
    before = await new.get("VideoEncoder", token)
    rate = replace(before.rate_control, frame_rate_limit=5.0, bitrate_limit=4000)
    await media2.ask(new.set("VideoEncoder", replace(before, rate_control=rate, profile=None)))
    (told,) = stage.encoders.told
    assert (told.framerate, told.bitrate, told.gov_length) == (5.0, None, None)
    assert await media2.fault(new.set("VideoEncoder", replace(before, gov_length=10))) == MODIFY


async def test_what_an_encoder_has_may_stay_though_it_is_not_offered(made: Made) -> None:
    stage, _, media2 = made
    token, new = f"ve-{stage.two}-main", New(media2)
    stage.encoders.untold = {"resolutions": ((640, 360),), "gov_lengths": (1, 20), "profiles": ("High",)}
    before = await new.get("VideoEncoder", token)
    await media2.ask(new.set("VideoEncoder", replace(before, name="Roof")))
    assert stage.encoders.told == []
    for other in ({"gov_length": 49}, {"profile": "Baseline"}, {"resolution": tt.VideoResolution2(width=8, height=8)}):
        assert await media2.fault(new.set("VideoEncoder", replace(before, **other))) == MODIFY


async def test_of_two_changes_the_one_that_the_camera_made_last_is_kept(made: Made) -> None:
    stage, _, media2 = made
    token, new = f"ve-{stage.two}-main", New(media2)
    before = await new.get("VideoEncoder", token)
    begun = asyncio.Event()

    def expect(*settings: Any) -> asyncio.Event:
        stage.recorder.expect(*settings)
        return begun  # the camera takes its time

    stage.parts._expect = expect
    first = replace(before, resolution=tt.VideoResolution2(width=640, height=360), gov_length=10)
    one = asyncio.create_task(media2.ask(new.set("VideoEncoder", first)))
    while not stage.encoders.told:
        await asyncio.sleep(0)
    other = asyncio.create_task(media2.ask(new.set("VideoEncoder", replace(first, gov_length=20))))
    for _ in range(50):
        await asyncio.sleep(0)
    begun.set()
    await asyncio.gather(one, other)
    assert stage.encoders.told[-1].gov_length == 20
    assert (await new.get("VideoEncoder", token)).gov_length == 20


def without(request: str, *names: str) -> str:
    """A request whose elements of these names were left out."""
    node = etree.fromstring(request)
    for name in names:
        for each in list(node.iter(f"{{*}}{name}")):
            each.getparent().remove(each)
    text: str = etree.tostring(node, encoding="unicode")
    return text


@pytest.mark.parametrize("kind", TYPES)
async def test_clients_leave_out_what_nobody_looks_at(made: Made, way: Any, kind: str) -> None:
    """npm onvif leaves a UseCount of 0 out; ForcePersistence and SessionTimeout are obsolete."""
    token = tokens_of(made[0])[kind]
    before = await way.get(kind, token)
    request = encode_text(way.set(kind, replace(before, name="Roof")))
    await way.client.ask(without(request, "UseCount", "ForcePersistence", "SessionTimeout"))
    assert await way.get(kind, token) == replace(before, name="Roof")
    assert (await way.client.fault(without(request, "Name")))[:2] == ("Sender", "InvalidArgs")


async def test_sound_stays_as_the_camera_sends_it(made: Made) -> None:
    stage, media, media2 = made
    token = f"ae-{stage.one}-main"
    early, late = await Old(media).get("AudioEncoder", token), await New(media2).get("AudioEncoder", token)
    for other in (
        replace(early, encoding=tt.AudioEncoding.AAC),
        replace(early, bitrate=32),
        replace(early, sample_rate=16),
    ):
        assert await media.fault(Old(media).set("AudioEncoder", other)) == MODIFY
    for changed in (replace(late, encoding="PCMA"), replace(late, bitrate=32), replace(late, sample_rate=16)):
        assert await media2.fault(New(media2).set("AudioEncoder", changed)) == MODIFY


# ---- multicast


def group(address: str, port: int = 40000, ttl: int = 5, *, start: bool = False) -> tt.MulticastConfiguration:
    six = ":" in address
    return tt.MulticastConfiguration(
        address=tt.IPAddress(
            type_=tt.IPType.IPV6 if six else tt.IPType.IPV4,
            ipv4_address=None if six else address,
            ipv6_address=address if six else None,
        ),
        port=port,
        ttl=ttl,
        auto_start=start,
    )


@pytest.mark.parametrize("kind", ["VideoEncoder", "AudioEncoder", "Metadata"])
@pytest.mark.parametrize("address", ["239.1.2.3", "ff15::1:2"])
@pytest.mark.covers("NET-37")
async def test_groups_are_told_to_the_workers(made: Made, way: Any, kind: str, address: str) -> None:
    stage = made[0]
    token = tokens_of(stage)[kind]
    before = await way.get(kind, token)
    assert before.multicast.address.ipv4_address.startswith("239.")
    assert before.multicast.port % 2 == 0
    assert (before.multicast.ttl, before.multicast.auto_start) == (1, False)
    stage.events("")
    await way.client.ask(way.set(kind, replace(before, multicast=group(address, start=True))))
    assert stage.events("Media/ConfigurationChanged") == [(token, kind)]
    # AutoStart is read only.
    assert (await way.get(kind, token)).multicast == group(address)
    track = {"VideoEncoder": "video", "AudioEncoder": "audio", "Metadata": "metadata"}[kind]
    found = [each for each in stage.presented[f"{stage.one}-main"].multicast if each.kind == track]
    assert [(each.address, each.port, each.ttl) for each in found] == [(address, 40000, 5)]


@pytest.mark.parametrize(
    "bad",
    [
        group("192.0.2.1"),
        group("not an address"),
        group("fe80::1"),
        group("239.1.2.3", port=65535),
        group("239.1.2.3", port=-1),
        group("239.1.2.3", ttl=256),
        tt.MulticastConfiguration(
            address=tt.IPAddress(type_=tt.IPType.IPV4, ipv4_address="ff15::1"), port=4000, ttl=1, auto_start=False
        ),
    ],
)
@pytest.mark.covers("NET-37")
async def test_groups_that_are_none(made: Made, way: Any, bad: tt.MulticastConfiguration) -> None:
    before = await way.get("VideoEncoder", f"ve-{made[0].one}-main")
    assert await way.client.fault(way.set("VideoEncoder", replace(before, multicast=bad))) == MODIFY
    assert await way.get("VideoEncoder", before.token) == before


async def test_without_a_group_there_is_no_multicast(made: Made) -> None:
    stage, media, media2 = made
    old = Old(media)
    for kind, token in tokens_of(stage).items():
        if kind not in ("VideoSource", "AudioSource"):
            before = await old.get(kind, token)
            await media.ask(old.set(kind, replace(before, multicast=group("0.0.0.0", 0, 0))))
    token = f"{stage.one}-main"
    assert stage.presented[token].multicast == ()
    fault = await media2.fault(tr2.GetStreamUri(protocol="RtspMulticast", profile_token=token))
    assert fault == ("Sender", "InvalidArgVal", "InvalidMulticastSettings")
    await media2.ask(tr2.GetStreamUri(protocol="RtspUnicast", profile_token=token))
    fault = await media2.fault(tr2.StartMulticastStreaming(profile_token=token))
    assert fault == ("Receiver", "Action", "IncompleteConfiguration")


async def test_a_profile_without_a_stream_has_no_address_by_multicast_either(made: Made) -> None:
    _, media, media2 = made
    await media.ask(trt.CreateProfile(name="x", token="empty"))
    incomplete = ("Receiver", "Action", "IncompleteConfiguration")
    for protocol in ("RtspMulticast", "RtspsMulticast", "RTSP"):
        assert await media2.fault(tr2.GetStreamUri(protocol=protocol, profile_token="empty")) == incomplete
    transport = tt.Transport(protocol=tt.TransportProtocol.UDP)
    for stream in tt.StreamType:
        setup = tt.StreamSetup(stream=stream, transport=transport)
        assert await media.fault(trt.GetStreamUri(stream_setup=setup, profile_token="empty")) == incomplete


async def test_two_tracks_at_one_place_are_a_conflict(made: Made) -> None:
    stage, media, media2 = made
    old = Old(media)
    for kind, port in (("VideoEncoder", 40000), ("AudioEncoder", 40001)):
        before = await old.get(kind, tokens_of(stage)[kind])
        await media.ask(old.set(kind, replace(before, multicast=group("239.1.2.3", port))))
    fault = await media2.fault(tr2.GetStreamUri(protocol="RtspMulticast", profile_token=f"{stage.one}-main"))
    assert fault == ("Sender", "OperationProhibited", "StreamConflict")


@pytest.mark.covers("S-StartMulticastStreaming", "S-StopMulticastStreaming")
@pytest.mark.parametrize("service", ["Media", "Media2"])
async def test_multicast_without_a_session(made: Made, service: str) -> None:
    stage, media, media2 = made
    client, types = (media, trt) if service == "Media" else (media2, tr2)
    token, new = f"{stage.one}-main", New(media2)
    for _ in range(2):
        await client.ask(types.StartMulticastStreaming(profile_token=token))
    assert stage.presented[token].started
    shown = [(await new.get(kind, tokens_of(stage)[kind])).multicast for kind in ("VideoEncoder", "AudioEncoder")]
    assert [each.auto_start for each in shown] == [True, True]
    other = await new.get("VideoEncoder", f"ve-{stage.one}-sub")
    assert not other.multicast.auto_start
    for _ in range(2):
        await client.ask(types.StopMulticastStreaming(profile_token=token))
    assert not stage.presented[token].started
    for verb in ("Start", "Stop"):
        assert await client.fault(getattr(types, f"{verb}MulticastStreaming")(profile_token="none")) == NO_PROFILE
    await media.ask(trt.CreateProfile(name="x", token="empty"))
    fault = await client.fault(types.StartMulticastStreaming(profile_token="empty"))
    assert fault == ("Receiver", "Action", "IncompleteConfiguration")


# ---- metadata


def metadata_request(service: str, token: str, content: str) -> str:
    namespace = NS_MEDIA if service == "Media" else NS_MEDIA2
    last = "<x:ForcePersistence>true</x:ForcePersistence>" if service == "Media" else ""
    return (
        f'<x:SetMetadataConfiguration xmlns:x="{namespace}" xmlns:t="{TT[1:-1]}" '
        f'xmlns:b="http://docs.oasis-open.org/wsn/b-2" xmlns:q="http://www.onvif.org/ver10/topics">'
        f'<x:Configuration token="{token}"><t:Name>m</t:Name><t:UseCount>0</t:UseCount>{content}'
        "<t:Multicast><t:Address><t:Type>IPv4</t:Type><t:IPv4Address>239.1.1.1</t:IPv4Address></t:Address>"
        "<t:Port>5000</t:Port><t:TTL>1</t:TTL><t:AutoStart>false</t:AutoStart></t:Multicast>"
        f"<t:SessionTimeout>PT60S</t:SessionTimeout></x:Configuration>{last}</x:SetMetadataConfiguration>"
    )


def expression(text: str, dialect: str = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet") -> str:
    topic = f'<b:TopicExpression Dialect="{dialect}">{text}</b:TopicExpression>'
    return f"<t:Events><t:Filter>{topic}</t:Filter></t:Events>"


@pytest.mark.covers(
    *("S-GetMetadataConfiguration", "S-GetMetadataConfigurations", "S-GetMetadataConfigurationOptions"),
    *("S-GetCompatibleMetadataConfigurations", "G-media-GetMetadataConfiguration"),
    *("G-media-GetMetadataConfigurationOptions", "G-media-GetMetadataConfigurations"),
    *("G-media-GetCompatibleMetadataConfigurations", "T-media2-GetMetadataConfigurations"),
    *("T-media2-GetMetadataConfigurationOptions", "M-media2-GetMetadataConfigurationOptions"),
    *("M-media2-GetMetadataConfigurations", "M-ReadyMetadataProfile"),
)
async def test_metadata_is_there_from_the_start(made: Made) -> None:
    stage, media, media2 = made
    token = f"mdc-{stage.one}-main"
    for answer in (
        await media.ask(trt.GetMetadataConfigurations()),
        await media2.ask(tr2.GetMetadataConfigurations()),
    ):
        assert len(answer) == 6
    for way in (Old(media), New(media2)):
        found = await way.get("Metadata", token)
        assert found.analytics is True
        assert (found.ptz_status, found.events is not None) == (None, True)
    compatible = await media.ask(trt.GetCompatibleMetadataConfigurations(profile_token=f"{stage.one}-main"))
    assert [each.get("token") for each in compatible] == [f"mdc-{stage.one}-{name}" for name in ("main", "sub", "jpeg")]
    for content in (
        trt.GetMetadataConfigurationOptions(profile_token=f"{stage.one}-main", configuration_token=token),
        trt.GetMetadataConfigurationOptions(),
    ):
        (options,) = await media.ask(content)
        assert options.findtext(f"{TT}PTZStatusFilterOptions/{TT}PanTiltPositionSupported") == "false"
    assert await media.fault(trt.GetMetadataConfiguration(configuration_token="none")) == NO_CONFIG
    for service, types in ((media, trt), (media2, tr2)):
        options = types.GetMetadataConfigurationOptions
        assert await service.fault(options(configuration_token="none")) == NO_CONFIG
        assert await service.fault(options(profile_token="none")) == NO_PROFILE
    foreign = tr2.GetMetadataConfigurationOptions(profile_token=f"{stage.two}-main", configuration_token=token)
    assert await media2.fault(foreign) == ("Sender", "InvalidArgVal", "IncompatibleConfiguration")
    assert (await media2.ask(tr2.GetMetadataConfigurations(profile_token=f"{stage.two}-main")))[0].get("token") == (
        f"mdc-{stage.two}-main"
    )


@pytest.mark.parametrize("service", ["Media", "Media2"])
async def test_only_a_camera_that_moves_says_where_it_looks(made: Made, service: str) -> None:
    stage, media, media2 = made
    client, types = (media, trt) if service == "Media" else (media2, tr2)
    way: Old | New = Old(media) if service == "Media" else New(media2)
    one, two = (f"mdc-{camera}-main" for camera in (stage.one, stage.two))

    async def supported(**of: str) -> list[str]:
        (options,) = await client.ask(types.GetMetadataConfigurationOptions(**of))
        filters = options.find(f"{TT}PTZStatusFilterOptions")
        return [each.tag.removeprefix(TT) for each in filters if each.text == "true"]

    assert await supported() == []
    wanted = "<t:PTZStatus><t:Status>true</t:Status><t:Position>false</t:Position></t:PTZStatus>"
    assert await client.fault(metadata_request(service, one, wanted)) == ("Sender", "InvalidArgVal", "ConfigModify")
    # What is shown now is written back: when the camera is heard to move that is selected all the same.
    await client.ask(metadata_request(service, one, ""))
    stage.events("")
    assert stage.measure(stage.one, "main", "pan-tilt-position pan-tilt-status")
    assert not stage.measure(stage.one, "sub", "pan-tilt-status")
    assert (one, "Metadata") in stage.events("Media/ConfigurationChanged")
    moves = ["PanTiltStatusSupported", "PanTiltPositionSupported"]
    assert await supported(configuration_token=one) == await supported() == moves
    assert await supported(configuration_token=two) == []
    filters = (await way.get("Metadata", one)).ptz_status
    assert (filters.status, filters.position) == (True, True)
    assert (await way.get("Metadata", two)).ptz_status is None
    await client.ask(metadata_request(service, one, wanted))
    filters = (await way.get("Metadata", one)).ptz_status
    assert (filters.status, filters.position) == (True, False)
    assert stage.measure(stage.two, "main", "zoom-position")
    assert await supported(configuration_token=two) == ["ZoomPositionSupported"]
    filters = (await way.get("Metadata", two)).ptz_status
    assert (filters.status, filters.position) == (False, True)


@pytest.mark.parametrize("service", ["Media", "Media2"])
async def test_what_metadata_selects(made: Made, service: str) -> None:
    stage, media, media2 = made
    stage.measure(stage.one, "main", "pan-tilt-position pan-tilt-status")
    client, token, old = media if service == "Media" else media2, f"mdc-{stage.one}-main", Old(media)
    await client.ask(metadata_request(service, token, "<t:Analytics>false</t:Analytics>"))
    found = await old.get("Metadata", token)
    assert (found.analytics, found.ptz_status, found.events) == (False, None, None)
    ptz = "<t:PTZStatus><t:Status>false</t:Status><t:Position>true</t:Position></t:PTZStatus>"
    text = "q:VideoSource//.|q:Device/q:Trigger/q:DigitalInput"
    await client.ask(metadata_request(service, token, ptz + expression(text)))
    found = await old.get("Metadata", token)
    assert (found.ptz_status.status, found.ptz_status.position) == (False, True)
    (topic,) = found.events.filter_.any_
    assert topic.text == "tns1:VideoSource//.|tns1:Device/tns1:Trigger/tns1:DigitalInput"
    assert topic.nsmap["tns1"] == "http://www.onvif.org/ver10/topics"
    (metadata,) = (each for each in stage.recorder.media().metadata if each.token == token)
    assert dict(metadata.choice.namespaces) == {"tns1": "http://www.onvif.org/ver10/topics"}
    spec = stage.presented[f"{stage.one}-main"].metadata
    assert (spec.analytics, spec.ptz_status, spec.ptz_position) == (False, False, True)
    # What was read is written back without a change.
    stage.events("")
    await media.ask(old.set("Metadata", found))
    assert stage.events("Media/ConfigurationChanged") == []


@pytest.mark.parametrize("service", ["Media", "Media2"])
@pytest.mark.parametrize(
    "content",
    [
        expression("q:NoSuchTopic"),
        expression("q:VideoSource//.", "urn:unknown"),
        expression("undeclared:VideoSource//."),
        expression("q:["),
        "<t:Events><t:Filter><b:MessageContent Dialect='urn:x'>x</b:MessageContent></t:Filter></t:Events>",
    ],
)
async def test_filters_that_cannot_be_used(made: Made, service: str, content: str) -> None:
    stage, media, media2 = made
    client, token = media if service == "Media" else media2, f"mdc-{stage.one}-main"
    before = await Old(media).get("Metadata", token)
    assert await client.fault(metadata_request(service, token, content)) == MODIFY
    assert await Old(media).get("Metadata", token) == before


async def test_metadata_is_not_compressed(made: Made) -> None:
    stage, media, _ = made
    before = await Old(media).get("Metadata", f"mdc-{stage.one}-main")
    assert await media.fault(Old(media).set("Metadata", replace(before, compression_type="EXI"))) == MODIFY
    await media.ask(Old(media).set("Metadata", replace(before, compression_type="None")))


@pytest.mark.covers(
    *("T-media2-GetVideoEncoderInstances", "G-media-GetGuaranteedNumberOfVideoEncoderInstances"),
    "S-GetGuaranteedNumberOfVideoEncoderInstances",
)
async def test_instances_are_counted_by_what_encoders_can_have(made: Made) -> None:
    stage, media, media2 = made
    for camera, newer in ((stage.one, {"H264": 2, "JPEG": 1}), (stage.two, {"H264": 2, "H265": 2, "JPEG": 1})):
        token = f"vsc-{camera}"
        info = (await media2.ask(tr2.GetVideoEncoderInstances(configuration_token=token)))[0]
        assert {item[0].text: int(item[1].text) for item in info.iter(f"{TR2}Codec")} == newer
        assert info.findtext(f"{TR2}Total") == "3"
        answer = await media.ask(trt.GetGuaranteedNumberOfVideoEncoderInstances(configuration_token=token))
        older = {etree.QName(item).localname: int(item.text) for item in answer}
        assert older == {"TotalNumber": 3, "JPEG": 1, "H264": 2, "MPEG4": 0}
