from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from lxml import etree

from onvifd.access.digest import DigestVerifier, make_ha1
from onvifd.access.types import AccessClass, Account, Credential, Level
from onvifd.clock import US, SimulatedClock, to_datetime
from onvifd.errors import InvalidArgument, NotAuthorized, NotFound, NotSupported, Prohibited, Timeout, Unavailable
from onvifd.onvif import client as module
from onvifd.onvif.client import OnvifClient
from onvifd.onvif.server import add_routes
from onvifd.onvif.soap import envelope
from onvifd.onvif.soap.dispatch import Call, Dispatcher, Service, operation
from onvifd.onvif.types import tds, trt, tt

PATH = "/onvif/device_service"
SKEW = 7200


def lookup(name: str) -> Credential | None:
    if name != "user":
        return None
    return Credential(Account(name, Level.USER), ha1=make_ha1(name, "cam", "pass"), password="pass")


class Camera(Service):
    """A camera whose clock is two hours ahead."""

    namespace = tds.NAMESPACE
    path = PATH
    prefix = "tds"

    def __init__(self) -> None:
        self.calls: list[Call] = []

    @operation(access=AccessClass.PRE_AUTH)
    async def time(self, call: Call, request: tds.GetSystemDateAndTime) -> tds.GetSystemDateAndTimeResponse:
        self.calls.append(call)
        now = to_datetime(call.now)
        moment = tt.DateTime(
            time=tt.Time(hour=now.hour, minute=now.minute, second=now.second),
            date=tt.Date(year=now.year, month=now.month, day=now.day),
        )
        answer = tt.SystemDateTime(
            date_time_type=tt.SetDateTimeType.MANUAL, daylight_savings=False, utc_date_time=moment
        )
        return tds.GetSystemDateAndTimeResponse(system_date_and_time=answer)

    @operation(access=AccessClass.READ_SYSTEM)
    async def scopes(self, call: Call, request: tds.GetScopes) -> tds.GetScopesResponse:
        self.calls.append(call)
        return tds.GetScopesResponse(scopes=(tt.Scope(scope_def=tt.ScopeDefinition.FIXED, scope_item="onvif://x"),))

    @operation(access=AccessClass.READ_SYSTEM)
    async def profile(self, call: Call, request: trt.GetProfile) -> trt.GetProfileResponse:
        if request.profile_token == "fixed":
            raise Prohibited("it is fixed", detail="FixedScope")
        raise NotFound("no such profile", detail="NoProfile")

    @operation(access=AccessClass.READ_SYSTEM_SECRET)
    async def users(self, call: Call, request: tds.GetUsers) -> tds.GetUsersResponse:
        raise AssertionError


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
def camera() -> Camera:
    return Camera()


@pytest.fixture(params=["digest", "token only"])
async def url(request: pytest.FixtureRequest, camera: Camera) -> AsyncIterator[str]:
    clock = SimulatedClock()
    clock.step(SKEW)
    digest = DigestVerifier("cam", lookup) if request.param == "digest" else None
    app = web.Application()
    add_routes(app, Dispatcher((camera,), lookup=lookup, clock=clock, digest=digest))
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url(PATH))


def client(url: str, session: aiohttp.ClientSession, password: str = "pass", timeout: float = 5.0) -> OnvifClient:
    return OnvifClient(url, "user", password, session, clock=SimulatedClock(), timeout=timeout)


async def test_camera_with_another_time_is_called(url: str, camera: Camera, session: aiohttp.ClientSession) -> None:
    caller = client(url, session)
    assert (await caller.call(tds.GetScopes(), tds.GetScopesResponse)).scopes[0].scope_item == "onvif://x"
    assert await caller.find_offset() == SKEW * US + US // 2
    assert camera.calls[1].account == Account("user", Level.USER)
    # The time is asked once; a client for another address of the camera knows it.
    await caller.at(url).call(tds.GetScopes(), tds.GetScopesResponse)
    assert sum(call.element.tag.endswith("GetSystemDateAndTime") for call in camera.calls) == 2


async def test_faults_become_errors(url: str, session: aiohttp.ClientSession) -> None:
    caller = client(url, session)
    with pytest.raises(InvalidArgument, match="no such profile") as caught:
        await caller.call(trt.GetProfile(profile_token="x"), trt.GetProfileResponse)
    assert caught.value.detail == "NoProfile"
    with pytest.raises(Prohibited):
        await caller.call(trt.GetProfile(profile_token="fixed"), trt.GetProfileResponse)
    with pytest.raises(NotSupported):
        await caller.call(tds.GetDNS(), tds.GetDNSResponse)
    with pytest.raises(NotAuthorized):
        await caller.call(tds.GetUsers(), tds.GetUsersResponse)


async def test_wrong_password(url: str, session: aiohttp.ClientSession) -> None:
    with pytest.raises(NotAuthorized):
        await client(url, session, "wrong").call(tds.GetScopes(), tds.GetScopesResponse)


async def test_addressing_headers(url: str, camera: Camera, session: aiohttp.ClientSession) -> None:
    parameter = etree.fromstring("<t:Id xmlns:t='urn:t'>7</t:Id>")
    await client(url, session).call(
        tds.GetScopes(), tds.GetScopesResponse, action="urn:a", reference_parameters=(parameter,)
    )
    addressing = camera.calls[-1].addressing
    assert (addressing.action, addressing.to) == ("urn:a", url)
    assert [node.text for node in addressing.reference_parameters] == ["7"]


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def fake(session: aiohttp.ClientSession) -> AsyncIterator[Callable[[Answer], Awaitable[OnvifClient]]]:
    """Starts a camera that answers anything."""
    servers: list[TestServer] = []

    async def start(answer: Answer) -> OnvifClient:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{tail:.*}", answer)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        servers.append(server)
        return OnvifClient(str(server.make_url("/x")), "", "", session, timeout=2.0)

    yield start
    for server in servers:
        await server.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Not found</body></html>",
        b"\xff\xfe\xfd",
        b"<a>" * 1000,
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"><Body/></Envelope>',
        envelope.write_request(tds.GetScopes()),
    ],
)
async def test_garbage_is_unavailable(fake: Callable[[Answer], Awaitable[OnvifClient]], body: bytes) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, status=200)

    with pytest.raises(Unavailable):
        await (await fake(answer)).call(tds.GetHostname(), tds.GetHostnameResponse)


async def test_flood_is_cut(fake: Callable[[Answer], Awaitable[OnvifClient]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RESPONSE", 100_000)

    async def answer(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        try:
            while True:
                await reply.write(b" " * 65_536)
        except ConnectionError:
            return reply

    with pytest.raises(Unavailable, match="more than 100000 octets"):
        await (await fake(answer)).call(tds.GetHostname(), tds.GetHostnameResponse)


async def test_silence_times_out(fake: Callable[[Answer], Awaitable[OnvifClient]]) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        assert request.transport is not None
        while not request.transport.is_closing():
            await reply.write(b" ")
            await asyncio.sleep(0.01)
        return reply

    caller = await fake(answer)
    with pytest.raises(Timeout):
        await caller.call(tds.GetHostname(), tds.GetHostnameResponse, timeout=0.05)


async def test_nobody_there(session: aiohttp.ClientSession) -> None:
    with pytest.raises(Unavailable):
        await client("http://127.0.0.1:9/x", session).call(tds.GetScopes(), tds.GetScopesResponse)
    with pytest.raises(Unavailable):
        await client("nonsense", session).call(tds.GetScopes(), tds.GetScopesResponse)


async def test_soap_11_fault(fake: Callable[[Answer], Awaitable[OnvifClient]]) -> None:
    async def answer(request: web.Request) -> web.Response:
        text = """<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault>
        <faultcode>ter:NotAuthorized</faultcode><faultstring>who are you</faultstring></e:Fault></e:Body></e:Envelope>"""
        return web.Response(text=text, status=500)

    with pytest.raises(NotAuthorized, match="who are you"):
        await (await fake(answer)).call(tds.GetHostname(), tds.GetHostnameResponse)


async def test_password_is_never_sent_in_clear(
    fake: Callable[[Answer], Awaitable[OnvifClient]], session: aiohttp.ClientSession
) -> None:
    seen: list[bytes] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.read() + str(request.headers).encode())
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    url = (await fake(answer)).url
    with pytest.raises((NotAuthorized, NotSupported)):
        await OnvifClient(url, "user", "hunter2", session).call(tds.GetScopes(), tds.GetScopesResponse)
    assert seen
    assert all(b"hunter2" not in data and b"Basic" not in data for data in seen)
