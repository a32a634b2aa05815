"""Cameras that answer by a tunnel or within TLS alone: asked by each way in turn, and the way that was found is kept."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras import onvif_driver
from onvifd.cameras.drivers import asker, prepare
from onvifd.cameras.registry import Credentials
from onvifd.cameras.ways import (
    WAYS,
    Advertised,
    Answered,
    Asker,
    Reach,
    Told,
    ask_again,
    other_ways,
    parse_ways,
    reach_of,
    reception_of,
)
from onvifd.errors import InvalidArgument, NotAuthorized, Unavailable
from onvifd.rtsp.client_session import secured
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import Judge, Trust
from onvifd.rtsp.messages import Headers, Request, Response
from tests.cameras.fault_camera import SDP, Camera, Rig
from tests.cameras.test_transports import HttpFace, certificate, refusing

COVERS = pytest.mark.covers("CAM-20")
LOGIN = Credentials(user="admin", password="camera-pass-1")


def closed() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def dead(url: str, port: int | None = None) -> str:
    """The same address with RTSP closed."""
    head, _, path = url.partition("//")[2].partition("/")
    return f"rtsp://{head.partition(':')[0]}:{port or closed()}/{path}"


@contextlib.asynccontextmanager
async def tunnel(url: str, context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[HttpFace, int]]:
    face = HttpFace(int(url.split(":")[2].split("/")[0]), context)
    async with face.serving() as port:
        yield face, port


def telling(told: Mapping[Way, Told], asked: list[str]) -> Asker:
    async def advertised(profile: str) -> Mapping[Way, Told]:
        asked.append(profile)
        return told

    return Asker("", "", advertised=advertised)


# ---- a whole camera --------------------------------------------------------------------------------


@COVERS
async def test_an_onvif_camera_whose_rtsp_port_is_closed_is_added_by_its_tunnel(
    device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = closed()
    real = onvif_driver._stream_address

    def address(uri: str, asked: str) -> str:
        return real(uri, asked).replace(str(device.rtsp_port), str(port))

    monkeypatch.setattr(onvif_driver, "_stream_address", address)
    new = await prepare(device.device_url, LOGIN)
    assert [stream.role for stream in new.streams] == ["main", "sub"]
    assert [stream.width for stream in new.streams] == [1280, 640]
    assert [(row.stream, row.transport, row.tunnel_port) for row in new.receptions] == [
        ("main", "http", device.http_port),
        ("sub", "http", device.http_port),
    ]
    assert all(row.digest for row in new.receptions)
    assert [format.codec for format in new.talk] == ["pcmu", "pcma", "g726", "aac"]
    # And what was kept is how it comes.
    row = new.receptions[0]
    rig = Rig(
        new.streams[0].uri, user="admin", password="camera-pass-1", transport=Way.HTTP, tunnel_port=row.tunnel_port
    )
    async with rig.running():
        await rig.until(lambda: len(rig.frames) >= 10)


@COVERS
async def test_the_web_port_is_where_a_camera_that_tells_nothing_has_its_tunnel(
    device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> dict[Way, Told]:
        return {}

    monkeypatch.setattr(onvif_driver, "ways_told", nothing)
    answered = await asker(device.device_url, LOGIN).ask(f"rtsp://127.0.0.1:{closed()}/main", "profile-main")
    assert (answered.reach.transport, answered.reach.tunnel_port) == (Way.HTTP, device.http_port)


async def test_where_a_camera_serves_other_ways_is_asked_by_both_media_services(
    device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = asker(device.device_url, LOGIN)
    assert ask._advertised is not None
    by_media2 = await ask._advertised("profile-main")
    assert by_media2 == {Way.HTTP: Told(device.http_port, "/main")}
    monkeypatch.setattr(onvif_driver, "TR2", "urn:unknown")
    assert await ask._advertised("profile-main") == by_media2
    assert await ask._advertised("no such profile") == {}
    assert await asker("http://127.0.0.1:9/onvif/device_service")._advertised("x") == {}  # type: ignore[misc]


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://192.0.2.7/live?a=b", (Way.HTTP, Told(80, "/live?a=b"))),
        ("https://192.0.2.7/live", (Way.HTTPS, Told(443, "/live"))),
        ("rtsp://192.0.2.7:8080/live", (Way.HTTP, Told(8080, "/live"))),
        ("rtsps://192.0.2.7/live?srtp", (Way.RTSPS, Told(322, "/live?srtp"))),
        ("rtsps://192.0.2.7:7441/live", (Way.RTSPS, Told(7441, "/live"))),
        ("rtsp://192.0.2.7:554/live", None),
        ("rtsp://192.0.2.7/live", None),
        ("gopher://192.0.2.7/", None),
        ("", None),
        ("http://[", None),
    ],
)
def test_what_an_address_tells(uri: str, told: tuple[Way, Told] | None) -> None:
    assert onvif_driver._told(uri) == told


# ---- one way after the other -----------------------------------------------------------------------


async def ways_of(camera: Camera, reach: Reach, context: ssl.SSLContext | None = None) -> Answered:
    async with camera.url() as url, tunnel(url, context) as (_, port):
        ask = Asker("", "", reach, advertised=_told_by(port))
        return await ask.ask(dead(url), "profile")


def _told_by(port: int) -> Advertised:
    async def advertised(profile: str) -> Mapping[Way, Told]:
        return {way: Told(port, "/cam") for way in (Way.HTTP, Way.HTTPS)}

    return advertised


@COVERS
async def test_https_is_found_last_and_its_certificate_is_kept(tmp_path: Path) -> None:
    context, pin = certificate(tmp_path, "camera")
    answered = await ways_of(Camera(), Reach(), context)
    assert (answered.reach.transport, answered.reach.trust.pin) == (Way.HTTPS, pin)
    row = reception_of(answered.reach, "cam-1", "main")
    assert (row.transport, row.pin, row.tunnel_port > 0) == ("https", pin, True)
    assert reach_of(row) == answered.reach


@COVERS
async def test_rtsps_is_found_where_the_camera_says(tmp_path: Path) -> None:
    context, pin = certificate(tmp_path, "camera")
    asked: list[str] = []
    async with Camera(context=context).url() as url:
        port = int(url.split(":")[2].split("/")[0])
        ask = telling({Way.RTSPS: Told(port, "/cam?srtp")}, asked)
        ask._reach = Reach(ways=(Way.TCP, Way.RTSPS))
        answered = await ask.ask(dead(url), "profile")
        assert asked == ["profile"]
        assert answered.url == f"rtsps://127.0.0.1:{port}/cam"
        assert (answered.reach.transport, answered.reach.trust.pin) == (Way.RTSPS, pin)
        rig = Rig(answered.url, transport=answered.reach.transport, trust=answered.reach.trust)
        async with rig.running():
            await rig.until(lambda: len(rig.frames) >= 5)


async def test_the_first_way_that_answers_is_taken_and_nobody_is_asked_more() -> None:
    asked: list[str] = []
    camera = Camera()
    async with camera.url() as url:
        answered = await telling({}, asked).ask(url, "profile")
    assert (answered.url, answered.reach) == (url, Reach())
    assert (asked, camera.connections) == ([], 1)


async def test_what_answered_once_is_asked_first() -> None:
    camera = Camera()
    async with camera.url() as url, tunnel(url) as (face, port):
        ask = Asker("", "", Reach(tunnel_port=port))
        first = await ask.ask(dead(url))
        second = await ask.ask(url)
        assert [each.reach.transport for each in (first, second)] == [Way.HTTP, Way.HTTP]
        assert face.posts == 2


@pytest.mark.parametrize("transport", [Way.TCP, Way.UDP, Way.MULTICAST, Way.HTTP])
async def test_a_way_that_is_set_is_the_only_one(transport: Way) -> None:
    camera = Camera()
    async with camera.url() as url, tunnel(url) as (face, port):
        ask = Asker("", "", Reach(transport=transport, tunnel_port=port))
        answered = await ask.ask(url)
        assert answered.reach.transport is transport
        assert face.posts == (1 if transport is Way.HTTP else 0)
        if transport is not Way.HTTP:
            with pytest.raises(Unavailable, match="no connection"):
                await ask.ask(dead(url))


async def test_refusals_are_answers_and_end_the_search() -> None:
    for status, error in ((401, NotAuthorized), (404, Unavailable)):
        said = Response(status, Headers([("CSeq", "1"), ("WWW-Authenticate", 'Digest realm="x", nonce="y"')]))

        def answer(request: Request, response: Response, said: Response = said) -> bytes:
            fields = [(key, value) for key, value in said.headers if key != "CSeq"]
            return Response(said.status, Headers([("CSeq", request.headers.get("CSeq") or ""), *fields])).serialise()

        async with Camera(answer=answer).url() as url, tunnel(url) as (face, port):
            with pytest.raises(error):
                await Asker("", "", Reach(tunnel_port=port)).ask(url)
            assert not face.gets


async def test_a_web_server_that_is_no_tunnel_is_passed_by() -> None:
    server, port = await refusing(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\n\r\n")
    with pytest.raises(NotAuthorized):
        await Asker("", "", Reach(tunnel_port=port, ways=(Way.TCP, Way.HTTP))).ask(dead("rtsp://127.0.0.1:1/cam"))
    server.close()
    await server.wait_closed()
    server, port = await refusing(b"HTTP/1.1 404 Not Found\r\n\r\n")
    with pytest.raises(Unavailable, match="no connection"):
        await Asker("", "", Reach(tunnel_port=port, ways=(Way.TCP, Way.HTTP))).ask(dead("rtsp://127.0.0.1:1/cam"))
    server.close()
    await server.wait_closed()


async def test_another_certificate_than_before_ends_the_search(tmp_path: Path) -> None:
    context, _ = certificate(tmp_path, "camera")
    camera = Camera(context=context)
    async with camera.url("rtsps") as url, tunnel(url) as (face, port):
        reach = Reach(trust=Trust(Judge.PIN, "ab" * 32), tunnel_port=port)
        with pytest.raises(Unavailable, match="another certificate"):
            await Asker("", "", reach).ask(url)
        assert not face.gets


def test_tunnels_are_where_the_web_service_is() -> None:
    url = "rtsp://192.0.2.7/a"
    clear, tls = asker("192.0.2.7:8000"), asker("https://192.0.2.7:8443/onvif/device_service")
    assert clear._place(Way.HTTP, url, None) == (url, 8000)
    assert clear._place(Way.HTTPS, url, None) == (url, 0)
    assert tls._place(Way.HTTPS, url, None) == (url, 8443)
    assert tls._place(Way.HTTP, url, None) == (url, 0)
    assert asker("rtsp://192.0.2.7/a")._place(Way.HTTP, url, None) == (url, 0)
    own = asker("192.0.2.7", reach=Reach(tunnel_port=81))
    assert own._place(Way.HTTP, url, Told(8000, "/b")) == ("rtsp://192.0.2.7/b", 81)


def test_a_camera_may_tell_an_address_within_tls_alone() -> None:
    asked = "https://192.0.2.7/onvif/media2_service"
    assert onvif_driver._stream_address("rtsps://10.0.0.1:7441/a", asked) == "rtsps://192.0.2.7:7441/a"
    with pytest.raises(Unavailable):
        onvif_driver._stream_address("http://192.0.2.7/a", asked)


def test_what_is_to_be_within_tls_is_asked_within_tls() -> None:
    assert Asker()._order("rtsps://192.0.2.7/") == (Way.TCP, Way.HTTPS)
    assert Asker("", "", Reach(ways=(Way.TCP,)))._order("rtsps://192.0.2.7/") == (Way.TCP,)
    strict = Asker("", "", Reach(ways=parse_ways("rtsps, https")))
    assert strict._order("rtsp://192.0.2.7/") == (Way.RTSPS, Way.HTTPS)


def test_ways_are_listed_by_people() -> None:
    assert parse_ways("TCP,http rtsps  https,tcp") == WAYS
    for wrong in ("", "udp", "tcp,pigeon"):
        with pytest.raises(InvalidArgument):
            parse_ways(wrong)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtsp://192.0.2.7/a?b=c", "rtsps://192.0.2.7/a?b=c"),
        ("rtsp://192.0.2.7:554/a", "rtsps://192.0.2.7/a"),
        ("rtsp://192.0.2.7:8554/a", "rtsps://192.0.2.7:8554/a"),
        ("rtsp://[2001:db8::1]:554/a", "rtsps://[2001:db8::1]/a"),
        ("rtsps://192.0.2.7:554/a", "rtsps://192.0.2.7:554/a"),
    ],
)
def test_an_address_within_tls(url: str, expected: str) -> None:
    assert secured(url) == expected


async def test_the_path_of_the_tunnel_is_taken_from_the_camera() -> None:
    paths: list[str] = []

    def answer(request: Request, response: Response) -> bytes:
        paths.append(request.uri)
        return response.serialise()

    async with Camera(sdp=SDP, answer=answer).url() as url, tunnel(url) as (_, port):
        address = dead(url)
        answered = await telling({Way.HTTP: Told(port, "/tunnel?x=1")}, []).ask(address, "profile")
        assert answered.url == address.replace("/cam", "/tunnel?x=1")
        assert set(paths) == {answered.url}


# ---- searched again --------------------------------------------------------------------------------

CLEAR, SECURE = "rtsp://192.0.2.7/a", "rtsps://192.0.2.7/a"
PINNED = Trust(Judge.PIN, "ab" * 32)


@COVERS
@pytest.mark.parametrize(
    ("known", "url", "others"),
    [
        # A certificate that nobody has seen before is not believed unasked.
        (Reach(), CLEAR, (Way.HTTP,)),
        (Reach(transport=Way.HTTP, found=True), CLEAR, (Way.TCP,)),
        (Reach(), SECURE, ()),
        (Reach(transport=Way.RTSPS, found=True), SECURE, ()),
        (Reach(trust=PINNED), CLEAR, (Way.HTTP, Way.RTSPS, Way.HTTPS)),
        (Reach(trust=Trust(Judge.CA)), CLEAR, (Way.HTTP, Way.RTSPS, Way.HTTPS)),
        # What was within TLS never leaves it.
        (Reach(trust=PINNED), SECURE, (Way.RTSPS, Way.HTTPS)),
        (Reach(transport=Way.RTSPS, found=True, trust=PINNED), SECURE, (Way.HTTPS,)),
        (Reach(transport=Way.HTTPS, found=True, trust=PINNED), CLEAR, (Way.RTSPS,)),
        # What a person has set stays.
        (Reach(transport=Way.HTTP), CLEAR, ()),
        (Reach(transport=Way.UDP), CLEAR, ()),
        (Reach(transport=Way.TCP), CLEAR, ()),
    ],
)
def test_which_other_ways_there_are(known: Reach, url: str, others: tuple[Way, ...]) -> None:
    assert other_ways(known, url, WAYS) == others


def making(asked: list[Reach], user: str = "", password: str = "", web: int = 0) -> Callable[[Reach], Asker]:
    def make(reach: Reach) -> Asker:
        asked.append(reach)
        return Asker(user, password, reach, web={Way.HTTP: web, Way.HTTPS: web})

    return make


async def test_who_answers_by_the_way_that_is_stored_is_asked_by_no_other() -> None:
    asked: list[Reach] = []
    async with Camera().url() as url, tunnel(url) as (face, port):
        assert await ask_again(making(asked, web=port), Reach(), url, "", WAYS) is None
        assert ([each.transport for each in asked], face.posts) == ([Way.TCP], 0)


@COVERS
async def test_another_way_is_found_and_back() -> None:
    asked: list[Reach] = []
    async with Camera().url() as url, tunnel(url) as (_, port):
        found = await ask_again(making(asked, web=port), Reach(), dead(url), "", WAYS)
        assert found is not None
        assert (found.reach.transport, found.reach.tunnel_port, found.reach.found) == (Way.HTTP, port, True)
        row = reception_of(found.reach, "cam-1", "main")
        assert other_ways(reach_of(row), url, WAYS) != ()
    async with Camera().url() as url:
        lost = Reach(transport=Way.HTTP, tunnel_port=closed(), found=True)
        found = await ask_again(making(asked), lost, url, "", (Way.HTTP, Way.TCP))
        assert found is not None
        assert (found.reach.transport, found.reach.tunnel_port, found.reach.found) == (Way.AUTO, 0, False)


async def test_nobody_who_closes_a_port_is_told_the_password() -> None:
    heard: list[str] = []

    def wants_it(request: Request, response: Response) -> bytes:
        heard.append(request.headers.get("Authorization") or "")
        fields = [("CSeq", request.headers.get("CSeq") or ""), ("WWW-Authenticate", 'Basic realm="x"')]
        return Response(401, Headers(fields)).serialise()

    async with Camera(answer=wants_it).url() as url, tunnel(url) as (face, port):
        made = making([], "admin", "camera-pass-1", web=port)
        assert await ask_again(made, Reach(), dead(url), "", WAYS) is None
        assert face.posts == 1
        assert set(heard) == {""}
        # Within TLS nobody in clear is asked at all.
        heard.clear()
        lost = Reach(transport=Way.RTSPS, found=True)
        assert await ask_again(made, lost, secured(dead(url)), "", (Way.TCP, Way.HTTP)) is None
        assert (face.posts, heard) == (1, [])


async def test_a_refusal_by_the_way_that_is_stored_ends_the_search(tmp_path: Path) -> None:
    context, _ = certificate(tmp_path, "camera")
    asked: list[Reach] = []
    async with Camera(context=context).url("rtsps") as url:
        lost = Reach(transport=Way.RTSPS, found=True, trust=Trust(Judge.PIN, "ab" * 32))
        assert await ask_again(making(asked), lost, url, "", WAYS) is None
        assert len(asked) == 1
