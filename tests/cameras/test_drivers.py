"""Probing cameras: a whole simulated one, and choices among streams."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras import onvif_driver
from onvifd.cameras.drivers import asker, check_streams, choose, event_feed, full_address, prepare, probe
from onvifd.cameras.onvif_driver import reachable
from onvifd.cameras.probe import CameraProbe, ProbedStream
from onvifd.cameras.registry import Camera, Credentials, Driver, Role, Stream
from onvifd.clock import SystemClock
from onvifd.errors import InvalidArgument, NotAuthorized, OnvifdError, Unavailable
from onvifd.events import topics
from onvifd.media.types import Codec

LOGIN = Credentials(user="admin", password="camera-pass-1")


@pytest.mark.covers("A003", "P003")
async def test_an_onvif_camera_tells_all(device: SimulatedDevice) -> None:
    found = await probe(device.device_url, LOGIN)
    assert (found.driver, found.name, found.manufacturer, found.model) == (
        Driver.ONVIF,
        "Camera 5",
        "onvifd",
        "Simulated camera",
    )
    assert found.firmware
    assert found.serial
    assert found.event_address == f"http://127.0.0.1:{device.http_port}/onvif/event_service"
    main, sub = choose(found)
    assert (main.role, main.width, main.height, main.video_codec) == (Role.MAIN, 1280, 720, Codec.H264)
    assert (sub.role, sub.width, sub.height) == (Role.SUB, 640, 360)
    assert main.uri == f"rtsp://127.0.0.1:{device.rtsp_port}/main"
    assert main.snapshot_uri.startswith(f"http://127.0.0.1:{device.http_port}/")
    assert (main.framerate, main.gov_length, main.quality) == (25.0, 50, 5.0)
    assert main.source_profile == "profile-main"
    assert 500 < main.bitrate < 1500


async def test_media_ver10_tells_the_same(device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    by_media2 = await probe(device.device_url, LOGIN)
    monkeypatch.setattr(onvif_driver, "TR2", "urn:unknown")
    by_media = await probe(device.device_url, LOGIN)
    for old, new in zip(by_media.streams, by_media2.streams, strict=True):
        assert old.video_source == new.video_source
        # ver10 knows G.711 without its law.
        assert replace(old.stream, audio_codec=new.stream.audio_codec) == new.stream


async def test_describe_decides_what_the_configuration_leaves_open(device: SimulatedDevice) -> None:
    new = await prepare(device.device_url, LOGIN)
    assert [stream.role for stream in new.streams] == [Role.MAIN, Role.SUB]
    main = new.streams[0]
    assert (main.audio_codec, main.sample_rate, main.audio_channels, main.audio_bitrate) == (Codec.PCMA, 8000, 1, 64)
    assert (main.video_codec, main.width, main.height) == (Codec.H264, 1280, 720)
    assert (new.name, new.credentials) == ("Camera 5", LOGIN)
    assert new.event_address


@pytest.mark.covers("A012")
async def test_a_wrong_login_is_said_so(device: SimulatedDevice) -> None:
    with pytest.raises(NotAuthorized):
        await probe(device.device_url, Credentials(user="admin", password="wrong"))
    with pytest.raises(NotAuthorized):
        await probe(f"rtsp://127.0.0.1:{device.rtsp_port}/main", Credentials(user="admin", password="wrong"))


@pytest.mark.covers("A003", "P003")
async def test_a_plain_rtsp_camera(device: SimulatedDevice) -> None:
    base = f"rtsp://admin:camera-pass-1@127.0.0.1:{device.rtsp_port}"
    new = await prepare(f"{base}/main", sub_address=f"{base}/sub", name="Door")
    assert (new.driver, new.name, new.event_address) == (Driver.RTSP, "Door", "")
    assert new.credentials == LOGIN
    assert [(s.role, s.width, s.height, s.video_codec) for s in new.streams] == [
        (Role.MAIN, 1280, 720, Codec.H264),
        (Role.SUB, 640, 360, Codec.H264),
    ]
    assert "camera-pass-1" not in new.address + new.streams[0].uri


async def test_a_stream_that_is_not_there(device: SimulatedDevice, caplog: pytest.LogCaptureFixture) -> None:
    base = f"rtsp://127.0.0.1:{device.rtsp_port}"
    with pytest.raises(OnvifdError):
        await prepare(f"{base}/nothing", LOGIN)
    new = await prepare(f"{base}/main", LOGIN, sub_address=f"{base}/nothing")
    assert [stream.role for stream in new.streams] == [Role.MAIN]
    assert "sub stream" in caplog.text
    (check,) = await check_streams([Stream(role=Role.MAIN, uri=f"{base}/nothing")], asker(base, LOGIN))
    assert check.problem


async def test_nobody_there() -> None:
    for address in ("http://127.0.0.1:9/onvif/device_service", "rtsp://127.0.0.1:9/x"):
        with pytest.raises(Unavailable):
            await probe(address)


async def test_motion_of_a_real_camera_is_heard(device: SimulatedDevice) -> None:
    new = await prepare(device.device_url, LOGIN)
    camera = Camera(
        id="cam-00000001",
        channel=1,
        created=0,
        **{name: getattr(new, name) for name in new.__slots__ if name not in ("record", "receptions")},
    )
    heard: asyncio.Queue[tuple[str, bool, int]] = asyncio.Queue()
    async with aiohttp.ClientSession() as session:
        feed = event_feed(camera, session, lambda *change: heard.put_nowait(change), SystemClock())
        assert feed is not None
        feed.start()
        utc = SystemClock().utc()
        device._bus.publish(topics.motion_alarm("vs-5", True, utc))
        async with asyncio.timeout(10):
            assert await heard.get() == ("cam-00000001", True, utc)
            device._bus.publish(topics.motion_alarm("vs-5", False, utc + 1))
            assert await heard.get() == ("cam-00000001", False, utc + 1)
            device._bus.publish(topics.motion_alarm("vs-5", True, utc + 2))
            assert (await heard.get())[1] is True
            await feed.close()
        assert heard.get_nowait()[1] is False
    assert event_feed(replace(camera, driver=Driver.RTSP), session, print, SystemClock()) is None


def offered(name: str, width: int, height: int, codec: Codec | None = Codec.H264, source: str = "v0") -> ProbedStream:
    stream = Stream(role=Role.MAIN, uri=f"rtsp://192.0.2.1/{name}", width=width, height=height, video_codec=codec)
    return ProbedStream(name=name, video_source=source, stream=stream)


def chosen(*streams: ProbedStream, source: str | None = None) -> list[tuple[Role, str]]:
    found = choose(CameraProbe(driver=Driver.ONVIF, streams=streams), source)
    return [(stream.role, stream.uri.rpartition("/")[2]) for stream in found]


@pytest.mark.covers("ENC-18")
def test_main_is_the_largest_and_sub_the_nearest_to_640x360() -> None:
    streams = [
        offered("tiny", 160, 90),
        offered("vga", 640, 480),
        offered("full", 2560, 1440, Codec.H265),
        offered("hd", 1280, 720),
        offered("jpeg", 3840, 2160, Codec.JPEG),
        offered("unknown", 3840, 2160, None),
    ]
    assert chosen(*streams) == [(Role.MAIN, "full"), (Role.SUB, "vga")]


def test_one_stream_is_main_alone() -> None:
    assert chosen(offered("a", 640, 360), offered("b", 640, 360)) == [(Role.MAIN, "a")]


@pytest.mark.covers("CAM-18")
def test_streams_of_other_lenses_are_not_mixed() -> None:
    streams = [offered("a", 1280, 720), offered("b", 1920, 1080, source="v1"), offered("c", 640, 360, source="v1")]
    assert chosen(*streams) == [(Role.MAIN, "a")]
    assert chosen(*streams, source="v1") == [(Role.MAIN, "b"), (Role.SUB, "c")]
    with pytest.raises(Unavailable, match="v2"):
        chosen(*streams, source="v2")


def test_a_camera_without_usable_video() -> None:
    with pytest.raises(Unavailable):
        chosen(offered("a", 640, 480, None))


def test_what_can_be_recorded_goes_before_what_can_only_be_watched() -> None:
    jpeg, mpeg4 = offered("a", 1920, 1080, Codec.JPEG), offered("b", 1280, 720, Codec.MPEG4)
    assert chosen(jpeg, mpeg4, offered("c", 640, 360)) == [(Role.MAIN, "c")]
    assert chosen(jpeg, mpeg4) == [(Role.MAIN, "b")]
    assert chosen(jpeg) == [(Role.MAIN, "a")]


@pytest.mark.covers("CAM-16")
@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("192.0.2.1", "http://192.0.2.1/onvif/device_service"),
        ("cam.local:8000", "http://cam.local:8000/onvif/device_service"),
        ("https://192.0.2.1/", "https://192.0.2.1/onvif/device_service"),
        ("http://192.0.2.1/onvif/device", "http://192.0.2.1/onvif/device"),
        ("rtsp://192.0.2.1/a", "rtsp://192.0.2.1/a"),
    ],
)
def test_shorthand_addresses(given: str, full: str) -> None:
    assert full_address(given) == full


def test_other_schemes_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="ftp"):
        full_address("ftp://192.0.2.1/")


@pytest.mark.parametrize(
    ("given", "result"),
    [
        ("http://10.0.0.5:8080/onvif/media", "http://192.0.2.1:8080/onvif/media"),
        ("rtsp://10.0.0.5/a?b=c", "rtsp://192.0.2.1/a?b=c"),
        ("http://192.0.2.1:81/x", "http://192.0.2.1:81/x"),
        ("rtsp://u:p@192.0.2.1/x", "rtsp://192.0.2.1/x"),
        (" http://10.0.0.5/x ", "http://192.0.2.1/x"),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_addresses_lead_to_the_host_that_was_asked(given: str, result: str) -> None:
    assert reachable(given, "http://192.0.2.1/onvif/device_service") == result
