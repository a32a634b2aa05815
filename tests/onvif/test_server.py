from __future__ import annotations

import asyncio
import gzip
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from lxml import etree

from onvifd.access.digest import DigestVerifier, make_ha1
from onvifd.access.types import AccessClass, Account, Credential, Level
from onvifd.clock import SystemClock
from onvifd.onvif import server as module
from onvifd.onvif.server import add_routes
from onvifd.onvif.soap import envelope
from onvifd.onvif.soap.dispatch import Call, Dispatcher, Service, operation
from onvifd.onvif.types import tds, tt

SOAP = "{http://www.w3.org/2003/05/soap-envelope}"
PATH = "/onvif/device_service"
HEADERS = {"Content-Type": "application/soap+xml; charset=utf-8"}
CALL = envelope.write_request(tds.GetHostname())


def lookup(name: str) -> Credential | None:
    if name != "user":
        return None
    return Credential(Account(name, Level.USER), ha1=make_ha1(name, "onvifd", "pass"), password="pass")


class Device(Service):
    namespace = tds.NAMESPACE
    path = PATH
    prefix = "tds"

    @operation(access=AccessClass.PRE_AUTH)
    async def get_hostname(self, call: Call, request: tds.GetHostname) -> tds.GetHostnameResponse:
        name = f"{call.scheme} {call.host} {call.local_address} {call.peer}"
        return tds.GetHostnameResponse(hostname_information=tt.HostnameInformation(from_dhcp=False, name=name))

    @operation(access=AccessClass.READ_SYSTEM)
    async def get_scopes(self, call: Call, request: tds.GetScopes) -> tds.GetScopesResponse:
        return tds.GetScopesResponse(scopes=(tt.Scope(scope_def=tt.ScopeDefinition.FIXED, scope_item="onvif://x"),))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TestServer]:
    (tmp_path / "device.wsdl").write_bytes(b'<x location="http://localhost/onvif/device_service"/>')
    (tmp_path / "types.xsd").write_bytes(b"<x/>")
    (tmp_path / "secret.txt").write_bytes(b"no")
    app = web.Application()
    digest = DigestVerifier("onvifd", lookup)
    add_routes(app, Dispatcher((Device(),), lookup=lookup, clock=SystemClock(), digest=digest), wsdl=tmp_path)
    async with TestServer(app, host="127.0.0.1") as running:
        yield running


@pytest.fixture
async def http(server: TestServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=server.make_url("/"), headers=HEADERS) as session:
        yield session


async def assert_fault(reply: aiohttp.ClientResponse, status: int, subcode: str) -> None:
    body = await reply.read()
    assert reply.content_type == "application/soap+xml"
    values = [node.text for node in etree.fromstring(body).iter(f"{SOAP}Value")]
    assert (reply.status, values) == (status, ["SOAP-ENV:Sender", f"ter:{subcode}"])


async def raw(server: TestServer, data: bytes, *more: bytes) -> bytes:
    """What the server answers to octets on a connection that is then closed; `more` follow after the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    got = b""
    for part in (data, *more):
        writer.write(part)
        await writer.drain()
        got += await asyncio.wait_for(reader.read(65536), 5)
    writer.close()
    await writer.wait_closed()
    return got


@pytest.mark.parametrize(
    "content_type",
    [
        "application/soap+xml",
        'application/soap+xml; charset=utf-8; action="http://www.onvif.org/ver10/device/wsdl/GetHostname"',
        "text/xml; charset=utf-8",
        "application/xml",
    ],
)
async def test_operation(http: aiohttp.ClientSession, content_type: str, assert_valid: Any) -> None:
    async with http.post(PATH, data=CALL, headers={"Content-Type": content_type}) as reply:
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "application/soap+xml; charset=utf-8"
        assert_valid(await reply.read())


async def test_call_knows_host_and_addresses(server: TestServer) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: recorder.example:81\r\nContent-Length: {len(CALL)}\r\n\r\n".encode()
    assert b"http recorder.example:81 127.0.0.1 127.0.0.1" in await raw(server, head + CALL)


async def test_request_without_host(server: TestServer) -> None:
    head = f"POST {PATH} HTTP/1.0\r\nContent-Length: {len(CALL)}\r\n\r\n".encode()
    assert f"http 127.0.0.1:{server.port} ".encode() in await raw(server, head + CALL)


async def test_body_in_pieces_is_read_whole(http: aiohttp.ClientSession) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(CALL), 7):
            yield CALL[start : start + 7]

    async with http.post(PATH, data=pieces()) as reply:
        assert reply.status == 200


async def test_compressed_body(http: aiohttp.ClientSession) -> None:
    async with http.post(PATH, data=gzip.compress(CALL), headers={"Content-Encoding": "gzip"}) as reply:
        assert reply.status == 200
    bomb = gzip.compress(b" " * 50_000_000)
    async with http.post(PATH, data=bomb, headers={"Content-Encoding": "gzip"}) as reply:
        await assert_fault(reply, 413, "WellFormed")
    async with http.post(PATH, data=b"not gzip", headers={"Content-Encoding": "gzip"}) as reply:
        assert reply.status == 400


async def test_connection_is_kept(server: TestServer) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(CALL)}\r\n\r\n".encode()
    answers = await raw(server, head + CALL, head + CALL)
    assert answers.count(b"HTTP/1.1 200 OK") == 2


async def test_expect_continue(server: TestServer) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {len(CALL)}\r\n\r\n".encode()
    answers = await raw(server, head, CALL)
    assert answers.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n".encode()
    assert (await raw(server, head)).startswith(b"HTTP/1.1 413")
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nExpect: the-worst\r\nContent-Length: 0\r\n\r\n".encode()
    assert (await raw(server, head)).startswith(b"HTTP/1.1 417")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_other_methods(http: aiohttp.ClientSession, method: str) -> None:
    async with http.request(method, PATH) as reply:
        assert reply.status == 405
        assert reply.headers["Allow"] == "POST"


async def test_wrong_encapsulation(http: aiohttp.ClientSession) -> None:
    for content_type in ("application/json", "multipart/form-data; boundary=x", "image/jpeg"):
        async with http.post(PATH, data=CALL, headers={"Content-Type": content_type}) as reply:
            await assert_fault(reply, 415, "WellFormed")


async def test_wrong_address(http: aiohttp.ClientSession) -> None:
    for path in ("/onvif/", "/onvif/nothing", "/onvif/device_service2", "/onvif/device_service%00"):
        async with http.post(path, data=CALL) as reply:
            if path.endswith("%00"):
                assert reply.status in (400, 404)
            else:
                await assert_fault(reply, 404, "UnknownAction")


async def test_body_beyond_the_bound(http: aiohttp.ClientSession) -> None:
    async def flood() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield b" " * 65_536

    for data in (io.BytesIO(b" " * 10_000_000), flood()):
        try:
            async with http.post(PATH, data=data) as reply:
                await assert_fault(reply, 413, "WellFormed")
        except aiohttp.ClientOSError:
            pass  # the server closed while we were still writing
    async with http.post(PATH, data=CALL) as reply:
        assert reply.status == 200


async def test_body_that_does_not_come(server: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BODY_TIMEOUT", 0.01)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n<a".encode()
    assert (await raw(server, head)).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 401), (b"{}", 400), (CALL[:-20], 400), (b"\xff\xfe\x00", 400), (b"\0" * 100, 400)]
)
async def test_malformed_bodies(http: aiohttp.ClientSession, body: bytes, status: int) -> None:
    async with http.post(PATH, data=body, headers={"Content-Type": "application/soap+xml"}) as reply:
        assert reply.status == status
        assert b"Traceback" not in await reply.read()


async def test_client_that_goes_away_disturbs_nobody(server: TestServer, http: aiohttp.ClientSession) -> None:
    for data in (
        b"POST",
        f"POST {PATH} HTTP/1.1\r\nContent-Length: 50\r\n\r\n<a".encode(),
        b"\x16\x03\x01\x02\x00\x01",
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(data)
        await writer.drain()
        writer.transport.abort()
    async with http.post(PATH, data=CALL) as reply:
        assert reply.status == 200


@pytest.mark.covers("G-HTTPDigest", "M-HTTPDigest", "SEC-04", "T-HTTPDigest")
async def test_challenge(http: aiohttp.ClientSession) -> None:
    async with http.post(PATH, data=envelope.write_request(tds.GetScopes())) as reply:
        assert reply.headers["WWW-Authenticate"].startswith("Digest realm=")
        await assert_fault(reply, 401, "NotAuthorized")


@pytest.mark.covers("G-HTTPDigest", "M-HTTPDigest", "SEC-04", "T-HTTPDigest")
async def test_aiohttps_own_digest_is_accepted(http: aiohttp.ClientSession) -> None:
    middleware = aiohttp.DigestAuthMiddleware("user", "pass")
    data = envelope.write_request(tds.GetScopes())
    async with http.post(PATH, data=data, middlewares=(middleware,)) as reply:
        assert reply.status == 200


async def test_contract_has_an_index(http: aiohttp.ClientSession) -> None:
    async with http.get("/onvif/wsdl/") as reply:
        assert (reply.status, reply.content_type) == (200, "text/html")
        text = await reply.text()
    names = re.findall(r'href="([^"]+)"', text)
    assert names == ["device.wsdl", "types.xsd"]
    for name in names:
        async with http.get(f"/onvif/wsdl/{name}") as reply:
            assert reply.status == 200


@pytest.mark.covers("G-GetWsdlUrl", "S-GetWsdlUrl", "T-GetWsdlUrl")
async def test_contract_files(server: TestServer, http: aiohttp.ClientSession) -> None:
    async with http.get("/onvif/wsdl/device.wsdl") as reply:
        assert reply.content_type == "application/wsdl+xml"
        assert f'"http://127.0.0.1:{server.port}/onvif/device_service"' in await reply.text()
    async with http.get("/onvif/wsdl/device.wsdl", headers={"Host": '"><evil'}) as reply:
        assert b"evil" not in await reply.read()
    async with http.get("/onvif/wsdl/types.xsd") as reply:
        assert reply.status == 200
    for name in ("secret.txt", "nothing.wsdl", "..%2f..%2fpyproject.toml", "%2e%2e"):
        async with http.get(f"/onvif/wsdl/{name}") as reply:
            assert reply.status in (404, 405)


@pytest.mark.covers("A032", "G-GetWsdlUrl", "P274", "S-GetWsdlUrl", "T-GetWsdlUrl")
async def test_zeep_works_from_the_served_contract(published: str) -> None:
    def call() -> str:
        import zeep

        client = zeep.Client(f"{published}/onvif/wsdl/device.wsdl", settings=zeep.Settings(strict=True))
        return str(client.service.GetHostname()["Name"])

    name = await asyncio.to_thread(call)
    assert name.startswith(f"http {published.removeprefix('http://')} ")


@pytest.fixture
async def published() -> AsyncIterator[str]:
    """Base address of a server that publishes the committed contract."""
    app = web.Application()
    add_routes(app, Dispatcher((Device(),), lookup=lookup, clock=SystemClock()), wsdl=module.contract_folder())
    async with TestServer(app, host="127.0.0.1") as running:
        yield str(running.make_url("")).rstrip("/")
