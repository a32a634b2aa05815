"""A media worker sends profiles by multicast, is asked for synchronisation points, and lists what clients report."""

from __future__ import annotations

import asyncio
import socket

import pytest

from onvifd.access.digest import ClientDigest, make_ha1
from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.errors import Unavailable
from onvifd.media.rtp.packet import ReceiverReport, ReportBlock, build_receiver_report, parse_rtp
from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.feedback import pli
from onvifd.rtsp.messages import Headers, Interleaved, Parser, Request, Response
from onvifd.workers.messages import Credentials, Done, KeyframeWanted, Presentations, SessionRefused, Stats, Synchronize
from onvifd.workers.specs import CredentialSpec, MulticastSpec, PresentationSpec, SessionSpec
from tests.rtsp.test_multicast import Listener, free_group
from tests.workers.conftest import Control, spec

covers = pytest.mark.covers("S-StartMulticastStreaming", "S-StopMulticastStreaming", "T-RTP-UDP-multicast", "LIV-42")
USER, PASSWORD = "viewer", "pass-word-1"
URL = "rtsp://127.0.0.1/live/cam-1/mine"
HA1 = make_ha1(USER, "onvifd", PASSWORD)
ACCOUNT = Credentials(accounts=(CredentialSpec(name=USER, level="User", ha1=HA1),))


def profile(port: int, *, started: bool = False) -> Presentations:
    group = MulticastSpec(kind="video", address="239.255.77.1", port=port, ttl=1)
    made = PresentationSpec(
        path="/live/cam-1/mine", profile="mine", camera="cam-1", video="main", multicast=(group,), started=started
    )
    return Presentations(presentations=(made,))


class Client:
    """A connection to the worker's RTSP server."""

    def __init__(self, control: Control) -> None:
        with socket.create_server(("127.0.0.1", 0)) as meeting:
            self.sock = socket.create_connection(meeting.getsockname())
            control.worker.adopt(Arrival(client=meeting.accept()[0]))
        self.sock.setblocking(False)
        self.parser = Parser()
        self.digest = ClientDigest(USER, PASSWORD)
        self.session = ""

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def once(self, method: str, uri: str, *fields: tuple[str, str]) -> Response:
        value = self.digest.authorization(method, uri)
        headers = [("CSeq", "1"), *fields, *([("Authorization", value)] if value else [])]
        if self.session:
            headers.append(("Session", self.session))
        await self.send(Request(method, uri, Headers(headers)).serialise())
        async with asyncio.timeout(20):
            while True:
                while (message := self.parser.next_message()) is not None:
                    if isinstance(message, Response):
                        return message
                data = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
                assert data, "closed"
                self.parser.receive_data(data)

    async def ask(self, method: str, uri: str = URL, *fields: tuple[str, str]) -> Response:
        response = await self.once(method, uri, *fields)
        if response.status == 401:
            assert self.digest.receive_challenge(response.headers.all("WWW-Authenticate"))
            response = await self.once(method, uri, *fields)
        self.session = (response.headers.get("Session") or self.session).partition(";")[0]
        return response

    def close(self) -> None:
        self.sock.close()


@covers
async def test_a_started_profile_is_sent_and_a_session_shares_its_group(
    control: Control, camera: SimulatedDevice
) -> None:
    group = free_group()
    listener = Listener(group)
    await control.begin(record=False, multicast_interface="127.0.0.1")
    await control.ask(ACCOUNT)
    await control.ask(spec(camera))
    await control.ask(profile(group.port, started=True))
    first = parse_rtp((await listener.take())[0])
    client = Client(control)
    described = (await client.ask("DESCRIBE", URL + "?multicast")).body.decode()
    assert f"m=video {group.port} RTP/AVP" in described
    assert "c=IN IP4 239.255.77.1/1\r\n" in described
    assert "a=x-onvif-profile:mine\r\n" in described
    answer = await client.ask("SETUP", URL + "/trackID=0", ("Transport", "RTP/AVP;multicast"))
    assert f"destination=239.255.77.1;port={group.port}-{group.port + 1};ttl=1" in (
        answer.headers.get("Transport") or ""
    )
    played = await client.ask("PLAY")
    assert (played.headers.get("Range") or "").startswith("clock=")
    assert "rtptime=" in (played.headers.get("RTP-Info") or "")
    await control.ask(profile(group.port, started=False))
    packets = [parse_rtp(each) for each in await listener.take(50)]
    assert {each.ssrc for each in packets} == {first.ssrc}
    numbers = [each.seq for each in packets]
    assert numbers == [(numbers[0] + step) & 0xFFFF for step in range(50)], "one sender, without a gap"
    assert (await client.ask("TEARDOWN")).status == 200
    assert control.worker._groups.senders == ()
    client.close()
    listener.close()


@pytest.mark.covers("T-media2-SetSynchronizationPoint")
async def test_synchronisation_points_and_reports(control: Control, camera: SimulatedDevice) -> None:
    await control.begin(record=False, max_sessions=1)
    await control.ask(ACCOUNT)
    await control.ask(spec(camera))
    await control.ask(profile(5000))
    client, other = Client(control), Client(control)
    assert (await client.ask("DESCRIBE")).status == 200
    assert isinstance(await control.ask(Synchronize(path="/live/cam-1/mine")), Done)
    await control.until(lambda: control.of(KeyframeWanted), "request for a key frame")
    with pytest.raises(Unavailable):
        await control.ask(Synchronize(path="/live/cam-1/none"))
    tcp = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")
    assert (await client.ask("SETUP", URL + "/trackID=0", tcp)).status == 200
    assert (await client.ask("PLAY")).status == 200
    report = build_receiver_report(ReceiverReport(ssrc=9, blocks=(ReportBlock(ssrc=1, fraction=64, lost=5),)))
    await client.send(Interleaved(1, report).serialise() + Interleaved(1, pli(9, 1)).serialise())

    def listed() -> SessionSpec | None:
        stats = control.of(Stats)
        found = stats[-1].sessions if stats and isinstance(stats[-1], Stats) else ()
        return next((each for each in found if each.loss >= 0), None)

    await control.until(listed, "report of reception")
    told = listed()
    assert told is not None
    assert (told.loss, told.lost, told.round_trip) == (0.25, 5, -1.0)
    async with asyncio.timeout(20):
        while len(control.of(KeyframeWanted)) < 2:  # a wish that a key frame of the camera has met is not told
            await client.send(Interleaved(1, pli(9, 1)).serialise())
            await asyncio.sleep(0.1)
    assert (await other.ask("SETUP", URL + "/trackID=0", tcp)).status == 503
    await control.until(lambda: control.of(SessionRefused), "notice of the refusal")
    client.close()
    other.close()
