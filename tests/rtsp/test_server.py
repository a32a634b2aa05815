"""The RTSP server on loopback: our client, ffmpeg, and clients that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import socket
import struct
from pathlib import Path
from urllib.parse import quote

import pytest

from onvifd.access.types import Account, Level
from onvifd.clock import SimulatedClock
from onvifd.errors import NotAuthorized, Unavailable
from onvifd.live.hub import LiveStream
from onvifd.media.rtp.depack import depacketizer
from onvifd.media.rtp.pack import Packer
from onvifd.media.rtp.packet import SenderReport, parse_rtcp, parse_rtp
from onvifd.media.types import AccessUnit, FlushUnit
from onvifd.pki.records import Papers, RecordLayer
from onvifd.rtsp import outlet as outlet_module
from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.headers import parse_rtp_info
from onvifd.rtsp.messages import Headers, Interleaved, Parser, Request, Response
from onvifd.rtsp.server import RtspServer
from onvifd.rtsp.server_events import Limits
from tests.rtsp.sample import GOP, PASSWORD, USER, Source, encoded, feeding, live, serving

LIMIT = 20.0
OPTIONS = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"


def url(port: int, credentials: bool = False) -> str:
    login = f"{USER}:{quote(PASSWORD)}@" if credentials else ""
    return f"rtsp://{login}127.0.0.1:{port}/live/cam-1/main"


def need(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


class Viewer:
    """Our client, playing; keeps what it gets."""

    def __init__(self, port: int, password: str = PASSWORD) -> None:
        self.client = RtspClient(url(port), USER, password)
        self.parser = Parser()
        self.frames: list[Interleaved] = []
        self.answers: list[Response] = []
        self.played: Response | None = None

    def _take(self, buffer: bytearray, start: int, end: int) -> int:
        self.parser.receive_data(bytes(buffer[start:end]))
        while (message := self.parser.next_message()) is not None:
            if isinstance(message, Interleaved):
                self.frames.append(message)
            elif isinstance(message, Response):
                self.answers.append(message)
        return end

    async def open(self, channel: int = 0) -> None:
        await self.client.connect()
        description = await self.client.describe()
        assert description.tracks[0].format == encoded()[0]
        await self.client.setup(description.tracks[0], channel)

    async def play(self) -> Response:
        self.played = await self.client.play(self._take)
        return self.played

    async def until(self, count: int) -> None:
        async with asyncio.timeout(LIMIT):
            while len(self.frames) < count:
                await asyncio.sleep(0.005)

    def rtp(self, channel: int = 0) -> list[bytes]:
        return [frame.data for frame in self.frames if frame.channel == channel]

    def pictures(self, channel: int = 0) -> list[tuple[bool, bytes]]:
        """Whole frames: (key, data)."""
        depack, found, expected = depacketizer(encoded()[0]), [], None
        for data in self.rtp(channel):
            packet = parse_rtp(data)
            payload = data[packet.start : packet.end]
            contiguous = expected in (None, packet.seq)
            expected = packet.seq + 1 & 0xFFFF
            for frame in depack.feed(payload, packet.marker, packet.rtp_time, contiguous):
                assert not frame.damaged
                found.append((frame.key, frame.data))
        return found


async def run(*command: str) -> tuple[int, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(LIMIT):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        pytest.fail(f"{command[0]} did not end: {err.decode(errors='replace')[-500:]}")
    assert process.returncode is not None
    return process.returncode, out, err


async def until(true: object) -> None:
    async with asyncio.timeout(LIMIT):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_late_joiner_starts_at_the_cached_key_frame() -> None:
    stream, mount = live()
    source = Source()
    stream.publish(source.report())
    for _ in range(GOP + 4):
        stream.publish(source.next())
    async with serving(mount) as (server, port):
        viewer = Viewer(port)
        await viewer.open()
        answer = await viewer.play()
        for _ in range(6):
            stream.publish(source.next())
        expected = encoded()[1][GOP : GOP + 10]
        await until(lambda: len(viewer.pictures()) >= 10)
        pictures = viewer.pictures()
        assert [key for key, _ in pictures] == [True] + [False] * 9
        for (_, got), (_, sent) in zip(pictures, expected, strict=True):
            assert got.endswith(sent)  # the packer may put parameter sets in front
        first = parse_rtp(viewer.rtp()[0])
        (info,) = parse_rtp_info(answer.headers.get("RTP-Info") or "")
        assert (info.seq, info.rtp_time) == (first.seq, first.rtp_time)
        assert info.url == url(port) + "/trackID=0"
        assert answer.headers.get("Range") == "clock=20260101T000000.400Z-"
        # the last report comes along, so that the late joiner has wall-clock time at once
        (report,) = [item for item in parse_rtcp(viewer.rtp(1)[0]) if isinstance(item, SenderReport)]
        assert report.ssrc == first.ssrc
        await viewer.client.close()
        await until(lambda: server.sessions == 0 and stream.clients == 0)


async def test_a_long_group_of_pictures_reaches_a_late_joiner_whole() -> None:
    """What waits for a client is bounded (2 MB), but not what it begins with: that comes at once, however fast the client is."""
    stream, mount = live()
    packer = Packer(encoded()[0], track=0, payload_type=96, ssrc=0x1234, seq=1, mtu=1400)

    def picture(number: int) -> FlushUnit:
        nal = bytes((0x41 if number else 0x65,)) + bytes(40_000)
        return packer.pack(AccessUnit(0, number, number, not number, len(nal).to_bytes(4, "big") + nal))

    for number in range(120):
        stream.publish(picture(number))
    async with serving(mount) as (_, port):
        viewer = Viewer(port)
        await viewer.open()
        await viewer.play()
        stream.publish(picture(120))
        await until(lambda: viewer.frames and parse_rtp(viewer.frames[-1].data).seq == packer.seq - 1)
        assert [parse_rtp(each).seq for each in viewer.rtp()] == list(range(1, packer.seq))
        await viewer.client.close()


@pytest.mark.covers("M-RTSPDigest", "T-RTSPDigest")
async def test_wrong_password_is_refused() -> None:
    _, mount = live()
    async with serving(mount) as (_, port):
        viewer = Viewer(port, "wrong")
        with pytest.raises(NotAuthorized):
            await viewer.open()
        await viewer.client.close()


async def test_unknown_camera_and_camera_without_signal() -> None:
    stream, mount = live()
    stream.end()
    mount = type(mount)(lambda path: stream if path == "/live/cam-1/main" else None, 60, format_wait=0.01)
    async with serving(mount) as (_, port):
        for path, status in (("/live/cam-1/main", 503), ("/live/cam-2/main", 404), ("/else", 404)):
            client = RtspClient(f"rtsp://127.0.0.1:{port}{path}", USER, PASSWORD)
            await client.connect()
            with pytest.raises(Unavailable, match=str(status)):
                await client.describe()
            await client.close()


@pytest.mark.covers("S-RTSP", "T-RTSP")
async def test_other_channels_and_keep_alive() -> None:
    stream, mount = live()
    async with serving(mount) as (_, port), feeding(stream):
        viewer = Viewer(port)
        await viewer.open(channel=6)
        await viewer.play()
        viewer.client.keep_alive()
        await until(lambda: len(viewer.rtp(6)) > 20 and viewer.answers)
        assert viewer.answers[0].status == 200
        assert viewer.pictures(6)[0][0]
        await viewer.client.close()


async def test_pause_and_resume() -> None:
    stream, mount = live()
    async with serving(mount) as (_, port), feeding(stream):
        viewer = Viewer(port)
        await viewer.open()
        await viewer.play()
        await viewer.until(10)
        transport = viewer.client._open().transport
        assert transport is not None
        transport.write(viewer.client.session.request("PAUSE"))
        await until(lambda: viewer.answers)
        assert stream.clients == 0
        count = len(viewer.frames)
        transport.write(viewer.client.session.request("PLAY"))
        await viewer.until(count + 10)
        assert [answer.status for answer in viewer.answers] == [200, 200]
        await viewer.client.close()


async def test_end_of_source_closes_the_connection() -> None:
    stream, mount = live()
    async with serving(mount) as (server, port), feeding(stream):
        viewer = Viewer(port)
        await viewer.open()
        await viewer.play()
        await viewer.until(5)
        stream.end()
        async with asyncio.timeout(LIMIT):
            await viewer.client.lost
        await until(lambda: server.connections == 0)
        await viewer.client.close()


@pytest.mark.covers("S-RTSP", "T-RTSP")
async def test_session_ends_after_silence() -> None:
    stream, mount = live()
    clock = SimulatedClock()
    async with serving(mount, clock=clock) as (server, port):
        viewer = Viewer(port)
        await viewer.open()
        await viewer.play()
        await until(lambda: stream.clients == 1)
        await clock.advance(30)
        viewer.client.keep_alive()
        await until(lambda: viewer.answers)
        await clock.advance(60)
        assert server.sessions == 1
        await clock.advance(10)
        await until(lambda: server.sessions == 0 and stream.clients == 0)
        await viewer.client.close()


@pytest.mark.covers(
    *("M-RTP-UDP", "M-RTSPDigest", "NET-43", "P245", "S-H264", "S-RTP-UDP", "S-RTSP", "T-H264orH265", "T-RTP-UDP"),
    *("T-RTSP", "T-RTSPDigest"),
)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_ffmpeg_decodes(transport: str) -> None:
    stream, mount = live()
    async with serving(mount) as (server, port), feeding(stream):
        code, out, err = await run(
            *(need("ffmpeg"), "-nostdin", "-v", "warning", "-rtsp_transport", transport),
            *("-i", url(port, credentials=True), "-frames:v", "30", "-fps_mode", "passthrough", "-f", "framecrc", "-"),
        )
        assert code == 0
        # a message would be a broken or lost frame
        assert b"error" not in err
        assert b"missed" not in err
        rows = [line for line in out.decode().splitlines() if not line.startswith("#")]
        assert len(rows) == 30
        await until(lambda: server.sessions == 0 and stream.clients == 0)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_gstreamer_decodes(transport: str, tmp_path: Path) -> None:
    stream, mount = live()
    film = tmp_path / "film.h264"
    async with serving(mount) as (server, port), feeding(stream):
        code, _, err = await run(
            *(
                need("gst-launch-1.0"),
                "-q",
                "rtspsrc",
                f"location={url(port)}",
                f"user-id={USER}",
                f"user-pw={PASSWORD}",
            ),
            *(f"protocols={transport}", "!", "rtph264depay", "!", "h264parse", "!"),
            *("video/x-h264,stream-format=byte-stream,alignment=au", "!", "identity", "eos-after=30", "!"),
            *("filesink", f"location={film}"),
        )
        assert code == 0, err
        await until(lambda: server.sessions == 0 and stream.clients == 0)
    code, out, err = await run(
        *(need("ffprobe"), "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames"),
        *("-of", "csv=p=0", str(film)),
    )
    assert (code, err) == (0, b"")
    assert int(out) >= 28


@pytest.mark.covers("P245")
async def test_ffprobe_reads_the_description() -> None:
    stream, mount = live()
    async with serving(mount) as (_, port), feeding(stream):
        code, out, _ = await run(
            *(need("ffprobe"), "-v", "error", "-rtsp_transport", "tcp", "-show_streams", "-of", "json"),
            url(port, credentials=True),
        )
        assert code == 0
        (found,) = json.loads(out)["streams"]
        assert (found["codec_name"], found["width"], found["height"]) == ("h264", 320, 240)


@pytest.mark.covers("NET-43", "S-RTP-UDP", "T-RTP-UDP")
async def test_udp_with_own_sockets() -> None:
    stream, mount = live()
    async with serving(mount) as (_, port):
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for sock in (rtp, rtcp):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        ports = f"{rtp.getsockname()[1]}-{rtcp.getsockname()[1]}"
        client = RtspClient(url(port), USER, PASSWORD)
        await client.connect()
        track = (await client.describe()).tracks[0]
        answer = await client._ask(
            client.session.request("SETUP", track.url, (("Transport", f"RTP/AVP;unicast;client_port={ports}"),))
        )
        server_port = (answer.headers.get("Transport") or "").partition("server_port=")[2].partition(";")[0]
        first, _, second = server_port.partition("-")
        assert int(first) % 2 == 0  # RFC 3550 section 11
        assert int(second) == int(first) + 1
        await client._ask(client.session.request("PLAY"))
        source = Source()
        loop = asyncio.get_running_loop()
        report, unit = source.report(), source.next()
        stream.publish(report)
        stream.publish(unit)
        async with asyncio.timeout(LIMIT):
            assert await loop.sock_recv(rtcp, 2048) == report.data[4:]
            ends = [*unit.starts[1:], len(unit.data)]
            for start, end in zip(unit.starts, ends, strict=True):
                assert await loop.sock_recv(rtp, 2048) == unit.data[start + 4 : end]
        await client.close()
        rtp.close()
        rtcp.close()


def raw(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 5)
    sock.setblocking(False)
    return sock


async def closed(sock: socket.socket) -> bytes:
    """What comes until the server closes."""
    found = b""
    async with asyncio.timeout(LIMIT):
        with contextlib.suppress(ConnectionError):
            while data := await asyncio.get_running_loop().sock_recv(sock, 65536):
                found += data
    sock.close()
    return found


@contextlib.asynccontextmanager
async def bystander(stream: LiveStream, port: int):  # type: ignore[no-untyped-def]
    """Somebody who watches meanwhile and must not notice."""
    viewer = Viewer(port)
    await viewer.open()
    await viewer.play()
    await viewer.until(5)
    yield viewer
    await viewer.until(len(viewer.frames) + 20)
    pictures = viewer.pictures()
    assert len(pictures) > 5
    await viewer.client.close()


async def test_garbage_is_answered_once_and_closed(caplog: pytest.LogCaptureFixture) -> None:
    stream, mount = live()
    async with serving(mount) as (_, port), feeding(stream), bystander(stream, port):
        with caplog.at_level(logging.WARNING):
            for data in (
                b"\x00\xff" * 2000,
                b"GET / HTTP/1.1\r\n\r\n",
                b"$" + os.urandom(40) + b"\n\n" + bytes(70_000),
            ):
                sock = raw(port)
                await asyncio.get_running_loop().sock_sendall(sock, data)
                assert await closed(sock) in (b"", b"RTSP/1.0 400 Bad Request\r\n\r\n")
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 3
    assert warnings[0] == "RTSP 127.0.0.1: does not speak RTSP: not an RTSP message"


@pytest.mark.covers("SEC-10")
async def test_flood_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    stream, mount = live()
    async with serving(mount) as (_, port), feeding(stream), bystander(stream, port):
        sock = raw(port)
        with contextlib.suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(sock, OPTIONS * 5000)
        await closed(sock)
    assert "RTSP 127.0.0.1: floods us with requests" in caplog.text


async def test_vanished_client_is_forgotten() -> None:
    stream, mount = live()
    async with serving(mount) as (server, port), feeding(stream), bystander(stream, port):
        viewer = Viewer(port)
        await viewer.open()
        await viewer.play()
        await viewer.until(5)
        assert stream.clients == 2
        transport = viewer.client._open().transport
        assert transport is not None
        # RST instead of TEARDOWN
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await until(lambda: stream.clients == 1 and server.connections == 1)


async def test_stalled_client_is_cut_and_nobody_notices(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("onvifd.rtsp.connection.STALL_TIMEOUT", 0.5)
    monkeypatch.setattr("onvifd.rtsp.server.TICK", 0.05)
    monkeypatch.setattr(outlet_module, "MAX_DELAY", 0.2)
    stream, mount = live()
    caplog.set_level(logging.INFO)
    async with serving(mount) as (server, port), feeding(stream, 0.005), bystander(stream, port):
        monkeypatch.setattr("onvifd.rtsp.server.SEND_BUFFER", 4096)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", port))
        viewer = Viewer(port)  # its session makes the requests, this socket sends them
        session = viewer.client.session
        for method, suffix in (("DESCRIBE", ""), ("SETUP", "/trackID=0"), ("PLAY", "")):
            headers = (("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1"),) if suffix else ()
            data: bytes | None = session.request(method, url(port) + suffix, headers)
            while data:
                await loop.sock_sendall(sock, data)
                parser = Parser()
                parser.receive_data(await loop.sock_recv(sock, 65536))
                answer = parser.next_message()
                assert isinstance(answer, Response)
                data = session.response(answer)
        await until(lambda: "took nothing" in caplog.text)
        await until(lambda: stream.clients == 1 and server.connections == 1)
        sock.close()
    assert caplog.text.count("does not keep up, skipping to the next key frame") == 1


async def test_who_does_not_log_in_is_cut() -> None:
    _, mount = live()
    clock = SimulatedClock()
    async with serving(mount, clock=clock) as (server, port):
        sock = raw(port)
        await until(lambda: server.connections == 1)
        await clock.advance(29)
        assert server.connections == 1
        await clock.advance(2)
        assert await closed(sock) == b""
        await until(lambda: server.connections == 0)


@pytest.mark.covers("NET-14", "SEC-10")
async def test_connections_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    _, mount = live()
    async with serving(mount, most=2) as (server, port):
        held = [raw(port), raw(port)]
        await until(lambda: server.connections == 2)
        for each in server._connections:
            each.machine.account = Account("someone", Level.OPERATOR)
        for _ in range(3):
            assert await closed(raw(port)) == b"RTSP/1.0 503 Service Unavailable\r\n\r\n"
        held.pop().close()
        await until(lambda: server.connections == 1)
        again = raw(port)
        await asyncio.get_running_loop().sock_sendall(again, OPTIONS)
        assert (await asyncio.get_running_loop().sock_recv(again, 4096)).startswith(b"RTSP/1.0 200 OK")
        again.close()
        held.pop().close()
    assert [record.getMessage() for record in caplog.records] == ["RTSP server has 2 connections: 1 refused"]


async def test_those_who_do_not_log_in_keep_nobody_out() -> None:
    _, mount = live()
    async with serving(mount, most=2) as (server, port):
        idle = [raw(port), raw(port)]
        await until(lambda: server.connections == 2)
        next(iter(server._connections)).machine.account = Account("someone", Level.OPERATOR)
        again = raw(port)
        await asyncio.get_running_loop().sock_sendall(again, OPTIONS)
        assert (await asyncio.get_running_loop().sock_recv(again, 4096)).startswith(b"RTSP/1.0 200 OK")
        assert await closed(idle.pop()) == b"", "the one without a login has gone"
        assert server.connections == 2
        again.close()
        idle.pop().close()


async def test_a_connection_ends_with_any_account_that_used_it() -> None:
    _, mount = live()
    async with serving(mount) as (server, port):
        sock = raw(port)
        await until(lambda: server.connections == 1)
        next(iter(server._connections)).machine.accounts |= {"first", "second"}
        server.expel(lambda account, address: "other" if account == "third" else "")
        assert server.connections == 1
        server.expel(lambda account, address: "gone" if account == "first" else "")
        assert await closed(sock) == b""
        await until(lambda: server.connections == 0)


async def test_a_refusal_within_tls_and_websocket_is_said_there() -> None:
    _, mount = live()
    async with serving(mount, most=0) as (server, _):
        near, far = socket.socketpair()
        here = Papers(True, "TLS_AES_128_GCM_SHA256", bytes(32), bytes(range(32)))
        server.admit(Arrival(client=near, secure=True, websocket=True, tls=RecordLayer(here).pack()))
        client = RecordLayer(Papers(True, here.suite, here.writing, here.reading))
        assert b"RTSP/1.0 503" in client.feed(far.recv(4096))
        assert client.closed
        far.close()


async def test_adopted_socket_with_what_was_read_from_it() -> None:
    _, mount = live()
    async with serving(mount) as (server, _):
        listener = socket.create_server(("127.0.0.1", 0))
        client = raw(listener.getsockname()[1])
        accepted, _ = listener.accept()
        listener.close()
        server.adopt(accepted, OPTIONS[:10])
        await asyncio.get_running_loop().sock_sendall(client, OPTIONS[10:])
        async with asyncio.timeout(LIMIT):
            answer = await asyncio.get_running_loop().sock_recv(client, 4096)
        assert answer.startswith(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n")
        client.close()


async def test_adopted_socket_that_is_gone() -> None:
    _, mount = live()
    async with serving(mount) as (server, _):
        ours, theirs = socket.socketpair()
        theirs.close()
        server.adopt(ours, Request("OPTIONS", "*", Headers([("CSeq", "1")])).serialise())
        await until(lambda: server.connections == 0)


@pytest.mark.covers("MNT-19", "P264")
async def test_close_ends_everything() -> None:
    stream, mount = live()
    async with serving(mount) as (server, port):
        viewer = Viewer(port)
        await viewer.open()
        await viewer.play()
        await until(lambda: stream.clients == 1)
        assert isinstance(server, RtspServer)
        await server.close()
        assert (server.connections, stream.clients) == (0, 0)
        async with asyncio.timeout(LIMIT):
            await viewer.client.lost
        await viewer.client.close()


async def test_longest_mount_wins_and_defects_cost_one_request(caplog: pytest.LogCaptureFixture) -> None:
    stream, mount = live("/live/deep/main")

    class Defect:
        async def find(self, path: str, account: object) -> object:
            raise RuntimeError("bug")

    async with serving(mount, prefix="/live/deep", limits=Limits()) as (server, port):
        server._mounts["/live"] = Defect()  # type: ignore[assignment]
        client = RtspClient(f"rtsp://127.0.0.1:{port}/live/deep/main", USER, PASSWORD)
        await client.connect()
        assert await client.describe()
        await client.close()
        client = RtspClient(f"rtsp://127.0.0.1:{port}/live/other", USER, PASSWORD)
        await client.connect()
        with pytest.raises(Unavailable, match="500"):
            await client.describe()
        await client.close()
    assert "RuntimeError: bug" in caplog.text
    assert stream.clients == 0
