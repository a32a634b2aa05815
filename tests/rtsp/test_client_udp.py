"""Media by UDP for our client: order, foreign packets, a foreign server, and one that will not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator

import pytest

from onvifd.media.rtp.packet import parse_rtp
from onvifd.media.types import Codec
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.client_session import ClientSession, TransportRefused
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_udp import DatagramTrack
from onvifd.rtsp.messages import Headers, Response
from onvifd.rtsp.poller import ReadPoller
from tests.rtsp.test_client import gst_server


def rtp(number: int) -> bytes:
    return b"\x80\x60" + number.to_bytes(2, "big") + bytes(8) + b"payload"


class Sink:
    """What the receiver is given: channel and content of each frame."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []

    def receive(self, buffer: bytearray, start: int, end: int) -> int:
        while start < end:
            assert buffer[start] == 0x24
            size = int.from_bytes(buffer[start + 2 : start + 4], "big")
            self.frames.append((buffer[start + 1], bytes(buffer[start + 4 : start + 4 + size])))
            start += 4 + size
        return end

    @property
    def numbers(self) -> list[int]:
        return [parse_rtp(data, 0).seq for channel, data in self.frames if not channel & 1]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


@pytest.fixture
def camera() -> Iterator[socket.socket]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    yield sock
    sock.close()


async def test_packets_of_one_reading_are_put_in_order(camera: socket.socket) -> None:
    track, sink = DatagramTrack.open(2, socket.AF_INET, "127.0.0.1"), Sink()
    for number in (65534, 1, 65535, 0, 2):
        camera.sendto(rtp(number), ("127.0.0.1", track.port))
    track.start(sink.receive, None)
    try:
        await until(lambda: len(sink.frames) == 5)
        assert sink.numbers == [65534, 65535, 0, 1, 2]
        assert {channel for channel, _ in sink.frames} == {2}
    finally:
        track.close()


async def test_reports_on_the_port_of_media_do_not_disturb_the_order(camera: socket.socket) -> None:
    """Their length lies where RTP has its number: 6 words here."""
    track, sink = DatagramTrack.open(0, socket.AF_INET, "127.0.0.1"), Sink()
    report = b"\x80\xc8\x00\x06" + bytes(24)
    for packet in (report, rtp(65000), rtp(65001), report, rtp(65002), rtp(65003), rtp(65004)):
        camera.sendto(packet, ("127.0.0.1", track.port))
    track.start(sink.receive, None)
    try:
        await until(lambda: len(sink.frames) == 7)
        assert [parse_rtp(data, 0).seq for _, data in sink.frames if data != report] == list(range(65000, 65005))
        assert (track.order.dropped, track.order.reordered) == (0, 0)
    finally:
        track.close()


@pytest.mark.parametrize("order", [(1, 2), (1, 3, 2)])
async def test_a_receiver_that_fails_ends_its_own_camera_alone(camera: socket.socket, order: tuple[int, ...]) -> None:
    """Both tracks are read in the same look."""
    poller, sink = ReadPoller(lambda: True), Sink()
    errors: list[Exception] = []

    def fail(buffer: bytearray, start: int, end: int) -> int:
        raise ValueError("what came is of no use")

    tracks = [DatagramTrack.open(0, socket.AF_INET, "127.0.0.1") for _ in range(2)]
    for track in tracks:
        for number in order:
            camera.sendto(rtp(number), ("127.0.0.1", track.port))
    tracks[0].start(fail, poller, errors.append)
    tracks[1].start(sink.receive, poller)
    try:
        await until(lambda: len(sink.frames) == len(order))
        camera.sendto(rtp(4), ("127.0.0.1", tracks[0].port))
        camera.sendto(rtp(4), ("127.0.0.1", tracks[1].port))
        await until(lambda: len(sink.frames) == len(order) + 1)
        assert [str(error) for error in errors] == ["what came is of no use"]
    finally:
        for track in tracks:
            track.close()
        poller.close()


async def test_only_the_camera_is_heard(camera: socket.socket) -> None:
    track, sink = DatagramTrack.open(0, socket.AF_INET, "127.0.0.1"), Sink()
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind(("127.0.0.1", 0))
    port = camera.getsockname()[1]
    track.expect(frozenset(("127.0.0.1",)), "127.0.0.1", (port, port))
    track.start(sink.receive, None)
    try:
        other.sendto(rtp(7), ("127.0.0.1", track.port))
        camera.sendto(b"too short", ("127.0.0.1", track.port))
        camera.sendto(rtp(8), ("127.0.0.1", track.port))
        camera.sendto(b"\x81\xc8" + bytes(26), ("127.0.0.1", track.port + 1))
        await until(lambda: len(sink.frames) == 2)
        assert sink.numbers == [8]
        assert [channel for channel, _ in sink.frames if channel & 1] == [1]
        track.send_rtcp(b"report")
        camera.settimeout(5)
        assert await asyncio.to_thread(camera.recv, 100) == b"report"
    finally:
        track.close()
        other.close()


async def test_plays_from_gst_rtsp_server() -> None:
    async with gst_server() as url:
        client, sink = RtspClient(url), Sink()
        await client.connect()
        try:
            description = await client.describe()
            for index, track in enumerate(description.tracks):
                await client.setup_udp(track, 2 * index)
            assert description.tracks[0].format.codec is Codec.H264
            await client.play(sink.receive)
            await until(lambda: len(sink.numbers) > 50)
            assert {channel for channel, _ in sink.frames} >= {0, 2}
        finally:
            await client.close()


def test_a_camera_that_does_not_send_by_udp_is_told_of() -> None:
    answer = Response(200, Headers([("CSeq", "1"), ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")]))
    with pytest.raises(TransportRefused, match="does not stream by UDP"):
        ClientSession("rtsp://192.0.2.1/").placed(answer, Way.UDP, 0)
