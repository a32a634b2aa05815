"""Every quirk with a camera that has it."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from onvifd.cameras import quirks
from onvifd.cameras.quirks import BY_ID, QUIRKS, Switch, client_options, parse_quirks
from onvifd.clock import SystemClock, utc_to_ntp
from onvifd.errors import InvalidArgument
from onvifd.media.rtp.packet import SenderReport, build_sender_report
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import Trust
from onvifd.rtsp.messages import Headers, Request, Response
from tests.cameras.fault_camera import (
    SDP,
    SSRC,
    Camera,
    Packet,
    Rig,
    frame,
    pictures,
    seq_of,
    set_seq,
    set_time,
    time_of,
)
from tests.rtsp.sample import encoded

ROOT = Path(__file__).parents[2]
Case = Callable[[], tuple[Camera, dict[str, object]]]
CASES: dict[str, Case] = {}
ELSEWHERE = {
    "redirects": "test_redirects",
    "closes-challenged": "test_a_connection_is_closed_behind_each_challenge",
    "cseq-own": "tests/rtsp/test_client_session.py",
    "fragments-open": "tests/media/rtp/test_depack.py",
    "units-own": "tests/media/rtp/test_depack.py",
    "libav": "tests/cameras/test_intake_av.py",
    "no-libav": "tests/cameras/test_intake_av.py",
    "no-metadata": "test_metadata_is_not_set_up",
    "clock-insane": "test_insane_reports",
    "arrival-time": "test_reports_are_left_alone",
    "no-keep-alive": "test_keep_alives",
    "keep-alive-options": "test_keep_alives",
    "keep-alive-refused": "tests/rtsp/test_client_session.py",
    "no-session-timeout": "tests/rtsp/test_client_session.py",
    "no-reports": "tests/cameras/test_transports.py",
    "ports-other": "tests/cameras/test_transports.py",
    "codec-changes": "tests/cameras/test_codec_change.py",
    "codec-wrong": "tests/cameras/test_codec_change.py",
    "types-other": "tests/cameras/test_codec_change.py",
    "basic-clear": "tests/cameras/test_login.py",
}


def case(*names: str) -> Callable[[Case], Case]:
    def add(make: Case) -> Case:
        for name in names:
            CASES[name] = make
        return make

    return add


def answering(change: Callable[[Request, Response], Response | bytes | None]) -> Camera:
    def answer(request: Request, response: Response) -> bytes | None:
        said = change(request, response)
        return said.serialise() if isinstance(said, Response) else said

    return Camera(answer=answer)


def spoiling(change: Callable[[int, list[Packet]], Iterable[Packet]]) -> Camera:
    return Camera(spoil=change)


def with_header(response: Response, name: str, value: str) -> Response:
    fields = [(key, old) for key, old in response.headers if key.lower() != name.lower()]
    return Response(response.status, Headers([*fields, (name, value)]), response.body)


@case("line-feeds")
def line_feeds() -> tuple[Camera, dict[str, object]]:
    camera = answering(lambda _, response: response.serialise().replace(b"\r\n", b"\n"))
    camera.sdp = SDP.replace(b"\r\n", b"\n")
    return camera, {}


@case("bad-headers")
def bad_headers() -> tuple[Camera, dict[str, object]]:
    return answering(lambda _, r: r.serialise().replace(b"\r\n", b"\r\nServer Cam 1.0\r\n: x\r\n", 1)), {}


@case("rubbish")
def rubbish() -> tuple[Camera, dict[str, object]]:
    camera = answering(lambda _, response: b"\r\n\0 #debug: 7\r\n" + response.serialise())
    camera.wire = lambda channel, packet: b"\0\xff" + frame(channel, packet)
    return camera, {}


@case("odd-session")
def odd_session() -> tuple[Camera, dict[str, object]]:
    def change(request: Request, response: Response) -> Response:
        if request.method == "SETUP":
            return with_header(response, "Session", "{1:2/3=};timeout=0")
        ok = request.method in ("OPTIONS", "DESCRIBE") or request.headers.get("Session") == "{1:2/3=}"
        return response if ok else Response(454, Headers([("CSeq", request.headers.get("CSeq") or "")]))

    return answering(change), {}


@case("no-options")
def no_options() -> tuple[Camera, dict[str, object]]:
    return answering(lambda request, r: None if request.method == "OPTIONS" else r), {"quirks": ["no-options"]}


@case("short-headers")
def short_headers() -> tuple[Camera, dict[str, object]]:
    def change(request: Request, response: Response) -> Response:
        return Response(400) if "User-Agent" in request.headers else response

    return answering(change), {"quirks": ["short-headers"]}


@case("control-missing")
def control_missing() -> tuple[Camera, dict[str, object]]:
    return Camera(sdp=SDP.replace(b"a=control:track1\r\n", b"").replace(b"a=control:*\r\n", b"")), {}


@case("rtpmap-wrong")
def rtpmap_wrong() -> tuple[Camera, dict[str, object]]:
    return Camera(sdp=SDP.replace(b"rtpmap:96 H264/90000", b"rtpmap:97 H264")), {}


@case("fmtp-broken")
def fmtp_broken() -> tuple[Camera, dict[str, object]]:
    return Camera(sdp=SDP + b"a=fmtp:96 sprop-parameter-sets=@@@,====;packetization-mode\r\n"), {}


@case("video-sendonly")
def video_sendonly() -> tuple[Camera, dict[str, object]]:
    return Camera(sdp=SDP + b"a=sendonly\r\n"), {}


@case("channels-other")
def channels_other() -> tuple[Camera, dict[str, object]]:
    return Camera(channel=6), {}


@case("transport-empty")
def transport_empty() -> tuple[Camera, dict[str, object]]:
    def change(request: Request, response: Response) -> Response:
        return with_header(response, "Transport", "RTP/AVP/TCP;unicast;interleaved=0-0")

    return answering(lambda q, r: change(q, r) if q.method == "SETUP" else r), {}


@case("early-media")
def early_media() -> tuple[Camera, dict[str, object]]:
    first = next(pictures())[1]
    camera = Camera(before_play=b"".join(frame(0, bytes(packet)) for packet in first))
    camera.spoil = lambda number, packets: () if number == 0 else packets
    return camera, {"first_key": True}


@case("ssrc-wrong")
def ssrc_wrong() -> tuple[Camera, dict[str, object]]:
    def spoil(number: int, packets: list[Packet]) -> list[Packet]:
        for packet in packets:
            packet[8:12] = (SSRC + number // 20).to_bytes(4, "big")
            set_seq(packet, seq_of(packet) + 7919 * (number // 20))
            set_time(packet, time_of(packet) + 0x77777777 * (number // 20))
        return packets

    camera = answering(
        lambda q, r: (
            with_header(r, "Transport", "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=12345678")
            if q.method == "SETUP"
            else r
        )
    )
    camera.spoil = spoil
    return camera, {}


@case("stale-session")
def stale_session() -> tuple[Camera, dict[str, object]]:
    def spoil(number: int, packets: list[Packet]) -> Iterable[Packet]:
        stale = bytearray(packets[0])
        stale[8:12] = b"\x01\x02\x03\x04"
        set_seq(stale, seq_of(stale) + 30_000)
        set_time(stale, time_of(stale) + 0x50000000)
        return [stale, *packets]

    return spoiling(spoil), {"strays": True}


def marking(change: Callable[[Packet, bool], None]) -> tuple[Camera, dict[str, object]]:
    def spoil(number: int, packets: list[Packet]) -> list[Packet]:
        for packet in packets:
            change(packet, packet is packets[-1])
        return packets

    return spoiling(spoil), {"pictures_marked": True}


@case("markers-wrong")
def markers_wrong() -> tuple[Camera, dict[str, object]]:
    def change(packet: Packet, last: bool) -> None:
        packet[1] |= 0x80

    return marking(change)


@case("markers-wrong on parameter sets")
def markers_on_sets() -> tuple[Camera, dict[str, object]]:
    def change(packet: Packet, last: bool) -> None:
        packet[1] |= 0x80 if packet[12] & 0x1F in (6, 7, 8, 9) else 0

    return marking(change)


@case("markers-none")
def markers_none() -> tuple[Camera, dict[str, object]]:
    def change(packet: Packet, last: bool) -> None:
        packet[1] &= 0x7F

    return marking(change)


@case("no-markers")
def no_markers() -> tuple[Camera, dict[str, object]]:
    chance = random.Random(5)

    def change(packet: Packet, last: bool) -> None:
        packet[1] = packet[1] & 0x7F | (0x80 if chance.random() < 0.5 else 0)

    return marking(change)[0], {"quirks": ["no-markers"], "pictures_marked": True}


@case("time-leaps")
def time_leaps() -> tuple[Camera, dict[str, object]]:
    chance = random.Random(7)
    offsets = [(chance.getrandbits(16), chance.getrandbits(32)) for _ in range(100)]

    def spoil(number: int, packets: list[Packet]) -> list[Packet]:
        seq, time = offsets[number // 15]
        for packet in packets:
            set_seq(packet, seq_of(packet) + seq)
            set_time(packet, time_of(packet) + time)
        return packets

    return spoiling(spoil), {}


@case("rtcp-odd")
def rtcp_odd() -> tuple[Camera, dict[str, object]]:
    report = build_sender_report(SenderReport(ssrc=SSRC, ntp=1, rtp_time=0))
    camera = Camera(reports=False)
    camera.wire = lambda channel, packet: (
        frame(1, b"\x80\xc8\xff\xff broken") + frame(channel, report) + frame(1, b"") + frame(channel, packet)
    )
    return camera, {}


@case("rtcp-odd missing")
def rtcp_missing() -> tuple[Camera, dict[str, object]]:
    return Camera(reports=False), {}


@case("rtcp-odd with another clock")
def rtcp_of_another_clock() -> tuple[Camera, dict[str, object]]:
    # Time stamps of its reports that have nothing to do with those of its pictures.
    reports = (
        build_sender_report(SenderReport(ssrc=SSRC, ntp=ntp(), rtp_time=n * 0x1234567)) for n in itertools.count()
    )
    camera = Camera(reports=False)
    camera.wire = lambda channel, packet: frame(1, next(reports)) + frame(channel, packet)
    return camera, {}


def ntp() -> int:
    return utc_to_ntp(SystemClock().utc())


@case("empty-frames")
def empty_frames() -> tuple[Camera, dict[str, object]]:
    camera = Camera()
    camera.wire = lambda channel, packet: frame(0, b"") + frame(0, b"abc") + frame(channel, packet)
    return camera, {"no_garbage": True}


@case("duplicates")
def duplicates() -> tuple[Camera, dict[str, object]]:
    last: list[Packet] = []

    def spoil(number: int, packets: list[Packet]) -> list[Packet]:
        nonlocal last
        again, last = last, [bytearray(packet) for packet in packets]
        return [*packets[:1], *again, *packets]

    return spoiling(spoil), {}


class Challenger:
    """Asks for digest with a nonce that holds for a few requests, and never says stale."""

    def __init__(self, *, algorithm: str = "MD5", uses: int = 3, both: bool = False) -> None:
        self.algorithm, self.uses, self.both = algorithm, uses, both
        self.nonces = itertools.count()
        self.nonce, self.left = "", 0

    def __call__(self, request: Request, response: Response) -> Response:
        given = request.headers.get("Authorization") or ""
        if self.nonce and f'nonce="{self.nonce}"' in given and self.left and self.right(given, request):
            self.left -= 1
            return response
        self.nonce, self.left = f"n{next(self.nonces)}", self.uses
        fields = [("CSeq", request.headers.get("CSeq") or "")]
        for algorithm in ("SHA-256", "MD5") if self.both else (self.algorithm,):
            value = f'Digest realm="cam", nonce="{self.nonce}", algorithm={algorithm}'
            fields.append(("WWW-Authenticate", value))
        return Response(401, Headers(fields))

    def right(self, given: str, request: Request) -> bool:
        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        uri = given.partition('uri="')[2].partition('"')[0]
        ha1 = md5("user:cam:secret")
        return f'"{md5(f"{ha1}:{self.nonce}:" + md5(f"{request.method}:{uri}"))}"' in given


@case("nonce-fresh")
def nonce_fresh() -> tuple[Camera, dict[str, object]]:
    return answering(Challenger(uses=2)), {"user": "user", "password": "secret"}


@case("md5-only")
def md5_only() -> tuple[Camera, dict[str, object]]:
    return answering(Challenger(both=True)), {"user": "user", "password": "secret", "quirks": ["md5-only"]}


@case("requests-us")
def requests_us() -> tuple[Camera, dict[str, object]]:
    camera = Camera()
    count = itertools.count()

    def wire(channel: int, packet: bytes) -> bytes:
        asked = b"OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 5\r\n\r\n" if next(count) % 50 == 0 else b""
        return asked + frame(channel, packet)

    camera.wire = wire
    return camera, {"no_garbage": True}


@pytest.mark.parametrize("name", sorted(CASES))
async def test_is_borne(name: str) -> None:
    camera, more = CASES[name]()
    wants = {key: more.pop(key, False) for key in ("first_key", "strays", "pictures_marked", "no_garbage")}
    async with camera.url() as url, Rig(url, **more).running() as rig:  # type: ignore[arg-type]
        await rig.until(lambda: len(rig.frames) >= 60)
        assert rig.states == [(True, "")], rig.states
        assert rig.intake.counters.bad_frames <= 6
        rig.check_laundered()
        packets = rig.packets()
        if wants["first_key"]:
            assert rig.frames[0].key
        if wants["strays"]:
            assert rig.intake.counters.strays > 10
        if wants["no_garbage"]:
            assert rig.intake.counters.garbage == 0
        if wants["pictures_marked"]:
            # No packet behind a marker belongs to the same picture.
            assert not any(one[3] and one[1] == other[1] for one, other in itertools.pairwise(packets))


def test_each_quirk_has_a_test_and_a_source() -> None:
    tested = {name.partition(" ")[0] for name in CASES} | set(ELSEWHERE)
    assert {quirk.id for quirk in QUIRKS} == tested
    for name, where in ELSEWHERE.items():
        # A test of this module, or a module that names the quirk.
        if "/" in where:
            assert name in (ROOT / where).read_text(), name
        else:
            assert any(one.startswith(where) for one in globals()), name
    assert all(quirk.what and quirk.source for quirk in QUIRKS)
    assert len(BY_ID) == len(QUIRKS)


def test_only_switches_can_be_set() -> None:
    assert parse_quirks(["md5-only", ""]) == {"md5-only"}
    for wrong in ("unknown", "line-feeds"):
        with pytest.raises(InvalidArgument):
            parse_quirks([wrong])
    for quirk in QUIRKS:
        if quirk.switch is Switch.CAMERA:
            client_options(Way.TCP, 0, Trust(), parse_quirks([quirk.id]))
    assert quirks.client_options(Way.TCP, 0, Trust(), frozenset(["no-keep-alive"])).keep_alive == "none"


async def test_redirects() -> None:
    target = Camera()
    async with target.url(path="/there") as there:
        camera = answering(
            lambda q, r: with_header(Response(302, r.headers), "Location", there) if q.method == "DESCRIBE" else r
        )
        async with camera.url() as url, Rig(url).running() as rig:
            await rig.until(lambda: len(rig.frames) >= 10)
        mover = Camera()
        sent = itertools.count()

        def wire(channel: int, packet: bytes) -> bytes:
            redirect = f"REDIRECT {there} RTSP/1.0\r\nCSeq: 9\r\nLocation: {there}\r\n\r\n".encode()
            return frame(channel, packet) + (redirect if next(sent) == 100 else b"")

        mover.wire = wire
        before = target.connections
        async with mover.url() as url, Rig(url).running() as rig:
            await rig.until(lambda: target.connections > before and len(rig.frames) >= 60)
            rig.check_laundered()


async def test_the_same_channels_told_for_both_tracks() -> None:
    """The quirk channels-other: sound comes on the channels that were asked for."""
    section = b"m=audio 0 RTP/AVP 0\r\na=control:track2\r\n"

    def answer(request: Request, response: Response) -> Response:
        return (
            with_header(response, "Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")
            if request.method == "SETUP"
            else response
        )

    def spoil(number: int, packets: list[Packet]) -> Iterable[Packet]:
        sound = b"\x80\x00" + number.to_bytes(2, "big") + (number * 160).to_bytes(4, "big") + b"\0\0\1\1" + bytes(160)
        return [*packets, bytearray(sound)]

    camera = answering(answer)
    camera.sdp, camera.spoil = SDP + section, spoil
    camera.wire = lambda channel, packet: frame(channel if packet[1] & 0x7F else 2, packet)
    async with camera.url() as url, Rig(url).running() as rig:
        await rig.until(lambda: len([unit for unit in rig.frames if unit.track == 1]) >= 10)
        assert any(unit.track == 0 for unit in rig.frames)


async def test_a_key_frame_is_wanted_while_a_redirection_is_followed() -> None:
    asked: list[bool] = []
    async with Camera().url(path="/there") as there:
        camera = answering(
            lambda q, r: with_header(Response(302, r.headers), "Location", there) if q.method == "DESCRIBE" else r
        )
        async with camera.url() as url, Rig(url).running() as rig:
            follow = RtspClient.close

            async def close(client: RtspClient) -> None:
                await follow(client)
                rig.intake.ask_keyframe()
                asked.append(rig.intake._client is client)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(RtspClient, "close", close)
                await rig.until(lambda: bool(rig.frames))
    assert asked == [True]


@pytest.mark.parametrize("at", ["OPTIONS", "DESCRIBE"])
@pytest.mark.parametrize("refuses", [False, True])
async def test_a_connection_is_closed_behind_each_challenge(at: str, refuses: bool) -> None:
    """The quirk closes-challenged."""
    closing: list[bytes] = []

    def answer(request: Request, response: Response) -> Response | bytes | None:
        if closing:
            return None
        if request.method != at or (request.headers.get("Authorization") and not refuses):
            return response
        closing.append(b"")
        return with_header(Response(401, response.headers), "WWW-Authenticate", 'Digest realm="cam", nonce="n"')

    camera = answering(answer)
    serve = camera._serve

    async def closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        closing.clear()
        real = writer.write

        def write(data: bytes) -> None:
            real(data)
            if closing:
                writer.close()

        writer.write = write  # type: ignore[method-assign,assignment]
        await serve(reader, writer)

    camera._serve = closed  # type: ignore[method-assign]
    async with camera.url() as url, Rig(url, user="admin", password="x").running() as rig:
        if refuses:
            await rig.until(lambda: bool(rig.states))
            assert rig.states[0] == (False, "camera refuses the user name or password")
            assert camera.connections == 2
        else:
            await rig.until(lambda: bool(rig.frames))
            assert (camera.connections, rig.intake.reconnects) == (2, 0)


async def test_metadata_is_not_set_up() -> None:
    section = b"m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:meta\r\n"
    for more, tracks in (({}, 2), ({"quirks": ["no-metadata"]}, 1)):
        async with Camera(sdp=SDP + section).url() as url, Rig(url, **more).running() as rig:  # type: ignore[arg-type]
            await rig.until(lambda rig=rig: bool(rig.frames))  # type: ignore[misc]
            assert len(rig.intake.tracks) == tracks


def hours_away(hours: int) -> int:
    return utc_to_ntp(SystemClock().utc() + hours * 3_600_000_000)


@pytest.mark.parametrize(
    "when", [lambda: 1 << 32, lambda: (1 << 64) - 1, lambda: 0, lambda: hours_away(-30), lambda: hours_away(30)]
)
async def test_insane_reports(when: Callable[[], int]) -> None:
    ntp = when()
    report = build_sender_report(SenderReport(ssrc=SSRC, ntp=ntp, rtp_time=123))
    camera = Camera(reports=False, wire=lambda channel, packet: frame(1, report) + frame(channel, packet))
    async with camera.url() as url, Rig(url).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 30)
        rig.check_laundered()
        utc = [each.utc for each in rig.frames]
        assert utc == sorted(utc)
        assert not rig.intake.tracks[0].clock.by_report


@pytest.mark.parametrize(("more", "followed"), [({}, True), ({"quirks": ["arrival-time"]}, False)])
async def test_reports_are_left_alone(more: dict[str, object], followed: bool) -> None:
    async with Camera().url() as url, Rig(url, **more).running() as rig:  # type: ignore[arg-type]
        await rig.until(lambda: len(rig.frames) >= 10)
        assert rig.intake.tracks[0].clock.by_report is followed


@pytest.mark.parametrize(
    ("more", "method"),
    [({}, "GET_PARAMETER"), ({"quirks": ["keep-alive-options"]}, "OPTIONS"), ({"quirks": ["no-keep-alive"]}, None)],
)
async def test_keep_alives(more: dict[str, object], method: str | None) -> None:
    camera = answering(lambda q, r: with_header(r, "Session", "77;timeout=5") if q.method == "SETUP" else r)
    async with camera.url() as url, Rig(url, **more).running() as rig:  # type: ignore[arg-type]
        await rig.until(lambda: bool(rig.frames))
        count = len(camera.requests)
        client = rig.intake._client
        assert client is not None
        client.keep_alive()
        if method is not None:
            await rig.until(lambda: len(camera.requests) > count)
            assert camera.requests[-1].method == method
        else:
            await asyncio.sleep(0)
            assert len(camera.requests) == count


async def test_a_camera_that_marks_slices_is_not_believed_on_its_next_connection() -> None:
    """As live555's relay does. The first picture of all is cut in two before that is known, no other one is."""
    slices, known = (1, 5), {data for _, data in encoded()[1]}

    def spoil(number: int, packets: list[Packet]) -> list[Packet]:
        for packet in packets:
            kind, ends = packet[12] & 31, packet[13] & 0x40
            packet[1] |= 0x80 if kind in slices or (kind == 28 and ends and packet[13] & 31 in slices) else 0
        return packets

    async with Camera(spoil=spoil).url() as url, Rig(url, transport=Way.TCP).running() as rig:
        await rig.until(lambda: len(rig.frames) >= 10)
        assert [each.data in known for each in rig.frames[:3]] == [False, False, True]
        client, count = rig.intake._client, len(rig.frames)
        assert client is not None
        client.abort("gone")
        await rig.until(lambda: len(rig.states) >= 3 and len(rig.frames) >= count + 10)
        assert all(each.data in known for each in rig.frames[2:])
