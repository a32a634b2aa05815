"""A short encoded picture, and a presentation that sends it as a camera would."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import av
import numpy

from onvifd.access.digest import DigestVerifier, make_ha1
from onvifd.access.types import Account, Credential, Level
from onvifd.clock import Clock, SystemClock
from onvifd.errors import NotFound
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.live.mount import LiveMount
from onvifd.media import nal
from onvifd.media.rtp.pack import Packer
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat
from onvifd.media.video import find_parameter_sets, with_parameter_sets
from onvifd.rtsp.play import Mount
from onvifd.rtsp.server import RtspServer
from onvifd.rtsp.server_events import Limits

REALM = "onvifd"
USER, PASSWORD = "viewer", "look: at this"
START = 1_767_225_600_000_000
FRAME_US = 40_000
GOP = 10


def lookup(name: str) -> Credential | None:
    levels = {USER: Level.USER, "nobody": Level.ANONYMOUS}
    if name not in levels:
        return None
    return Credential(Account(name, levels[name]), make_ha1(name, REALM, PASSWORD))


def verifier() -> DigestVerifier:
    return DigestVerifier.for_rtsp(REALM, lookup)


@functools.cache
def encoded() -> tuple[TrackFormat, tuple[tuple[bool, bytes], ...]]:
    """50 frames of H.264 with a key frame every GOP frames: format, and (key, data) each."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.framerate = 25
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(GOP), "crf": "18", "bf": "0"}
    encoder.gop_size = GOP
    frames = []
    noise = numpy.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=numpy.uint8)
    for number in range(50):
        frame = av.VideoFrame.from_ndarray(numpy.roll(noise, number * 4, axis=1), format="rgb24")
        frame.pts = number
        for packet in encoder.encode(frame):
            frames.append((packet.is_keyframe, nal.from_annexb(bytes(packet))))
    base = TrackFormat(codec=Codec.H264, clock_rate=90000)
    return with_parameter_sets(base, find_parameter_sets(Codec.H264, frames[0][1])), tuple(frames)


class Source:
    """A camera in memory: gives the flush units of the sample, on and on."""

    def __init__(self) -> None:
        self.format, self._frames = encoded()
        self._packer = Packer(self.format, track=0, payload_type=96, ssrc=0x1234, seq=100, mtu=1200)
        self.number = 0

    @property
    def tracks(self) -> tuple[LiveTrack, ...]:
        return (LiveTrack(self.format, 96, 0x1234),)

    def report(self) -> FlushUnit:
        return self._packer.sender_report(START + self.number * FRAME_US, self.number * 3600)

    def next(self) -> FlushUnit:
        key, data = self._frames[self.number % len(self._frames)]
        unit = AccessUnit(0, START + self.number * FRAME_US, self.number * 3600, key, data)
        self.number += 1
        return self._packer.pack(unit)


def live(path: str = "/live/cam-1/main") -> tuple[LiveStream, LiveMount]:
    """A stream with known formats, and the mount that serves it at `path`."""
    stream = LiveStream("cam-1/main")
    stream.set_tracks(Source().tracks)
    return stream, LiveMount(lambda asked: stream if asked == path else None, 60)


@asynccontextmanager
async def serving(
    mount: Mount, *, prefix: str = "/live", clock: Clock | None = None, limits: Limits | None = None, most: int = 100
) -> AsyncIterator[tuple[RtspServer, int]]:
    server = RtspServer({prefix: mount}, verifier(), clock or SystemClock(), limits=limits, max_connections=most)
    port = await server.serve("127.0.0.1", 0)
    try:
        yield server, port
    finally:
        await server.close()


@asynccontextmanager
async def feeding(stream: LiveStream, interval: float = 0.02) -> AsyncIterator[Source]:
    """Publish the sample all the while."""
    source = Source()

    async def feed() -> None:
        while True:
            if source.number % 25 == 0:
                stream.publish(source.report())
            stream.publish(source.next())
            await asyncio.sleep(interval)

    task = asyncio.create_task(feed())
    try:
        yield source
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class NothingMount:
    """Knows no path."""

    async def find(self, path: str, account: Account) -> object:
        raise NotFound(path)
