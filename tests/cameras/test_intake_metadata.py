"""The metadata track of a camera: received beside the pictures, never at their cost."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
from collections.abc import AsyncIterator

import pytest

from onvifd.cameras.intake import Intake, Source
from onvifd.cameras.intake_core import InboundTrack
from onvifd.clock import SystemClock
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.live.mount import LiveMount
from onvifd.media.rtp.pack import Packer
from onvifd.media.types import AccessUnit, Codec, FlushUnit, Kind, TrackFormat
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.messages import Headers, Parser, Request, Response
from onvifd.rtsp.poller import ReadPoller
from tests.local import beside
from tests.rtsp import sample

METADATA = TrackFormat(codec=Codec.METADATA, clock_rate=90_000)
LIMIT = 20.0
HEAD = b'<?xml version="1.0"?>\n<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema">'


def document(number: int, size: int = 0) -> bytes:
    return HEAD + f"<!--{number}{'x' * size}--></tt:MetadataStream>".encode()


class Rig:
    """An intake that runs, with all that it says."""

    def __init__(self, url: str, *, udp: bool = False) -> None:
        self.stream = LiveStream("cam-1/main")
        self.relayed: list[FlushUnit] = []
        self.stream.attach(self.relayed.append, lambda: None)
        self.frames: list[AccessUnit] = []
        self.formats: list[tuple[TrackFormat, ...]] = []
        self.reasons: list[str] = []
        self.intake = Intake(
            Source("cam-1/main", url, sample.USER, sample.PASSWORD, transport=Way.UDP if udp else Way.AUTO),
            self.stream,
            SystemClock(),
            on_state=lambda _, reason: self.reasons.append(reason),
            on_tracks=self._tracks,
            on_frame=self.frames.append,
            back_off=(0.01, 0.02),
            poller=ReadPoller(lambda: True),
        )

    def _tracks(self, tracks: tuple[InboundTrack, ...]) -> None:
        self.formats.append(tuple(track.format for track in tracks))

    @property
    def documents(self) -> list[bytes]:
        return [frame.data for frame in self.frames if self.formats[-1][frame.track].kind is Kind.METADATA]

    @property
    def pictures(self) -> list[AccessUnit]:
        return [frame for frame in self.frames if self.formats[-1][frame.track].kind is Kind.VIDEO]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Rig]:
        async with beside(self.intake.run()):
            yield self

    async def until(self, count: int, documents: int = 0) -> None:
        async with asyncio.timeout(LIMIT):
            while len(self.pictures) < count or len(self.documents) < documents:
                await asyncio.sleep(0.005)


class Camera:
    """Sends pictures and, with every third one, a document."""

    def __init__(self) -> None:
        self.source = sample.Source()
        self.stream = LiveStream("camera")
        self.packer = Packer(METADATA, track=1, payload_type=107, ssrc=0x77, mtu=500)
        self.stream.set_tracks((*self.source.tracks, LiveTrack(METADATA, 107, 0x77)))
        self.sent: list[bytes] = []

    def say(self, data: bytes) -> None:
        utc = sample.START + self.source.number * sample.FRAME_US
        self.stream.publish(self.packer.pack(AccessUnit(1, utc, self.source.number * 3600, True, data)))

    async def _play(self) -> None:
        for number in itertools.count():
            self.stream.publish(self.source.next())
            if number % 3 == 0:
                # long ones take several packets
                self.sent.append(document(number, 2000 * (number % 2)))
                self.say(gzip.compress(self.sent[-1]) if number % 5 == 0 else self.sent[-1])
            if number % 10 == 1:
                self.say(b"<half of a docu")
            await asyncio.sleep(0.01)

    @contextlib.asynccontextmanager
    async def url(self) -> AsyncIterator[str]:
        task = asyncio.create_task(self._play())
        try:
            async with sample.serving(LiveMount(lambda _: self.stream, 60)) as (_, port):
                yield f"rtsp://127.0.0.1:{port}/live/cam-1/main"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("udp", [False, True])
async def test_documents_come_as_the_camera_sent_them_and_are_not_relayed(udp: bool) -> None:
    camera = Camera()
    async with camera.url() as url, Rig(url, udp=udp).running() as rig:
        await rig.until(40, documents=10)
        assert [each.kind for each in rig.formats[0]] == [Kind.VIDEO, Kind.METADATA]
        first = camera.sent.index(rig.documents[0])
        assert rig.documents[:10] == camera.sent[first : first + 10]
        assert [track.format.kind for track in rig.stream.tracks] == [Kind.VIDEO]
        assert {unit.track for unit in rig.relayed} == {0}
        counters = rig.intake.counters
        assert counters.bad_documents > 0  # those without an end
        assert counters.bad_frames == counters.lost_packets == 0


SDP = """v=0
m=application 0 RTP/AVP 107
a=rtpmap:107 vnd.onvif.metadata/90000
a=control:meta
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=control:video
"""


class Stubborn:
    """A camera that describes metadata and does not give it: it answers `status`, or closes the connection (0)."""

    def __init__(self, status: int, at: str = "meta") -> None:
        self.status = status
        self.at = at
        self.asked: list[str] = []
        self.plays = 0
        self._handlers: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = Parser()
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        try:
            while data := await reader.read(65536):
                parser.receive_data(data)
                while isinstance(request := parser.next_message(), Request):
                    if not await self._answer(request, writer):
                        break
        except ConnectionError:
            pass  # the recorder has gone
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        headers = Headers([("CSeq", request.headers.get("CSeq") or ""), ("Session", "1")])
        status = 200
        if request.method == "SETUP":
            self.asked.append(request.uri.rsplit("/", 1)[-1])
            headers.add("Transport", request.headers.get("Transport") or "")
        refused = "meta" in self.asked and self.plays == 0
        if (request.method == "SETUP" and request.uri.endswith(self.at)) or (request.method == self.at and refused):
            status = self.status
        if not status:
            writer.close()
            return False
        body = SDP.encode() if request.method == "DESCRIBE" else b""
        writer.write(Response(status, headers, body).serialise())
        if request.method == "PLAY" and status == 200:
            self.plays += 1
            source = sample.Source()
            for _ in range(200):
                writer.write(source.next().data)
                await writer.drain()
                await asyncio.sleep(0.005)
        self.plays += request.method == "PLAY"
        return True

    @contextlib.asynccontextmanager
    async def url(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/cam"
        finally:
            server.close()
            for handler in self._handlers:
                handler.cancel()
            await asyncio.gather(*self._handlers, return_exceptions=True)


async def test_a_camera_that_refuses_metadata_keeps_its_pictures() -> None:
    camera = Stubborn(461)
    async with camera.url() as url, Rig(url).running() as rig:
        await rig.until(30)
        assert camera.asked == ["video", "meta"]
        assert rig.intake.reconnects == 0
        assert [track.kind for track in rig.formats[-1]] == [Kind.VIDEO]


@pytest.mark.parametrize("at", ["meta", "PLAY"])
async def test_a_camera_that_fails_over_metadata_is_not_asked_again(at: str) -> None:
    camera = Stubborn(0 if at == "meta" else 500, at)
    async with camera.url() as url, Rig(url).running() as rig:
        await rig.until(30)
        assert camera.asked == ["video", "meta", "video"]
        assert rig.intake.reconnects == 1


async def test_a_camera_that_failed_over_metadata_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onvifd.cameras.retries.RESPITE", 0.0)
    camera = Stubborn(500, "PLAY")
    async with camera.url() as url, Rig(url).running() as rig:
        await rig.until(30)
        assert camera.asked == ["video", "meta"] * 2
        assert [track.kind for track in rig.formats[-1]] == [Kind.VIDEO, Kind.METADATA]


async def test_numbers_go_on_whether_metadata_comes_or_not() -> None:
    camera = Camera()
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(camera.url())
        rig = await stack.enter_async_context(Rig(url).running())
        await rig.until(10, documents=2)
        ssrc, begin = rig.stream.tracks[0].ssrc, len(rig.formats)
        rig.intake._documents.begin(rig.intake._clock.monotonic())
        camera.stream.end()
        camera.stream.set_tracks((*camera.source.tracks, LiveTrack(METADATA, 107, 0x77)))
        async with asyncio.timeout(LIMIT):
            while len(rig.formats) == begin:
                await asyncio.sleep(0.005)
        assert [each.kind for each in rig.formats[-1]] == [Kind.VIDEO]
        assert rig.stream.tracks[0].ssrc == ssrc
