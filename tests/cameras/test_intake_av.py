"""The other client: real servers by libavformat, and when it is turned to."""

from __future__ import annotations

import asyncio
import threading

import pytest

from onvifd.clock import SystemClock
from onvifd.media.rtp.depack import depacketizer
from onvifd.media.rtp.packet import parse_rtp
from onvifd.media.types import Codec
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.messages import Headers, Request, Response
from tests.cameras.fault_camera import Camera, Rig
from tests.rtsp.test_client import gst_server

pytest.importorskip("av")


def threads() -> int:
    return sum(thread.name.startswith("libav ") for thread in threading.enumerate())


@pytest.mark.parametrize("transport", [Way.TCP, Way.UDP])
async def test_a_foreign_server_is_received_and_packed_anew(transport: Way) -> None:
    async with gst_server("user", "pa:ss/w@rd") as url:
        rig = Rig(url, user="user", password="pa:ss/w@rd", transport=transport, quirks=["libav"])
        async with rig.running():
            await rig.until(lambda: sum(unit.track == 0 and not unit.rtcp for unit in rig.units) >= 40)
            assert rig.states == [(True, "")]
            assert [format.codec for format in rig.formats[0]] == [Codec.H264, Codec.PCMU]
            video, audio = ([unit for unit in rig.units if unit.track == track and not unit.rtcp] for track in (0, 1))
            assert audio
            assert any(unit.key for unit in video)
            joiner = depacketizer(rig.stream.tracks[0].format)
            numbers, joined = [], []
            for unit in video:
                for start, end in zip(unit.starts, (*unit.starts[1:], len(unit.data)), strict=True):
                    packet = parse_rtp(unit.data, start + 4, end)
                    numbers.append(packet.seq)
                    payload = unit.data[packet.start : packet.end]
                    joined += joiner.feed(payload, packet.marker, packet.rtp_time, True)
            assert [(each - numbers[0]) & 0xFFFF for each in numbers] == list(range(len(numbers)))
            recorded = [each for each in rig.frames if each.track == 0]
            assert [each.data for each in joined] == [each.data for each in recorded][: len(joined)]
            ticks = [each.ticks for each in recorded]
            assert ticks == sorted(ticks)
            assert any(unit.rtcp for unit in rig.units)
        await rig.until(lambda: threads() == 0)


async def test_it_is_turned_to_after_three_misunderstandings_and_numbers_go_on() -> None:
    """A camera that our client understands, until it begins to answer PLAY in a way that only the other one bears."""
    odd = False

    def answer(request: Request, response: Response) -> bytes:
        if odd and request.method == "SETUP" and request.headers.get("User-Agent") == "onvifd":
            return Response(456, Headers([("CSeq", request.headers.get("CSeq") or "")])).serialise()
        return response.serialise()

    camera = Camera(answer=answer, interval=0.02)
    async with camera.url() as url, Rig(url, transport=Way.TCP, silence=3.0).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 20)
        odd = True
        client = rig.intake._client
        assert client is not None
        client.abort("gone")
        count = len(rig.frames)
        await rig.until(lambda: len(rig.frames) >= count + 20)
        assert rig.intake._by_libav
        # Between the two some packets of the abandoned connection may be missing; nothing goes back.
        rig.check_laundered()
        assert [reason for online, reason in rig.states if not online][1:] == [
            "camera answers SETUP with 456 Header Field Not Valid for Resource"
        ] * 3


async def test_it_is_not_turned_to_where_that_is_switched_off_or_a_certificate_counts() -> None:
    camera = Camera(answer=lambda request, response: Response(400, response.headers).serialise())
    async with camera.url() as url:
        async with Rig(url, quirks=["no-libav"]).running() as rig:
            await rig.until(lambda: len(rig.states) >= 5)
            assert not rig.intake._by_libav
        async with Rig(url, transport=Way.RTSPS, quirks=["libav"]).running() as rig:
            await rig.until(lambda: bool(rig.states))
            assert "certificates" in rig.states[0][1]


async def test_refusals_and_silence_end_it_and_tell_no_password(caplog: pytest.LogCaptureFixture) -> None:
    async with Camera(spoil=lambda number, packets: ()).url() as url:
        rig = Rig(url, user="user", password="hush-hush", quirks=["libav"], silence=0.5)
        async with rig.running():
            await rig.until(lambda: bool(rig.states))
    async with Camera(answer=lambda request, response: None).url() as url:
        rig2 = Rig(url, user="user", password="hush-hush", quirks=["libav"], silence=0.5)
        async with rig2.running():
            await rig2.until(lambda: len(rig2.states) >= 2)
    assert all(not online and reason for online, reason in (*rig.states, *rig2.states))
    assert "hush" not in caplog.text + str(rig.states) + str(rig2.states)
    async with asyncio.timeout(10):
        while threads():
            await asyncio.sleep(0.01)


async def test_the_loop_is_never_blocked_and_a_slow_one_bounds_the_thread() -> None:
    camera = Camera(interval=0.001)
    async with camera.url() as url, Rig(url, quirks=["libav"]).running() as rig:
        await rig.until(lambda: bool(rig.frames))
        slowest, last = 0.0, SystemClock().monotonic()
        for _ in range(200):
            await asyncio.sleep(0.002)
            now = SystemClock().monotonic()
            slowest, last = max(slowest, now - last), now
        assert slowest < 1.0
