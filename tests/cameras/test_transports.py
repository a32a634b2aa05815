"""Every way by which media come from a camera, with the faults of each."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import random
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onvifd.media.rtp.packet import ReceiverReport, parse_rtcp
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import Judge, Trust, fingerprint
from onvifd.rtsp.messages import Headers, Request, Response
from tests.cameras.fault_camera import Camera, Packet, Rig, seq_of
from tests.rtsp.test_client import gst_server

COVERS = pytest.mark.covers("CAM-20")


@COVERS
@pytest.mark.parametrize(
    ("refuse", "transport", "expected"),
    [
        ((), Way.AUTO, Way.TCP),
        (("tcp",), Way.AUTO, Way.UDP),
        ((), Way.TCP, Way.TCP),
        ((), Way.UDP, Way.UDP),
        ((), Way.MULTICAST, Way.MULTICAST),
    ],
)
async def test_the_way_that_is_set(refuse: tuple[str, ...], transport: Way, expected: Way) -> None:
    camera = Camera(refuse=frozenset(refuse))
    async with camera.url() as url, Rig(url, transport=transport).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 40)
        assert rig.intake._way is expected
        assert rig.states == [(True, "")]
        rig.check_laundered()
        last = [each for each in camera.requests if each.method == "SETUP"][-1].headers.get("Transport") or ""
        assert ("TCP" in last, "multicast" in last) == (expected is Way.TCP, expected is Way.MULTICAST)


async def test_a_way_that_is_refused_is_told_where_no_other_is_allowed() -> None:
    camera = Camera(refuse=frozenset(("tcp",)))
    async with camera.url() as url, Rig(url, transport=Way.TCP, quirks=["no-libav"]).running() as rig:
        await rig.until(lambda: len(rig.states) >= 2)
        assert {reason for _, reason in rig.states} == {"camera answers SETUP with 461 Unsupported transport"}


async def test_auto_goes_back_to_tcp_when_nothing_comes_by_udp() -> None:
    camera = Camera(refuse=frozenset(("tcp",)))
    camera.spoil = lambda number, packets: ()
    async with camera.url() as url, Rig(url, silence=0.2).running() as rig:
        await rig.until(lambda: any(request.method == "PLAY" for request in camera.requests))
        camera.refuse = frozenset()
        await rig.until(lambda: camera.connections >= 2)
        camera.spoil = lambda number, packets: packets
        await rig.until(lambda: len(rig.frames) >= 10)
        assert rig.intake._way is Way.TCP


def shuffled(number: int, packets: list[Packet]) -> Iterable[Packet]:
    chance = random.Random(number)
    first = seq_of(packets[0])
    order = sorted(packets, key=lambda packet: (seq_of(packet) - first & 0xFFFF) + 20 * chance.random())
    return order if number else packets


def twice(number: int, packets: list[Packet]) -> Iterable[Packet]:
    return [each for packet in packets for each in (packet, packet)]


@pytest.mark.parametrize("spoil", [shuffled, twice])
async def test_datagrams_out_of_order_and_repeated(spoil: Callable[[int, list[Packet]], Iterable[Packet]]) -> None:
    camera = Camera(spoil=spoil)
    async with camera.url() as url, Rig(url, transport=Way.UDP).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 50)
        counters = rig.intake.counters
        assert (counters.lost_packets, counters.bad_frames) == (0, 0)
        rig.check_laundered()


@COVERS
async def test_loss_is_counted_and_reported_to_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onvifd.cameras.intake.REPORT_EVERY", 0.1)
    lost = 0

    def spoil(number: int, packets: list[Packet]) -> Iterable[Packet]:
        nonlocal lost
        if number % 10 == 5:
            lost += 1
            return packets[1:]
        return packets

    camera = Camera(spoil=spoil)
    async with camera.url() as url, Rig(url, transport=Way.UDP).running() as rig:
        await rig.until(lambda: bool(camera.received) and rig.intake.counters.lost_packets >= 3)
        await rig.until(lambda: any(block.lost >= 3 for block in blocks(camera)))
        rig.check_laundered(gaps=True)
        assert 0 < rig.intake.counters.lost_packets <= lost


def blocks(camera: Camera) -> list[object]:
    found = []
    for data in camera.received:
        for report in parse_rtcp(data):
            if isinstance(report, ReceiverReport):
                found += report.blocks
    return found


@pytest.mark.parametrize("transport", [Way.TCP, Way.UDP])
@pytest.mark.parametrize("quirks", [(), ("no-reports",)])
async def test_reports_of_ours_and_requests_for_key_frames(
    transport: Way, quirks: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onvifd.cameras.intake.REPORT_EVERY", 0.05)
    camera = Camera()
    async with camera.url() as url, Rig(url, transport=transport, quirks=quirks).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 10)
        rig.intake.ask_keyframe()
        if quirks:
            await rig.until(lambda: len(rig.frames) >= 60)
            assert not camera.received
            return
        # RFC 4585 6.3.1: payload-specific feedback 206, format 1
        await rig.until(lambda: any(b"\x81\xce\0\2" in data for data in camera.received))
        request = next(data for data in camera.received if b"\x81\xce\0\2" in data)
        at = request.index(b"\x81\xce\0\2")
        assert int.from_bytes(request[at + 8 : at + 12], "big") == rig.intake.tracks[0].source
        await rig.until(lambda: bool(blocks(camera)))


async def test_datagrams_from_other_ports_than_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quirk ports-other."""
    monkeypatch.setattr("onvifd.rtsp.client_udp.PATIENCE", 0.05)
    camera = Camera(source_port=False)
    async with camera.url() as url, Rig(url, transport=Way.UDP).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 10)


@pytest.mark.parametrize("tail", ["", ";source=127.0.0.1", ";source=cam.invalid", ";server_port=0-0"])
async def test_answers_without_ports_or_with_another_source(tail: str) -> None:
    def answer(request: Request, response: Response) -> bytes:
        told = response.headers.get("Transport")
        if told is None:
            return response.serialise()
        fields = [(key, value) for key, value in response.headers if key != "Transport"]
        fields.append(("Transport", told.partition(";server_port")[0] + tail))
        return Response(200, Headers(fields)).serialise()

    camera = Camera(answer=answer)
    async with camera.url() as url, Rig(url, transport=Way.UDP).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 10)


@COVERS
@pytest.mark.parametrize("where", ["answer", "description"])
async def test_multicast_group_and_source(where: str) -> None:
    """Source-specific, and with the group told in the description alone."""

    def answer(request: Request, response: Response) -> bytes:
        told = response.headers.get("Transport")
        if told is not None:
            fields = [(key, value) for key, value in response.headers if key != "Transport"]
            extra = f"{told};source=127.0.0.1" if where == "answer" else "RTP/AVP;multicast"
            response = Response(200, Headers([*fields, ("Transport", extra)]))
        return response.serialise()

    camera = Camera(answer=answer, group="232.77.1.3" if where == "answer" else "239.77.1.4", group_port=free_pair())
    if where == "description":
        camera.sdp = camera.sdp.replace(b"m=video 0", f"m=video {camera.group_port}".encode())
        camera.sdp = camera.sdp.replace(b"s=x", b"s=x\r\nc=IN IP4 239.77.1.4/1")
    async with camera.url() as url, Rig(url, transport=Way.MULTICAST).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 10)
        rig.check_laundered()


def free_pair() -> int:
    return random.randrange(20_000, 30_000) & ~1


async def test_what_is_no_group_is_not_joined() -> None:
    camera = Camera(group="127.0.0.1")
    async with camera.url() as url, Rig(url, transport=Way.MULTICAST, quirks=["no-libav"]).running() as rig:
        await rig.until(lambda: bool(rig.states))
        assert "multicast" in rig.states[0][1]


# ---- TLS -------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """A context with a new certificate, and its fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, fingerprint(made.public_bytes(serialization.Encoding.DER))


@pytest.mark.covers("CAM-20", "CAM-21")
async def test_tls_trusts_the_first_certificate_and_no_other(tmp_path: Path) -> None:
    (first, pin), (second, _) = certificate(tmp_path, "first"), certificate(tmp_path, "second")
    camera = Camera(context=first)
    async with camera.url() as url:
        for transport, scheme in ((Way.RTSPS, "rtsp"), (Way.AUTO, "rtsps")):
            async with Rig(url.replace("rtsp", scheme), transport=transport).running() as rig:
                await rig.until(lambda rig=rig: len(rig.frames) >= 10)  # type: ignore[misc]
                assert rig.pins == [pin]
                rig.check_laundered()
        async with Rig(url, transport=Way.RTSPS, trust=Trust(Judge.PIN, pin)).running() as rig:
            await rig.until(lambda: len(rig.frames) >= 10)
            assert not rig.pins
    camera = Camera(context=second)
    async with camera.url() as url:
        async with Rig(url, transport=Way.RTSPS, trust=Trust(Judge.PIN, pin), user="u", password="p").running() as rig:
            await rig.until(lambda: bool(rig.states))
            assert "another certificate" in rig.states[0][1]
            assert not camera.requests
        async with Rig(url, transport=Way.RTSPS, trust=Trust(Judge.CA)).running() as rig:
            await rig.until(lambda: bool(rig.states))
            assert "no TLS" in rig.states[0][1]
        async with Rig(url, transport=Way.RTSPS, trust=Trust(Judge.NONE, pin)).running() as rig:
            await rig.until(lambda: len(rig.frames) >= 10)


async def test_what_is_asked_for_within_tls_does_not_come_in_clear(tmp_path: Path) -> None:
    camera = Camera(context=certificate(tmp_path, "camera")[0], refuse=frozenset(("tcp",)))
    async with camera.url("rtsps") as url, Rig(url, quirks=["no-libav"]).running() as rig:
        await rig.until(lambda: len(rig.states) >= 2)
        assert {reason for _, reason in rig.states} == {"camera answers SETUP with 461 Unsupported transport"}
        assert not any("client_port" in (each.headers.get("Transport") or "") for each in camera.requests)


# ---- HTTP ------------------------------------------------------------------------------------------


class HttpFace:
    """What a camera has in front of its RTSP: GET and POST of one cookie are one connection."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None, *, drop_post: bool = False) -> None:
        self.port, self.context, self.drop_post = port, context, drop_post
        self.gets: dict[str, tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}
        self.posts = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.writers: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in list(self.writers):
                writer.transport.abort()
            await asyncio.gather(*self.tasks, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.writers.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            cookie = head.lower().partition("x-sessioncookie: ")[2].partition("\r")[0]
            if head.startswith("GET"):
                inner, outer = await asyncio.open_connection("127.0.0.1", self.port)
                self.writers.add(outer)
                self.gets[cookie] = (outer, writer)
                writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n")
                while data := await inner.read(65536):
                    writer.write(data)
                    await writer.drain()
                return
            self.posts += 1
            coded = b""
            while data := await reader.read(65536):
                coded += data
                whole = len(coded) & ~3
                self.gets[cookie][0].write(base64.b64decode(coded[:whole]))
                coded = coded[whole:]
                if self.drop_post:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@COVERS
@pytest.mark.parametrize("drop_post", [False, True])
@pytest.mark.parametrize("transport", [Way.HTTP, Way.HTTPS])
async def test_within_http(transport: Way, drop_post: bool, tmp_path: Path) -> None:
    context, pin = certificate(tmp_path, "camera")
    camera = Camera()
    async with camera.url() as url:
        face = HttpFace(int(url.split(":")[2].split("/")[0]), context if transport is Way.HTTPS else None)
        face.drop_post = drop_post
        async with face.serving() as port, Rig(url, transport=transport, tunnel_port=port).running() as rig:
            await rig.until(lambda: len(rig.frames) >= 40)
            assert rig.states == [(True, "")]
            assert rig.pins == ([pin] if transport is Way.HTTPS else [])
            assert face.posts > 1 if drop_post else face.posts == 1
            rig.check_laundered()


async def refusing(said: bytes) -> tuple[asyncio.Server, int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"HTTP/1.0 404 Not Found\r\n\r\n", "camera answers the HTTP tunnel with 404"),
        (b"SSH-2.0-x\r\n\r\n", "what answers the HTTP tunnel is no HTTP"),
        (b"HTTP/1.0 401 No\r\nWWW-Authenticate: Basic realm=x\r\n\r\n", "camera asks for credentials"),
        (b"", "the camera closed the connection"),
        (b"x" * 70_000, "no RTSP: head of the HTTP answer is too large"),
    ],
)
async def test_a_tunnel_that_is_refused_says_why(said: bytes, reason: str) -> None:
    server, port = await refusing(said)
    url = "rtsp://127.0.0.1:1/cam"
    async with Rig(url, transport=Way.HTTP, tunnel_port=port, quirks=["no-libav"]).running() as rig:
        await rig.until(lambda: bool(rig.states))
        assert rig.states[0] == (False, reason)
    server.close()
    await server.wait_closed()


@COVERS
@pytest.mark.parametrize("transport", [Way.TCP, Way.UDP, Way.HTTP])
async def test_a_foreign_server(transport: Way) -> None:
    async with gst_server("user", "pass: word") as url:
        port = int(url.split(":")[2].split("/")[0])
        rig = Rig(url, user="user", password="pass: word", transport=transport, tunnel_port=port)
        async with rig.running():
            await rig.until(lambda: len(rig.frames) >= 60)
            assert rig.intake.counters.lost_packets == 0
            numbers = [seq for seq, *_ in rig.packets()]
            assert len(numbers) > 60
