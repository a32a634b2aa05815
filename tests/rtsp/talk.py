"""A server with a back channel, and a client that talks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from onvifd.access.digest import DigestVerifier, make_ha1
from onvifd.access.types import Account, Credential, Level
from onvifd.clock import SystemClock
from onvifd.live.hub import LiveStream
from onvifd.live.mount import LiveMount
from onvifd.live.parts import Composition
from onvifd.live.talk import Sound, TalkLine
from onvifd.media.rtp.packet import build_rtp
from onvifd.media.types import TrackFormat
from onvifd.rtsp.backchannel import BACKCHANNEL_TAG
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.sdp import DescribedTrack, Description
from onvifd.rtsp.server import RtspServer
from tests.rtsp.sample import REALM, Source

PASSWORD = "say-something-1"
LEVELS = {"olga": Level.OPERATOR, "otto": Level.OPERATOR, "uwe": Level.USER}
LIMIT = 10.0


def lookup(name: str) -> Credential | None:
    level = LEVELS.get(name)
    return Credential(Account(name, level), make_ha1(name, REALM, PASSWORD)) if level is not None else None


class House:
    """A camera that can be talked to at /live/cam-1/main, and one that cannot at /live/cam-2/main."""

    def __init__(self, *formats: TrackFormat, idle: float = 10.0) -> None:
        self.line = TalkLine("cam-1", formats, idle=idle)
        self.heard: list[Sound] = []
        self.line.attach(self.heard.append)
        self.stream = LiveStream("cam-1/main")
        self.stream.set_tracks(Source().tracks)
        self.port = 0
        self.server: RtspServer | None = None

    def _lookup(self, path: str) -> Composition | LiveStream | None:
        if path == "/live/cam-1/main":
            return Composition(name="cam-1/main", profile="", video=self.stream, talk=self.line)
        return self.stream if path == "/live/cam-2/main" else None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[House]:
        mount = LiveMount(self._lookup, 60)
        self.server = RtspServer({"/live": mount}, DigestVerifier.for_rtsp(REALM, lookup), SystemClock())
        self.port = await self.server.serve("127.0.0.1", 0)
        try:
            yield self
        finally:
            await self.server.close()

    def url(self, camera: str = "cam-1") -> str:
        return f"rtsp://127.0.0.1:{self.port}/live/{camera}/main"


class Speaker:
    """Our client with a back channel."""

    def __init__(self, url: str, user: str = "olga", password: str = PASSWORD) -> None:
        self.client = RtspClient(url, user, password, require=BACKCHANNEL_TAG)
        self.channel = 0
        self.seq = 0

    async def describe(self) -> Description:
        await self.client.connect()
        return await self.client.describe()

    async def setup(self, description: Description, *, udp: bool = False, channel: int = 0) -> None:
        talk = description.talk
        assert talk is not None
        number, format = talk.formats[0]
        track = DescribedTrack(format, number, talk.url)
        if udp:
            await self.client.setup_udp(track, channel)
        else:
            channel, _ = await self.client.setup(track, channel)
        self.channel = channel

    async def play(self) -> None:
        await self.client.play(lambda buffer, start, end: end)

    def say(self, data: bytes, payload_type: int = 0) -> None:
        """160 samples a packet."""
        for at in range(0, len(data), 160):
            packet = build_rtp(
                marker=self.seq == 0,
                payload_type=payload_type,
                seq=self.seq,
                rtp_time=self.seq * 160,
                ssrc=0x5EA7,
                payload=data[at : at + 160],
            )
            self.client.send(self.channel, packet)
            self.seq += 1


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not true():
            await asyncio.sleep(0.005)
