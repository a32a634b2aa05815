"""Key frames on demand, with a simulated camera as the other side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from onvifd.bodies.simulated import SimulatedCamera
from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras import onvif_driver
from onvifd.cameras.keyframes import INTERVAL, KeyframeRequests
from onvifd.cameras.registry import Camera, Credentials, Driver, Role, Stream
from onvifd.cameras.shared_answers import FAILED_WAIT, REFUSED_WAIT
from onvifd.clock import Clock, SystemClock
from onvifd.errors import Timeout, Unavailable

LOGIN = Credentials(user="admin", password="camera-pass-1")


class SteppedClock(SystemClock):
    """Wall time as it is, which tokens need; monotonic time as told."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def camera_at(url: str, credentials: Credentials = LOGIN, profile: str = "profile-main") -> Camera:
    return Camera(
        id="cam-00000001",
        channel=1,
        name="Gate",
        driver=Driver.ONVIF,
        address=url,
        streams=(Stream(role=Role.MAIN, uri="rtsp://127.0.0.1/main", source_profile=profile),),
        credentials=credentials,
        enabled=True,
        manufacturer="",
        model="",
        firmware="",
        serial="",
        event_address="",
        created=0,
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Profiles of the camera that were asked for a key frame."""
    seen: list[str] = []

    async def synchronize(_body: SimulatedCamera, profile_token: str) -> None:
        seen.append(profile_token)

    monkeypatch.setattr(SimulatedCamera, "synchronize", synchronize)
    return seen


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def requests(clock: Clock) -> AsyncIterator[KeyframeRequests]:
    async with aiohttp.ClientSession() as session:
        made = KeyframeRequests(session, clock)
        yield made
        await made.close()


@pytest.mark.parametrize("lacks", ["TRT", "TR2"])
async def test_the_camera_is_asked_by_the_media_service_it_has(
    lacks: str,
    device: SimulatedDevice,
    asked: list[str],
    requests: KeyframeRequests,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onvif_driver, lacks, "urn:unknown")
    requests.set_cameras([camera_at(device.device_url)])
    await requests.ask("cam-00000001", "main")
    assert asked == ["profile-main"]


async def test_a_stream_is_asked_once_a_second_whoever_asks(
    device: SimulatedDevice, asked: list[str], requests: KeyframeRequests, clock: SteppedClock
) -> None:
    requests.set_cameras([camera_at(device.device_url)])
    await asyncio.gather(*(requests.ask("cam-00000001", "main") for _ in range(50)))
    assert len(asked) == 1
    clock.now += INTERVAL
    await requests.ask("cam-00000001", "main")
    assert len(asked) == 2


async def test_a_failure_stands_for_a_while(
    device: SimulatedDevice, asked: list[str], requests: KeyframeRequests, clock: SteppedClock
) -> None:
    known = camera_at(device.device_url, profile="none")
    requests.set_cameras([known])
    with pytest.raises(Unavailable, match="refuses SetSynchronizationPoint"):
        await requests.ask(known.id, "main")
    first = requests._asked.tasks[known.id, "main"]
    clock.now += FAILED_WAIT - 1
    with pytest.raises(Unavailable):
        await requests.ask(known.id, "main")
    assert requests._asked.tasks[known.id, "main"] is first
    clock.now += 1
    with pytest.raises(Unavailable):
        await requests.ask(known.id, "main")
    assert requests._asked.tasks[known.id, "main"] is not first
    requests.set_cameras([replace(known, streams=(replace(known.main, source_profile="profile-main"),))])
    await requests.ask(known.id, "main")  # another configuration is another question
    assert asked == ["profile-main"]


async def test_a_refused_login_is_not_repeated_soon(
    device: SimulatedDevice, asked: list[str], requests: KeyframeRequests, clock: SteppedClock
) -> None:
    requests.set_cameras([camera_at(device.device_url, Credentials(user="admin", password="wrong"))])
    for _ in range(2):
        with pytest.raises(Unavailable):
            await requests.ask("cam-00000001", "main")
    first = requests._asked.tasks["cam-00000001", "main"]
    clock.now += REFUSED_WAIT - 1
    with pytest.raises(Unavailable):
        await requests.ask("cam-00000001", "main")
    assert requests._asked.tasks["cam-00000001", "main"] is first
    clock.now += 1
    with pytest.raises(Unavailable):
        await requests.ask("cam-00000001", "main")
    assert requests._asked.tasks["cam-00000001", "main"] is not first
    assert asked == []


async def test_a_silent_camera_costs_the_time_out_and_no_more(
    requests: KeyframeRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onvifd.cameras.keyframes.TIMEOUT", 0.2)
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        requests.set_cameras([camera_at(f"http://127.0.0.1:{port}/onvif/device_service")])
        with pytest.raises(Timeout):
            await requests.ask("cam-00000001", "main")
    finally:
        gone.set()
        server.close()
        await server.wait_closed()


async def test_what_is_no_onvif_camera_is_not_asked(requests: KeyframeRequests) -> None:
    known = camera_at("rtsp://127.0.0.1:9/main")
    requests.set_cameras([replace(known, driver=Driver.RTSP)])
    await requests.ask(known.id, "main")
    await requests.ask(known.id, "sub")
    await requests.ask("cam-99999999", "main")


async def test_a_camera_that_is_removed_while_it_is_asked(requests: KeyframeRequests) -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        requests.set_cameras([camera_at(f"http://127.0.0.1:{port}/onvif/device_service")])
        waiting = asyncio.create_task(requests.ask("cam-00000001", "main"))
        await asyncio.sleep(0)
        requests.set_cameras([])
        with pytest.raises(Unavailable):
            await waiting
    finally:
        gone.set()
        server.close()
        await server.wait_closed()
