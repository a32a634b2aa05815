"""Intake from real RTSP servers on loopback: good ones, and those that vanish, fall silent or send rubbish."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import re
from collections.abc import AsyncIterator, Callable

import pytest

from onvifd.cameras.intake import Intake, Source
from onvifd.cameras.intake_core import InboundTrack
from onvifd.clock import SystemClock
from onvifd.live.hub import LiveStream
from onvifd.media.rtp.packet import SenderReport, build_sender_report, parse_rtcp, parse_rtp
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.messages import Headers, Parser, Request, Response
from onvifd.rtsp.poller import ReadPoller
from tests.local import beside
from tests.rtsp.sample import PASSWORD, USER, encoded, feeding, live, serving

LIMIT = 20.0
SDP = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"


class Recorder:
    """An intake that runs, with all that it says."""

    def __init__(
        self,
        url: str,
        *,
        password: str = PASSWORD,
        silence: float = 5.0,
        frames: bool = True,
        transport: Way = Way.AUTO,
    ) -> None:
        self.stream = LiveStream("cam-1/main")
        self.units: list[FlushUnit] = []
        self.frames: list[AccessUnit] = []
        self.states: list[tuple[bool, str]] = []
        self.formats: list[tuple[TrackFormat, ...]] = []
        self.stream.attach(self.units.append, lambda: None)
        self.intake = Intake(
            Source("cam-1/main", url, USER, password, transport=transport),
            self.stream,
            SystemClock(),
            on_state=lambda online, reason: self.states.append((online, reason)),
            on_tracks=self._tracks,
            on_frame=self.frames.append if frames else None,
            silence=silence,
            back_off=(0.01, 0.02),
            poller=ReadPoller(lambda: True),
        )

    def _tracks(self, tracks: tuple[InboundTrack, ...]) -> None:
        self.formats.append(tuple(track.format for track in tracks))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Recorder]:
        async with beside(self.intake.run()):
            yield self

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not true():
                await asyncio.sleep(0.005)

    def packets(self) -> list[tuple[int, int, int]]:
        """(seq, rtp_time, ssrc) of what was relayed."""
        found = []
        for unit in self.units:
            for start in () if unit.rtcp else unit.starts:
                packet = parse_rtp(unit.data, start + 4)
                found.append((packet.seq, packet.rtp_time, packet.ssrc))
        return found


def url(port: int) -> str:
    return f"rtsp://127.0.0.1:{port}/live/cam-1/main"


async def test_relays_and_records() -> None:
    camera, mount = live()
    async with serving(mount) as (_, port), feeding(camera), Recorder(url(port)).running() as recorder:
        await recorder.until(lambda: len(recorder.frames) >= 30)
        assert recorder.states == [(True, "")]
        assert recorder.formats[0] == (encoded()[0],)
        assert recorder.stream.tracks[0].format == encoded()[0]
        assert recorder.intake.counters.lost_packets == 0
        assert recorder.frames[0].key
        keys = [frame.key for frame in recorder.frames[:30]]
        assert keys == [number % 10 == 0 for number in range(30)]
        ticks = [frame.ticks for frame in recorder.frames]
        assert {after - before for before, after in itertools.pairwise(ticks)} == {3600}
        (report,) = parse_rtcp(next(unit.data[4:] for unit in recorder.units if unit.rtcp))
        assert isinstance(report, SenderReport)
        assert report.ssrc == recorder.stream.tracks[0].ssrc
        assert all(track.told for track in recorder.intake.tracks)


async def test_receives_by_udp() -> None:
    camera, mount = live()
    async with (
        serving(mount) as (_, port),
        feeding(camera),
        Recorder(url(port), transport=Way.UDP).running() as recorder,
    ):
        await recorder.until(lambda: len(recorder.frames) >= 30)
        assert recorder.states == [(True, "")]
        assert recorder.intake.counters.lost_packets == 0
        assert [frame.key for frame in recorder.frames[:30]] == [number % 10 == 0 for number in range(30)]
        numbers = [seq for seq, _, _ in recorder.packets()]
        assert {after - before & 0xFFFF for before, after in itertools.pairwise(numbers)} == {1}
        assert any(unit.rtcp for unit in recorder.units)


async def test_numbers_go_on_when_the_camera_comes_back() -> None:
    camera, mount = live()
    recorder: Recorder | None = None
    async with feeding(camera), contextlib.AsyncExitStack() as stack:
        async with serving(mount) as (_, port):
            recorder = await stack.enter_async_context(Recorder(url(port)).running())
            await recorder.until(lambda: len(recorder.frames) >= 10)
        await recorder.until(lambda: recorder.states[-1][0] is False)
        count = len(recorder.frames)
        server = (await stack.enter_async_context(serving(mount)))[0]
        await server.serve("127.0.0.1", port)
        await recorder.until(lambda: len(recorder.frames) >= count + 10)
        states = [online for online, _ in recorder.states]
        assert (states[0], states[-1]) == (True, True)
        assert recorder.intake.reconnects >= 1
        packets = recorder.packets()
        assert len({ssrc for _, _, ssrc in packets}) == 1
        gaps = {after[0] - before[0] & 0xFFFF for before, after in itertools.pairwise(packets)}
        assert gaps == {1}
        steps = [after[1] - before[1] & 0xFFFFFFFF for before, after in itertools.pairwise(packets)]
        assert all(step < 1 << 31 for step in steps)
        ticks = [frame.ticks for frame in recorder.frames]
        assert ticks == sorted(ticks)


async def test_wrong_password_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    camera, mount = live()
    async with serving(mount) as (_, port), feeding(camera), Recorder(url(port), password="no").running() as recorder:
        await recorder.until(lambda: recorder.intake.reconnects >= 3)
        assert {reason for _, reason in recorder.states} == {"camera refuses the user name or password"}
    told = [record.getMessage() for record in caplog.records if record.name == "onvifd.cameras.intake"]
    assert told == ["cam-1/main: camera refuses the user name or password"]


async def test_silent_camera_is_given_up() -> None:
    camera, mount = live()
    async with serving(mount) as (_, port), Recorder(url(port), silence=0.1).running() as recorder:
        await recorder.until(lambda: len(recorder.states) >= 2)
        assert all(re.fullmatch(r"\(False, 'no media for \d+ s'\)", repr(state)) for state in recorder.states)
    assert camera.clients == 0


async def test_reports_and_noise_without_pictures_are_silence() -> None:
    """A camera whose encoder hangs still sends sender reports."""
    report = build_sender_report(SenderReport(ssrc=7, ntp=1 << 60, rtp_time=0, packets=0, octets=0))
    chatter = b"$\x01" + len(report).to_bytes(2, "big") + report
    async with (
        rubbish(lambda _: chatter, every=0.01) as (bad_url, connections),
        Recorder(bad_url, silence=0.1).running() as recorder,
    ):
        await recorder.until(lambda: len(connections) >= 3)
        assert all(re.fullmatch(r"\(False, 'no media for \d+ s'\)", repr(state)) for state in recorder.states)
        assert recorder.intake.counters.garbage == 0


@contextlib.asynccontextmanager
async def rubbish(media: Callable[[int], bytes], every: float = 0) -> AsyncIterator[tuple[str, list[int]]]:
    """A camera that converses well and then sends `media(number of the connection)`, once or `every` so many seconds."""
    connections: list[int] = []
    open_writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(connections)
        connections.append(number)
        open_writers.append(writer)
        parser = Parser()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                parser.receive_data(data)
                while isinstance(request := parser.next_message(), Request):
                    headers = Headers([("CSeq", request.headers.get("CSeq") or "")])
                    if request.method == "SETUP":
                        headers.add("Session", "1")
                        headers.add("Transport", request.headers.get("Transport") or "")
                    body = SDP if request.method == "DESCRIBE" else b""
                    writer.write(Response(200, headers, body).serialise())
                    if request.method == "PLAY":
                        writer.write(media(number))
                        while every:
                            await asyncio.sleep(every)
                            writer.write(media(number))
                            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/cam", connections
    finally:
        server.close()
        for writer in open_writers:
            writer.close()


@pytest.mark.covers("REC-21")
async def test_cameras_that_send_rubbish_harm_nobody_else() -> None:
    chance = random.Random(3)

    def noise(number: int) -> bytes:
        kinds = (
            b"\xff" * 300_000,
            chance.randbytes(100_000),
            b"$\x00\xff\xff" + bytes(20),
            b"".join(b"$\x00\x00\x10\x80\x60" + os.urandom(14) for _ in range(500)),
            b"$\x01\x00\x04\x80\xc8\xff\xff" * 10,
            b"RTSP/1.0 200 OK\r\nContent-Length: 99999\r\n\r\n",
        )
        return kinds[number % len(kinds)]

    camera, mount = live()
    async with (
        serving(mount) as (_, port),
        feeding(camera),
        rubbish(noise) as (bad_url, connections),
        Recorder(url(port)).running() as good,
        Recorder(bad_url, silence=0.15).running() as bad,
    ):
        await good.until(lambda: len(connections) >= 8 and len(good.frames) >= 50)
        assert good.states == [(True, "")]
        assert good.intake.counters.bad_frames == 0
        assert good.intake.counters.garbage == 0
        assert bad.intake.counters.garbage > 0
        assert bad.intake.reconnects >= 7


async def test_frames_can_be_taken_later() -> None:
    camera, mount = live()
    async with serving(mount) as (_, port), feeding(camera), Recorder(url(port), frames=False).running() as recorder:
        await recorder.until(lambda: len(recorder.units) >= 10)
        assert recorder.frames == []
        recorder.intake.on_frame = recorder.frames.append
        await recorder.until(lambda: len(recorder.frames) >= 15)
        assert recorder.frames[0].data
        assert recorder.formats[-1][0].codec is Codec.H264


async def test_source_hides_its_credentials() -> None:
    assert PASSWORD not in repr(Source("a", "rtsp://h/", USER, PASSWORD))
