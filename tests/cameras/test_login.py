"""Digest and Basic at cameras: who is in the middle of a connection in clear gets no password (the quirk basic-clear)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from onvifd.cameras.intake_av import clear_login
from onvifd.errors import NotAuthorized
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.client_session import BasicRefused, ClientOptions, ClientSession
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.messages import Headers, Request, Response
from tests.cameras.fault_camera import Camera, Rig
from tests.cameras.test_quirks import Challenger
from tests.cameras.test_transports import HttpFace, certificate

BASIC = 'Basic realm="cam"'
LOGIN = "Basic " + base64.b64encode(b"user:secret").decode()


class Login:
    """A camera that asks for `schemes`, which may change while it runs."""

    def __init__(self, *schemes: str) -> None:
        self.schemes = schemes
        self.digest = Challenger(uses=1000)
        self.given: list[str] = []

    def __call__(self, request: Request, response: Response) -> bytes:
        given = request.headers.get("Authorization") or ""
        self.given.append(given)
        if given == LOGIN and "basic" in self.schemes:
            return response.serialise()
        if "digest" not in self.schemes:
            return self.refusal(request, BASIC)
        judged = self.digest(request, response)
        if judged.status == 401 and "basic" in self.schemes:
            judged = Response(401, Headers([*judged.headers, ("WWW-Authenticate", BASIC)]))
        return judged.serialise()

    @staticmethod
    def refusal(request: Request, *challenges: str) -> bytes:
        fields = [("CSeq", request.headers.get("CSeq") or ""), *(("WWW-Authenticate", each) for each in challenges)]
        return Response(401, Headers(fields)).serialise()

    @property
    def told(self) -> bool:
        """Whether it got to know the password."""
        return LOGIN in self.given


def rig(url: str, **more: object) -> Rig:
    return Rig(url, user="user", password="secret", **more)  # type: ignore[arg-type]


async def lose(one: Rig) -> None:
    client = one.intake._client
    assert client is not None
    client.abort("cut")


@pytest.mark.parametrize("schemes", [("digest",), ("digest", "basic")])
async def test_digest_is_taken_where_both_are_offered_and_basic_never_again(schemes: tuple[str, ...]) -> None:
    login = Login(*schemes)
    async with Camera(answer=login).url() as url, rig(url).running() as one:
        await one.until(lambda: bool(one.frames))
        assert one.digests == 1
        login.schemes = ("basic",)
        await lose(one)
        await one.until(lambda: len(one.states) >= 4)
        assert "Basic" in one.states[-1][1]
        assert "basic-clear" in one.states[-1][1]
        assert not login.told
        assert not one.intake._by_libav
        # And when it is the camera again, all is well.
        login.schemes = ("digest",)
        count = len(one.frames)
        await one.until(lambda: len(one.frames) > count + 5)
        assert one.digests == 1


async def test_what_is_known_of_the_last_run_counts_from_the_first_request() -> None:
    login = Login("basic")
    async with Camera(answer=login).url() as url:
        async with rig(url, digest=True).running() as one:
            await one.until(lambda: len(one.states) >= 3)
            assert not login.told
        async with rig(url, digest=True, quirks=["basic-clear"]).running() as one:
            await one.until(lambda: bool(one.frames))
            assert login.told


async def test_a_camera_that_knows_basic_alone_is_received() -> None:
    login = Login("basic")
    async with Camera(answer=login).url() as url, rig(url).running() as one:
        await one.until(lambda: bool(one.frames))
        assert login.told
        assert one.digests == 0


async def test_within_one_connection_there_is_no_way_back() -> None:
    """A challenge for Basic among the media, behind a session that began with Digest."""
    login = Login("digest")
    async with Camera(answer=login).url() as url, rig(url).running() as one:
        await one.until(lambda: bool(one.frames))
        login.schemes = ("basic",)
        client = one.intake._client
        assert client is not None
        asked = len(login.given)
        client.keep_alive()
        await one.until(lambda: len(login.given) > asked)
        count = len(one.frames)
        await one.until(lambda: len(one.frames) > count + 10)
        assert not login.told


async def test_within_tls_basic_tells_nobody_else(tmp_path: Path) -> None:
    login = Login("basic")
    camera = Camera(answer=login, context=certificate(tmp_path, "camera")[0])
    async with camera.url("rtsps") as url, rig(url, digest=True).running() as one:
        await one.until(lambda: bool(one.frames))
        assert login.told


class AskingFace(HttpFace):
    """Asks at HTTP already, and takes whatever comes."""

    schemes: tuple[str, ...] = ()
    heads: list[str]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        if "Authorization:" not in head:
            asked = "".join(f"WWW-Authenticate: {each}\r\n" for each in self.schemes)
            writer.write(f"HTTP/1.0 401 Unauthorized\r\n{asked}\r\n".encode())
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()
            return
        inner = asyncio.StreamReader()
        inner.feed_data(head.encode())
        copying = asyncio.create_task(self._copy(reader, inner))
        try:
            await super().serve(inner, writer)
        finally:
            copying.cancel()

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, to: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                to.feed_data(data)
        to.feed_eof()


@contextlib.asynccontextmanager
async def asking(url: str, *schemes: str) -> AsyncIterator[tuple[AskingFace, int]]:
    face = AskingFace(int(url.split(":")[2].split("/")[0]))
    face.schemes, face.heads = schemes, []
    async with face.serving() as port:
        yield face, port


@pytest.mark.parametrize("known", [False, True])
async def test_a_tunnel_that_asks_for_basic(known: bool) -> None:
    async with Camera().url() as url, asking(url, BASIC) as (face, port):
        one = rig(url, transport=Way.HTTP, tunnel_port=port, digest=known)
        async with one.running():
            if known:
                await one.until(lambda: len(one.states) >= 2)
                assert "Basic" in one.states[0][1]
            else:
                await one.until(lambda: bool(one.frames))
            assert any(LOGIN in head for head in face.heads) is not known


async def test_a_tunnel_that_asks_for_digest_is_no_place_for_basic_inside() -> None:
    login = Login("basic")
    async with Camera(answer=login).url() as url, asking(url, 'Digest realm="x", nonce="y"', BASIC) as (face, port):
        one = rig(url, transport=Way.HTTP, tunnel_port=port)
        async with one.running():
            await one.until(lambda: len(one.states) >= 2)
            assert "Basic" in one.states[0][1]
            assert one.digests == 1
            assert not login.told
            assert not any(LOGIN in head for head in face.heads)


async def test_a_redirection_does_not_begin_anew() -> None:
    target = Login("basic")
    async with Camera(answer=target).url(path="/there") as there:
        first = Login("digest")

        def answer(request: Request, response: Response) -> bytes:
            if request.method == "DESCRIBE" and "Digest" in (request.headers.get("Authorization") or ""):
                return Response(302, Headers([*response.headers, ("Location", there)])).serialise()
            return first(request, response)

        async with Camera(answer=answer).url() as url:
            client = RtspClient(url, "user", "secret")
            await client.connect()
            with pytest.raises(NotAuthorized, match="Basic"):
                await client.describe()
            assert client.offered_digest
            await client.close()
        assert not target.told


async def test_libavformat_is_not_asked_where_it_would_tell_the_password() -> None:
    strict = ClientOptions(basic=False)
    async with Camera(answer=Login("basic")).url() as url:
        refusal, given = await clear_login(RtspClient(url, "user", "secret", options=strict), 5, digest=True)
        assert ("Basic" in refusal, given) == (True, ("", ""))
    async with Camera(answer=Login("digest")).url() as url:
        known = await clear_login(RtspClient(url, "user", "secret", options=strict), 5, digest=True)
        assert known == ("", ("user", "secret"))
    login = Login("basic")
    async with Camera(answer=login).url() as url, rig(url, digest=True, quirks=["libav"]).running() as one:
        await one.until(lambda: len(one.states) >= 2)
        assert "Basic" in one.states[0][1]
        assert not login.told


@pytest.mark.parametrize("digest", [False, True])
async def test_libavformat_gets_no_login_that_nobody_asked_for(digest: bool) -> None:
    """Whoever answers it after us could ask for Basic."""
    async with Camera().url() as url:
        client = RtspClient(url, "user", "secret", options=ClientOptions(basic=not digest))
        assert await clear_login(client, 5, digest=digest) == ("", ("", ""))
    # Where our client comes to no terms at all, a camera that has offered Digest must show that it asks.
    client = RtspClient("rtsp://127.0.0.1:9/", "user", "secret", options=ClientOptions(basic=not digest))
    known = await clear_login(client, 5, digest=digest)
    assert known == ("", ("", "") if digest else ("user", "secret"))


async def test_a_camera_for_libavformat_is_asked_by_our_client_first() -> None:
    login = Login("digest", "basic")
    async with Camera(answer=login).url() as url, rig(url, quirks=["libav"]).running() as one:
        await one.until(lambda: one.digests == 1)
        assert not login.told


def test_a_digest_that_we_cannot_compute_is_none() -> None:
    """Basic beside an algorithm that nobody knows is the only way in."""
    session = ClientSession("rtsp://192.0.2.1/", "user", "secret")
    session.request("DESCRIBE")
    unknown = ("WWW-Authenticate", 'Digest realm="x", nonce="y", algorithm=SHA3')
    again = session.response(Response(401, Headers([unknown, ("WWW-Authenticate", BASIC)])))
    assert again is not None
    assert LOGIN.encode() in again
    assert not session.offered_digest
    strict = ClientSession("rtsp://192.0.2.1/", "user", "secret", ClientOptions(basic=False))
    strict.request("DESCRIBE")
    with pytest.raises(BasicRefused):
        strict.response(Response(401, Headers([("WWW-Authenticate", BASIC)])))
