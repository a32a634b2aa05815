"""What belongs to a session: played, paused, set up further, and ended in the midst of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import pytest

from onvifd.access.types import Account
from onvifd.errors import Unavailable
from onvifd.live import mount as mount_module
from onvifd.live.hub import LiveTrack
from onvifd.media.rtp.packet import ReportBlock
from onvifd.media.types import Codec, TrackFormat
from onvifd.pki.records import Papers
from onvifd.rtsp import server as server_module
from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.backchannel import Talker
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.outlet_udp import UDP_RATE, UdpOutlet
from onvifd.rtsp.play import (
    Multicast,
    Outlet,
    Playback,
    PlayReply,
    PlayRequest,
    Presentation,
    Protector,
    TrackDescription,
)
from onvifd.rtsp.sdp import DescribedTrack
from onvifd.rtsp.server_events import Limits, Session
from onvifd.rtsp.session_media import SessionMedia
from tests.rtsp import talk
from tests.rtsp.sample import PASSWORD, USER, Source, feeding, live, serving
from tests.rtsp.test_feedback import report
from tests.rtsp.test_server import raw, until, url

AUDIO = LiveTrack(TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1), 0, 0x22)
GROUPS = {number: Multicast("239.1.2.3", 5000 + 2 * number, 1) for number in range(2)}


async def client_of(port: int) -> tuple[RtspClient, tuple[DescribedTrack, ...]]:
    client = RtspClient(url(port), USER, PASSWORD)
    await client.connect()
    return client, (await client.describe()).tracks


async def test_a_play_whose_session_ends_meanwhile_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount_module, "FIRST_WAIT", 0.2)
    stream, mount = live()
    async with serving(mount) as (server, port):
        client, tracks = await client_of(port)
        await client.setup(tracks[0], 0)
        first, client.session.session = client.session.session, ""
        await client.setup(tracks[0], 2)
        (connection,) = server._connections
        session = connection.machine.sessions[client.session.session]
        asked = asyncio.create_task(client.request("PLAY"))
        await until(lambda: stream.clients)  # it waits for the first unit
        connection.machine.end_session(session, "its source has ended")
        connection.pump()
        with pytest.raises(Unavailable, match="454"):
            await asked
        client.session.session = first
        assert (await client.request("GET_PARAMETER")).status == 200, "what comes behind it is served"
        await client.close()


async def test_a_held_picture_that_goes_on_asks_for_a_key_frame() -> None:
    stream, mount = live()
    stream.set_tracks((*stream.tracks, AUDIO))
    asked: list[int] = []
    stream.on_keyframe_wanted = lambda: asked.append(1)
    async with serving(mount) as (_, port), feeding(stream):
        client, (video, audio) = await client_of(port)
        await client.setup(video, 0)
        await client.setup(audio, 2)
        await until(lambda: stream.backlog())
        await client.request("PLAY")
        await client.request("PAUSE", video.url)
        assert not asked
        await client.request("PLAY", video.url)
        assert asked
        await client.close()


async def test_a_few_lost_packets_do_not_slow_a_session() -> None:
    stream, mount = live()
    async with serving(mount) as (server, port), feeding(stream):
        client, tracks = await client_of(port)
        await client.setup_udp(tracks[0], 0)
        await client.play(lambda buffer, start, end: end)
        (connection,) = server._connections
        (media,) = connection._media.values()
        outlet, pair = media.outlet, media.pairs[0]
        assert isinstance(outlet, UdpOutlet)
        pair._received(True, report(ReportBlock(ssrc=1, fraction=3)))
        assert outlet._queue.rate == UDP_RATE
        pair._received(True, report(ReportBlock(ssrc=1, fraction=30)))
        assert outlet._queue.rate < UDP_RATE
        await client.close()


async def test_to_play_the_picture_alone_takes_the_back_channel_from_nobody() -> None:
    async with talk.House().open() as house:
        held = house.line.take(Talker("otto", "192.0.2.7", "x"), 0.0)
        speaker = talk.Speaker(house.url())
        description = await speaker.describe()
        video = description.tracks[0]
        await speaker.client.setup(video, 0)
        house.line.release(held)
        await speaker.setup(description, channel=2)
        assert house.server is not None
        held = house.line.take(Talker("otto", "192.0.2.7", "x"), house.server.now())
        house.stream.publish(Source().next())
        assert (await speaker.client.request("PLAY", video.url)).status == 200
        house.line.release(held)
        await speaker.client.close()


# ---- without sockets -----------------------------------------------------------------------------


@dataclass
class Fed:
    closed: bool = False

    async def play(self, request: PlayRequest, tracks: frozenset[int]) -> PlayReply:
        return PlayReply(start=None)

    def start(self) -> None: ...

    async def pause(self) -> None: ...

    async def close(self) -> None:
        self.closed = True


@dataclass
class Grouped:
    replay: bool = False
    range: tuple[int, int] | None = None
    name: str = "grouped"
    session_timeout: int = 60
    tracks: tuple[TrackDescription, ...] = tuple(
        TrackDescription(format=AUDIO.format, payload_type=0, control=str(number), multicast=group)
        for number, group in GROUPS.items()
    )
    opened: list[tuple[frozenset[int], Fed]] = field(default_factory=list)

    def open(self, outlet: Outlet) -> Playback:
        raise NotImplementedError

    def open_groups(
        self,
        tracks: frozenset[int],
        ended: Callable[[], None],
        local: str,
        protect: Mapping[int, Protector] | None = None,
    ) -> Playback:
        self.opened.append((tracks, Fed()))
        return self.opened[-1][1]


async def test_a_track_that_is_set_up_behind_a_pause_is_played_with_the_others() -> None:
    presentation = Grouped()
    session = Session("s", "/p", "rtsp://h/p", presentation, 0.0, {0: GROUPS[0]})
    media = SessionMedia(session)

    async def play() -> None:
        await media.renew()
        media.begin(None, lambda _: None, "")  # type: ignore[arg-type]

    await play()
    await play()
    assert [tracks for tracks, _ in presentation.opened] == [{0}]
    session.tracks[1] = GROUPS[1]
    session.playing = True
    await play()
    assert len(presentation.opened) == 1, "what plays goes on"
    session.playing = False
    await play()
    assert [(tracks, fed.closed) for tracks, fed in presentation.opened] == [
        (frozenset({0}), True),
        (frozenset({0, 1}), False),
    ]


async def test_what_is_begun_after_the_session_has_ended_ends_with_it() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Fed):
        async def play(self, request: PlayRequest, tracks: frozenset[int]) -> PlayReply:
            begun.set()
            await go_on.wait()
            self.closed = False  # from here on it holds something
            return PlayReply(start=None)

    media = SessionMedia(Session("s", "/p", "rtsp://h/p", Grouped(), 0.0))
    media.playback = slow = Slow()
    asked = asyncio.create_task(media.play(PlayRequest(cseq=1)))
    await begun.wait()
    media.close_ways()
    await slow.close()
    go_on.set()
    await asked
    assert slow.closed


async def test_behind_a_play_that_failed_tracks_may_go_another_way() -> None:
    stream, mount = live()
    async with serving(mount) as (server, port):
        client, tracks = await client_of(port)
        await client.setup(tracks[0], 0)
        described, stream.tracks = stream.tracks, ()  # its pictures cannot be made now
        with pytest.raises(Unavailable, match="503"):
            await client.request("PLAY")
        assert not stream.clients, "nothing is held for who got nothing"
        stream.set_tracks(described)
        await client.setup_udp(tracks[0], 0)
        async with feeding(stream):
            await client.play(lambda buffer, start, end: end)
            (connection,) = server._connections
            (media,) = connection._media.values()
            assert isinstance(media.outlet, UdpOutlet)
            await until(lambda: isinstance(media.outlet, UdpOutlet) and media.outlet.sent)
        await client.close()


async def test_a_request_whose_work_is_taken_from_it_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    _, mount = live()

    async def found(path: str, account: Account) -> Presentation:
        work = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(work.cancel)  # as the end of a playback does with what it reads ahead
        await work
        raise AssertionError

    async with serving(mount) as (_, port):
        client = RtspClient(url(port), USER, PASSWORD)
        await client.connect()
        with monkeypatch.context() as patched:
            patched.setattr(mount, "find", found)
            with pytest.raises(Unavailable, match="503"):
                await client.describe()
        assert (await client.describe()).tracks, "what comes behind it is served"
        await client.close()


async def test_a_defect_costs_one_connection_and_not_the_time_outs_of_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "TICK", 0.02)
    _, mount = live()
    async with serving(mount, limits=Limits(login_timeout=0.1)) as (server, port):
        socks = [raw(port) for _ in range(2)]
        await until(lambda: server.connections == 2)
        (faulty, _other) = server._connections

        def fail(now: float) -> None:
            raise RuntimeError("a defect")

        monkeypatch.setattr(faulty, "tick", fail)
        await until(lambda: server.connections == 0)
        assert "time-outs failed" in caplog.text
        for sock in socks:
            sock.close()


async def test_a_tunnel_that_goes_on_by_a_suite_that_is_not_served_loses_that_connection_alone() -> None:
    _, mount = live()
    async with serving(mount) as (server, port):
        socks = [raw(port) for _ in range(3)]
        await until(lambda: server.connections == 3)
        ours = [each._sock.dup() for each in server._connections]
        tunnel = {"cookie": "c", "peer": "127.0.0.1", "local": "127.0.0.1", "secure": True}
        server.admit(Arrival(client=ours[0], post=ours[1], **tunnel))  # type: ignore[arg-type]
        papers = msgspec.msgpack.encode(Papers(False, "AES128-SHA", b"", b""))
        server.admit(Arrival(client=ours[2], tls=papers, **tunnel))  # type: ignore[arg-type]
        assert [each.fileno() < 0 for each in ours] == [False, True, True], "the former POST has ended, the GET stands"
        for sock in socks:
            sock.close()
