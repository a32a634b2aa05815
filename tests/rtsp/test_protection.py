"""SRTP of sessions: keys in descriptions, in SETUP, exchanged; media by UDP and interleaved (Streaming 5.1.1.4, 8.2)."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from onvifd.access.types import Account, Level
from onvifd.clock import SystemClock
from onvifd.live.mount import LiveMount
from onvifd.media.rtp.packet import ReceiverReport, ReportBlock, build_receiver_report, build_rtp
from onvifd.rtsp import mikey
from onvifd.rtsp.admission import Budget
from onvifd.rtsp.backchannel import BACKCHANNEL_TAG
from onvifd.rtsp.messages import Headers, Parser, Request, Response
from onvifd.rtsp.mikey import CryptoSession
from onvifd.rtsp.protection import KeyStore, Protection
from onvifd.rtsp.server import RtspServer
from onvifd.rtsp.server_events import Find, OpenUdp, Received
from onvifd.rtsp.server_session import ServerConnection
from onvifd.rtsp.srtp import KeyMaterial, Receiver, Sender, Suite
from onvifd.workers.frontdoor import FrontDoor
from tests.bodies.test_gate import tls as tls
from tests.e2e.rtsp_client import unverified
from tests.rtsp import talk
from tests.rtsp.sample import PASSWORD, USER, feeding, live, verifier
from tests.rtsp.test_server import until
from tests.rtsp.test_server_machine import Anybody

PATH = "/live/cam-1/main"
SYSTEM_PYTHON = "/usr/bin/python3"


def digest(challenge: str, method: str, url: str) -> str:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    realm, nonce = (re.search(f'{name}="([^"]*)"', challenge)[1] for name in ("realm", "nonce"))  # type: ignore[index]
    response = md5(f"{md5(f'{USER}:{realm}:{PASSWORD}')}:{nonce}:{md5(f'{method}:{url}')}")
    return f'Digest username="{USER}", realm="{realm}", nonce="{nonce}", uri="{url}", response="{response}"'


class Client:
    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, scheme: str) -> None:
        self.url = f"{scheme}://127.0.0.1:{port}{PATH}"
        self._reader, self._writer = reader, writer
        self._cseq = 0
        self._challenge = ""
        self.frames: list[tuple[int, bytes]] = []

    async def frame(self) -> tuple[int, bytes]:
        head = await asyncio.wait_for(self._reader.readexactly(4), 20)
        assert head[0] == 0x24
        return head[1], await self._reader.readexactly(int.from_bytes(head[2:4], "big"))

    async def ask(self, method: str, url: str = "", body: str = "", **fields: str) -> tuple[int, dict[str, str], str]:
        self._cseq += 1
        url = url or self.url
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._cseq}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        if self._challenge:
            lines.append("Authorization: " + digest(self._challenge, method, url))
        if body:
            lines += ["Content-Type: text/parameters", f"Content-Length: {len(body)}"]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        status, headers, text = await self._answer()
        if status == 401 and not self._challenge:
            self._challenge = headers["www-authenticate"]
            return await self.ask(method, url, body, **fields)
        return status, headers, text

    async def _answer(self) -> tuple[int, dict[str, str], str]:
        while (first := await asyncio.wait_for(self._reader.readexactly(1), 20)) == b"$":
            rest = await self._reader.readexactly(3)
            self.frames.append((rest[0], await self._reader.readexactly(int.from_bytes(rest[1:3], "big"))))
        head = (first + await self._reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.strip().split("\r\n")
        headers: dict[str, str] = {}
        for line in lines:
            headers.setdefault(line.partition(":")[0].lower(), line.partition(":")[2].strip())
        text = (await self._reader.readexactly(int(headers.get("content-length", 0)))).decode()
        return int(status.split()[1]), headers, text

    async def describe(self, query: str = "?srtp") -> str:
        status, _, text = await self.ask("DESCRIBE", self.url + query, Accept="application/sdp")
        assert status == 200
        return text

    @property
    def track(self) -> str:
        return self.url + "/trackID=0"


@pytest.fixture(params=[""])
async def server(tls: ssl.SSLContext) -> AsyncIterator[tuple[RtspServer, FrontDoor, dict[str, int]]]:
    stream, mount = live(PATH)
    server = RtspServer({"/live": mount}, verifier(), SystemClock())

    async def route(path: str, arrival: object) -> None:
        server.admit(arrival.duplicate())  # type: ignore[attr-defined]

    door = FrontDoor(route)
    ports = {"rtsps": door.listen("127.0.0.1", 0, tls), "rtsp": door.listen("127.0.0.1", 0)}
    async with feeding(stream, 0.01):
        yield server, door, ports
    await door.close()
    await server.close()


House = tuple[RtspServer, FrontDoor, dict[str, int]]


@asynccontextmanager
async def connected(house: House, scheme: str = "rtsps") -> AsyncIterator[Client]:
    port = house[2][scheme]
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=unverified() if scheme == "rtsps" else None, limit=1 << 20
    )
    try:
        yield Client(port, reader, writer, scheme)
    finally:
        writer.close()
        await asyncio.sleep(0)


def key_of(sdp: str) -> mikey.Message:
    found = re.search(r"a=key-mgmt:mikey (\S+)", sdp)
    assert found
    return mikey.from_text(found[1])


class Udp:
    """A pair of ports that media comes to."""

    def __init__(self) -> None:
        self.rtp, self.rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for sock in (self.rtp, self.rtcp):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)

    @property
    def transport(self) -> str:
        return f"RTP/SAVP;unicast;client_port={self.rtp.getsockname()[1]}-{self.rtcp.getsockname()[1]}"

    async def packet(self) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.rtp, 4096), 20)

    async def report(self) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.rtcp, 4096), 20)

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


async def numbers(udp: Udp, receiver: Receiver, count: int) -> list[int]:
    found = []
    for _ in range(count):
        packet = receiver.packet(await udp.packet())
        assert packet is not None
        found.append(int.from_bytes(packet[2:4], "big"))
    return found


async def play(client: Client, transport: str, **fields: str) -> dict[str, str]:
    status, headers, _ = await client.ask("SETUP", client.track, Transport=transport, **fields)
    assert status == 200
    assert headers["transport"].startswith("RTP/SAVP")
    assert "ssrc=" in headers["transport"]
    session = headers["session"].partition(";")[0]
    assert (await client.ask("PLAY", Session=session))[0] == 200
    return headers | {"session": session}


@pytest.mark.parametrize("suite", list(Suite))
async def test_our_key_in_the_description(server: House, suite: Suite) -> None:
    udp = Udp()
    async with connected(server) as client:
        sdp = await client.describe(f"?srtp={suite.value}")
        assert "RTP/SAVP 96" in sdp
        assert "RTP/AVP" not in sdp
        message = key_of(sdp)
        material = message.material()
        assert material.suite is suite
        assert material.mki
        headers = await play(client, udp.transport)
        ssrc = int(re.search("ssrc=([0-9A-F]+)", headers["transport"])[1], 16)  # type: ignore[index]
        assert message.sessions[0].ssrc == ssrc
        assert mikey.from_header(headers["keymgmt"])[1].material() == material
        receiver = Receiver(material)
        got = await numbers(udp, receiver, 60)
        assert all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(got))
        report = receiver.report(await udp.report())
        assert report is not None
        assert report[1] == 200
        # Streaming 8.2.1.3
        status, _, text = await client.ask("GET_PARAMETER", body="mikey\r\n", Session=headers["session"])
        assert status == 200
        told = mikey.from_parameters(text.encode())
        assert told is not None
        assert told.material() == material
    udp.close()


async def test_reports_under_our_key_are_signs_of_life(server: House) -> None:
    """Who was told our key and brings none uses it for what it sends (RFC 3711 9.1); Streaming 5.2.2.2."""
    udp = Udp()
    async with connected(server) as client:
        material = key_of(await client.describe()).material()
        headers = await play(client, udp.transport)
        (connection,) = server[0]._connections
        session = connection.machine.sessions[headers["session"]]
        session.deadline = 0.0
        ports = re.search(r"server_port=(\d+)-(\d+)", headers["transport"])
        assert ports
        block = ReportBlock(ssrc=1, fraction=64)
        for each in (Sender(KeyMaterial.fresh(Suite.AES_CM_128), 7), Sender(material, 7)):
            sent = each.report(build_receiver_report(ReceiverReport(ssrc=7, blocks=(block,))))
            udp.rtcp.sendto(sent, ("127.0.0.1", int(ports[2])))
            udp.rtcp.sendto(sent, ("127.0.0.1", int(ports[2])))
        await until(lambda: session.deadline)
        found = server[0].reception(session.id)
        assert found is not None
        assert found.fraction == 0.25
        assert connection._media[session.id].feedback.reports == 1
    udp.close()


class Operator(Anybody):
    def verify(self, *arguments: object, **more: object) -> Account:
        return Account("olga", Level.OPERATOR)


async def test_the_back_channel_of_a_description_of_srtp() -> None:
    """Within TLS nothing leaves by UDP in clear: what is described in clear could not be set up beside pictures under SRTP."""
    house = talk.House()
    presentation = await LiveMount({PATH: house._lookup(PATH)}.get, 60).find(PATH, Account("olga", Level.OPERATOR))
    track, uri = len(presentation.tracks), "rtsps://h" + PATH
    machine = ServerConnection(Operator(), local_host="h", now=0.0, protection=Protection(KeyStore(SystemClock().utc)))

    def ask(method: str, uri: str, *fields: tuple[str, str]) -> Response:
        headers = Headers([("CSeq", "1"), ("Authorization", "olga"), ("Require", BACKCHANNEL_TAG), *fields])
        machine.receive_data(Request(method, uri, headers).serialise(), 0.0)
        while (event := machine.next_event(0.0)) is not None:
            if isinstance(event, Find):
                machine.found(presentation, *event.candidates[0])
            elif isinstance(event, OpenUdp):
                machine.set_up((6000, 6001))
        parser = Parser()
        parser.receive_data(machine.data_to_send())
        answer = parser.next_message()
        assert isinstance(answer, Response)
        return answer

    sdp = ask("DESCRIBE", uri + "?srtp").body.decode()
    assert "RTP/AVP" not in sdp
    material = mikey.from_text(re.findall(r"a=key-mgmt:mikey (\S+)", sdp)[-1]).material()
    session: tuple[tuple[str, str], ...] = ()
    for control, ports in (("trackID=0", "7000-7001"), ("audioback", "7002-7003")):
        way = ("Transport", f"RTP/SAVP;unicast;client_port={ports}")
        answer = ask("SETUP", f"{uri}/{control}", way, *session)
        assert answer.status == 200
        session = (("Session", (answer.headers.get("Session") or "").partition(";")[0]),)
    (found,) = machine.sessions.values()
    said = build_rtp(marker=False, payload_type=0, seq=5, rtp_time=800, ssrc=0x77, payload=b"hello")
    sent = Sender(material, 0x77).packet(said)
    machine.datagram_received(found, track, False, sent, 0.0)
    heard = machine.next_event(0.0)
    assert isinstance(heard, Received)
    assert heard.data == said
    again = re.findall(r"a=key-mgmt:mikey (\S+)", ask("DESCRIBE", uri + "?srtp").body.decode())
    assert mikey.from_text(again[-1]).material() != material, "who talks next has another key"


async def test_clients_of_a_stream_share_what_is_encrypted(server: House) -> None:
    async with connected(server) as one, connected(server) as two:
        first, second = key_of(await one.describe()), key_of(await two.describe())
        assert first.material() == second.material()
        other = key_of(await two.describe("?srtp=AEAD_AES_128_GCM"))
        assert other.material() != first.material()


async def test_the_key_of_a_client_and_its_next_one(server: House) -> None:
    """As Genetec's client does it: Streaming 8.2.1.1, 8.2.1.2."""
    keys = [KeyMaterial.fresh(Suite.AES_CM_128) for _ in range(2)]
    texts = [mikey.to_text(mikey.build(key, 1, CryptoSession(0, 0x1234, 0), 1, bytes(16))) for key in keys]
    udp = Udp()
    async with connected(server) as client:
        assert "RTP/AVP" in await client.describe("")
        headers = await play(client, udp.transport, KeyMgmt=f'prot=mikey;uri="";data="{texts[0]}"')
        assert "keymgmt" not in headers
        receiver = Receiver(keys[0])
        before = await numbers(udp, receiver, 10)
        body = f"mikey: {texts[1]}\r\n"
        status, _, _ = await client.ask("SET_PARAMETER", body=body, Session=headers["session"])
        assert status == 200
        receiver.add(keys[1])
        packet = await udp.packet()
        while keys[1].mki not in packet[-14:]:
            assert receiver.packet(packet)
            packet = await udp.packet()
        assert receiver.packet(packet)
        after = await numbers(udp, receiver, 10)
        assert after[0] != before[0]
        # reports of the client, under its key, keep the session; what anybody else sends does not
        report = Sender(keys[1], 5).report(b"\x80\xc9\x00\x01\0\0\0\5")
        (connection,) = server[0]._connections
        (session,) = connection.machine.sessions.values()
        ports = re.search(r"server_port=\d+-(\d+)", headers["transport"])
        assert ports
        udp.rtcp.connect(("127.0.0.1", int(ports[1])))
        session.deadline = 1e12
        udp.rtcp.send(b"\x80\xc9\x00\x01\0\0\0\5")
        udp.rtcp.send(report[:-1] + bytes((report[-1] ^ 1,)))
        await asyncio.sleep(0.05)
        assert session.deadline == 1e12
        udp.rtcp.send(report)
        async with asyncio.timeout(20):
            while session.deadline == 1e12:
                await asyncio.sleep(0.01)
    udp.close()


async def test_a_key_without_an_identifier_is_for_what_the_client_sends(server: House) -> None:
    """As GStreamer does it."""
    own = KeyMaterial(Suite.AES_CM_128, bytes(16), bytes(14))
    text = mikey.to_text(mikey.build(own, 1, CryptoSession(0, 7, 0), 1, bytes(16)))
    async with connected(server) as client:
        ours = key_of(await client.describe()).material()
        await play(client, "RTP/SAVP/TCP;unicast;interleaved=4-5", KeyMgmt=f'prot=mikey;uri="x";data="{text}"')
        receiver, got = Receiver(replace(ours, mki=b"")), 0  # it may not know what an MKI is
        while got < 20:
            channel, data = await client.frame()
            opened = receiver.packet(data) if channel == 4 else receiver.report(data)
            assert opened
            got += 1


@pytest.mark.parametrize(
    "header",
    [
        "prot=mikey",
        'prot=mikey;data="AAAA"',
        'prot=sdes;data="AAAA"',
        f'prot=mikey;data="{mikey.to_text(bytes.fromhex("01000500000000010100000000010000000000"))}"',
    ],
)
async def test_keys_that_are_refused(server: House, header: str) -> None:
    udp = Udp()
    async with connected(server) as client:
        assert (await client.ask("SETUP", client.track, Transport=udp.transport, KeyMgmt=header))[0] == 463
        headers = await play(client, udp.transport)
        session = headers["session"]
        assert (await client.ask("SET_PARAMETER", body="mikey: AAAA\r\n", Session=session))[0] == 463
        other = mikey.build(KeyMaterial.fresh(Suite.AES_GCM_128), 1, CryptoSession(0, 1, 0), 1, bytes(16))
        body = f"mikey: {mikey.to_text(other)}\r\n"
        assert (await client.ask("SET_PARAMETER", body=body, Session=session))[0] == 463
        assert (await client.ask("SET_PARAMETER", body="a: b\r\n", Session=session))[0] == 451
        assert (await client.ask("DESCRIBE", client.url + "?srtp=AES_256_CM"))[0] == 463
    udp.close()


async def test_a_new_key_of_one_client_is_not_for_others(server: House) -> None:
    one_udp, two_udp = Udp(), Udp()
    async with connected(server) as one, connected(server) as two:
        ours = key_of(await one.describe()).material()
        await two.describe()
        session = (await play(one, one_udp.transport))["session"]
        await play(two, two_udp.transport)
        own = KeyMaterial.fresh(Suite.AES_CM_128)
        text = mikey.to_text(mikey.build(own, 1, CryptoSession(0, 0, 0), 1, bytes(16)))
        assert (await one.ask("SET_PARAMETER", body=f"mikey: {text}\r\n", Session=session))[0] == 200
        receiver = Receiver(ours)
        receiver.add(own)
        packet = b""
        async with asyncio.timeout(20):
            while own.mki not in packet[-14:]:
                packet = await one_udp.packet()
                assert receiver.packet(packet)
        assert await numbers(two_udp, Receiver(ours), 50)
    one_udp.close()
    two_udp.close()


async def test_nothing_of_srtp_in_clear(server: House) -> None:
    """Streaming 5.1.1.4: never RTP/SAVP or MIKEY where RTSP is not secure; and nothing but SRTP leaves TLS."""
    udp = Udp()
    async with connected(server, "rtsp") as client:
        sdp = await client.describe()
        assert "SAVP" not in sdp
        assert "key-mgmt" not in sdp
        assert (await client.ask("SETUP", client.track, Transport=udp.transport))[0] == 461
    async with connected(server) as client:
        assert "key-mgmt" not in await client.describe("")
        clear = udp.transport.replace("SAVP", "AVP")
        assert (await client.ask("SETUP", client.track, Transport=clear))[0] == 461
    udp.close()


async def test_a_key_that_is_refused_takes_no_place(server: House) -> None:
    udp = Udp()
    server[0].door.budget = Budget(sessions=1)
    async with connected(server) as client:
        for _ in range(3):
            status, _, _ = await client.ask("SETUP", client.track, Transport=udp.transport, KeyMgmt="prot=mikey")
            assert status == 463
        await play(client, udp.transport)
    udp.close()


async def test_what_was_encrypted_never_goes_on_in_clear(server: House) -> None:
    udp = Udp()
    async with connected(server) as client:
        material = key_of(await client.describe()).material()
        session = (await play(client, udp.transport))["session"]
        assert (await client.ask("PAUSE", Session=session))[0] == 200
        for clear in ("RTP/AVP/TCP;unicast;interleaved=0-1", udp.transport.replace("SAVP", "AVP")):
            status, _, _ = await client.ask("SETUP", client.track, Transport=clear, Session=session)
            assert status in (455, 461)
        # One receiver from the first packet on: it knows how often numbers have begun anew.
        receiver, seen = Receiver(material), set[bytes]()
        while True:
            try:
                packet = udp.rtp.recv(4096)
            except BlockingIOError:
                break
            assert receiver.packet(packet) is not None
            seen.add(packet[2:4])
        assert (await client.ask("PLAY", Session=session))[0] == 200
        fresh = 0
        while fresh < 20:
            packet = await udp.packet()
            if packet[2:4] not in seen:  # the cached pictures may be those that came before the pause
                assert receiver.packet(packet) is not None
                fresh += 1
    udp.close()


class Recorded:
    replay = True
    name = "r"

    def __init__(self) -> None:
        self.tracks = live(PATH)[0].tracks


async def test_sessions_of_replay_never_share_a_key() -> None:
    """They have numbers of their own each, and so the same nonces."""
    protection = Protection(KeyStore(lambda: 0))
    presentation, request = Recorded(), Request("SETUP", "rtsps://x/r?srtp", Headers(), b"")
    protection.describe(request.uri, "/r", presentation)  # type: ignore[arg-type]
    made = [
        protection.set_up(request, "/r", presentation, 0, group=False)  # type: ignore[arg-type]
        for _ in range(3)
    ]
    assert len({each.sender.material.key for each in made}) == 3


async def test_the_counter_that_is_told_is_that_of_the_stream() -> None:
    stream, mount = live(PATH)
    presentation = await mount.find(PATH, None)  # type: ignore[arg-type]
    async with feeding(stream, 0.0005):
        await asyncio.sleep(0.05)
    stream._rollovers[0]._highest += 7 << 16
    stream.clear()
    protection = Protection(KeyStore(lambda: 0))
    told = protection.describe("rtsps://x/live?srtp", PATH, presentation)
    assert mikey.from_text(told[0]).sessions[0].rollover == stream.rollover(0) >= 7


PIPELINE = """
import sys
import gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
pipeline = Gst.parse_launch(
    f"rtspsrc name=source location={sys.argv[1]} user-id={sys.argv[2]} user-pw=\\"{sys.argv[3]}\\" tls-validation-flags=0 "
    f"protocols={sys.argv[4]} latency=0 ! rtph264depay ! h264parse ! avdec_h264 ! fakesink sync=false num-buffers=60"
)
pipeline.set_state(Gst.State.PLAYING)
message = pipeline.get_bus().timed_pop_filtered(30 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
pipeline.set_state(Gst.State.NULL)
if message is None or message.type != Gst.MessageType.EOS:
    raise SystemExit(str(message and message.parse_error()))
"""


def need_gstreamer() -> None:
    if not Path(SYSTEM_PYTHON).exists() or subprocess.run([SYSTEM_PYTHON, "-c", "import gi"], timeout=30).returncode:
        pytest.skip("no GStreamer for the system's Python")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_rtspsrc_of_gstreamer_with_keys_by_mikey(server: House, transport: str) -> None:
    """It knows neither MKI nor the salts of AES-GCM in MIKEY."""
    need_gstreamer()
    url = f"rtsps://127.0.0.1:{server[2]['rtsps']}{PATH}?srtp"
    command = [SYSTEM_PYTHON, "-c", PIPELINE, url, USER, PASSWORD, transport]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


DECODER = """
import sys
import gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
port, key, mki, cipher, auth = sys.argv[1:]
pipeline = Gst.parse_launch(
    f'udpsrc address=127.0.0.1 port={port} caps="application/x-srtp,media=video,clock-rate=90000,encoding-name=H264,payload=96,'
    f"ssrc=(uint)4660,roc=(uint)0,srtp-key=(buffer){key},mki=(buffer){mki},srtp-cipher={cipher},srtp-auth={auth},"
    f'srtcp-cipher={cipher},srtcp-auth={auth}" ! srtpdec ! rtph264depay ! h264parse ! avdec_h264 '
    "! fakesink sync=false num-buffers=60"
)
pipeline.set_state(Gst.State.PLAYING)
print("ready", flush=True)
message = pipeline.get_bus().timed_pop_filtered(30 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
pipeline.set_state(Gst.State.NULL)
if message is None or message.type != Gst.MessageType.EOS:
    raise SystemExit(str(message and message.parse_error()))
"""
GST_NAMES = {
    Suite.AES_CM_128: ("aes-128-icm", "hmac-sha1-80"),
    Suite.AES_GCM_128: ("aes-128-gcm", "null"),
    Suite.AES_GCM_256: ("aes-256-gcm", "null"),
}


@pytest.mark.parametrize("suite", list(Suite))
async def test_libsrtp_opens_every_suite(server: House, suite: Suite) -> None:
    """Through srtpdec of GStreamer, which is told the key with its MKI."""
    need_gstreamer()
    own = KeyMaterial.fresh(suite)
    udp = Udp()
    transport, port = udp.transport, udp.rtp.getsockname()[1]
    udp.rtp.close()
    command = [SYSTEM_PYTHON, "-c", DECODER, str(port), (own.key + own.salt).hex(), own.mki.hex(), *GST_NAMES[suite]]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        async with connected(server) as client:
            text = mikey.to_text(mikey.build(own, 1, CryptoSession(0, 0x1234, 0), 1, bytes(16)))
            await play(client, transport, KeyMgmt=f'prot=mikey;uri="";data="{text}"')
            _, errors = await asyncio.wait_for(process.communicate(), 40)
        assert process.returncode == 0, errors
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        udp.close()
