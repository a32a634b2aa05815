"""Our client against a foreign server and against servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from onvifd.errors import InvalidArgument, NotAuthorized, Timeout, Unavailable
from onvifd.media.rtp.depack import depacketizer
from onvifd.media.rtp.packet import parse_rtp
from onvifd.media.types import Codec
from onvifd.rtsp import client as module
from onvifd.rtsp.client import RtspClient, describe
from onvifd.rtsp.messages import Headers, Interleaved, Parser, Request, Response

SYSTEM_PYTHON = "/usr/bin/python3"
GST = Path(__file__).with_name("gst_server.py")
SDP = b"v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"


def gst_is_there() -> bool:
    code = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; "
        "Gst.init(None); raise SystemExit(not Gst.ElementFactory.find('openh264enc'))"
    )
    with contextlib.suppress(OSError):
        return subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, check=False).returncode == 0
    return False


@contextlib.asynccontextmanager
async def gst_server(*account: str) -> AsyncIterator[str]:
    if not gst_is_there():
        pytest.skip("gst-rtsp-server with openh264enc is not installed for the system's Python")
    process = await asyncio.create_subprocess_exec(SYSTEM_PYTHON, str(GST), *account, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            port = int(await process.stdout.readline())
        yield f"rtsp://127.0.0.1:{port}/cam"
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize("account", [(), ("user", "pass: word")])
async def test_plays_from_gst_rtsp_server(account: tuple[str, ...]) -> None:
    async with gst_server(*account) as url:
        client = RtspClient(url, *account)
        await client.connect()
        description = await client.describe()
        assert [track.format.codec for track in description.tracks] == [Codec.H264, Codec.PCMU]
        channels = [(await client.setup(track, 2 * index))[0] for index, track in enumerate(description.tracks)]
        assert channels == [0, 2]
        parser, frames = Parser(), []

        def take(buffer: bytearray, start: int, end: int) -> int:
            parser.receive_data(bytes(buffer[start:end]))
            while (message := parser.next_message()) is not None:
                frames.append(message)
            return end

        await client.play(take)
        client.keep_alive()
        async with asyncio.timeout(20):
            while len([f for f in frames if isinstance(f, Interleaved)]) < 100:
                await asyncio.sleep(0.02)
        assert [message.status for message in frames if isinstance(message, Response)] == [200]
        depack = depacketizer(description.tracks[0].format)
        pictures = []
        for data in (frame.data for frame in frames if isinstance(frame, Interleaved) and frame.channel == 0):
            packet = parse_rtp(data)
            pictures += depack.feed(data[packet.start : packet.end], packet.marker, packet.rtp_time, True)
        assert pictures
        assert any(picture.key for picture in pictures)
        assert (depack.format.width, depack.format.height) == (320, 240)
        await client.close()


async def test_gst_rtsp_server_refuses_a_wrong_password() -> None:
    async with gst_server("user", "right") as url:
        with pytest.raises(NotAuthorized):
            await describe(url, "user", "wrong")
        with pytest.raises(NotAuthorized):
            await describe(url)


Handler = Callable[[Request], Response | bytes | None]


@contextlib.asynccontextmanager
async def fake(handler: Handler) -> AsyncIterator[str]:
    """A server that answers each request with what `handler` says; None closes the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = Parser()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                parser.receive_data(data)
                while isinstance(message := parser.next_message(), Request):
                    answer = handler(message)
                    if answer is None:
                        writer.close()
                        return
                    if isinstance(answer, Response):
                        answer.headers.add("CSeq", message.headers.get("CSeq") or "")
                        answer = answer.serialise()
                    writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/cam"
    finally:
        server.close()
        if sys.version_info >= (3, 13):
            server.close_clients()


def good(request: Request) -> Response:
    if request.method == "DESCRIBE":
        return Response(200, Headers([("Content-Type", "application/sdp")]), SDP)
    if request.method == "SETUP":
        transport = request.headers.get("Transport") or ""
        return Response(200, Headers([("Transport", transport), ("Session", "abc")]))
    return Response(200, Headers([("Public", "OPTIONS, DESCRIBE, SETUP, PLAY")]))


async def test_media_around_the_answer_to_play() -> None:
    frames = [Interleaved(0, bytes((number,)) * 40) for number in range(50)]
    # A camera that is quick with its first picture and slow with its answer.
    early = Interleaved(0, b"early").serialise()

    def handler(request: Request) -> Response | bytes:
        answer = good(request)
        if request.method != "PLAY":
            return answer
        answer.headers.add("CSeq", request.headers.get("CSeq") or "")
        return early + answer.serialise() + b"".join(frame.serialise() for frame in frames)

    async with fake(handler) as url:
        client = RtspClient(url)
        await client.connect()
        (track,) = (await client.describe()).tracks
        await client.setup(track, 0)
        got = b""

        def take(buffer: bytearray, start: int, end: int) -> int:
            nonlocal got
            got += buffer[start:end]
            return end

        await client.play(take)
        expected = early + b"".join(frame.serialise() for frame in frames)
        async with asyncio.timeout(5):
            while len(got) < len(expected):
                await asyncio.sleep(0)
        assert got == expected
        await client.close()


async def test_redirect_is_followed_within_a_bound() -> None:
    asked: list[str] = []
    async with fake(good) as target:

        def handler(request: Request) -> Response:
            if request.method != "DESCRIBE":
                return good(request)
            asked.append(request.uri)
            return Response(302, Headers([("Location", target)]))

        async with fake(handler) as url:
            assert (await describe(url)).tracks[0].url == target + "/track1"
            assert asked == [url]

    loop: list[str] = []

    def around(request: Request) -> Response:
        if request.method != "DESCRIBE":
            return good(request)
        loop.append(request.uri)
        return Response(301, Headers([("Location", request.uri)]))

    async with fake(around) as url:
        with pytest.raises(Unavailable, match="redirects"):
            await describe(url)
    assert len(loop) == module.MAX_REDIRECTS + 1


@pytest.mark.parametrize("target", ["http://127.0.0.1/", "", "rtsp://user:pass@h/"])
async def test_redirect_to_another_scheme_is_refused(target: str) -> None:
    def handler(request: Request) -> Response:
        location = Headers([("Location", target)]) if target else Headers()
        return Response(302, location) if request.method == "DESCRIBE" else good(request)

    async with fake(handler) as url:
        with pytest.raises((InvalidArgument, Unavailable)):
            await describe(url)


async def test_server_without_options() -> None:
    def handler(request: Request) -> Response:
        return Response(501) if request.method == "OPTIONS" else good(request)

    async with fake(handler) as url:
        assert (await describe(url)).tracks


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00" * 40_000,
        b"RTSP/1.0 200 OK\r\nContent-Length: 999999999\r\n\r\n",
    ],
)
async def test_servers_that_speak_something_else(reply: bytes | None) -> None:
    async with fake(lambda _: reply) as url:
        with pytest.raises(Unavailable):
            await describe(url)


async def test_silent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_TIMEOUT", 0.05)
    async with fake(lambda _: b"") as url:
        with pytest.raises(Timeout):
            await describe(url, timeout=0.3)


async def test_an_answer_that_does_not_come_is_a_leaf_of_our_errors() -> None:
    async with fake(lambda _: b"") as url:
        client = RtspClient(url)
        await client.connect()
        with pytest.raises(Timeout):
            await client._ask(client.session.request("OPTIONS", url), 0.05)
        await client.close()


async def test_nobody_listens() -> None:
    async with fake(good) as url:
        pass
    with pytest.raises(Unavailable, match="no connection"):
        await describe(url)


async def test_close_says_teardown() -> None:
    methods: list[str] = []

    def handler(request: Request) -> Response:
        methods.append(request.method)
        return good(request)

    async with fake(handler) as url:
        client = RtspClient(url)
        await client.connect()
        await client.setup((await client.describe()).tracks[0], 0)
        await client.close()
        await client.close()
        async with asyncio.timeout(5):
            while "TEARDOWN" not in methods:
                await asyncio.sleep(0.01)


async def test_keep_alive_with_a_stale_nonce_is_repeated() -> None:
    def challenge(nonce: str, stale: str = "") -> Response:
        value = f'Digest realm="cam", nonce="{nonce}"{stale}'
        return Response(401, Headers([("WWW-Authenticate", value)]))

    seen: list[tuple[str, str]] = []

    def handler(request: Request) -> Response:
        authorization = request.headers.get("Authorization") or ""
        played = any(method == "PLAY" for method, _ in seen)
        if not authorization:
            return challenge("n1")
        seen.append((request.method, authorization))
        if played and 'nonce="n1"' in authorization:
            return challenge("n2", ", stale=true")
        return good(request)

    async with fake(handler) as url:
        client = RtspClient(url, "user", "secret")
        await client.connect()
        await client.setup((await client.describe()).tracks[0], 0)

        def take(buffer: bytearray, start: int, end: int) -> int:
            client.answered(bytes(buffer[start:end]))
            return end

        await client.play(take)
        client.keep_alive()
        async with asyncio.timeout(5):
            while 'nonce="n2"' not in seen[-1][1]:
                await asyncio.sleep(0.01)
        assert seen[-1][0] == "OPTIONS"
        client.answered(b"garbage\r\n\r\n")
        await client.close()
