"""Sessions end with what they show: a profile that was deleted, a camera that was removed."""

from __future__ import annotations

import asyncio

import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.workers.messages import Cameras, Presentations
from onvifd.workers.specs import MulticastSpec, PresentationSpec
from tests.rtsp.test_multicast import free_group
from tests.workers.conftest import Control, spec
from tests.workers.test_media_groups import ACCOUNT, Client

MINE, OTHER = "rtsp://127.0.0.1/live/cam-1/mine", "rtsp://127.0.0.1/live/cam-1/other"
TCP = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")
GROUP = ("Transport", "RTP/AVP;multicast")


def profiles(port: int, *tokens: str) -> Presentations:
    group = MulticastSpec(kind="video", address="239.255.77.3", port=port, ttl=1)
    made = (
        PresentationSpec(path=f"/live/cam-1/{token}", profile=token, camera="cam-1", video="main", multicast=(group,))
        for token in tokens
    )
    return Presentations(presentations=tuple(made))


async def ended(client: Client) -> None:
    """The server closes."""
    async with asyncio.timeout(20):
        while await asyncio.get_running_loop().sock_recv(client.sock, 1 << 16):
            pass
    client.close()


async def watching(control: Control, url: str, way: tuple[str, str] = TCP, *, play: bool = True) -> Client:
    client = Client(control)
    query = "?multicast" if way is GROUP else ""
    assert (await client.ask("DESCRIBE", url + query)).status == 200
    assert (await client.ask("SETUP", url + "/trackID=0", way)).status == 200
    if play:
        assert (await client.ask("PLAY", url)).status == 200
    return client


@pytest.mark.covers("T-media2-DeleteProfile", "S-DeleteProfile")
async def test_sessions_of_a_deleted_profile_end_and_no_others(control: Control, camera: SimulatedDevice) -> None:
    port = free_group().port
    await control.begin(record=False, multicast_interface="127.0.0.1")
    await control.ask(ACCOUNT)
    await control.ask(spec(camera))
    await control.ask(profiles(port, "mine", "other"))
    playing, idle = await watching(control, MINE), await watching(control, MINE, play=False)
    joined = await watching(control, MINE, GROUP)
    udp = ("Transport", "RTP/AVP;unicast;client_port=40000-40001")
    by_udp = await watching(control, MINE, udp, play=False)
    other = await watching(control, OTHER)
    fixed = await watching(control, "rtsp://127.0.0.1/live/cam-1/main")
    assert control.worker._groups.senders
    # neither an order of profiles nor a change of one concerns who watches
    await control.ask(profiles(port + 2, "other", "mine"))
    fixed_url = "rtsp://127.0.0.1/live/cam-1/main"
    for client, url in (
        *((each, MINE) for each in (playing, idle, joined, by_udp)),
        (other, OTHER),
        (fixed, fixed_url),
    ):
        assert (await client.ask("GET_PARAMETER", url)).status == 200
    await control.ask(profiles(port, "other"))
    for client in (playing, idle, joined, by_udp):
        await ended(client)
    assert control.worker._groups.senders == ()
    for client, url in ((other, OTHER), (fixed, fixed_url)):
        assert (await client.ask("GET_PARAMETER", url)).status == 200
        assert (await client.ask("TEARDOWN", url)).status == 200
    assert (await other.ask("DESCRIBE", MINE)).status == 404
    other.close()
    fixed.close()


async def test_a_connection_goes_on_with_its_other_session(control: Control, camera: SimulatedDevice) -> None:
    await control.begin(record=False)
    await control.ask(ACCOUNT)
    await control.ask(spec(camera))
    await control.ask(profiles(5000, "mine", "other"))
    client = await watching(control, MINE)
    mine, client.session = client.session, ""
    assert (await client.ask("SETUP", OTHER + "/trackID=0", ("Transport", "RTP/AVP/TCP;unicast"))).status == 200
    await control.ask(profiles(5000, "other"))
    assert (await client.ask("PLAY", OTHER)).status == 200
    client.session = mine
    assert (await client.ask("PLAY", MINE)).status == 454
    client.close()


async def test_sessions_of_a_removed_camera_end_whether_they_play_or_not(
    control: Control, camera: SimulatedDevice
) -> None:
    await control.begin(record=False)
    await control.ask(ACCOUNT)
    await control.ask(spec(camera))
    await control.ask(profiles(5000, "mine"))
    clients = [
        await watching(control, url, play=play)
        for url in (MINE, "rtsp://127.0.0.1/live/cam-1/main")
        for play in (True, False)
    ]
    await control.ask(Cameras(cameras=()))
    await control.ask(Presentations())
    for client in clients:
        await ended(client)
